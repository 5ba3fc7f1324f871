"""Refused actions in the record: one by one until they flood, then counted, so that what costs its sender nothing fills no disk (R-L1)."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from ostiary.core.canonical import canonical
from ostiary.core.entry import Entry, Family, Kind, Part
from ostiary.core.ids import new_id
from ostiary.core.ports import Ledger

if TYPE_CHECKING:
    from ostiary.core.pipeline import Passage

log = logging.getLogger("ostiary.pipeline")

WINDOW_S: Final = 60.0
ONE_BY_ONE: Final = 12_000
"""Refused actions of one agent that are recorded one by one in a window; the rest is counted."""
MAX_NAMED: Final = 20
"""Codes, actions and sessions a count names, each with its number; the others are counted as one."""
OTHER: Final = "(other)"


@dataclass(slots=True)
class _Window:
    """What one agent was refused since a moment. `id` is that of the entry which will say how often."""

    actor: str
    owner: str
    since_ns: int
    id: str = field(default_factory=new_id)
    recorded: int = 0
    counted: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    actions: Counter[str] = field(default_factory=Counter)
    sessions: Counter[str] = field(default_factory=Counter)


class Refusals:
    """Says which refusal gets an entry of its own, and records the count of the others: at the end of a window, and on the way out."""

    def __init__(self, ledger: Ledger, clock_ns: Callable[[], int]) -> None:
        self._ledger = ledger
        self._clock_ns = clock_ns
        self._windows: dict[str, _Window] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._flushing: asyncio.Task[None] | None = None

    def counted(self, passage: "Passage", code: str) -> str:
        """Return the id of the entry that will count this refusal; empty when it gets one of its own."""
        session, action = passage.session, passage.action
        agent = session.subject.actor.id if session is not None else ""
        window, now = self._windows.get(agent), self._clock_ns()
        if window is None or (not window.counted and not 0 <= now - window.since_ns < WINDOW_S * 1e9):
            owner = session.subject.actor.owner or "" if session is not None else ""
            window = self._windows[agent] = _Window(agent, owner, now)
        if window.recorded < ONE_BY_ONE:
            window.recorded += 1
            return ""
        window.counted += 1
        _count(window.codes, code)
        _count(window.actions, action.name[:128] if action is not None else "")
        _count(window.sessions, session.id if session is not None else "")
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(WINDOW_S, self._flush_later)
        return window.id

    async def flush(self) -> None:
        """Record what was only counted so far; those agents begin a new window. Raises LedgerUnavailable: then it stays counted."""
        for agent, window in list(self._windows.items()):
            if not window.counted:
                continue
            del self._windows[agent]
            try:
                await self._ledger.append(self._entry(window))
            except BaseException:
                later = self._windows.setdefault(agent, window)
                if later is not window:
                    _merge(later, window)
                raise

    async def close(self) -> None:
        """Record what is counted, and stop."""
        if self._timer is not None:
            self._timer.cancel()
        if self._flushing is not None:
            await asyncio.gather(self._flushing, return_exceptions=True)
        try:
            await self.flush()
        except Exception:
            log.exception("counted refusals could not be recorded")

    def _flush_later(self) -> None:
        self._timer = None
        self._flushing = asyncio.get_running_loop().create_task(self._flush_logged())

    async def _flush_logged(self) -> None:
        try:
            await self.flush()
        except Exception:
            log.exception("counted refusals could not be recorded; they wait")
            if self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(WINDOW_S, self._flush_later)

    def _entry(self, window: _Window) -> Entry:
        now = self._clock_ns()
        detail = {
            "count": window.counted,
            "recorded_one_by_one": window.recorded,
            "seconds": max(0, (now - window.since_ns) // 10**9),
            "codes": dict(window.codes),
            "actions": dict(window.actions),
            "sessions": dict(window.sessions),
        }
        return Entry(
            window.id,
            Family.ACTION,
            Kind.EVENT,
            now,
            actor=window.actor,
            owner=window.owner,
            verb="refuse",
            action="refusals_counted",
            decision="deny",
            code="rate_limited",
            parts=(Part("detail", canonical(detail)),),
        )


def _count(counts: Counter[str], name: str, number: int = 1) -> None:
    counts[name if name in counts or len(counts) < MAX_NAMED else OTHER] += number


def _merge(later: _Window, earlier: _Window) -> None:
    """Add what could not be recorded to what was counted meanwhile."""
    later.counted += earlier.counted
    for mine, theirs in ((later.codes, earlier.codes), (later.actions, earlier.actions), (later.sessions, earlier.sessions)):
        for name, number in theirs.items():
            _count(mine, name, number)
