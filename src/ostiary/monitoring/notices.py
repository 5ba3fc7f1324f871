"""What policies ask to be told about (`@notify`): kept for people to read, logged, counted. The ledger has the decision itself."""

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from ostiary.core.pipeline import Passage

log = logging.getLogger("ostiary.notices")

MAX_KEPT = 1000


@dataclass(frozen=True, slots=True)
class Notice:
    """One passage somebody wanted to know of; `decision` leads to its ledger entry."""

    group: str
    at: float
    decision: str
    agent: str
    action: str
    resource: str
    policies: tuple[str, ...]


class Notices:
    """The newest notices, in memory. Calling it never waits and never fails the action."""

    def __init__(self, now: Callable[[], float], count: Callable[[str], None]) -> None:
        self._now = now
        self._count = count
        self._kept: deque[Notice] = deque(maxlen=MAX_KEPT)

    def __call__(self, group: str, passage: Passage) -> None:
        """Tell `group` about a passage."""
        session, action = passage.acting
        policies = passage.decision.policies if passage.decision else ()
        actor = session.subject.actor.name
        self._kept.append(Notice(group, self._now(), passage.id, actor, action.name, str(action.resource), policies))
        self._count(group)
        log.warning("notice to %s: agent %s, %s on %s, decision %s", group, actor, action.name, action.resource, passage.id)

    def list(self, group: str | None = None) -> list[Notice]:
        """Return what is kept, the newest first."""
        return [notice for notice in reversed(self._kept) if group in (None, notice.group)]
