"""What one principal could touch now: the blast radius, over HTTP."""

import asyncio
from dataclasses import dataclass
from typing import Annotated

from ostiary.api.registry import find
from ostiary.api.route import Caller, Given, Name, may, router
from ostiary.api.services import Services
from ostiary.core.errors import InvalidAction
from ostiary.core.registry import Agent
from ostiary.core.subject import Status
from ostiary.identity.scopes import intersect
from ostiary.policy.reach import Reaches, Touch

agents = router("agents")
users = router("users")


@dataclass(frozen=True, slots=True)
class WayView:
    """One way to a thing: `allow`, `hold` (a person must approve) or `depends` (on arguments and circumstances)."""

    effect: str
    policies: list[str]
    """Those that permit it, and those that a person must lift or that may stand in the way."""
    through: list[str]
    """Who lends, for an agent (people, and agents that act by themselves); which agent acts, for a person; at most 100 names. Left out for whom they do not concern."""
    total: int
    """How many there are; 0 when the agent acts by itself."""


@dataclass(frozen=True, slots=True)
class TouchView:
    """One thing within reach."""

    action: str
    kind: str
    resource: str
    zone: str
    enters: bool
    """Whether reaching it enters a zone that the agent does not stand in."""
    effect: str
    does: str
    external: bool
    labels: list[str]
    scopes: list[str]
    """A session must have been lent one of these."""
    ways: list[WayView]


@dataclass(frozen=True, slots=True)
class ReachView:
    """All that a principal could touch now, whatever it sends and whatever it has read."""

    name: str
    kind: str
    status: Status
    zones: list[str]
    """Where it stands."""
    policy_revision: str
    looked_at: int
    """How many things there are."""
    items: list[TouchView]


@agents.get("/{name}/reach")
async def reach_of_agent(name: Name, services: Given, caller: Annotated[Caller, may("reach", "agent", own=True)]) -> ReachView:
    """Return all that an agent could touch now: by which policies, lent by whom or by itself."""
    agent = caller.agent(services, name)
    return await _reach(services, "agent", agent.name, agent.status, are_named=not caller.is_own_only)


@users.get("/{name}/reach")
async def reach_of_user(name: Name, services: Given, _: Annotated[Caller, may("reach", "user")]) -> ReachView:
    """Return all that agents could touch now on behalf of a person."""
    user = find(services, "users", name)
    return await _reach(services, "user", user.name, user.status, are_named=True)


def reaches(services: Services) -> Reaches:
    """Return what answers about the snapshot of now. Raises EngineUnavailable."""
    lent = {(view.agent, view.user or "") for view in services.sessions.list()}
    return Reaches(services.engine.snapshot, lends, lent)


def lends(agent: Agent, scopes: tuple[str, ...]) -> bool:
    """Say whether a session of an agent can be lent one of some scopes: what it declares bounds all its sessions."""
    try:
        return not agent.scopes or bool(intersect(agent.scopes, scopes))
    except InvalidAction:
        return True


async def _reach(services: Services, kind: str, name: str, status: Status, *, are_named: bool) -> ReachView:
    found, snapshot = reaches(services), services.engine.snapshot
    agent, user = snapshot.registry.agents.get(name), snapshot.registry.users.get(name)
    if kind == "agent":
        touches = await asyncio.to_thread(found.of_agent, agent) if agent is not None else []
    else:
        touches = await asyncio.to_thread(found.of_user, user) if user is not None else []
    items = [_view(touch, are_named=are_named) for touch in sorted(touches, key=lambda touch: (touch.zone, touch.target))]
    zones = sorted(snapshot.graph.zones((kind.capitalize(), name)))
    return ReachView(name, kind, status, zones, snapshot.version.revision, len(found.targets), items)


def _view(touch: Touch, *, are_named: bool) -> TouchView:
    kind, resource = touch.target.resource
    ways = [WayView(way.effect, list(way.policies), list(way.through) if are_named else [], way.total) for way in touch.ways]
    about = (touch.zone, touch.enters, touch.effect, touch.does, touch.external, list(touch.labels), list(touch.target.scopes))
    return TouchView(touch.target.action, kind, resource, *about, ways)


ROUTERS = (agents, users)
