"""One held action as people see it, and who may answer for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from ostiary.core.decision import ApprovalRule
from ostiary.core.registry import Registry, User
from ostiary.core.subject import Status

PENDING, APPROVED, DENIED, USED, SUPERSEDED = "pending", "approved", "denied", "used", "superseded"
EXPIRED: Final = "expired"


@dataclass(frozen=True, slots=True)
class Vote:
    """One person's answer, for the policies whose rules it counts."""

    by: str
    policies: tuple[str, ...]
    at: float
    reason: str = ""
    is_denial: bool = False


@dataclass(frozen=True, slots=True)
class Task:
    """A held action: what it binds, what people are shown, and their answers."""

    id: str
    session: str
    digest: str
    revision: str
    rules: tuple[ApprovalRule, ...]
    boundary: str
    verb: str
    action: str
    resource: str
    arguments: str
    """Canonical JSON: the bytes the digest covers."""
    origins: Mapping[str, str]
    reasons: tuple[str, ...]
    agent: str
    agent_id: str
    owner: str
    user: str
    """The lending user; empty in an autonomous session."""
    purpose: str
    created_at: float
    expires_at: float
    status: str = PENDING
    votes: tuple[Vote, ...] = field(default=())
    ended_at: float | None = None


def electorate(task: Task, rule: ApprovalRule, registry: Registry, *, is_denial: bool = False) -> dict[str, str]:
    """Return who may answer for a rule now, each with the person they are: two names with one address are one person.

    Only registered, active people in the rule's group. Four eyes keeps out the lending user (the owner, when
    there is none) and the agent's owner, then and now; everybody in the group may say no.
    """
    members = {name: _person(user) for name, user in registry.users.items() if _is_member(user, rule.group)}
    return members if is_denial else {name: person for name, person in members.items() if person not in _kept_out(task, rule, registry)}


def describe(task: Task, now: float, void: str | None) -> dict[str, Any]:
    """Return the task as JSON values, for people. `void` says why it can no longer be answered or used."""
    status = task.status
    if status in (PENDING, APPROVED) and void is not None:
        status = EXPIRED if now >= task.expires_at else SUPERSEDED
    view: dict[str, Any] = msgspec.to_builtins(task, order="deterministic")
    view |= {"status": status, "arguments": msgspec.json.decode(task.arguments), "void": void}
    view["waiting_for"] = [] if status != PENDING else sorted({rule.group for rule in task.rules})
    return view


def _kept_out(task: Task, rule: ApprovalRule, registry: Registry) -> set[str]:
    agent = registry.agents.get(task.agent)
    owners = {task.owner, agent.owner if agent else task.owner}
    names: set[str] = set()
    if "user" in rule.four_eyes:
        names |= {task.user} if task.user else owners
    if "owner" in rule.four_eyes:
        names |= owners
    return {_person(registry.users.get(name) or User(name)) for name in names}


def _is_member(user: User, group: str) -> bool:
    return user.status is Status.ACTIVE and (group in user.groups or group in user.roles)


def _person(user: User) -> str:
    return user.email.strip().casefold() or f"user {user.name}"
