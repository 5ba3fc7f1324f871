"""Every authentication leaves an identity entry; strangers cannot fill the disk with theirs (R-L1)."""

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ostiary.core.canonical import canonical
from ostiary.core.clock import Clock
from ostiary.core.decision import Refusal
from ostiary.core.entry import Entry, Family, Kind, Part
from ostiary.core.ids import new_id
from ostiary.core.ports import Credential, Ledger

log = logging.getLogger("ostiary.identity")

WINDOW_S = 60.0
PER_SOURCE = 20
"""Failures of one source that are recorded one by one in a window; the rest is counted."""
PER_WINDOW = 200
"""Failures of all sources that are recorded one by one in a window."""
MAX_SOURCES = 1024


class IdentityRecord:
    """Writes identity entries: successes and steps always one by one, failures one by one until they flood."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock
        self._opened_at = 0.0
        self._failures: Counter[str] = Counter()
        self._suppressed: Counter[str] = Counter()
        self._timer: asyncio.TimerHandle | None = None
        self._flushes: set[asyncio.Task[None]] = set()

    async def event(self, verb: str, *, action: str, detail: Mapping[str, Any] | None = None, **fields: Any) -> None:
        """Record one step of identity (`authenticate` a `session_token`, `open` a `session` …) before it takes effect.

        The entry's action is verb and thing together, as `open_session`. `detail` is sealed. Raises LedgerUnavailable: then the step must not happen.
        """
        parts: Sequence[Part] = [Part("detail", canonical(dict(detail)))] if detail else []
        fields = {"boundary": "user_agent", "decision": "allow", **fields}
        at_ns = self._clock.now_ns()
        entry = Entry(new_id(), Family.IDENTITY, Kind.EVENT, at_ns, verb=verb, action=f"{verb}_{action}", parts=tuple(parts), **fields)
        await self._ledger.append(entry)

    async def failure(self, credential: Credential, refusal: Refusal, *, method: str, verb: str = "authenticate", **fields: Any) -> Refusal:
        """Record a failed authentication (or opening) and return its refusal. Raises LedgerUnavailable."""
        await self._roll()
        source = credential.ip if credential.ip in self._failures or len(self._failures) < MAX_SOURCES else "others"
        if self._failures[source] >= PER_SOURCE or self._failures.total() >= PER_WINDOW:
            self._suppressed[source] += 1
            self._schedule()
            return refusal
        self._failures[source] += 1
        detail = {"ip": credential.ip, "door": credential.door, "why": refusal.detail}
        await self.event(verb, action=method, decision="deny", code=refusal.code, detail=detail, **fields)
        return refusal

    async def flush(self) -> None:
        """Record what was only counted so far as one entry, and begin a new window."""
        suppressed, self._suppressed = self._suppressed, Counter()
        self._failures.clear()
        self._opened_at = self._clock.now()
        if not suppressed:
            return
        detail = {"count": suppressed.total(), "sources": dict(suppressed.most_common(20)), "window_s": int(WINDOW_S)}
        try:
            await self.event("authenticate", action="failures_counted", decision="deny", code="rate_limited", detail=detail)
        except Exception:
            self._suppressed.update(suppressed)
            raise

    async def _roll(self) -> None:
        if self._clock.now() >= self._opened_at + WINDOW_S:
            await self.flush()

    def _schedule(self) -> None:
        """See that the count is recorded even when no more failures come."""
        if self._timer is None or self._timer.cancelled():
            self._timer = asyncio.get_running_loop().call_later(WINDOW_S, self._flush_later)

    def _flush_later(self) -> None:
        self._timer = None
        task = asyncio.get_running_loop().create_task(self.flush())
        self._flushes.add(task)
        task.add_done_callback(self._flushed)

    def _flushed(self, task: "asyncio.Task[None]") -> None:
        self._flushes.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("counted authentication failures could not be recorded", exc_info=task.exception())

    def close(self) -> None:
        """Stop the timer; call `flush` before."""
        if self._timer is not None:
            self._timer.cancel()
