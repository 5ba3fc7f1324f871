"""Ledgers for tests: entries, keys, a store in memory, and an adversary that makes a store fail before or after it persisted."""

import asyncio
import sqlite3
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ostiary.core.entry import Entry, Family, Kind, Part
from ostiary.core.errors import LedgerUnavailable
from ostiary.core.ids import new_id
from ostiary.ledger import Ledger, LedgerKeys, Pace
from ostiary.ledger.index import LedgerIndex
from ostiary.ledger.store import Batch, DataKey, Identity, LedgerSource, LedgerStore, SealedPart
from ostiary.storage.sqlite_ledger import SqliteLedgerStore
from ostiary.storage.sqlite_ledger_index import SqliteLedgerIndex

ORIGIN = "ledger.example/ledger/test"
AGENT = "spiffe://ostiary.local/agent/invoice-bot"
QUICK = Pace(seal_s=0.02, heartbeat_s=60.0, watermark=0, max_age_s=600.0)
"""A pace for tests: the disk they run on may be as slow as it likes."""


def ledger_keys(seed: str = "test") -> LedgerKeys:
    """Return keys that are the same for the same seed."""
    raw = [sha256(f"{seed}/{use}".encode()).digest() for use in ("signing", "kek", "index")]
    return LedgerKeys(Ed25519PrivateKey.from_private_bytes(raw[0]), raw[1], raw[2])


def make_entry(**fields: Any) -> Entry:
    """Return a denied tool call with a sealed payload, changed as asked."""
    given: dict[str, Any] = {
        "id": new_id(),
        "family": Family.ACTION,
        "kind": Kind.INTENT,
        "at_ns": time.time_ns(),
        "boundary": "agent_api",
        "actor": AGENT,
        "on_behalf_of": ("alice",),
        "owner": "bob",
        "session": "s-1",
        "verb": "call",
        "action": "payments/pay",
        "resource": "Tool::payments/pay",
        "digest": "ab" * 32,
        "decision": "deny",
        "code": "not_granted",
        "policies": ("pay-small",),
        "policy_revision": "cd" * 32,
        "labels": ("pii",),
        "origins": {"amount": "user", "to": "directory"},
        "parts": (Part("arguments", b'{"amount":12,"to":"ACME"}'),),
    }
    return Entry(**{**given, **fields})


@asynccontextmanager
async def running(store: LedgerStore, *, keys: LedgerKeys | None = None, origin: str = ORIGIN, pace: Pace = QUICK) -> AsyncIterator[Ledger]:
    """Run a ledger and close it, however the block ends."""
    ledger = Ledger(store, keys or ledger_keys(), origin=origin, node="n1", pace=pace)
    await ledger.start()
    try:
        yield ledger
    finally:
        await ledger.close()


async def fill(directory: Path, count: int, *, keys: LedgerKeys | None = None, entry: Callable[[int], Entry] | None = None) -> bytes:
    """Write `count` entries and return the last checkpoint."""
    make = entry or (lambda at: make_entry(session=f"s-{at % 7}"))
    async with running(SqliteLedgerStore(directory), keys=keys) as ledger:
        for start in range(0, count, 512):
            await asyncio.gather(*[ledger.append(make(at)) for at in range(start, min(start + 512, count))])
        return await ledger.seal()


def tamper(directory: Path, sql: str, values: tuple[object, ...] = (), *, file: str = "ledger.db") -> None:
    """Change a database as an operator of the machine could."""
    connection = sqlite3.connect(directory / file)
    with connection:
        changed = connection.execute(sql, values).rowcount
    connection.close()
    assert changed, "the attack itself must do something"


class MemoryStore:
    """A ledger store in memory: what `commit` returned from is durable, everything else is not. Also its own source."""

    def __init__(self) -> None:
        self.head: dict[str, str] = {}
        self.entries: list[bytes] = []
        self.sealed: dict[tuple[int, int], SealedPart] = {}
        self.tiles: dict[tuple[int, int], bytes] = {}
        self.notes: dict[int, bytes] = {}
        self.newest: bytes | None = None
        self.identities: dict[bytes, Identity] = {}
        self.data_keys: dict[bytes, DataKey] = {}
        self.room = 1 << 40
        self.has_ballast = False
        self.is_locked = False
        self.batches: list[int] = []

    def lock(self) -> None:
        if self.is_locked:
            raise LedgerUnavailable("in use")
        self.is_locked = True

    def source(self) -> LedgerSource:
        return _View(self)

    def index(self, *, is_readonly: bool = False, is_fresh: bool = False) -> LedgerIndex:
        return SqliteLedgerIndex(Path(tempfile.mkdtemp(prefix="ostiary-test-")) / "index.db")

    def open(self, meta: Mapping[str, str]) -> None:
        self.head = {**meta, **self.head}

    def commit(self, batch: Batch) -> None:
        assert batch.first == len(self.entries)
        self.batches.append(len(batch.leaves))
        self.identities.update({row.lookup: row for row in batch.identities})
        self.data_keys.update({row.id: row for row in batch.data_keys})
        self.entries += batch.leaves
        self.sealed.update({(index, n): part for index, n, part in batch.parts})
        self.tiles.update({(level, n): hashes for level, n, hashes in batch.tiles})

    def release(self, size: int, note: bytes) -> None:
        self.newest = self.notes[size] = note

    def free_bytes(self) -> int:
        return self.room

    def reserve(self, is_held: bool) -> None:
        self.has_ballast = is_held

    def close(self) -> None:
        self.is_locked = False


class _View:
    """The reading side of a MemoryStore."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def meta(self) -> Mapping[str, str]:
        return self._store.head

    def size(self) -> int:
        return len(self._store.entries)

    def leaves(self, first: int, stop: int) -> Iterator[tuple[int, bytes]]:
        yield from enumerate(self._store.entries[first:stop], first)

    def parts(self, first: int, stop: int) -> Iterator[tuple[int, int, SealedPart]]:
        yield from ((index, n, part) for (index, n), part in sorted(self._store.sealed.items()) if first <= index < stop)

    def tile(self, level: int, n: int) -> bytes | None:
        return self._store.tiles.get((level, n))

    def checkpoints(self, at_least: int = 0) -> Iterator[bytes]:
        yield from (note for size, note in sorted(self._store.notes.items()) if size >= at_least)

    def newest_checkpoint(self) -> bytes | None:
        return self._store.newest

    def identity(self, lookup: bytes) -> Identity | None:
        return self._store.identities.get(lookup)

    def named(self, handle: bytes) -> Identity | None:
        return next((row for row in self._store.identities.values() if row.handle == handle), None)

    def identities(self) -> Iterator[Identity]:
        yield from list(self._store.identities.values())

    def data_keys(self) -> Iterator[DataKey]:
        yield from list(self._store.data_keys.values())

    def data_key(self, key: bytes) -> DataKey | None:
        return self._store.data_keys.get(key)

    def data_key_for(self, subject: bytes, retention: str, quarter: int) -> DataKey | None:
        wanted = (subject, retention, quarter)
        return next((row for row in self._store.data_keys.values() if (row.subject, row.retention, row.quarter) == wanted), None)

    def close(self) -> None:
        pass


class SlowStore(MemoryStore):
    """A store whose commits wait for the test."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Semaphore(0)
        self.arrived = threading.Semaphore(0)

    def commit(self, batch: Batch) -> None:
        self.arrived.release()
        assert self.gate.acquire(timeout=10)
        super().commit(batch)


class InjectedError(OSError):
    """What a failing disk says."""


class FailingStore:
    """Passes everything on, and fails the nth call of one method, before or after it took effect."""

    def __init__(self, inner: LedgerStore, method: str, nth: int, *, is_after: bool) -> None:
        self._inner, self._method, self._left, self._is_after = inner, method, nth, is_after
        self.has_failed = False

    def __getattr__(self, name: str) -> Any:
        target = getattr(self._inner, name)
        if name != self._method:
            return target

        def failing(*values: Any) -> Any:
            self._left -= 1
            if self._left:
                return target(*values)
            self.has_failed = True
            if self._is_after:
                target(*values)
            raise InjectedError(5, f"injected into {name}")

        return failing
