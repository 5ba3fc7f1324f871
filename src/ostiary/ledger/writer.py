"""Group commit: one thread takes all that waits, makes it durable with one sync, and acknowledges all of it at once.

No linger but for the event loop to come round, so that what it has under way shares the batch; while it is busy, for more
company, as nothing would go on sooner; and for entries that nobody awaits. Any error of the store or the signer is final: the state is failed, every waiter is told, nothing is retried (after a
failed fsync the page may be gone), and only a restart, which checks everything, goes on.
"""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from ostiary.core.entry import Kind, Receipt
from ostiary.core.errors import LedgerUnavailable
from ostiary.ledger.note import Signer
from ostiary.ledger.recorder import Recorded
from ostiary.ledger.store import Batch, DataKey, Identity, LedgerStore, SealedPart
from ostiary.ledger.tree import Tree

log = logging.getLogger("ostiary.ledger")

MAX_BATCH = 1_024
MAX_BATCH_BYTES = 4 * 1024 * 1024
MAX_QUEUE = 4_096
_BUSY_S = 0.000_2
"""A turn of the loop that took longer had something else to do."""
_CROWD, _CROWD_S = 64, 0.020
"""Entries that make a batch worth its sync, and seconds that the first of them waits for so many while the loop is busy."""
_TURN_S = 0.005
"""Longest the writer waits for the loop to come round when entries wait already, and an entry that nobody awaits for one that somebody does."""


@dataclass(frozen=True, slots=True)
class Pace:
    """When to seal and when to stop: seconds and bytes."""

    seal_s: float = 0.5
    """Longest time an entry stays outside a signed checkpoint."""
    heartbeat_s: float = 30.0
    """How often an idle ledger signs that nothing is missing."""
    watermark: int = 64 * 1024 * 1024
    """Below this much free disk only outcomes are accepted, and above a quarter of it what operators do."""
    max_age_s: float = 0.25
    """When the oldest entry has waited this long, new actions are refused."""
    disk_s: float = 1.0
    """How often the disk is looked at."""


@dataclass(slots=True)
class Waiting:
    """One entry and whoever waits for its receipt."""

    recorded: Recorded
    future: "asyncio.Future[Receipt]"
    since: float


@dataclass(frozen=True, slots=True)
class State:
    """Whether the ledger accepts entries, and why not."""

    is_ok: bool
    reason: str = ""


class Writer:
    """The one writer. `submit` is called on the event loop, everything else happens on its thread."""

    def __init__(
        self,
        store: LedgerStore,
        tree: Tree,
        signer: Signer,
        loop: asyncio.AbstractEventLoop,
        *,
        pace: Pace,
        clock_ns: Callable[[], int],
    ) -> None:
        self.state = State(True)
        self.size = tree.size
        """Entries durable."""
        self.note = b""
        """The newest checkpoint released."""
        self.sealed = -1
        """Entries under the newest checkpoint."""
        self._store, self._tree, self._signer, self._loop = store, tree, signer, loop
        self._pace, self._clock_ns = pace, clock_ns
        self._queue: deque[Waiting] = deque()
        self._newest: asyncio.Future[Receipt] | None = None
        self._bell: SimpleQueue[bool] = SimpleQueue()
        self._is_idle = False
        self._is_ringing = False
        self._is_lingering = False
        self._is_closing = False
        self._sealed_at = time.monotonic()
        self._disk_at = 0.0
        self._is_full = False
        self._has_last_room = True
        self._has_ballast = False
        self._seal_waiters: deque[asyncio.Future[None]] = deque()
        self._thread = threading.Thread(target=self._run, name="ostiary-ledger", daemon=True)

    def start(self) -> None:
        """Begin with a checkpoint over what is there."""
        self._thread.start()

    def submit(self, recorded: Recorded, *, is_awaited: bool = True) -> "asyncio.Future[Receipt]":
        """Queue an entry; the future ends when it is durable. One that nobody awaits stays a moment, to share the batch of the next."""
        future: asyncio.Future[Receipt] = self._loop.create_future()
        item = Waiting(recorded, future, time.monotonic())
        self._queue.append(item)
        self._newest = future
        if self._is_idle and not self._is_ringing:
            if is_awaited:
                self._is_ringing = True
                self._loop.call_soon(self._ring_once, time.monotonic())
            elif not self._is_lingering:
                self._is_lingering = True
                self._loop.call_later(_TURN_S, self._ring_late)
        if not self.state.is_ok:
            self._loop.call_soon(_refuse, [item], self.state.reason)
        return future

    async def settled(self) -> None:
        """Return once every entry submitted so far is durable or refused."""
        if self._newest is not None and not self._newest.done():
            self._ring()
            await asyncio.wait([self._newest])

    def refusal(self, kind: str, *, is_by_operator: bool = False) -> str:
        """Return why an entry cannot be taken now; empty when it can.

        Nearly full, what is under way may still end, and while there is room an operator may still act, so that agents are stopped first.
        """
        if not self.state.is_ok:
            return self.state.reason
        if self._is_closing:
            return "the ledger is closing"
        if self._is_full and kind != Kind.OUTCOME and not (is_by_operator and self._has_last_room):
            return "the disk is nearly full, so no new action is recorded"
        waiting = len(self._queue)
        if waiting and (waiting >= MAX_QUEUE or self._age(time.monotonic()) > self._pace.max_age_s):
            return f"{waiting} entries wait to be written: the disk is too slow for this load"
        return ""

    def _age(self, now: float) -> float:
        """Return for how many seconds the oldest entry waits."""
        try:
            return now - self._queue[0].since
        except IndexError:  # the writer may take the last entry at any moment
            return 0.0

    def seal(self) -> "asyncio.Future[None]":
        """Ask for a checkpoint over everything durable now; the future ends when it is released."""
        future: asyncio.Future[None] = self._loop.create_future()
        self._seal_waiters.append(future)
        self._ring()
        if not self.state.is_ok or self._is_closing:
            self._loop.call_soon(_refuse_seals, [future], self.state.reason or "the ledger is closed")
        return future

    def close(self) -> None:
        """Take no more entries; what waits is still written, and sealed."""
        self._is_closing = True
        self._ring()

    def join(self) -> None:
        """Wait for the thread to end. Blocks; call it off the loop."""
        if self._thread.is_alive():
            self._thread.join()

    def _ring_once(self, since: float) -> None:
        """Wake the writer when the loop has done what it was at, so that all of that makes one batch.

        While the loop is busy, a commit sooner would not let anything go on sooner: then a batch waits for more company.
        """
        now = time.monotonic()
        if now - since > _BUSY_S and len(self._queue) < _CROWD and self._age(now) < _CROWD_S:
            self._loop.call_soon(self._ring_once, now)
            return
        self._is_ringing = False
        self._ring()

    def _ring_late(self) -> None:
        """Wake the writer for what nobody awaits, unless it was taken along already."""
        self._is_lingering = False
        if self._queue:
            self._ring()

    def _ring(self) -> None:
        if self._is_idle:
            self._is_idle = False
            self._bell.put(True)

    def _run(self) -> None:
        batch: list[Waiting] = []
        try:
            self._watch_disk()
            self._seal()
            while batch or not self._is_closing or self._queue:
                batch = self._take()
                if batch:
                    self._commit(batch)
                    batch = []
                self._tend()
                if not self._is_closing:
                    self._sleep()
            self._answer_seals()
        except BaseException as error:
            self._fail(batch, error)

    def _sleep(self) -> None:
        self._is_idle = True
        if self._is_closing or self._seal_waiters:
            self._is_idle = False
            return
        if self._queue:
            self._listen(_TURN_S)
            return
        due = self._sealed_at + (self._pace.seal_s if self.sealed < self.size else self._pace.heartbeat_s)
        due = min(due, self._disk_at + self._pace.disk_s * (1 if self._is_full else 5))
        self._listen(max(0.001, due - time.monotonic()))

    def _listen(self, most_s: float) -> None:
        try:
            self._bell.get(timeout=most_s)
        except Empty:
            self._is_idle = False

    def _take(self) -> list[Waiting]:
        queue, batch, size = self._queue, list[Waiting](), 0
        while queue and len(batch) < MAX_BATCH and (not batch or size + queue[0].recorded.size <= MAX_BATCH_BYTES):
            item = queue.popleft()
            size += item.recorded.size
            batch.append(item)
        return batch

    def _commit(self, batch: Sequence[Waiting]) -> None:
        first, tree = self.size, self._tree
        parts: list[tuple[int, int, SealedPart]] = []
        identities: list[Identity] = []
        data_keys: list[DataKey] = []
        leaves: list[bytes] = []
        for index, item in enumerate(batch, first):
            recorded = item.recorded
            leaves.append(recorded.leaf)
            tree.append(recorded.hash)
            for number, part in enumerate(recorded.parts):
                parts.append((index, number, part))
            if recorded.pending is not None:
                identities += recorded.pending.identities
                data_keys += recorded.pending.data_keys
        self._store.commit(Batch(first, leaves, parts, tree.take_tiles(), identities, data_keys))
        self.size = tree.size
        self._tell(self._acknowledge, batch, first)

    def _acknowledge(self, batch: Sequence[Waiting], first: int) -> None:
        for index, item in enumerate(batch, first):
            if not item.future.done():
                item.future.set_result(Receipt(index, item.recorded.hash))
        if self._queue and not self._is_ringing:
            self._is_ringing = True
            self._loop.call_soon(self._ring_once, time.monotonic())

    def _tend(self) -> None:
        """Seal when it is time, and look at the disk."""
        now = time.monotonic()
        is_unsealed = self.sealed < self.size
        pause = self._pace.seal_s if is_unsealed else self._pace.heartbeat_s
        if self._seal_waiters:
            self._answer_seals()
        elif now - self._sealed_at >= pause:
            self._seal()
        if now - self._disk_at >= self._pace.disk_s:
            self._watch_disk()

    def _seal(self) -> None:
        size = self._tree.size
        note = self._signer.sign(size, self._tree.root(), self._clock_ns() // 1_000_000_000)
        self._store.release(size, note)
        self._sealed_at = time.monotonic()
        self.note, self.sealed = note, size

    def _answer_seals(self) -> None:
        waiters = list(self._seal_waiters)
        if self.sealed < self.size:
            self._seal()
        for _ in waiters:
            self._seal_waiters.popleft()
        self._tell(_sealed, waiters)

    def _watch_disk(self) -> None:
        self._disk_at = time.monotonic()
        free = self._store.free_bytes()
        self._has_last_room = free >= self._pace.watermark // 4
        if not self._is_full and free < self._pace.watermark:
            self._is_full = True
            self._hold_ballast(False)
            log.error("the disk of the ledger is nearly full: %d bytes are free, new actions are refused", free)
        elif self._is_full and free >= 2 * self._pace.watermark:
            self._is_full = False
            log.warning("the disk of the ledger has room again: %d bytes are free", free)
        if not self._is_full and not self._has_ballast:
            self._hold_ballast(True)

    def _hold_ballast(self, is_held: bool) -> None:
        try:
            self._store.reserve(is_held)
        except OSError as error:
            log.warning("the ballast file of the ledger could not be changed: %s", error)
        self._has_ballast = is_held

    def _fail(self, batch: Sequence[Waiting], error: BaseException) -> None:
        reason = f"the ledger stopped: {type(error).__name__}: {error}"
        self.state = State(False, reason)
        log.critical("%s; nothing is recorded, so nothing is allowed, until a restart has checked it", reason, exc_info=error)
        waiting = list(batch)
        while self._queue:
            waiting.append(self._queue.popleft())
        self._tell(_refuse, waiting, reason)
        self._tell(_refuse_seals, list(self._seal_waiters), reason)

    def _tell(self, how: Callable[..., None], *values: object) -> None:
        try:
            self._loop.call_soon_threadsafe(how, *values)
        except RuntimeError:
            log.warning("the event loop ended before the ledger could answer")


def _refuse(batch: Sequence[Waiting], reason: str) -> None:
    for item in batch:
        if not item.future.done():
            item.future.set_exception(LedgerUnavailable(reason))


def _sealed(waiters: Sequence["asyncio.Future[None]"]) -> None:
    for future in waiters:
        if not future.done():
            future.set_result(None)


def _refuse_seals(waiters: Sequence["asyncio.Future[None]"], reason: str) -> None:
    for future in waiters:
        if not future.done():
            future.set_exception(LedgerUnavailable(reason))
