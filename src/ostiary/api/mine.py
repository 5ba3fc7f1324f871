"""What a person lent themselves: they see it, end it, and answer what agents ask for in addition, with their own token or key (R-B1)."""

from typing import Annotated, Any

from fastapi import Query

from ostiary.api.route import After, Caller, Given, Id, Limit, Why, may, router
from ostiary.api.services import Services
from ostiary.api.sessions import (
    EndedView,
    RevokeBody,
    SessionPage,
    SessionShown,
    StepUpPage,
    StepUpView,
    asked_view,
    requests_page,
    shown,
)
from ostiary.api.trust import FlowView, LendBody, LentPage, LentView, flow_of, lent_view
from ostiary.core.errors import NotFound
from ostiary.identity.views import SessionView

routes = router("me")


@routes.get("/sessions", response_model=SessionPage)
async def list_mine(
    *,
    services: Given,
    caller: Annotated[Caller, may("list", "mine", own=True)],
    ended: bool = False,
    limit: Limit = 100,
    after: After = "",
) -> dict[str, Any]:
    """List the sessions you lent, those lent on from them too, the newest first; open ones unless `ended`."""
    views = services.sessions.list(user=caller.name, ended=ended)
    rest = [view for view in views if view.id < after] if after else views
    return {"items": [shown(view) for view in rest[:limit]], "next": rest[limit - 1].id if len(rest) > limit else None}


@routes.get("/sessions/{id}")
async def show_mine(id: Id, services: Given, caller: Annotated[Caller, may("show", "mine", own=True)]) -> SessionShown:  # noqa: A002
    """Show one session you lent."""
    return shown(_mine(services, caller, id))


@routes.delete("/sessions/{id}")
async def close_mine(id: Id, services: Given, caller: Annotated[Caller, may("close", "mine", own=True)]) -> EndedView:  # noqa: A002
    """End a session you lent, and all that was lent from it; open streams stop at their next piece."""
    _mine(services, caller, id)
    return EndedView(id, await services.sessions.close(id, by=caller.name))


@routes.get("/sessions/{id}/flow")
async def show_my_flow(
    id: Id,  # noqa: A002
    services: Given,
    caller: Annotated[Caller, may("show", "mine", own=True)],
    why: Why = "",
) -> FlowView:
    """Show where each value in a session you lent came from; that you looked is recorded first."""
    return await flow_of(services, caller, _mine(services, caller, id), why)


@routes.get("/sessions/{id}/lent", response_model=LentPage)
async def list_my_lent(id: Id, services: Given, caller: Annotated[Caller, may("show", "mine", own=True)]) -> dict[str, Any]:  # noqa: A002
    """List what trust is or was lent to in a session you lent."""
    _mine(services, caller, id)
    return {"items": [lent_view(each) for each in services.trust.of(id)], "next": None}


@routes.post("/sessions/{id}/lent", status_code=201)
async def lend_mine(
    id: Id,  # noqa: A002
    body: LendBody,
    services: Given,
    caller: Annotated[Caller, may("lend", "mine", own=True)],
) -> LentView:
    """Lend trust, in a session you lent, to one object or one answer: values read there from now on count as lent."""
    _mine(services, caller, id)
    return lent_view(await services.trust.lend(id, body.name, by=caller.name, at=services.clock.now(), reason=body.reason))


@routes.delete("/sessions/{id}/lent")
async def unlend_mine(
    *,
    id: Id,  # noqa: A002
    name: Annotated[str, Query(min_length=1, max_length=256, description="What trust was lent to.")],
    services: Given,
    caller: Annotated[Caller, may("unlend", "mine", own=True)],
    why: Why = "",
) -> LentView:
    """Take trust back: it counts no more from the next action on."""
    _mine(services, caller, id)
    return lent_view(await services.trust.unlend(id, name, by=caller.name, at=services.clock.now(), reason=why))


@routes.get("/requests", response_model=StepUpPage)
async def list_asked_of_me(
    services: Given, caller: Annotated[Caller, may("list", "mine", own=True)], limit: Limit = 100, after: After = ""
) -> dict[str, Any]:
    """List what agents ask you to lend in addition, the newest first."""
    return requests_page(services.sessions.step_ups.list(lambda asked: asked.user == caller.name), limit, after)


@routes.post("/requests/{id}/grant")
async def grant_mine(
    id: Id,  # noqa: A002
    body: RevokeBody,
    services: Given,
    caller: Annotated[Caller, may("grant", "mine", own=True)],
) -> StepUpView:
    """Lend a session what it asked for: only that, only to that session."""
    _asked_of(services, caller, id)
    return asked_view(await services.sessions.step_ups.grant(id, by=caller.name, reason=body.reason))


@routes.post("/requests/{id}/refuse")
async def refuse_mine(
    id: Id,  # noqa: A002
    body: RevokeBody,
    services: Given,
    caller: Annotated[Caller, may("refuse", "mine", own=True)],
) -> StepUpView:
    """Say no to what a session asked for."""
    _asked_of(services, caller, id)
    return asked_view(await services.sessions.step_ups.refuse(id, by=caller.name, reason=body.reason))


def _mine(services: Services, caller: Caller, session_id: str) -> SessionView:
    """Return a session the caller lent. Raises NotFound alike for none and for somebody else's."""
    try:
        view = services.sessions.show(session_id)
    except NotFound:
        view = None
    if view is None or view.user != caller.name:
        raise NotFound("there is no session of that id that you lent", remedy="ostiary session list --mine")
    return view


def _asked_of(services: Services, caller: Caller, request_id: str) -> None:
    asked = services.sessions.step_ups.show(request_id)
    if asked.user != caller.name:
        raise NotFound(f"there is no request `{request_id[:64]}`", remedy="ostiary session requests --mine")
