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
    rows: int
    bytes: int
    approvals: int
    roles: tuple[str, ...] | None
    idle_s: float | None
    is_estimate: bool
    """The counters are at most what was used: the gateway was killed while it worked."""


def view(live: Live, refusal: Refusal | None) -> SessionView:
    """Return a session with why it does not stand, when it does not."""
    kept, state = live.kept, live.session.state
    standing = refusal.code if refusal else "open"
    return SessionView(
        id=kept.id,
        agent=kept.agent,
        user=kept.user,
        scopes=kept.scopes,
        purpose=kept.purpose,
        opened_at=kept.opened_at,
        expires_at=kept.expires_at,
        standing=standing,
        opened_by=kept.opened_by,
        implicit=kept.implicit,
        limits=kept.limits,
        actions=state.actions,
        denied=state.denied,
        spent=state.spent,
        integrity=state.integrity.value,
        labels=tuple(sorted(state.labels)),
        parent=kept.parent,
        depth=kept.depth,
        chain=tuple(link.name for link in live.session.subject.chain),
        children=sum(not each.kept.ended for each in live.below),
        rows=state.rows,
        bytes=state.bytes,
        approvals=state.approvals,
        roles=None if kept.roles is None else tuple(sorted(kept.roles)),
        idle_s=kept.idle_s,
        is_estimate=kept.is_estimate,
    )
