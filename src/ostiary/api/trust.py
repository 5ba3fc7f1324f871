"""A session's information flow: where values came from, what trust is lent to, taking labels off."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Query
from pydantic import Field, create_model

from ostiary.api.entries import record
from ostiary.api.route import Body, Caller, Forbidden, Given, Id, Reason, Why, may, router
from ostiary.api.services import Services
from ostiary.api.sessions import reach
from ostiary.core.errors import NotFound
from ostiary.identity.views import SessionView
from ostiary.provenance.flow import Lent

routes = router("sessions")

NameOf = Annotated[str, Field(min_length=1, max_length=256)]


@dataclass(frozen=True, slots=True)
class LentView:
    """Trust that is or was lent to one thing in a session."""

    name: str
    kind: str
    """`object`, `source` or `plan`; `words` when the user's own request points there."""
    by: str
    at: float | None
    reason: str
    revoked: bool


@dataclass(frozen=True, slots=True)
class FlowSourceView:
    """One place values came from."""

    name: str
    origin: str
    values: int
    """Values it vouches for."""
    tokens: int
    """Words of somebody's text that are known of it."""


@dataclass(frozen=True, slots=True)
class FlowValueView:
    """One value that counts as more than the model's own. `value` is null for readers who may not see content."""

    kind: str
    value: str | None
    origin: str
    source: str


@dataclass(frozen=True, slots=True)
class FlowView:
    """Where each value of a session came from."""

    session: str
    integrity: str
    labels: list[str]
    forgetful: bool
    """True once something was not remembered: from then on what is not known is `untrusted`."""
    sources: list[FlowSourceView]
    values: list[FlowValueView]
    left_out: int
    """Values beyond those shown."""
    lent: list[LentView]


class LendBody(Body):
    """What trust is lent to: an object by its name, number or address, or an answer by its place (`mail/read id=7`)."""

    name: NameOf
    reason: Reason = ""


class DeclassifyBody(Body):
    """Which label is taken off, and why. `integrity` calls the session trusted again."""

    label: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
    reason: Annotated[str, Field(min_length=1, max_length=1024)]


LentPage: Any = create_model("LentPage", items=(list[LentView], ...), next=(str | None, None))


@routes.get("/{id}/flow")
async def show_flow(
    id: Id,  # noqa: A002
    services: Given,
    caller: Annotated[Caller, may("flow", "session", own=True)],
    why: Why = "",
) -> FlowView:
    """Show where each value of a session came from. Values are content: seen by who may reveal it, or by the user; that is recorded first."""
    return await flow_of(services, caller, reach(services, caller, id), why)


async def flow_of(services: Services, caller: Caller, view: SessionView, why: str) -> FlowView:
    """Return a session's flow as this reader may see it; that values were shown is recorded first."""
    session = services.sessions.session(view.id)
    if session is None:
        raise NotFound("there is no session of that id that you may see", remedy="ostiary session list")
    is_seeing = caller.operator.can("reveal", "audit") or caller.name == view.user
    if is_seeing:
        await record(services, caller, "reveal", f"sessions/{view.id}/flow", why)
    found = services.provenance.shown(session)
    values = [FlowValueView(each.kind, each.value if is_seeing else None, each.origin, each.source) for each in found.values]
    sources = [FlowSourceView(each.name, each.origin, each.values, each.tokens) for each in found.sources]
    lent = [lent_view(each) for each in services.trust.of(view.id)]
    state = session.state
    return FlowView(view.id, state.integrity.value, sorted(state.labels), found.is_forgetful, sources, values, found.left_out, lent)


@routes.get("/{id}/lent", response_model=LentPage)
async def list_lent(id: Id, services: Given, caller: Annotated[Caller, may("show", "session", own=True)]) -> dict[str, Any]:  # noqa: A002
    """List what trust is or was lent to in a session."""
    reach(services, caller, id)
    return {"items": [lent_view(each) for each in services.trust.of(id)], "next": None}


@routes.post("/{id}/lent", status_code=201)
async def lend(id: Id, body: LendBody, services: Given, caller: Annotated[Caller, may("lend", "session", own=True)]) -> LentView:  # noqa: A002
    """Lend trust, for this session, to one object or one answer: values read there from now on count as lent."""
    _own(services, caller, id)
    return lent_view(await services.trust.lend(id, body.name, by=caller.name, at=services.clock.now(), reason=body.reason))


@routes.delete("/{id}/lent")
async def unlend(
    *,
    id: Id,  # noqa: A002
    name: Annotated[str, Query(min_length=1, max_length=256, description="What trust was lent to.")],
    services: Given,
    caller: Annotated[Caller, may("unlend", "session", own=True)],
    why: Why = "",
) -> LentView:
    """Take trust back, whoever lent it: it counts no more from the next action on, here and in sessions lent from this one."""
    _own(services, caller, id)
    return lent_view(await services.trust.unlend(id, name, by=caller.name, at=services.clock.now(), reason=why))


@routes.post("/{id}/declassify", status_code=204)
async def declassify(
    id: Id,  # noqa: A002
    body: DeclassifyBody,
    services: Given,
    caller: Annotated[Caller, may("declassify", "session")],
) -> None:
    """Take a confidentiality label off a session, or call it trusted again."""
    await services.trust.declassify(id, body.label, by=caller.name, reason=body.reason)


def _own(services: Services, caller: Caller, session_id: str) -> None:
    """Let an owner act on a session's trust only where it is their own rights that were lent."""
    view = reach(services, caller, session_id)
    if caller.is_own_only and view.user != caller.name:
        raise Forbidden("an owner lends trust in their own sessions only", remedy="let the user of the session do it, or security")


def lent_view(lent: Lent) -> LentView:
    """Return lent trust as people are shown it."""
    return LentView(lent.name, lent.kind, lent.by, lent.at or None, lent.reason, lent.is_revoked)
