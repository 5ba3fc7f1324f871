"""Checks a stored ledger with public keys only: every entry, part, tile and checkpoint, and says where it is wrong.

The recipe: 1 whose ledger is it · 2 open every checkpoint with the key, and the one you hold · 3 hash every stored
leaf again and grow the tree · 4 at each checkpoint's size the root must be the signed one · 5 each sealed part
must be the one its leaf commits to · 6 node counters must have no gap · 7 the search index must hide nothing.
"""

import secrets
from collections import Counter
from itertools import islice

from ostiary.core.errors import Corrupt, InvalidConfig, OstiaryError
from ostiary.ledger.checking import Check, Progress, Verification, begin, cannot_tell, damaged
from ostiary.ledger.index import LedgerIndex, Projection, words
from ostiary.ledger.leaf import decode
from ostiary.ledger.note import Checkpoint, Verifier
from ostiary.ledger.store import LedgerSource, SealedPart
from ostiary.ledger.tree import TILE_WIDTH
from ostiary.ledger.vault import LedgerKeys, Vault

NAMED = 3
"""Words that are named when the search index is wrong about many."""
_REBUILD = "delete index.db, and the next start rebuilds it"


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
            return damaged("the head of the ledger is gone")
        return cannot_tell("there is no ledger here")
    try:
        check = begin(meta["origin"], meta["vkey"], trusted)
    except (KeyError, InvalidConfig):
        return damaged("the head of the ledger is damaged: it names no usable key")
    held = None
    try:
        held = _expect_all(source, check, newest, checkpoint)
        _walk(source, check, keys, progress)
        if index is not None and check.problems:
            check.notes.append("the search index was not compared: it is built from the entries, so mend those first")
        elif index is not None:
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
    for key in sorted(data_keys):
        if source.data_key(key) is None:
            check.problem(f"data key {key.hex()} is gone, and nothing says that it was erased")
    if keys is None:
        return
    vault = Vault(keys, source)
    for row in source.data_keys():
        if not vault.check_key(row):
            check.problem(f"data key {row.id.hex()} does not open: it was changed, or the key-encryption key is another one")
    for person in source.identities():
        if not vault.check_identity(person):
            check.problem(f"the identity behind person:{person.handle.hex()} does not open: it was changed, or the keys are others")


def _check_index(source: LedgerSource, check: Check, index: LedgerIndex, size: int) -> None:
    """Compare what the index holds with what the leaves say; it may be behind, and grow meanwhile."""
    try:
        index.freeze(True)
        done = min(index.projected(), size)
        _compare_index(source, check, index, done)
        index.freeze(False)
    except OstiaryError as error:
        check.problem(f"the search index cannot be checked: {error.detail}")


def _compare_index(source: LedgerSource, check: Check, index: LedgerIndex, done: int) -> None:
    """Count and sum, under hashes drawn anew each time, so that nothing can be swapped to give the same sums."""
    factor, first, second = (secrets.randbits(30) | 1 << 29 | 1 for _ in range(3))
    salt = secrets.token_bytes(16)
    counts: Counter[str] = Counter()
    sums: Counter[str] = Counter()
    projection, total = Projection(), 0
    for low in range(0, done, TILE_WIDTH):
        for at, leaf in source.leaves(low, min(low + TILE_WIDTH, done)):
            mixed = (at * factor % first) ** 2 % second
            entry = decode(leaf)
            projection.add(at, entry)
            for word in words(entry):
                counts[word] += 1
                sums[word] += mixed
        total += sum(hash((salt, row)) for row in projection.rows)
        projection.rows.clear()
        projection.answered.clear()
    wrong = [
        f"hides or invents entries with `{word}`"
        for word, count, found in index.totals(factor, first, second)
        if (counts.pop(word, 0) != count) | (sums.pop(word, 0) != found)
    ]
    wrong += [f"hides entries with `{word}`" for word in counts]
    for what in wrong[:NAMED]:
        check.problem(f"the search index {what}: {_REBUILD}")
    if len(wrong) > NAMED:
        check.problem(f"the search index is wrong about {len(wrong) - NAMED} more words: {_REBUILD}")
    total += sum(hash((salt, ("open", *row))) for row in projection.unanswered.items())
    total += sum(hash((salt, ("time", *row))) for row in projection.times.items())
    if total != sum(hash((salt, row)) for row in index.entries()):
        check.problem(f"the search index does not hold the ids, times or open intents of the entries: {_REBUILD}")
