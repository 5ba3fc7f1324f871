"""The information flow of sessions outlives the process: written a little later, and what was not yet durable is forgotten.

Whether anything is missing shows by itself: a session counts its answers, durable before one is released, and the flow carries
the count it was written at. A flow that is behind its session is forgetful: what it does not know is `untrusted`. Labels and
integrity stand in the session's own document and are never behind. What a person takes back is durable before it is answered.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence

from ostiary.core.errors import Unavailable
from ostiary.core.ports import Change, StateStore
from ostiary.provenance.engine import Provenance
from ostiary.provenance.flow import packed, snapshot

log = logging.getLogger("ostiary.provenance")

KIND = "provenance/flow"
WAIT_S = 2.0
"""Shortest time between two writes of one session."""
PER_SECOND = 2_500
"""A session of more values waits a second longer for so many each, so that what is written a second stays bounded."""
MAX_ROUND = 64
"""Sessions written at once; the others wait for the next round."""
SWEEP_S = 60.0
RETRY_S = 5.0


class FlowKeeper:
    """Writes the flows of sessions that changed, and takes out those of sessions that are over."""

    def __init__(self, store: StateStore, provenance: Provenance, is_over: Callable[[str], bool]) -> None:
        self._store = store
        self._provenance = provenance
        self._is_over = is_over
        self._due: dict[str, float] = {}
        """When a session may be written at the earliest."""
        self._stored: set[str] = set()
        self._lock = asyncio.Lock()
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Task[None] | None = None
        self._swept_at = time.monotonic()
        self._is_stopped = False

    async def start(self) -> None:
        """Take up every stored flow; one that cannot be read leaves its session forgetful. Raises Unavailable."""
        for session_id, body in self._store.load(KIND).items():
            self._stored.add(session_id)
            if self._is_over(session_id):
                self._due[session_id] = -math.inf
                continue
            try:
                self._provenance.load(session_id, body)
            except ValueError as error:
                log.warning("session %s begins again forgetful: %s", session_id, error)
        self._provenance.watch(self._note)
        await self._write(list(self._due))

    async def flush(self, session_id: str) -> None:
        """Make what is known of a session durable now. Raises Unavailable."""
        await self._write([session_id])

    async def stop(self) -> None:
        """Write all that waits, on the way out. Raises Unavailable."""
        self._is_stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._due:
            await self._write(list(self._due)[:MAX_ROUND])

    def _note(self, session_id: str) -> None:
        if session_id in self._due:
            return
        flow = self._provenance.flow(session_id)
        if flow is None and session_id not in self._stored:
            return
        self._due[session_id] = time.monotonic() + WAIT_S + (len(flow.index) / PER_SECOND if flow is not None else 0.0)
        self._schedule()

    def _schedule(self, after_s: float | None = None) -> None:
        if self._timer is None and self._due and not self._is_stopped and (self._writing is None or self._writing.done()):
            wait_s = max(0.0, min(self._due.values()) - time.monotonic()) if after_s is None else after_s
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._begin)

    def _begin(self) -> None:
        self._timer = None
        self._writing = asyncio.get_running_loop().create_task(self._round())

    async def _round(self) -> None:
        """Write those whose time has come; when the store cannot, they wait."""
        now, after_s = time.monotonic(), None
        if now - self._swept_at > SWEEP_S:
            self._swept_at = now
            self._sweep()
        try:
            await self._write([session_id for session_id, at in self._due.items() if at <= now][:MAX_ROUND])
        except Unavailable as error:
            log.error("what sessions know could not be stored: %s", error)  # noqa: TRY400 - the sentence says it all
            after_s = RETRY_S
        finally:
            self._writing = None
            self._schedule(after_s)

    def _sweep(self) -> None:
        for session_id in [each for each in self._stored if self._is_over(each)]:
            self._provenance.forget(session_id)

    async def _write(self, ids: Sequence[str]) -> None:
        """Store or take out flows as they are now; one write at a time, so that no older state follows a newer one."""
        async with self._lock:
            due = {session_id: self._due.pop(session_id, 0.0) for session_id in ids}
            flows = {session_id: self._provenance.flow(session_id) for session_id in ids}
            taken = {session_id: snapshot(flow) for session_id, flow in flows.items() if flow is not None}
            try:
                bodies = await asyncio.to_thread(lambda: {session_id: packed(each) for session_id, each in taken.items()})
                changes = [Change(KIND, session_id, bodies.get(session_id)) for session_id in ids if self._differs(session_id, bodies)]
                if changes:
                    await self._store.write(changes)
            except BaseException:
                self._due = {**due, **self._due}
                raise
            self._stored.difference_update(ids)
            self._stored.update(bodies)

    def _differs(self, session_id: str, bodies: Mapping[str, bytes]) -> bool:
        return session_id in bodies or session_id in self._stored
