"""A held action as it waits for people: what would happen, who must say yes, who has, and where that leaves it (R-B4)."""

import json
from dataclasses import dataclass, field
from typing import Any, Final

PENDING, APPROVED, DENIED, USED, EXPIRED, WITHDRAWN = "pending", "approved", "denied", "used", "expired", "withdrawn"
OPEN: Final = frozenset({PENDING, APPROVED})
"""While it may still come to the action."""


@dataclass(frozen=True, slots=True)
class Vote:
    """One person's answer."""

    by: str
    at: float
    approves: bool
    reason: str
    groups: tuple[str, ...] = ()
    """Of the groups asked, those the person was in."""
    endorses: str = ""
    """What the yes is for beyond this one call: `values` or `source`."""


@dataclass(frozen=True, slots=True)
class Need:
    """How many of a group must say yes."""

    group: str
    quorum: int


@dataclass(frozen=True, slots=True)
class Task:
    """A held action as approvers see it. `digest` is what they answer for: one byte changed is another task."""

    id: str
    session: str
    digest: str
    policies: tuple[str, ...]
    policy_revision: str
    group: str
    quorum: int
    expires_s: int
    four_eyes: tuple[str, ...]
    agent: str
    owner: str
    user: str
    """The lending user; empty in an autonomous session."""
    purpose: str
    action: str
    resource: str
    arguments: str
    """The canonical JSON of the arguments."""
    origins: dict[str, str]
    created_at: float
    expires_at: float
    votes: tuple[Vote, ...] = ()
    used: bool = False
    sources: dict[str, str] = field(default_factory=dict)
    """For each argument of unsafe origin, where its value was seen."""
    owners: tuple[str, ...] = ()
    """Of all agents of the chain; the acting one's is `owner`."""
    also: tuple[Need, ...] = ()
    """What further groups must say, where policies of several hold the action."""
    withdrawn: bool = False
    """The session it was held in is over, and that was recorded."""

    @property
    def needs(self) -> tuple[Need, ...]:
        """What each group must say."""
        return (Need(self.group, self.quorum), *self.also)

    def by(self, need: Need) -> frozenset[str]:
        """Return who has said yes for a group. Somebody who is in several says it for each."""
        return frozenset(vote.by for vote in self.votes if vote.approves and (not self.also or need.group in vote.groups))

    def state(self, now: float) -> str:
        """Say where the task stands."""
        if self.used:
            return USED
        if any(not vote.approves for vote in self.votes):
            return DENIED
        if self.withdrawn:
            return WITHDRAWN
        if now >= self.expires_at:
            return EXPIRED
        return APPROVED if all(len(self.by(need)) >= need.quorum for need in self.needs) else PENDING


def arguments_of(task: Task) -> Any:
    """Return the arguments that are asked for, as JSON values."""
    return json.loads(task.arguments)
