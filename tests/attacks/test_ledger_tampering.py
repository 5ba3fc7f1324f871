"""An operator of the machine edits the ledger's files. The attacker has every file, and not the signing key."""

import asyncio
import json
import os
import random
import shutil
import sqlite3
from pathlib import Path

import msgspec
import pytest

from ostiary.core.errors import OstiaryError
from ostiary.ledger import UNANCHORED, Ledger, Verification
from ostiary.ledger.leaf import decode, encode
from ostiary.ledger.note import Signer
from ostiary.ledger.tree import Tree, leaf_hash
from ostiary.ledger.vault import commitment, wrap_commitment
from ostiary.storage.ledger_files import open_reader, verify
from ostiary.storage.sqlite_ledger import SqliteLedgerStore
from tests.support.ledger import ORIGIN, fill, ledger_keys, make_entry, running, tamper

COUNT = 600
ROUNDS = int(os.environ.get("OSTIARY_TEST_FLIP_ROUNDS", "4"))
VKEY = Signer(ORIGIN, ledger_keys().signing).vkey


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("original") / "ledger"
    asyncio.run(fill(directory, COUNT))
    return directory


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("small") / "ledger"
    asyncio.run(fill(directory, 270))
    return directory


@pytest.fixture
def victim(original: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "ledger"
    shutil.copytree(original, copy, ignore=shutil.ignore_patterns("ballast"))
    return copy


def places(found: Verification) -> list[int | None]:
    return [problem.index for problem in found.problems]


def refuses_to_start(directory: Path) -> bool:
    """Say whether a gateway refuses this ledger, and check that refusing changed no evidence."""
    before = {name: (directory / name).read_bytes() for name in ("ledger.db", "keys.db")}

    async def run() -> bool:
        try:
            async with running(SqliteLedgerStore(directory)):
                return False
        except OstiaryError:
            return True

    is_refused = asyncio.run(run())
    if is_refused:
        assert {name: (directory / name).read_bytes() for name in before} == before
    return is_refused


def test_an_untouched_ledger_verifies(victim: Path) -> None:
    """R-L2: and says plainly what it is not protected against."""
    found = verify(victim, key=VKEY)
    assert (found.ok, found.entries, found.sealed, found.problems) == (True, COUNT, COUNT, ())
    assert not found.anchored
    assert UNANCHORED in found.notes
    held = verify(victim, key=VKEY, checkpoint=(victim / "checkpoint").read_bytes())
    assert (held.ok, held.anchored, held.notes) == (True, True, ())
    assert verify(victim, keys=ledger_keys()).ok


@pytest.mark.parametrize("index", [0, 1, 255, 256, 511, 599])
def test_a_changed_entry_is_found(victim: Path, index: int) -> None:
    """R-L2: one word of one entry, with the same length."""
    tamper(victim, "UPDATE entries SET leaf = CAST(replace(CAST(leaf AS TEXT), '\"deny\"', '\"diny\"') AS BLOB) WHERE idx = ?", (index,))
    found = verify(victim)
    assert found.ok is False
    if index < 512:
        assert index in places(found)
    assert refuses_to_start(victim)


@pytest.mark.parametrize("index", [0, 300, 598])
def test_a_dropped_entry_is_found(victim: Path, index: int) -> None:
    """R-L2: with its parts, and nothing else."""
    tamper(victim, "DELETE FROM entries WHERE idx = ?", (index,))
    tamper(victim, "DELETE FROM parts WHERE place >> 6 = ?", (index,))
    found = verify(victim)
    assert found.ok is False
    assert index in places(found)
    assert f"entry {index} is missing" in [problem.what for problem in found.problems]
    assert refuses_to_start(victim)


def test_a_dropped_entry_with_the_rest_moved_up_is_found(victim: Path) -> None:
    """R-L2: no hole in the numbers, but in the node's own counter and the tree."""
    tamper(victim, "DELETE FROM entries WHERE idx = 10")
    tamper(victim, "UPDATE entries SET idx = -idx WHERE idx > 10")
    tamper(victim, "UPDATE entries SET idx = -idx - 1 WHERE idx < 0")
    tamper(victim, "DELETE FROM tiles")
    found = verify(victim)
    assert found.ok is False
    assert any("counts 11 after 9" in problem.what for problem in found.problems)
    assert refuses_to_start(victim)


def test_reordered_entries_are_found(victim: Path) -> None:
    """R-L2: order across families is evidence."""
    for before, after in ((20, -1), (21, 20), (-1, 21)):
        tamper(victim, "UPDATE entries SET idx = ? WHERE idx = ?", (after, before))
    found = verify(victim)
    assert found.ok is False
    assert {20, 21} <= set(places(found))
    assert refuses_to_start(victim)


@pytest.mark.parametrize("left", [599, 512, 256, 1, 0])
def test_a_cut_off_tail_is_found(victim: Path, left: int) -> None:
    """R-L2: the newest entries, their parts, tiles and stored checkpoints are deleted; the file outside is not."""
    tamper(victim, "DELETE FROM entries WHERE idx >= ?", (left,))
    tamper(victim, "DELETE FROM parts WHERE place >> 6 >= ?", (left,))
    tamper(victim, "DELETE FROM checkpoints WHERE size > ?", (left,))
    found = verify(victim)
    assert found.ok is False
    assert any(f"entries {left} to 599 are missing" in problem.what for problem in found.problems)
    assert refuses_to_start(victim)


def test_a_cut_with_the_checkpoint_file_put_back_is_found_by_a_checkpoint_held_outside(victim: Path) -> None:
    """R-L2: a consistent old state verifies by itself; that is why somebody outside must hold a checkpoint."""
    held = (victim / "checkpoint").read_bytes()
    old = sqlite3.connect(victim / "ledger.db")
    size, note = old.execute("SELECT size, note FROM checkpoints WHERE size < 600 ORDER BY size DESC").fetchone()
    old.close()
    (victim / "checkpoint").write_bytes(note)
    tamper(victim, "DELETE FROM entries WHERE idx >= ?", (size,))
    tamper(victim, "DELETE FROM parts WHERE place >> 6 >= ?", (size,))
    tamper(victim, "DELETE FROM checkpoints WHERE size > ?", (size,))
    tamper(victim, "DELETE FROM tiles WHERE place >= ?", (size // 256,)) if size // 256 < 2 else None
    blind = verify(victim, key=VKEY, check_index=False)
    assert blind.ok
    assert UNANCHORED in blind.notes
    found = verify(victim, key=VKEY, checkpoint=held)
    assert found.ok is False
    assert any(f"entries {size} to 599 are missing" in problem.what for problem in found.problems)


def test_a_swapped_checkpoint_table_is_found(victim: Path) -> None:
    """R-L2: a checkpoint of another tree, or none, or not even a note."""
    forged = Signer(ORIGIN, ledger_keys("attacker").signing).sign(600, bytes(32), 1)
    for note in (forged, b"", b"not a note"):
        copy = victim.with_name(f"copy{len(note)}")
        shutil.copytree(victim, copy)
        (copy / "checkpoint").write_bytes(note)
        assert verify(copy).ok is False
        assert refuses_to_start(copy)
    (victim / "checkpoint").unlink()
    assert verify(victim).ok is False


def test_a_ledger_rewritten_and_signed_again_is_found_by_a_held_checkpoint(victim: Path) -> None:
    """R-L2: the attacker has our signing key too, and rewrites everything consistently."""
    held = (victim / "checkpoint").read_bytes()
    rewrite(victim, lambda leaf: leaf.replace(b'"deny"', b'"allow"'))
    alone = verify(victim, key=VKEY, check_index=False)
    assert alone.ok
    assert UNANCHORED in alone.notes
    found = verify(victim, key=VKEY, checkpoint=held)
    assert found.ok is False
    assert not found.anchored
    assert any("rewritten or forked" in problem.what for problem in found.problems)


def test_a_ledger_signed_with_another_key_is_found_by_the_key_you_trust(victim: Path) -> None:
    """R-L2: without our key the attacker must name another one."""
    rewrite(victim, lambda leaf: leaf.replace(b'"deny"', b'"allow"'), seed="attacker")
    assert verify(victim, check_index=False).ok
    found = verify(victim, key=VKEY, check_index=False)
    assert found.ok is False
    assert any("another signing key" in problem.what for problem in found.problems)


def rewrite(directory: Path, change: object, seed: str = "test") -> None:
    """Write a consistent ledger of other entries: leaves, tiles, checkpoints, all signed."""
    assert callable(change)
    signer = Signer(ORIGIN, ledger_keys(seed).signing)
    connection = sqlite3.connect(directory / "ledger.db")
    tree = Tree()
    with connection:
        connection.execute("DELETE FROM checkpoints")
        connection.execute("DELETE FROM tiles")
        connection.execute("UPDATE meta SET value = ? WHERE name = 'vkey'", (signer.vkey,))
        for index, leaf in connection.execute("SELECT idx, leaf FROM entries ORDER BY idx").fetchall():
            changed = change(leaf)
            connection.execute("UPDATE entries SET leaf = ? WHERE idx = ?", (changed, index))
            tree.append(leaf_hash(changed))
        for level, n, hashes in tree.take_tiles():
            connection.execute("INSERT INTO tiles VALUES (?, ?)", (level << 40 | n, hashes))
        note = signer.sign(tree.size, tree.root(), 1_900_000_000)
        connection.execute("INSERT INTO checkpoints VALUES (?, ?)", (tree.size, note))
    connection.close()
    (directory / "checkpoint").write_bytes(note)


@pytest.mark.parametrize("column", ["blob", "wrapped", "key"])
def test_a_changed_part_is_found(victim: Path, column: str) -> None:
    """R-L4: ciphertext, wrapped key and key id are all under the leaf's hash."""
    tamper(victim, f"UPDATE parts SET {column} = CAST({column} || 'x' AS BLOB) WHERE place >> 6 = 77")
    found = verify(victim)
    assert found.ok is False
    assert 77 in places(found)


def test_a_deleted_part_is_an_alarm(victim: Path) -> None:
    """R-L4: without a tombstone a missing part is not an erasure."""
    tamper(victim, "DELETE FROM parts WHERE place >> 6 = 77")
    found = verify(victim)
    assert found.ok is False
    assert 77 in places(found)


def test_a_part_of_another_entry_is_found(victim: Path) -> None:
    """R-L4: a valid sealed part, in the wrong place."""
    tamper(
        victim, "UPDATE parts SET (key, wrapped, blob) = (SELECT key, wrapped, blob FROM parts WHERE place >> 6 = 5) WHERE place >> 6 = 6"
    )
    found = verify(victim)
    assert found.ok is False
    assert 6 in places(found)
    reader = open_reader(victim, ledger_keys())
    with pytest.raises(OstiaryError, match="not what was recorded"):
        reader.reveal(reader.tail(5)[0]["id"], "arguments")
    reader.close()


def test_a_part_sealed_anew_by_somebody_with_the_keys_is_found(victim: Path) -> None:
    """R-L4: a key holder can encrypt anything, but not under the hash that was signed."""
    store = SqliteLedgerStore(victim)
    source = store.source()
    from ostiary.ledger.vault import Vault

    vault = Vault(ledger_keys(), source)
    index, _, part = next(iter(source.parts(9, 10)))
    row = source.data_key(part.key)
    assert row is not None
    forged = vault.seal(vault.key_for(row.subject, row.retention, row.quarter), b"ostiary/aad\0", b'{"amount":9999,"to":"ACME"}')
    source.close()
    tamper(victim, "UPDATE parts SET wrapped = ?, blob = ? WHERE place >> 6 = ?", (forged.wrapped, forged.blob, index))
    assert commitment(forged.blob) != commitment(part.blob)
    assert wrap_commitment(forged) != wrap_commitment(part)
    found = verify(victim)
    assert found.ok is False
    assert 9 in places(found)


def test_a_stray_part_is_found(victim: Path) -> None:
    """R-L4: nothing hangs on an entry that is not there."""
    tamper(victim, "INSERT INTO parts VALUES (?, x'00', x'00', x'00')", (9_999 << 6,))
    assert verify(victim).ok is False


def test_a_lost_or_changed_data_key_is_found(victim: Path) -> None:
    """R-L4: its absence for everybody, its change by whoever holds the key-encryption key."""
    tamper(victim, "UPDATE data_keys SET wrapped = CAST(wrapped || 'x' AS BLOB)", file="keys.db")
    assert verify(victim).ok
    assert verify(victim, keys=ledger_keys()).ok is False
    tamper(victim, "DELETE FROM data_keys", file="keys.db")
    assert verify(victim).ok is False


def test_a_tile_that_lies_is_found(victim: Path) -> None:
    """R-L5: proofs are made from tiles."""
    tamper(victim, "UPDATE tiles SET hashes = zeroblob(8192) WHERE place = 1")
    assert verify(victim).ok is False
    assert refuses_to_start(victim)


def test_an_entry_of_another_ledger_is_found(victim: Path, tmp_path: Path) -> None:
    """R-L2: each leaf names its ledger."""
    leaf = encode(msgspec.structs.replace(decode(leaf_at(victim, 3)), ledger="other/ledger"))
    tamper(victim, "UPDATE entries SET leaf = ? WHERE idx = 3", (leaf,))
    found = verify(victim)
    assert any("other/ledger" in problem.what and problem.index == 3 for problem in found.problems)


def leaf_at(directory: Path, index: int) -> bytes:
    source = SqliteLedgerStore(directory).source()
    (_, leaf) = next(iter(source.leaves(index, index + 1)))
    source.close()
    return leaf


def test_an_entry_dropped_from_the_search_index_is_found(victim: Path) -> None:
    """R-L5: the index can hide, not invent; `verify` says which word it hides, and a rebuild brings it back."""
    hidden = "SELECT id FROM words WHERE word = 'session=s-3'"
    tamper(victim, f"DELETE FROM postings WHERE word = ({hidden}) AND idx = 10", file="index.db")
    reader = open_reader(victim)
    assert 10 not in [row["index"] for row in reader.search(session="s-3", limit=1000)]
    reader.close()
    found = verify(victim)
    assert found.ok is False
    assert any("session=s-3" in problem.what for problem in found.problems)
    (victim / "index.db").unlink()
    assert verify(victim).ok

    async def restart() -> None:
        async with running(SqliteLedgerStore(victim)) as ledger:
            reader = ledger.reader()
            assert 10 in [row["index"] for row in reader.search(session="s-3", limit=1000)]
            reader.close()

    asyncio.run(restart())
    assert verify(victim).ok


def test_an_index_that_invents_or_swaps_is_found_and_not_believed(victim: Path) -> None:
    """R-L5: equal counts and sums do not fool the check; a hit is decoded from its leaf before it is shown."""
    word = "(SELECT id FROM words WHERE word = 'session=s-3')"
    tamper(victim, f"UPDATE postings SET idx = idx - 1 WHERE word = {word} AND idx = 10", file="index.db")
    tamper(victim, f"UPDATE postings SET idx = idx + 1 WHERE word = {word} AND idx = 17", file="index.db")
    reader = open_reader(victim)
    rows = reader.search(session="s-3", limit=1000)
    reader.close()
    assert {row["session"] for row in rows} == {"s-3"}
    assert verify(victim).ok is False


def test_a_hidden_open_intent_is_not_hidden_from_a_rebuilt_index(tmp_path: Path) -> None:
    """R-L1: what the index said was answered is found open when it is rebuilt."""
    directory = tmp_path / "ledger"
    asyncio.run(fill(directory, 3, entry=lambda _: make_entry(decision="allow", code="")))
    tamper(directory, "DELETE FROM unanswered", file="index.db")
    (directory / "index.db").unlink()

    async def restart() -> int:
        async with running(SqliteLedgerStore(directory)) as ledger:
            return ledger.size

    assert asyncio.run(restart()) == 6


def content(directory: Path) -> list[object]:
    """Everything anybody can read from a ledger."""
    reader = open_reader(directory, ledger_keys())
    lines: list[bytes] = []
    reader.export(lines.append, parts=True)
    rows = reader.tail(-1, limit=10_000, resolve=True)
    revealed = [reader.reveal(row["id"], part["name"]) for row in rows for part in row["parts"]]
    found = reader.search(session="s-3", limit=10_000)
    reader.close()
    return [lines[1:-1], rows, revealed, found]


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_one_flipped_bit_anywhere_is_found_or_harmless(small: Path, tmp_path: Path, seed: int) -> None:
    """R-L2: hundreds of bits over all files, a hundred a round; whatever still verifies still says exactly the same."""
    original = small
    rng = random.Random(f"bits {seed}")
    expected = content(original)
    copy = tmp_path / "ledger"
    shutil.copytree(original, copy, ignore=shutil.ignore_patterns("ballast", "lock", "*-shm", "*-wal"))
    files = ["ledger.db"] * 6 + ["keys.db", "index.db", "checkpoint"]
    caught = 0
    for _ in range(100):
        name = rng.choice(files)
        raw = bytearray((original / name).read_bytes())
        place = rng.randrange(len(raw) * 8)
        raw[place >> 3] ^= 1 << (place & 7)
        (copy / name).write_bytes(raw)
        if verify(copy, key=VKEY, keys=ledger_keys()).ok is True:
            assert content(copy) == expected, f"bit {place} of {name} changed something unseen"
        else:
            caught += 1
        shutil.copyfile(original / name, copy / name)
        for extra in ("-wal", "-shm"):
            (copy / f"{name}{extra}").unlink(missing_ok=True)
    assert caught > 40
    assert verify(copy, key=VKEY, keys=ledger_keys()).ok


@pytest.mark.parametrize("with_parts", [False, True])
def test_one_flipped_bit_of_an_export_is_found_or_harmless(original: Path, tmp_path: Path, with_parts: bool) -> None:
    """R-L5: an export verifies by itself, and only as it was written."""
    rng = random.Random(f"export {with_parts}")
    reader = open_reader(original)
    lines: list[bytes] = []
    assert reader.export(lines.append, parts=with_parts, after=399) == 200
    reader.close()
    raw, path = b"".join(lines), tmp_path / "export.jsonl"
    path.write_bytes(raw)
    held = (original / "checkpoint").read_bytes()
    whole = verify(path, key=VKEY, checkpoint=held)
    assert (whole.ok, whole.anchored, whole.entries) == (True, True, 200)
    for _ in range(250):
        place = rng.randrange(len(raw) * 8)
        flipped = bytearray(raw)
        flipped[place >> 3] ^= 1 << (place & 7)
        path.write_bytes(flipped)
        if verify(path, key=VKEY, checkpoint=held).ok is True:
            assert [json.loads(line) for line in bytes(flipped).splitlines()[1:-1]] == [json.loads(line) for line in lines[1:-1]]


@pytest.mark.parametrize("attack", ["drop", "swap", "repeat", "cut", "no end", "more", "head", "none", "peaks"])
def test_an_export_with_its_lines_changed_is_found(original: Path, tmp_path: Path, attack: str) -> None:
    """R-L5."""
    reader = open_reader(original)
    lines: list[bytes] = []
    reader.export(lines.append, parts=True, after=499)
    reader.close()
    head = json.loads(lines[0])
    match attack:
        case "drop":
            del lines[5]
        case "swap":
            lines[5], lines[6] = lines[6], lines[5]
        case "repeat":
            lines.insert(5, lines[5])
        case "cut":
            lines = lines[:50]
        case "no end":
            lines = lines[:-1]
        case "more":
            lines.append(lines[5])
        case "head":
            lines[0] = json.dumps({**head, "first": 499}).encode() + b"\n"
        case "peaks":
            lines[0] = json.dumps({**head, "peaks": ["00" * 32 for _ in head["peaks"]]}).encode() + b"\n"
        case "none":
            lines = lines[1:]
    path = tmp_path / "export.jsonl"
    path.write_bytes(b"".join(lines))
    assert verify(path, key=VKEY).ok is (None if attack == "none" else False)


def test_what_is_no_ledger_cannot_be_told(tmp_path: Path) -> None:
    """R-L2: neither intact nor tampered."""
    (tmp_path / "file").write_bytes(b"\x00\x01")
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "file", tmp_path / "empty", tmp_path / "absent"):
        assert verify(path).ok is None


def test_a_database_replaced_by_garbage_is_tampered(victim: Path) -> None:
    """R-L2."""
    (victim / "ledger.db").write_bytes(b"garbage" * 1000)
    assert verify(victim).ok is False
    (victim / "ledger.db").unlink()
    assert verify(victim).ok is False
    assert Ledger.__doc__
