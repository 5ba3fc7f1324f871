"""An operator of the machine changes, drops, swaps or cuts entries. They have every file, and not the signing key."""

from pathlib import Path

import msgspec
import pytest

from ostiary.ledger import UNANCHORED
from ostiary.ledger.leaf import decode, encode
from ostiary.ledger.note import Signer
from ostiary.storage.ledger_files import verify
from tests.support.ledger import ORIGIN, ledger_keys, tamper
from tests.support.ledger_attacks import copy_ledger, leaf_at, places, refuses_to_start, written

COUNT = 600
VKEY = Signer(ORIGIN, ledger_keys().signing).vkey


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    return copy_ledger(written(COUNT), tmp_path / "ledger")


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
