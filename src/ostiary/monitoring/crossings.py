"""Every crossing observed, added up: who, by which door, to what, how often, with which labels, first and last.

Nothing is counted beside the record: the sums are a projection of the ledger, kept in the state store with the number of
entries they cover and carried on from there. So they are exact after a crash, the same on every node, and cost a request
nothing. What an agent makes up cannot make them grow: past a bound, names that were only ever refused become one crossing.
"""

import asyncio
import contextlib
import copy
import logging
import threading
import time
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from ostiary.core.entry import Kind
from ostiary.core.errors import OstiaryError
from ostiary.core.ports import Change, StateStore
from ostiary.ledger.leaf import Leaf
from ostiary.ledger.reader import LedgerReader

log = logging.getLogger("ostiary.map")

KIND, FORMAT = "map/crossings", 1
MAX_CROSSINGS = 10_000
MAX_PROBED = 64
"""Names an agent was only ever refused that are kept apart, for each agent."""
MAX_MEMBERS = 32
"""Labels, codes, policies, people and agents kept for one crossing."""
OTHER = "(other)"
STEP, PAUSE_S, SAVE_S, MIN_SAVED = 128, 0.002, 60.0, 1000
AGENT = "/agent/"


class Key(NamedTuple):
    """What tells crossings apart. `agent` is a registry name, `resource` as in entries: `Tool::payments/pay`."""

    agent: str
    door: str
    action: str
    resource: str


class Crossing(msgspec.Struct):
    """The sums of one crossing; times in microseconds since the epoch."""

    first: int
    last: int
    allowed: int = 0
    held: int = 0
    refused: int = 0
    failed: int = 0
    """Allowed, and did not end well."""
    codes: dict[str, int] = msgspec.field(default_factory=dict)
    labels: list[str] = msgspec.field(default_factory=list)
    policies: list[str] = msgspec.field(default_factory=list)
    people: list[str] = msgspec.field(default_factory=list)
    """Handles of those it was done for."""
    via: list[str] = msgspec.field(default_factory=list)
    """Agents above the acting one."""


class _Saved(msgspec.Struct):
    format: int
    covered: int
    crossings: list[tuple[Key, Crossing]]


class Crossings:
    """The sums themselves. Adding entries in the ledger's order always gives the same."""

    def __init__(self, covered: int = 0, found: Iterable[tuple[Key, Crossing]] = ()) -> None:
        self.covered = covered
        """How many entries of the ledger are in the sums."""
        self.found = dict(found)
        self._probed: dict[str, int] = {}
        for key, crossing in self.found.items():
            if not crossing.allowed and not crossing.held and key.resource != OTHER:
                self._probed[key.agent] = self._probed.get(key.agent, 0) + 1

    def add(self, leaf: Leaf) -> None:
        """Take the next entry."""
        self.covered += 1
        if not leaf.boundary or not leaf.resource or AGENT not in leaf.actor or leaf.kind not in (Kind.INTENT, Kind.OUTCOME):
            return
        key = Key(leaf.actor.rpartition(AGENT)[2], leaf.boundary, leaf.action, leaf.resource)
        crossing = self.found.get(key)
        if leaf.kind == Kind.OUTCOME:
            crossing = crossing or self.found.get(_other(key))
            if crossing is not None:
                self._ended(crossing, leaf)
            return
        is_refused = leaf.decision == "deny"
        if crossing is None:
            crossing = self._new(key, leaf, is_refused=is_refused)
        elif not is_refused and not crossing.allowed and not crossing.held and key.resource != OTHER:
            self._probed[key.agent] -= 1
        self._asked(crossing, leaf)

    def encode(self) -> bytes:
        """Return the sums as they are kept."""
        return msgspec.json.encode(_Saved(FORMAT, self.covered, list(self.found.items())))

    def _new(self, key: Key, leaf: Leaf, *, is_refused: bool) -> Crossing:
        probed = self._probed.get(key.agent, 0)
        if len(self.found) >= MAX_CROSSINGS or (is_refused and probed >= MAX_PROBED):
            key = _other(key)
            if key not in self.found and len(self.found) >= 2 * MAX_CROSSINGS:
                key = Key(OTHER, key.door, OTHER, OTHER)
        elif is_refused:
            self._probed[key.agent] = probed + 1
        crossing = self.found.get(key)
        if crossing is None:
            crossing = self.found[key] = Crossing(leaf.at, leaf.at)
        return crossing

    def _asked(self, crossing: Crossing, leaf: Leaf) -> None:
        crossing.first, crossing.last = min(crossing.first, leaf.at), max(crossing.last, leaf.at)
        if leaf.decision == "allow":
            crossing.allowed += 1
        elif leaf.decision == "hold":
            crossing.held += 1
        else:
            crossing.refused += 1
        _count(crossing.codes, leaf.code)
        _keep(crossing.labels, leaf.labels)
        _keep(crossing.policies, leaf.policies)
        _keep(crossing.people, [link for link in leaf.on_behalf_of if AGENT not in link])
        _keep(crossing.via, [link.rpartition(AGENT)[2] for link in leaf.on_behalf_of if AGENT in link])

    def _ended(self, crossing: Crossing, leaf: Leaf) -> None:
        crossing.failed += bool(leaf.code)
        _count(crossing.codes, leaf.code)
        _keep(crossing.labels, leaf.labels)


def _other(key: Key) -> Key:
    return Key(key.agent, key.door, OTHER, OTHER)


def _count(counts: dict[str, int], code: str) -> None:
    if code and (code in counts or len(counts) < MAX_MEMBERS):
        counts[code] = counts.get(code, 0) + 1


def _keep(known: list[str], more: Iterable[str]) -> None:
    for each in more:
        if each not in known and len(known) < MAX_MEMBERS:
            known.append(each)


class Observed:
    """Follows the ledger and keeps the sums. Reading and adding happen beside the event loop, a little at a time."""

    def __init__(self, reader: LedgerReader, store: StateStore) -> None:
        self._reader, self._store = reader, store
        self._lock = threading.Lock()
        self._sums = _load(store, reader.size)
        self._saved = self._sums.covered
        self._task: asyncio.Task[None] | None = None
        self._is_stopped = False

    def start(self) -> None:
        """Begin to follow."""
        self._task = asyncio.get_running_loop().create_task(self._follow())

    async def stop(self) -> None:
        """End, and keep what was added up. What was not is added up at the next start."""
        self._is_stopped = True
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        with contextlib.suppress(OstiaryError):
            await self._save()

    def catch_up(self, within_s: float = 2.0) -> tuple[int, int]:
        """Add what is new, for so long at most; return how many entries are in the sums, of how many there are. Blocks."""
        until = time.monotonic() + within_s
        while time.monotonic() < until and self._step():
            time.sleep(PAUSE_S)
        return self._sums.covered, self._reader.size

    def now(self) -> list[tuple[Key, Crossing]]:
        """Return the sums as they are, copied."""
        with self._lock:
            return [(key, copy.deepcopy(each)) for key, each in self._sums.found.items()]

    def _step(self) -> bool:
        with self._lock:
            if self._is_stopped:
                return False
            leaves = self._reader.leaves(self._sums.covered, STEP)
            for leaf in leaves:
                self._sums.add(leaf)
        return len(leaves) == STEP

    async def _follow(self) -> None:
        saved_at = time.monotonic()
        while True:
            try:
                await asyncio.to_thread(self.catch_up, 0.5)
                if time.monotonic() - saved_at > SAVE_S and self._sums.covered - self._saved >= MIN_SAVED:
                    await self._save()
                    saved_at = time.monotonic()
            except Exception:
                log.exception("the map does not follow the ledger")
            await asyncio.sleep(1.0)

    async def _save(self) -> None:
        if self._sums.covered == self._saved:
            return
        with self._lock:
            covered, body = self._sums.covered, self._sums.encode()
        await self._store.write([Change(KIND, "sums", body)])
        self._saved = covered


def _load(store: StateStore, size: int) -> Crossings:
    """Return what was kept; nothing, to be added up anew, when it is of another format or of more than the ledger has."""
    body = store.load(KIND).get("sums")
    if body is None:
        return Crossings()
    try:
        found = msgspec.json.decode(body, type=_Saved)
    except msgspec.MsgspecError:
        return Crossings()
    return Crossings(found.covered, found.crossings) if found.format == FORMAT and found.covered <= size else Crossings()
