"""What is lent when a session is opened: what was asked, narrowed to what everybody concerned may give. Pure (R-B1, R-P2)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from ostiary.core.decision import Refusal, refuse
from ostiary.core.errors import InvalidAction
from ostiary.core.ids import is_name, new_id
from ostiary.core.registry import Registry
from ostiary.core.subject import COUNTED, Limits, PrincipalKind, Session
from ostiary.identity.keeper import SessionDocument
from ostiary.identity.scopes import intersect, parse_scopes
from ostiary.identity.standing import unfit, unfit_agent

MAX_TTL_S: Final = 3600.0
MAX_PURPOSE: Final = 4000
MAX_ROLES: Final = 32


@dataclass(frozen=True, slots=True)
class Ask:
    """What is asked for when a session is opened. `lent` narrows the user's side (a user token's own scopes)."""

    agent: str
    user: str | None
    scopes: tuple[str, ...]
    purpose: str
    ttl_s: float = MAX_TTL_S
    limits: Limits = field(default_factory=Limits)
    lent: tuple[str, ...] | None = None
    method: str = "session_token"
    by: str = ""
    """The operator who opens it for the user, by name; empty when the user does."""
    key: str = ""
    implicit: bool = False
    idle_s: float | None = None
    """How long the session may do nothing before it is over."""
    roles: frozenset[str] | None = None
    """Which roles of the user and the agent count; None is all they have."""


def draft(registry: Registry, now: float, ask: Ask, defaults: Limits) -> SessionDocument | Refusal:
    """Check what is asked, narrow it to what everybody concerned may give, and return the session to be. Raises InvalidAction."""
    refusal = unfit(registry, ask.agent, ask.user)
    if refusal is not None:
        return refusal
    purpose = _checked(ask)
    scopes = _lent(ask, registry)
    if not scopes:
        return refuse("out_of_scope", "nothing of what was asked can be lent", remedy="ask for scopes that the user and the agent have")
    refusal = _without_roles(registry, ask)
    if refusal is not None:
        return refusal
    limits = Limits(*[getattr(defaults, name) if (most := getattr(ask.limits, name)) is None else most for name, _ in COUNTED])
    core = (new_id(), ask.agent, ask.user, scopes, purpose, now, now + ask.ttl_s, limits, ask.method)
    more = {"idle_s": ask.idle_s, "roles": ask.roles, "seen_at": now}
    return SessionDocument(*core, opened_by=ask.by, key=ask.key, implicit=ask.implicit, **more)  # type: ignore[arg-type]


def draft_child(registry: Registry, now: float, ask: Ask, parent: Session, deepest: int) -> SessionDocument | Refusal:
    """Return the session that `parent` would lend on: every right of it the parent has, now and until its end. Raises InvalidAction.

    An agent that declares no scopes bounds nothing; its parent does. Nobody stands twice in a chain with others between.
    """
    refusal = unfit_agent(registry, ask.agent)
    if refusal is not None:
        return refusal
    purpose = _checked(ask)
    if parent.depth >= deepest:
        return refuse("forbidden", f"a session is lent on at most {deepest} times", remedy="let an agent further up lend it")
    above = [link.name for link in parent.subject.chain if link.kind is PrincipalKind.AGENT]
    if ask.agent in above[:-1] and ask.agent != above[-1]:
        return refuse("forbidden", f"agent `{ask.agent}` stands higher in this chain already", remedy="answer it instead of asking it")
    scopes = intersect(_lent(ask, registry), parent.scopes)
    if not scopes:
        return refuse("out_of_scope", "nothing of what was asked can be lent on", remedy="ask for scopes that the session above has")
    limits = narrowed(ask.limits, parent.line)
    if any(getattr(limits, name) == 0 for name, _ in COUNTED):
        return refuse("budget_spent", "the session above has used up its budget", remedy="open a new session")
    user = parent.subject.user
    ends_at = min(now + ask.ttl_s, parent.expires_at)
    core = (new_id(), ask.agent, user.name if user else None, scopes, purpose, now, ends_at, limits, ask.method)
    roles = ask.roles if parent.roles is None else parent.roles if ask.roles is None else parent.roles & ask.roles
    more = {"idle_s": ask.idle_s, "roles": roles, "seen_at": now}
    return SessionDocument(*core, key=ask.key, parent=parent.id, depth=parent.depth + 1, **more)  # type: ignore[arg-type]


def narrowed(asked: Limits, line: Sequence[Session]) -> Limits:
    """Return what of the asked limits is left in every session of a line."""
    return Limits(
        *[
            _least(getattr(asked, name), ((getattr(each.limits, name), getattr(each.state, used)) for each in line))
            for name, used in COUNTED
        ]
    )


def _least(asked: int | None, lent: Iterable[tuple[int | None, int]]) -> int | None:
    left = [max(0, most - used) for most, used in lent if most is not None]
    return min([*left, *([] if asked is None else [asked])], default=None)


def _checked(ask: Ask) -> str:
    """Return the purpose, when it and the numbers asked for can be."""
    purpose = ask.purpose.strip()
    if not purpose or len(purpose) > MAX_PURPOSE:
        raise InvalidAction(f"a session needs a purpose of 1 to {MAX_PURPOSE} characters", remedy="say what the agent is to do")
    if not 0 < ask.ttl_s <= MAX_TTL_S:
        raise InvalidAction(f"a session lives at most {MAX_TTL_S:.0f} s, got {ask.ttl_s:.0f}")
    if any((getattr(ask.limits, name) or 0) < 0 for name, _ in COUNTED):
        raise InvalidAction("a limit must not be negative")
    if ask.idle_s is not None and not 0 < ask.idle_s <= MAX_TTL_S:
        raise InvalidAction(f"a session may be idle for at most {MAX_TTL_S:.0f} s, got {ask.idle_s:.0f}")
    if ask.roles is not None and not (0 < len(ask.roles) <= MAX_ROLES and all(map(is_name, ask.roles))):
        raise InvalidAction(f"roles are 1 to {MAX_ROLES} names", remedy="leave them out to lend all")
    return purpose


def _lent(ask: Ask, registry: Registry) -> tuple[str, ...]:
    """Intersect what was asked with what the user lends and what the agent declares, as sets; an agent that declares none bounds nothing."""
    scopes = parse_scopes(ask.scopes)
    if not scopes:
        raise InvalidAction("a session needs at least one scope", remedy="ask for scopes as `tool:mail/*`")
    for ceiling in (ask.lent, registry.agents[ask.agent].scopes or None):
        if ceiling is not None:
            scopes = intersect(scopes, parse_scopes(ceiling))
    return scopes


def _without_roles(registry: Registry, ask: Ask) -> Refusal | None:
    """Return why the roles asked for are none: nobody concerned has any of them, so the session could do nothing."""
    user = registry.users[ask.user] if ask.user is not None else None
    roles = registry.agents[ask.agent].roles | (user.roles if user else frozenset())
    if ask.roles is None or ask.roles & roles:
        return None
    return refuse("out_of_scope", "neither the user nor the agent has such a role", remedy="ask for roles that they have, or for none")
