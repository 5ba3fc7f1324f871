"""The ledger as the pipeline sees it: `append` returns a receipt once the entry is durable, or raises."""

import asyncio
import logging
import time
from collections.abc import Callable
from hashlib import sha256

from ostiary.core.entry import Entry, Family, Kind, Receipt
from ostiary.core.errors import LedgerUnavailable, OstiaryError
from ostiary.ledger.index import LedgerIndex, Projector, catch_up
from ostiary.ledger.leaf import FORMAT, PLAIN, decode
from ostiary.ledger.note import Signer, Verifier
from ostiary.ledger.reader import LedgerReader
from ostiary.ledger.recorder import Recorder, is_large
from ostiary.ledger.recovery import next_counter, rebuild, unknown_outcome
from ostiary.ledger.store import LedgerSource, LedgerStore
from ostiary.ledger.tree import Tree
from ostiary.ledger.vault import LedgerKeys, Vault
from ostiary.ledger.writer import Pace, State, Writer

log = logging.getLogger("ostiary.ledger")
_RECOVERED = 512
"""Open intents closed at a time."""


class Ledger:
    """Pillar 4: one tree, one writer. `start` it on the event loop whose coroutines append."""

    def __init__(
        self,
        store: LedgerStore,
        keys: LedgerKeys,
        *,
        origin: str,
        node: str,
        pace: Pace | None = None,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._store, self._keys = store, keys
        self._signer = Signer(origin, keys.signing)
        self._node = node if PLAIN.match(node) else f"n-{sha256(node.encode()).hexdigest()[:8]}"
        self._pace = pace or Pace()
        self._clock_ns = clock_ns
        self._source: LedgerSource | None = None
        self._recorder: Recorder | None = None
        self._writer: Writer | None = None
        self._index: LedgerIndex | None = None
        self._projector: Projector | None = None
        self.unknown = 0
        """Actions that had begun when the process before ended, and whose outcome nobody knows."""

    @property
    def public_key(self) -> str:
        """The verifier key to give to auditors, as Go's sumdb/note reads it."""
        return self._signer.vkey

    @property
    def state(self) -> State:
        """Whether entries are accepted, and why not."""
        return self._writer.state if self._writer else State(False, "the ledger is not started")

    @property
    def size(self) -> int:
        """Durable entries."""
        return self._writer.size if self._writer else 0

    @property
    def checkpoint(self) -> bytes:
        """The newest signed checkpoint released."""
        return self._writer.note if self._writer else b""

    async def start(self) -> None:
        """Take the ledger, check it, and begin. Raises LedgerUnavailable, CheckpointMismatch, LedgerTampered or InvalidConfig."""
        loop = asyncio.get_running_loop()
        tree, counter = await asyncio.to_thread(self._open)
        assert self._source is not None
        self._recorder = Recorder(self._signer.origin, self._node, Vault(self._keys, self._source), counter)
        self._writer = Writer(self._store, tree, self._signer, loop, pace=self._pace, clock_ns=self._clock_ns)
        self._writer.start()
        assert self._index is not None
        self._projector = Projector(self._store.source(), self._index, lambda: self.size)
        try:
            await self._close_open_intents()
        except BaseException:
            await self.close()
            raise
        self._projector.start()

    async def append(self, entry: Entry) -> Receipt:
        """Record one entry and return when it is durable. Raises LedgerUnavailable, or InvalidAction for what cannot be recorded."""
        return await (self._submit(entry) if not is_large(entry) else await self._submit_large(entry))

    async def post(self, entry: Entry) -> None:
        """Put one entry in line behind all earlier ones, without waiting for the disk. Raises as `append` does.

        Should the disk fail after all, no later action is allowed; should the process end first, the next start
        records that the outcome is unknown (decision 41).
        """
        is_small = not is_large(entry)
        future = self._submit(entry, is_awaited=False) if is_small else await self._submit_large(entry)
        future.add_done_callback(_seen)

    def _submit(self, entry: Entry, *, is_awaited: bool = True) -> "asyncio.Future[Receipt]":
        writer, recorder = self._accepting(entry)
        return writer.submit(recorder.record(entry), is_awaited=is_awaited)

    async def _submit_large(self, entry: Entry) -> "asyncio.Future[Receipt]":
        writer, recorder = self._accepting(entry)
        recorded = await recorder.record_large(entry)
        if reason := writer.refusal(Kind.OUTCOME):
            raise LedgerUnavailable(reason)
        return writer.submit(recorded)

    def _accepting(self, entry: Entry) -> tuple[Writer, Recorder]:
        writer, recorder = self._writer, self._recorder
        if writer is None or recorder is None:
            raise LedgerUnavailable("the ledger is not started")
        if reason := writer.refusal(entry.kind, is_by_operator=_is_by_operator(entry)):
            raise LedgerUnavailable(reason)
        return writer, recorder

    async def settled(self) -> None:
        """Return once everything recorded so far is durable, or has failed to be: who reads the record sees what was answered."""
        if self._writer is not None:
            await self._writer.settled()

    @property
    def index_lag(self) -> int:
        """Durable entries the search index does not have yet."""
        return self._projector.lag if self._projector else 0

    def reader(self) -> LedgerReader:
        """Open a reader with this ledger's keys, of its own connections; close it before the ledger."""
        return LedgerReader(self._store.source(), self._store.index(is_readonly=True), self._keys)

    async def seal(self) -> bytes:
        """Return a checkpoint over everything acknowledged so far."""
        if self._writer is None:
            raise LedgerUnavailable("the ledger is not started")
        await self._writer.seal()
        return self._writer.note

    async def close(self) -> None:
        """Write what waits, seal, and let the ledger go."""
        if self._writer is not None:
            self._writer.close()
            await asyncio.to_thread(self._writer.join)
            if self._writer.state.is_ok:
                self._writer.state = State(False, "the ledger is closed")
        if self._projector is not None:
            await asyncio.to_thread(self._projector.stop)
            self._projector.close()
        if self._source is not None:
            self._source.close()
            self._source = None
        self._release()

    async def _close_open_intents(self) -> None:
        """Say of every action that was allowed and never ended that its outcome is unknown."""
        assert self._index is not None
        assert self._source is not None
        writer, recorder = self._writer, self._recorder
        assert writer is not None
        assert recorder is not None
        places = self._index.open_intents()
        self.unknown = len(places)
        if places:
            log.warning("%d actions had begun and their outcome is unknown; each is recorded so", len(places))
        for start in range(0, len(places), _RECOVERED):
            entries = [
                unknown_outcome(decode(leaf), self._clock_ns())
                for at in places[start : start + _RECOVERED]
                for _, leaf in self._source.leaves(at, at + 1)
            ]
            await asyncio.gather(*[writer.submit(recorder.record(entry)) for entry in entries])

    def _open(self) -> tuple[Tree, int]:
        self._store.lock()
        source = None
        try:
            source = self._store.source()
            tree = rebuild(source, Verifier.parse(self._signer.vkey))
            Vault(self._keys, source).check_owner()
            counter = next_counter(source, self._node, tree.size)
            source.close()
            self._store.open({"format": str(FORMAT), "origin": self._signer.origin, "vkey": self._signer.vkey})
            self._source = self._store.source()
            self._index = self._open_index(self._source, tree.size)
        except BaseException as error:
            for reader in (source, self._source):
                if reader is not None:
                    reader.close()
            self._source = None
            self._release()
            if isinstance(error, OstiaryError) or not isinstance(error, Exception):
                raise
            raise LedgerUnavailable(f"the ledger cannot be opened: {error}") from error
        return tree, counter

    def _release(self) -> None:
        """Let the store go; what cannot be written any more was not acknowledged, or is in the checkpoint file."""
        try:
            self._store.close()
        except Exception:
            log.exception("the ledger could not write its last checkpoint into the database")

    def _open_index(self, source: LedgerSource, size: int) -> LedgerIndex:
        """Open the search index and bring it to the head; one that is damaged is made anew from the leaves."""
        index = None
        try:
            index = self._store.index()
            catch_up(source, index, size)
        except Exception:
            log.warning("the search index is damaged and is made anew", exc_info=True)
            if index is not None:
                index.close()
            index = self._store.index(is_fresh=True)
            catch_up(source, index, size)
        return index


def _seen(future: "asyncio.Future[Receipt]") -> None:
    """Take note of how it ended; the writer has said so already, and refuses what comes next."""
    if not future.cancelled():
        future.exception()


def _is_by_operator(entry: Entry) -> bool:
    """Say whether an entry is a change, the gateway's own start among them, or a step of identity by a person who was let in."""
    if entry.kind is not Kind.EVENT or entry.decision == "deny":
        return False
    return entry.family is Family.CHANGE or (entry.family is Family.IDENTITY and bool(entry.user))
