"""What can be searched for: the words of an entry, and the projection of leaves into an index that can be thrown away.

The index only says where to look. What a reader shows is always decoded from the leaf itself, and a hit is checked
against the leaf's own words, so a lying index can hide but not invent; `verify` finds what it hides.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ostiary.core.entry import Kind
from ostiary.ledger.leaf import Leaf, decode
from ostiary.ledger.store import LedgerSource
from ostiary.ledger.vault import PERSON

log = logging.getLogger("ostiary.ledger")

FIELDS = frozenset(
    [
        "family",
        "kind",
        "boundary",
        "actor",
        "on_behalf_of",
        "owner",
        "person",
        "session",
        "verb",
        "action",
        "resource",
        "decision",
        "code",
        "approval",
        "policy",
        "label",
        "intent",
        "id",
    ]
)
"""What `search` and `list` filter by, beside text and time."""
BLOCK_BITS = 8
IndexRow = tuple[str, bytes, int] | tuple[str, int, tuple[int, int]]
"""`("id" | "link" | "open", key, index)` or `("time", block, (earliest, latest))`."""
_STEP = 64
"""Entries a turn: a few milliseconds' work would hold up the event loop, which shares the interpreter."""


def words(leaf: Leaf) -> set[str]:
    """Return the searchable words of an entry, as `field=value`."""
    found = {f"family={leaf.family}", f"kind={leaf.kind}"}
    if actor := leaf.actor or leaf.user:
        found.add(f"actor={actor}")
    for field in ("boundary", "owner", "session", "verb", "action", "resource", "decision", "code", "approval"):
        if value := getattr(leaf, field):
            found.add(f"{field}={value}")
    found.update(f"on_behalf_of={link}" for link in leaf.on_behalf_of)
    found.update(f"policy={policy}" for policy in leaf.policies)
    found.update(f"label={label}" for label in leaf.labels)
    people = (leaf.user, leaf.owner, leaf.subject, leaf.actor, leaf.resource.removeprefix("User::"), *leaf.on_behalf_of)
    found.update(f"person={person}" for person in people if person.startswith(PERSON))
    return found


@dataclass(frozen=True, slots=True)
class Want:
    """One condition: any of the exact words, any word of the field with an ending, or any word with the text in it."""

    exact: frozenset[str] = frozenset()
    field: str = ""
    endings: frozenset[str] = frozenset()
    text: str = ""

    def is_met(self, found: set[str]) -> bool:
        """Say whether an entry's words meet it."""
        if self.exact & found:
            return True
        if self.endings:
            mine = [word for word in found if word.startswith(f"{self.field}=")]
            if any(word.endswith(ending) for word in mine for ending in self.endings):
                return True
        return bool(self.text) and any(self.text in word.lower() for word in found)


class LedgerIndex(Protocol):
    """A search index that can be rebuilt from the leaves at any time."""

    def projected(self) -> int:
        """Return how many entries it covers."""
        ...

    def project(self, first: int, leaves: Sequence[Leaf]) -> None:
        """Add entries, all or none."""
        ...

    def reset(self) -> None:
        """Forget everything."""
        ...

    def place(self, entry_id: str) -> int | None:
        """Return the index of an entry."""
        ...

    def outcomes(self, intent: str) -> list[int]:
        """Return the entries that name this intent."""
        ...

    def open_intents(self) -> list[int]:
        """Return the allowed intents without an outcome, oldest first."""
        ...

    def find(self, wants: Sequence[Want], low: int, high: int, limit: int) -> list[int]:
        """Return at most `limit` entries that may meet all, `low` <= index < `high`, newest first."""
        ...

    def span(self, since_us: int | None, until_us: int | None) -> tuple[int, int]:
        """Return an index range outside which no covered entry lies in the time asked for."""
        ...

    def totals(self, factor: int, first: int, second: int) -> Iterable[tuple[str, int, int]]:
        """Iterate (word, count, sum over its entries of `(index * factor % first)² % second`)."""
        ...

    def freeze(self, is_frozen: bool) -> None:
        """Answer as of now until told otherwise, whatever the projector adds meanwhile."""
        ...

    def entries(self) -> Iterable[IndexRow]:
        """Iterate all it holds but words: `IndexRow`s as `Projection` makes them."""
        ...

    def close(self) -> None:
        """Let go."""
        ...


class Projection:
    """What an index holds of consecutive entries, beside their words."""

    def __init__(self) -> None:
        self.rows: list[IndexRow] = []
        """`id` and `link` rows, one an entry and one an outcome."""
        self.unanswered: dict[bytes, int] = {}
        """Allowed intents without an outcome among these entries."""
        self.answered: list[bytes] = []
        """Intents of earlier entries that got their outcome here."""
        self.times: dict[int, tuple[int, int]] = {}
        """Earliest and latest time of each block of 256 entries."""

    def add(self, index: int, leaf: Leaf) -> None:
        """Take one entry."""
        key = key_of(leaf.id)
        self.rows.append(("id", key, index))
        if leaf.intent:
            answered = key_of(leaf.intent)
            self.rows.append(("link", answered, index))
            if self.unanswered.pop(answered, None) is None:
                self.answered.append(answered)
        elif leaf.kind == Kind.INTENT and leaf.decision == "allow":
            self.unanswered[key] = index
        low, high = self.times.get(index >> BLOCK_BITS, (leaf.at, leaf.at))
        self.times[index >> BLOCK_BITS] = min(low, leaf.at), max(high, leaf.at)


def key_of(entry_id: str) -> bytes:
    """Return an id as an index keeps it: 16 bytes for one of ours."""
    try:
        raw = bytes.fromhex(entry_id)
    except ValueError:
        return entry_id.encode()
    return raw if raw.hex() == entry_id else entry_id.encode()


def catch_up(source: LedgerSource, index: LedgerIndex, size: int, step: Callable[[int], None] = lambda _: None) -> None:
    """Project every entry below `size` that the index does not have."""
    done = index.projected()
    if done > size:
        index.reset()
        done = 0
    while done < size:
        leaves = [decode(leaf) for _, leaf in source.leaves(done, min(done + _STEP, size))]
        if not leaves:
            return
        index.project(done, leaves)
        done += len(leaves)
        step(done)


class Projector:
    """Keeps the index near the head of the ledger, off the acknowledgement path. An error stops the index, not the ledger."""

    def __init__(self, source: LedgerSource, index: LedgerIndex, size: Callable[[], int], pause_s: float = 0.2) -> None:
        self._source, self._index, self._size, self._pause_s = source, index, size, pause_s
        self._is_stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ostiary-ledger-index", daemon=True)
        self.failure = ""
        """Why the index no longer follows; searching still works, by reading the leaves it lacks."""
        self.projected = index.projected()

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def stop(self) -> None:
        """Catch up and end. Blocks."""
        self._is_stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def close(self) -> None:
        """Let go of the index and the reader, after `stop`."""
        self._source.close()
        self._index.close()

    @property
    def lag(self) -> int:
        """Entries not yet in the index."""
        return max(0, self._size() - self.projected)

    def _run(self) -> None:
        try:
            while not self._is_stopped.wait(self._pause_s):
                catch_up(self._source, self._index, self._size(), self._progress)
            catch_up(self._source, self._index, self._size(), self._progress)
        except Exception as error:
            self.failure = f"{type(error).__name__}: {error}"
            log.exception("the search index stopped; it can be rebuilt by deleting index.db")

    def _progress(self, done: int) -> None:
        self.projected = done
        if not self._is_stopped.is_set():
            self._is_stopped.wait(0.002)
