"""Checks a ledger with public keys only: every entry, part, tile and checkpoint, and says where it is wrong.

The recipe: 1 whose ledger is it · 2 open every checkpoint with the key, and the one you hold · 3 hash every stored
leaf again and grow the tree · 4 at each checkpoint's size the root must be the signed one · 5 each sealed part
must be the one its leaf commits to · 6 node counters must have no gap · 7 the search index must hide nothing.
"""

import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice

from ostiary.core.errors import Corrupt, InvalidConfig, LedgerTampered, OstiaryError
from ostiary.ledger import export
from ostiary.ledger.index import LedgerIndex, words
from ostiary.ledger.leaf import FORMAT, decode, skeleton
from ostiary.ledger.note import Checkpoint, Verifier
from ostiary.ledger.store import LedgerSource, SealedPart
from ostiary.ledger.tree import TILE_WIDTH, Tree
from ostiary.ledger.vault import LedgerKeys, Vault, commitment, wrap_commitment

MAX_PROBLEMS = 100
UNANCHORED = "not protected against the operator of this machine: compare with a checkpoint that somebody else holds"
Progress = Callable[[int, int], None]
Parts = Mapping[int, Sequence[SealedPart]]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, and where."""

    what: str
    index: int | None = None
    id: str = ""


@dataclass(frozen=True, slots=True)
class Verification:
    """What a check found. `ok` is True for intact, False for tampered, None when it cannot tell."""

    ok: bool | None
    entries: int = 0
    problems: tuple[Problem, ...] = ()
    anchored: bool = False
    """Whether the tree was compared with a checkpoint from outside."""
    sealed: int = 0
    """Entries under a signed checkpoint; those after it are only as good as the disk."""
    sealed_at: int | None = None
    """When the newest checkpoint was signed, in seconds since the epoch."""
    origin: str = ""
    key: str = ""
    notes: tuple[str, ...] = ()
    """What a reader should know besides."""


def cannot_tell(why: str) -> Verification:
    """Return the answer where there is nothing to check."""
    return Verification(None, problems=(Problem(why),), notes=(UNANCHORED,))


def _damaged(what: str) -> Verification:
    return Verification(False, problems=(Problem(what),), notes=(UNANCHORED,))


class Check:
    """One run over the entries in order. Constant memory."""

    def __init__(self, origin: str, verifier: Verifier, tree: Tree) -> None:
        self.origin, self.verifier, self.tree = origin, verifier, tree
        self.problems: list[Problem] = []
        self.wanted: dict[int, bytes] = {}
        self.sealed = self.entries = 0
        self.sealed_at: int | None = None
        self._good = tree.size
        self._counters: dict[str, int] = {}
        self._is_lost = self._is_broken = False

    def problem(self, what: str, index: int | None = None, entry_id: str = "") -> None:
        """Note one thing that is wrong."""
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(what, index, entry_id))

    def expect(self, note: bytes, whose: str) -> None:
        """Demand that the tree contains a checkpoint that the ledger itself gives."""
        checkpoint, at_s = self._open(note, whose)
        if checkpoint is not None and checkpoint.size >= self.sealed:
            self.sealed, self.sealed_at = checkpoint.size, max(at_s or 0, self.sealed_at or 0) or None

    def hold(self, note: bytes | None) -> Checkpoint | None:
        """Demand that the tree contains a checkpoint that somebody holds outside."""
        return None if note is None else self._open(note, "the checkpoint you hold")[0]

    def _open(self, note: bytes, whose: str) -> tuple[Checkpoint | None, int | None]:
        try:
            checkpoint, at_s = self.verifier.open(note)
        except Corrupt as error:
            self.problem(f"{whose}: {error.detail}")
            return None, None
        if self.wanted.setdefault(checkpoint.size, checkpoint.root) != checkpoint.root:
            self.problem(f"{whose}: two checkpoints over {checkpoint.size} entries have different roots: rewritten or forked")
        return checkpoint, at_s

    def feed(self, block: Sequence[tuple[int, bytes]], parts: Parts | None) -> None:
        """Check consecutive entries; at most those up to the next full tile."""
        hashes = [sha256(b"\0" + leaf).digest() for _, leaf in block]
        tree, first = self.tree, self.tree.size
        if self._is_broken or block[0][0] != first or block[-1][0] != first + len(block) - 1:
            self._gap(block)
        elif len(block) == TILE_WIDTH and not first % TILE_WIDTH and not self._checkpoint_inside(first):
            tree.append_tile(hashes)
            self.compare()
        else:
            for node in hashes:
                tree.append(node)
                if tree.size in self.wanted:
                    self.compare()
        self.entries += len(block)
        for index, leaf in block:
            self._entry(index, leaf, parts)

    def finish(self, where: str) -> None:
        """Report checkpoints that reach beyond what is there."""
        size = self.tree.size
        beyond = [at for at in self.wanted if at > size]
        if beyond and not self._is_lost:
            self.problem(
                f"entries {size} to {max(beyond) - 1} are missing from {where}: a checkpoint over {max(beyond)} was released", size
            )
        if 0 in self.wanted and self.wanted[0] != Tree().root():
            self.problem("the checkpoint over no entries has a wrong root")

    def _checkpoint_inside(self, first: int) -> bool:
        return not self.wanted.keys().isdisjoint(range(first + 1, first + TILE_WIDTH))

    def compare(self) -> None:
        """Compare the tree as it stands with the checkpoint over it, if there is one."""
        size = self.tree.size
        root = self.wanted.get(size)
        if root is None or self._is_lost:
            return
        if root == self.tree.root():
            self._good = size
            return
        self._is_lost = True
        self.problem(
            f"entries {self._good} to {size - 1} are not those of the checkpoint over {size}: changed, reordered or forked", self._good
        )

    def _gap(self, block: Sequence[tuple[int, bytes]]) -> None:
        """Find where consecutive entries break off, and give up on the tree, which cannot be grown past a hole."""
        expected = self.tree.size
        for index, _ in block:
            if index != expected:
                self.problem(
                    f"entry {expected} is missing" if index - expected == 1 else f"entries {expected} to {index - 1} are missing", expected
                )
                expected = index
            expected += 1
        self._is_lost = self._is_broken = True
        self.tree.size = expected

    def _entry(self, index: int, raw: bytes, parts: Parts | None) -> None:
        try:
            leaf = skeleton(raw)
        except LedgerTampered as error:
            self.problem(error.detail, index)
            return
        if leaf.ledger != self.origin or leaf.v != FORMAT:
            self.problem(f"the entry is of ledger `{leaf.ledger}` format {leaf.v}", index, leaf.id)
        before = self._counters.get(leaf.node)
        if before is not None and leaf.n != before + 1:
            self.problem(f"node `{leaf.node}` counts {leaf.n} after {before}: an entry was dropped or repeated", index, leaf.id)
        self._counters[leaf.node] = leaf.n
        if parts is None:
            return
        sealed = parts.get(index, ())
        if len(sealed) != len(leaf.parts):
            self.problem(f"{len(sealed)} of {len(leaf.parts)} parts are there, and nothing says that they were erased", index, leaf.id)
        for reference, part in zip(leaf.parts, sealed, strict=False):
            if commitment(part.blob) != reference.commitment:
                self.problem(f"part `{reference.name}` is not what was recorded", index, leaf.id)
            elif wrap_commitment(part) != reference.wrap:
                self.problem(f"the key of part `{reference.name}` is not what was recorded", index, leaf.id)

    def result(self, *, anchored: bool, notes: Sequence[str] = ()) -> Verification:
        """Return what was found."""
        said = [*notes, *([] if anchored else [UNANCHORED])]
        unsealed = self.tree.size - self.sealed
        if unsealed > 0:
            said.append(f"the last {unsealed} entries are not yet under a checkpoint, so nothing protects them")
        return Verification(
            ok=not self.problems,
            entries=self.entries,
            problems=tuple(self.problems),
            anchored=anchored and not self.problems,
            sealed=self.sealed,
            sealed_at=self.sealed_at,
            origin=self.origin,
            key=f"{self.verifier.name}+{self.verifier.public.hex()[:16]}",
            notes=tuple(said),
        )


def verify_source(
    source: LedgerSource,
    *,
    key: str | None = None,
    checkpoint: bytes | None = None,
    keys: LedgerKeys | None = None,
    index: LedgerIndex | None = None,
    progress: Progress | None = None,
) -> Verification:
    """Check a stored ledger. `key` is the verifier key you trust, `checkpoint` one you hold from elsewhere."""
    trusted = Verifier.parse(key) if key else None
    meta, newest = source.meta(), source.newest_checkpoint()
    if not meta:
        if newest is not None or source.size():
            return _damaged("the head of the ledger is gone")
        return cannot_tell("there is no ledger here")
    try:
        check = _begin(meta["origin"], meta["vkey"], trusted)
    except (KeyError, InvalidConfig):
        return _damaged("the head of the ledger is damaged: it names no usable key")
    held = None
    try:
        held = _expect_all(source, check, newest, checkpoint)
        _walk(source, check, keys, progress)
        if index is not None:
            _check_index(source, check, index, source.size())
    except Corrupt as error:
        check.problem(error.detail, check.tree.size)
    return check.result(anchored=held is not None)


def _expect_all(source: LedgerSource, check: Check, newest: bytes | None, held: bytes | None) -> Checkpoint | None:
    for note in source.checkpoints():
        check.expect(note, "stored checkpoint")
    if newest is None:
        check.problem("the checkpoint file is gone")
    else:
        check.expect(newest, "checkpoint file")
    return check.hold(held)


def _walk(source: LedgerSource, check: Check, keys: LedgerKeys | None, progress: Progress | None) -> None:
    data_keys: set[bytes] = set()
    size = source.size()
    for first in range(0, size, TILE_WIDTH):
        stop = min(first + TILE_WIDTH, size)
        _window(source, check, first, stop, data_keys)
        if progress:
            progress(stop, size)
    check.finish("the ledger")
    _check_strays(source, check, size)
    _check_keys(source, check, data_keys, keys)


def verify_export(
    raw: Iterable[bytes], *, key: str | None = None, checkpoint: bytes | None = None, progress: Progress | None = None
) -> Verification:
    """Check an export. Raises nothing: what is not well formed is tampered, what is no export cannot be told."""
    trusted = Verifier.parse(key) if key else None
    items = export.lines(raw)
    try:
        head = next(items, {})
    except LedgerTampered as error:
        return cannot_tell(error.detail)
    if head.get("kind") != export.KIND:
        return cannot_tell("not an export of a ledger")
    try:
        first = int(head["first"])
        tree = Tree.from_peaks(first, [bytes.fromhex(peak) for peak in head["peaks"]])
        check = _begin(str(head["origin"]), str(head["vkey"]), trusted, tree)
    except (KeyError, TypeError, ValueError, InvalidConfig):
        return _damaged("the first line of the export is damaged")
    notes = [f"entries before {first} are not in this export"] if first else []
    held = check.hold(checkpoint)
    check.compare()
    try:
        end = _read_export(items, check, with_parts=bool(head.get("parts")), progress=progress)
    except (LedgerTampered, KeyError, TypeError, ValueError, AttributeError) as error:
        check.problem(f"the export breaks off after entry {check.tree.size - 1}: {error}")
        end = None
    _end_export(check, end)
    if held is not None and not first <= held.size <= check.tree.size:
        notes.append(f"the checkpoint you hold is over {held.size} entries, which this export cannot show")
        check.wanted.pop(held.size)
        held = None
    check.finish("the export")
    return check.result(anchored=held is not None, notes=notes)


def _end_export(check: Check, note: bytes | None) -> None:
    if note is None:
        check.problem("the export does not end in its checkpoint: it was cut off")
        return
    check.expect(note, "the checkpoint of the export")
    if check.sealed != check.tree.size:
        check.problem(f"the export has entries to {check.tree.size - 1}, its checkpoint covers {check.sealed}", check.tree.size)
    check.compare()


def _read_export(items: Iterable[dict[str, object]], check: Check, *, with_parts: bool, progress: Progress | None) -> bytes | None:
    block: list[tuple[int, bytes]] = []
    parts: dict[int, list[SealedPart]] = {}
    for item in items:
        if "checkpoint" in item:
            if block:
                check.feed(block, parts if with_parts else None)
            if next(iter(items), None) is not None:
                check.problem("the export goes on after its checkpoint")
            return str(item["checkpoint"]).encode()
        index = item["index"]
        if type(index) is not int or index != (block[-1][0] + 1 if block else check.tree.size):
            check.problem(f"entry {block[-1][0] + 1 if block else check.tree.size} is missing or out of order")
            return None
        block.append((index, str(item["leaf"]).encode()))
        if with_parts:
            parts[index] = [export.sealed_part(part) for part in item["parts"]]  # type: ignore[attr-defined]
        if not (index + 1) % TILE_WIDTH:
            check.feed(block, parts if with_parts else None)
            block, parts = [], {}
            if progress:
                progress(index + 1, 0)
    if block:
        check.feed(block, parts if with_parts else None)
    return None


def _begin(origin: str, vkey: str, trusted: Verifier | None, tree: Tree | None = None) -> Check:
    own = Verifier.parse(vkey)
    check = Check(origin, trusted or own, tree or Tree())
    if trusted not in (None, own):
        check.problem("the ledger names another signing key than the one you trust")
    if own.name != origin:
        check.problem(f"the ledger calls itself `{origin}`, its key `{own.name}`")
    return check


def _window(source: LedgerSource, check: Check, first: int, stop: int, data_keys: set[bytes]) -> None:
    block = list(source.leaves(first, stop))
    parts: dict[int, list[SealedPart]] = {}
    for index, number, part in source.parts(first, stop):
        several = parts.setdefault(index, [])
        if number != len(several):
            check.problem(f"part {len(several)} is missing, and nothing says that it was erased", index)
        several.append(part)
        data_keys.add(part.key)
    if not block:
        return
    check.feed(block, parts)
    for level, n, hashes in check.tree.take_tiles():
        stored = source.tile(level, n)
        if stored != hashes:
            _blame(check, level, n, hashes, stored)


def _blame(check: Check, level: int, n: int, hashes: bytes, stored: bytes | None) -> None:
    """Say which entries a tile and the leaves disagree on."""
    if stored is None or len(stored) != len(hashes):
        check.problem(f"tile {n} at level {level} is missing or cut")
        return
    wrong = [at for at in range(TILE_WIDTH) if stored[at * 32 : at * 32 + 32] != hashes[at * 32 : at * 32 + 32]]
    for at in islice(wrong, 5 if level == 0 else 0):
        check.problem(f"entry {n * TILE_WIDTH + at} does not hash to what its tile holds", n * TILE_WIDTH + at)


def _check_strays(source: LedgerSource, check: Check, size: int) -> None:
    for index, _, _ in islice(source.parts(size, 1 << 56), 1):
        check.problem(f"a part of entry {index} is there, the entry is not", index)


def _check_keys(source: LedgerSource, check: Check, data_keys: set[bytes], keys: LedgerKeys | None) -> None:
    vault = Vault(keys, source) if keys else None
    for key in sorted(data_keys):
        stands = vault.check_key(key) if vault else (True if source.data_key(key) else None)
        if stands is None:
            check.problem(f"data key {key.hex()} is gone, and nothing says that it was erased")
        elif not stands:
            check.problem(f"data key {key.hex()} does not open: it was changed, or the key-encryption key is another one")


def _check_index(source: LedgerSource, check: Check, index: LedgerIndex, size: int) -> None:
    """Compare per word what the index holds with what the leaves say, under a hash drawn anew each time."""
    factor, first, second = (secrets.randbits(30) | 1 << 29 | 1 for _ in range(3))
    try:
        done = min(index.projected(), size)
        counts: Counter[str] = Counter()
        sums: Counter[str] = Counter()
        for low in range(0, done, TILE_WIDTH):
            for at, leaf in source.leaves(low, min(low + TILE_WIDTH, done)):
                mixed = (at * factor % first) ** 2 % second
                for word in words(decode(leaf)):
                    counts[word] += 1
                    sums[word] += mixed
        for word, count, total in index.totals(factor, first, second):
            if counts.pop(word, 0) != count or sums.pop(word, 0) != total:
                check.problem(f"the search index hides or invents entries with `{word}`: delete index.db to rebuild it")
        for word in counts:
            check.problem(f"the search index hides entries with `{word}`: delete index.db to rebuild it")
    except OstiaryError as error:
        check.problem(f"the search index cannot be checked: {error.detail}")


__all__ = ["UNANCHORED", "Problem", "Verification", "cannot_tell", "verify_export", "verify_source"]
