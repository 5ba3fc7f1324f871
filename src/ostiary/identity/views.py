"""Sessions as people see them."""

from dataclasses import dataclass

from ostiary.core.decision import Refusal
from ostiary.core.subject import Limits
from ostiary.identity.keeper import Live


@dataclass(frozen=True, slots=True)
class SessionView:
    """A session as people see it. `standing` is `open`, or why it is not: a code."""

    id: str
    agent: str
    user: str | None
    scopes: tuple[str, ...]
    purpose: str
    opened_at: float
    expires_at: float
    standing: str
    opened_by: str
    implicit: bool
    limits: Limits
    actions: int
    denied: int
    spent: int
    integrity: str
    labels: tuple[str, ...]
    parent: str
    """The session it was lent from; empty for none."""
    depth: int
    chain: tuple[str, ...]
    """Who acts on whose behalf, by name: who lent first, then each agent down to the acting one."""
    children: int
    """Sessions lent from it directly that are not ended."""


def view(live: Live, refusal: Refusal | None) -> SessionView:
    """Return a session with why it does not stand, when it does not."""
    kept, state = live.kept, live.session.state
    standing = refusal.code if refusal else "open"
    core = (kept.id, kept.agent, kept.user, kept.scopes, kept.purpose, kept.opened_at, kept.expires_at, standing)
    counts = (state.actions, state.denied, state.spent, state.integrity.value, tuple(sorted(state.labels)))
    chain = tuple(link.name for link in live.session.subject.chain)
    kin = (kept.parent, kept.depth, chain, sum(not each.kept.ended for each in live.below))
    return SessionView(*core, kept.opened_by, kept.implicit, kept.limits, *counts, *kin)
