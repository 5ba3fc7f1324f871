"""How much one agent has under way at a door: streams and slow calls of one leave room for all others."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from ostiary.core.decision import Refusal, refuse
from ostiary.core.subject import Session

MAX_OF_ONE = 1024
"""Requests of one agent at one door at once, over all its sessions: half of what a door holds."""


class Crowd:
    """Counts who is inside."""

    def __init__(self) -> None:
        self._inside: Counter[str] = Counter()

    @contextmanager
    def entered(self, session: Session | None) -> Iterator[Refusal | None]:
        """Count the session's agent while the block runs; yields why it may not come in."""
        agent = session.subject.actor.name if session is not None else ""
        if self._inside[agent] >= MAX_OF_ONE:
            yield refuse("rate_limited", f"{MAX_OF_ONE} requests of agent `{agent}` are under way here", retry_after_s=1.0)
            return
        self._inside[agent] += 1
        try:
            yield None
        finally:
            self._inside[agent] -= 1
            if not self._inside[agent]:
                del self._inside[agent]
