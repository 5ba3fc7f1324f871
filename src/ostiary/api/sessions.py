"""Sessions: what users lent to agents, and ending it."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import Query
from pydantic import Field, create_model

from ostiary.api.route import After, Body, Caller, Forbidden, Given, Id, Limit, Reason, may, router
from ostiary.api.services import Services
from ostiary.core.decision import Refusal
from ostiary.core.errors import NotFound, OstiaryError
from ostiary.core.ids import is_name
from ostiary.core.subject import Limits
from ostiary.identity.lending import Ask
from ostiary.identity.step_up import StepUp
from ostiary.identity.views import SessionView

routes = router("sessions")

MICRO = 1_000_000


class SessionBody(Body):
    """What is to be lent: never more than the user and the agent both have."""

    agent: Annotated[str, Field(max_length=128)]
    user: Annotated[str, Field(max_length=128)]
    scopes: Annotated[list[Annotated[str, Field(max_length=512)]], Field(min_length=1, max_length=32)]
    purpose: Annotated[str, Field(min_length=1, max_length=4096)]
    ttl_s: Annotated[int, Field(gt=0, le=3600)] = 3600
    actions: Annotated[int, Field(gt=0, le=1_000_000_000)] | None = None
    """Actions it may take in all; `limits.session_actions` when left out."""
    spend: Annotated[float, Field(gt=0, le=1e9)] | None = None
    """What it may spend on models, in the deployment's currency; `limits.session_spend` when left out."""
    rows: Annotated[int, Field(gt=0, le=1_000_000_000)] | None = None
    """Rows of tables that answers may bring it."""
    bytes: Annotated[int, Field(gt=0, le=1_000_000_000_000)] | None = None
    """Bytes that answers may bring it."""
    approvals: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    """Actions it may put before people."""
    idle_s: Annotated[int, Field(gt=0, le=3600)] | None = None
    """How long it may do nothing before it is over."""
    roles: Annotated[list[Annotated[str, Field(max_length=128)]], Field(min_length=1, max_length=32)] | None = None
    """Which roles of the user and the agent count; all when left out."""


@dataclass(frozen=True, slots=True)
class OpenedView:
    """A new session; the token is shown this once."""

    id: str
    token: str
    expires_at: float
    scopes: list[str]


@dataclass(frozen=True, slots=True)
class SessionShown:
    """A session, with what has happened in it so far."""

    id: str
    agent: str
    user: str | None
    scopes: list[str]
    purpose: str
    opened_at: float
    expires_at: float
    standing: str
    """`open`, or the code of why it may not act."""
    opened_by: str
    implicit: bool
    max_actions: int | None
    max_spend: float | None
    actions: int
    denied: int
    spent: float
    integrity: str
    labels: list[str]
    parent: str | None
    """The session it was lent from."""
    depth: int
    """How often it was lent on."""
    chain: list[str]
    """Who acts on whose behalf: who lent first, then each agent down to the acting one."""
    children: int
    """Sessions lent from it directly that are not ended."""
    max_rows: int | None
    max_bytes: int | None
    max_approvals: int | None
    rows: int
    bytes: int
    """Rows and bytes that answers brought, counted where a limit stands."""
    approvals: int
    idle_s: float | None
    roles: list[str] | None
    """Which roles of the principals count; none named is all."""
    counted: Literal["exactly", "at most"]
    """`at most` after the gateway was killed while the session worked: its counters then stand at or above what was used."""


@dataclass(frozen=True, slots=True)
class EndedView:
    """A session that has ended, and how many that were lent from it ended with it."""

    id: str
    children: int


class RevokeBody(Body):
    """Why it ends."""

    reason: Reason = ""


@dataclass(frozen=True, slots=True)
class StepUpView:
    """A request of an agent for more than its session was lent, as a difference."""

    id: str
    session: str
    agent: str
    user: str | None
    purpose: str
    has: list[str]
    adds: list[str]
    """What would be lent in addition."""
    asked_at: float
    expires_at: float
    state: str
    by: str
    reason: str


StepUpPage: Any = create_model("StepUpPage", items=(list[StepUpView], ...), next=(str | None, None))
SessionPage: Any = create_model("SessionPage", items=(list[SessionShown], ...), next=(str | None, None))


@routes.post("", status_code=201)
async def open_session(body: SessionBody, services: Given, caller: Annotated[Caller, may("open", "session", own=True)]) -> OpenedView:
    """Lend a user's rights to an agent, for a purpose and a time."""
    if caller.is_own_only:
        caller.agent(services, body.agent)
        if body.user != caller.name:
            raise Forbidden("an owner lends their own rights only", remedy="let the user open the session, or an administrator")
    ask = Ask(
        agent=_name(body.agent, "agent"),
        user=_name(body.user, "user"),
        scopes=tuple(body.scopes),
        purpose=body.purpose,
        ttl_s=min(body.ttl_s, services.settings.identity.session_ttl_s),
        limits=Limits(body.actions, None if body.spend is None else round(body.spend * MICRO), body.rows, body.bytes, body.approvals),
        idle_s=body.idle_s,
        roles=None if body.roles is None else frozenset(body.roles),
        by=caller.name,
    )
    opened = await services.sessions.open(ask)
    if isinstance(opened, Refusal):
        raise OstiaryError(opened.detail, code=opened.code, status=opened.status, remedy=opened.remedy)
    return OpenedView(opened.session.id, opened.token, opened.expires_at, list(opened.session.scopes))


@routes.get("", response_model=SessionPage)
async def list_sessions(
    *,
    services: Given,
    caller: Annotated[Caller, may("list", "session", own=True)],
    agent: Annotated[str | None, Query(max_length=128)] = None,
    user: Annotated[str | None, Query(max_length=128)] = None,
    ended: bool = False,
    limit: Limit = 100,
    after: After = "",
) -> dict[str, Any]:
    """List sessions, the newest first; open ones unless `ended`."""
    views = services.sessions.list(agent=agent, user=user, owner=caller.owner, ended=ended)
    rest = [view for view in views if view.id < after] if after else views
    return {"items": [shown(view) for view in rest[:limit]], "next": rest[limit - 1].id if len(rest) > limit else None}


@routes.get("/requests", response_model=StepUpPage)
async def list_requests(
    services: Given, caller: Annotated[Caller, may("list", "session", own=True)], limit: Limit = 100, after: After = ""
) -> dict[str, Any]:
    """List what sessions ask to be lent in addition, the newest first."""
    return requests_page(services.sessions.step_ups.list(lambda asked: _may_answer(services, caller, asked)), limit, after)


@routes.post("/requests/{id}/grant")
async def grant_request(
    id: Id,  # noqa: A002
    body: RevokeBody,
    services: Given,
    caller: Annotated[Caller, may("grant", "session", own=True)],
) -> StepUpView:
    """Lend a session what it asked for: only that, only to that session."""
    _asked(services, caller, id)
    return asked_view(await services.sessions.step_ups.grant(id, by=caller.name, reason=body.reason))


@routes.post("/requests/{id}/refuse")
async def refuse_request(
    id: Id,  # noqa: A002
    body: RevokeBody,
    services: Given,
    caller: Annotated[Caller, may("refuse", "session", own=True)],
) -> StepUpView:
    """Say no to what a session asked for."""
    _asked(services, caller, id)
    return asked_view(await services.sessions.step_ups.refuse(id, by=caller.name, reason=body.reason))


@routes.get("/{id:hex}")
async def show_session(id: Id, services: Given, caller: Annotated[Caller, may("show", "session", own=True)]) -> SessionShown:  # noqa: A002
    """Show one session."""
    return shown(reach(services, caller, id))


@routes.delete("/{id:hex}")
async def close_session(id: Id, services: Given, caller: Annotated[Caller, may("close", "session", own=True)]) -> EndedView:  # noqa: A002
    """End a session in good order, and all that was lent from it."""
    reach(services, caller, id)
    return EndedView(id, await services.sessions.close(id, by=caller.name))


@routes.post("/{id}/revoke")
async def revoke_session(id: Id, body: RevokeBody, services: Given, caller: Annotated[Caller, may("revoke", "session")]) -> EndedView:  # noqa: A002
    """End a session now, and all that was lent from it; an open stream stops at its next piece."""
    reach(services, caller, id)
    return EndedView(id, await services.sessions.revoke(id, by=caller.name, reason=body.reason))


def requests_page(found: list[StepUp], limit: int, after: str) -> dict[str, Any]:
    """Return one page of requests, the newest first."""
    rest = [each for each in found if not after or each.id < after]
    return {"items": [asked_view(each) for each in rest[:limit]], "next": rest[limit - 1].id if len(rest) > limit else None}


def asked_view(asked: StepUp) -> StepUpView:
    """Return a request as it is shown."""
    core = (asked.id, asked.session, asked.agent, asked.user, asked.purpose, list(asked.has), list(asked.adds))
    return StepUpView(*core, asked.asked_at, asked.expires_at, asked.state, asked.by, asked.reason)


def _may_answer(services: Services, caller: Caller, asked: StepUp) -> bool:
    """Say whether a request is within reach: an owner answers what concerns their own agents and their own rights."""
    if not caller.is_own_only:
        return True
    return asked.user == caller.name and caller.sees(services.registrar.registry.agents.get(asked.agent))


def _asked(services: Services, caller: Caller, request_id: str) -> None:
    asked = services.sessions.step_ups.show(request_id)
    if not _may_answer(services, caller, asked):
        raise NotFound(f"there is no request `{request_id}`", remedy="ostiary session requests")


def reach(services: Services, caller: Caller, session_id: str) -> SessionView:
    """Return a session within reach. Raises NotFound alike for none and for somebody else's."""
    try:
        view = services.sessions.show(session_id)
    except NotFound:
        view = None
    if view is None or (caller.is_own_only and not caller.sees(services.registrar.registry.agents.get(view.agent))):
        raise NotFound("there is no session of that id that you may see", remedy="ostiary session list")
    return view


def _name(text: str, what: str) -> str:
    if not is_name(text):
        raise NotFound(f"there is no {what} of that name", remedy=f"ostiary {what} list")
    return text


def shown(view: SessionView) -> SessionShown:
    """Return a session as it is shown."""
    return SessionShown(
        id=view.id,
        agent=view.agent,
        user=view.user,
        scopes=list(view.scopes),
        purpose=view.purpose,
        opened_at=view.opened_at,
        expires_at=view.expires_at,
        standing=view.standing,
        opened_by=view.opened_by,
        implicit=view.implicit,
        max_actions=view.limits.actions,
        max_spend=None if view.limits.spend is None else view.limits.spend / MICRO,
        actions=view.actions,
        denied=view.denied,
        spent=view.spent / MICRO,
        integrity=str(view.integrity),
        labels=sorted(view.labels),
        parent=view.parent or None,
        depth=view.depth,
        chain=list(view.chain),
        children=view.children,
        max_rows=view.limits.rows,
        max_bytes=view.limits.bytes,
        max_approvals=view.limits.approvals,
        rows=view.rows,
        bytes=view.bytes,
        approvals=view.approvals,
        idle_s=view.idle_s,
        roles=None if view.roles is None else list(view.roles),
        counted="at most" if view.is_estimate else "exactly",
    )
