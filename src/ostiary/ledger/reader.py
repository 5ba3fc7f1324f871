"""Reads the ledger: lists, searches, follows, reveals and proves, inside the gateway or offline on a data directory."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

from ostiary.core.errors import LedgerTampered, NotFound, Unavailable
from ostiary.ledger import export
from ostiary.ledger.index import LedgerIndex
from ostiary.ledger.leaf import PLAIN, Leaf, aad, decode, row
from ostiary.ledger.nodes import Nodes
from ostiary.ledger.note import Verifier, read_unverified
from ostiary.ledger.proof import InclusionProof
from ostiary.ledger.search import FIELDS, ask, backwards
from ostiary.ledger.store import LedgerSource
from ostiary.ledger.tree import inclusion_proof
from ostiary.ledger.vault import PERSON, LedgerKeys, Vault, commitment

MAX_ROWS = 10_000
Row = dict[str, Any]
Rows = list[Row]


class LedgerReader:
    """Rows as dictionaries with the fields of an entry. Thread-safe. Without `keys` nothing sealed can be read."""

    def __init__(self, source: LedgerSource, index: LedgerIndex | None = None, keys: LedgerKeys | None = None) -> None:
        self._source, self._index = source, index
        self._vault = Vault(keys, source) if keys else None
        self._lock = threading.RLock()

    @property
    def size(self) -> int:
        """Durable entries."""
        with self._lock:
            return self._source.size()

    @property
    def checkpoint(self) -> bytes | None:
        """The newest signed checkpoint."""
        return self._source.newest_checkpoint()

    def list(self, limit: int = 100, after: int | None = None, *, resolve: bool = False, **fields: Any) -> Rows:
        """Return the newest entries first; `after` is the index of the last row seen, to go on with older ones."""
        return self.search(limit=limit, after=after, resolve=resolve, **fields)

    def search(
        self,
        text: str | None = None,
        *,
        limit: int = 100,
        after: int | None = None,
        since: float | None = None,
        until: float | None = None,
        resolve: bool = False,
        **fields: str | Sequence[str] | None,
    ) -> Rows:
        """Return entries that meet every filter, newest first.

        `fields` are those of `index.FIELDS`, a value or several of which one must match; people by registry name or
        handle, agents also by name alone. `text` is looked for in every searchable word. `since` and `until` are
        seconds since the epoch. Raises InvalidAction for a filter that does not exist.
        """
        with self._lock:
            size = self._source.size()
            query = ask(fields, text, since, until, self._vault)
            found = query.run(self._source, self._index, size if after is None else min(after, size), max(0, min(limit, MAX_ROWS)))
            return [self._row(index, leaf, resolve=resolve) for index, leaf in found]

    def show(self, entry_id: str, *, resolve: bool = False) -> Row:
        """Return one entry. Raises NotFound."""
        with self._lock:
            index, leaf = self._entry(entry_id)
            return self._row(index, leaf, resolve=resolve)

    def tail(self, after_index: int = -1, *, limit: int = 1000, resolve: bool = False) -> Rows:
        """Return the entries after an index, oldest first."""
        with self._lock:
            first = max(0, after_index + 1)
            return [self._row(at, decode(leaf), resolve=resolve) for at, leaf in self._source.leaves(first, first + min(limit, MAX_ROWS))]

    def leaves(self, first: int, limit: int) -> tuple[Leaf, ...]:
        """Return at most `limit` entries from an index on, oldest first."""
        with self._lock:
            return tuple(decode(leaf) for _, leaf in self._source.leaves(first, first + limit))

    def newest_ns(self) -> int:
        """Return when the newest entry was made, in nanoseconds since the epoch; 0 when there is none."""
        return max((leaf.at * 1000 for leaf in self.leaves(self.size - 1, 1)), default=0)

    def masked(self, word: str) -> str:
        """Return a word as entries spell it: itself, or its stand-in when it must not stand in clear."""
        return word if PLAIN.match(word) or self._vault is None else self._vault.word(word)

    def reveal(self, entry_id: str, part: str) -> bytes:
        """Return what a sealed part says. Raises NotFound when it was forgotten or never was, LedgerTampered when it was changed."""
        if self._vault is None:
            raise Unavailable("sealed parts cannot be read without the ledger's keys")
        with self._lock:
            index, leaf = self._entry(entry_id)
            names = [reference.name for reference in leaf.parts]
            if part not in names:
                raise NotFound(f"entry `{entry_id}` has no part `{part}`: it has {', '.join(names) or 'none'}")
            number = names.index(part)
            for _, at, sealed in self._source.parts(index, index + 1):
                if at == number:
                    if commitment(sealed.blob) != leaf.parts[number].commitment:
                        raise LedgerTampered(f"part `{part}` of entry {index} is not what was recorded")
                    return self._vault.unseal(sealed, aad(leaf.id, part))
        raise LedgerTampered(f"part `{part}` of entry {index} is missing")

    def leaf(self, entry_id: str) -> bytes:
        """Return the exact bytes an entry's proof is about. Raises NotFound."""
        with self._lock:
            index, _ = self._entry(entry_id)
            return next(leaf for _, leaf in self._source.leaves(index, index + 1))

    def prove(self, entry_id: str) -> bytes:
        """Return a `.tlog-proof` (c2sp.org/tlog-proof) of an entry. Raises NotFound, or Unavailable when it is not yet sealed."""
        with self._lock:
            index, _ = self._entry(entry_id)
            note = self._source.newest_checkpoint()
            size = read_unverified(note).size if note else 0
            if note is None or size <= index:
                raise Unavailable(f"entry {index} is not yet under a signed checkpoint: ask again in a second")
            path = inclusion_proof(index, size, Nodes(self._source, size))
            return InclusionProof(index, tuple(path), note).encode()

    def is_proved(self, entry_id: str) -> bool:
        """Say whether the newest signed checkpoint covers an entry, by checking the proof; False while it is not sealed yet.

        Raises NotFound, or LedgerTampered when the stored entry is not what was signed.
        """
        with self._lock:
            try:
                proof = InclusionProof.decode(self.prove(entry_id))
            except Unavailable:
                return False
            proof.check(self.leaf(entry_id), Verifier.parse(self._source.meta()["vkey"]))
            return True

    def export(
        self,
        write: Callable[[bytes], object],
        *,
        after: int = -1,
        parts: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> int:
        """Write entries as JSON lines ending in a checkpoint, so that they verify offline; return how many."""
        with self._lock:
            return export.write(self._source, write, after=after, parts=parts, progress=progress)

    def close(self) -> None:
        """Let go of the ledger."""
        self._source.close()
        if self._index is not None:
            self._index.close()

    def _entry(self, entry_id: str) -> tuple[int, Leaf]:
        done = 0
        if self._index is not None:
            done = self._index.projected()
            place = self._index.place(entry_id)
            if place is not None:
                for index, leaf in self._source.leaves(place, place + 1):
                    found = decode(leaf)
                    if found.id == entry_id:
                        return index, found
        for index, found in backwards(self._source, done, self._source.size()):
            if found.id == entry_id:
                return index, found
        raise NotFound(f"no entry `{entry_id[:64]}`")

    def _row(self, index: int, leaf: Leaf, *, resolve: bool) -> Row:
        found = row(index, leaf)
        if resolve and self._vault is not None:
            for field in ("actor", "owner"):
                found[field] = self._name(found[field])
            found["on_behalf_of"] = [self._name(link) for link in found["on_behalf_of"]]
            kind, mark, name = found["resource"].partition("::")
            found["resource"] = f"{kind}{mark}{self._name(name)}"
        return found

    def _name(self, text: str) -> str:
        if self._vault is None or not text.startswith(PERSON):
            return text
        return self._vault.name_of(text) or text


__all__ = ["FIELDS", "LedgerReader", "Row"]
