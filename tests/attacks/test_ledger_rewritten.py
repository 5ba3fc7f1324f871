"""An operator puts an old copy back, forges checkpoints, or has the signing key and writes a whole new history."""

import shutil
import sqlite3
from pathlib import Path

import pytest

from ostiary.ledger import UNANCHORED
from ostiary.ledger.note import Signer
from ostiary.storage.ledger_files import verify
from tests.support.ledger import ORIGIN, ledger_keys, tamper
from tests.support.ledger_attacks import copy_ledger, refuses_to_start, rewrite, written

COUNT = 600
VKEY = Signer(ORIGIN, ledger_keys().signing).vkey


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    return copy_ledger(written(COUNT), tmp_path / "ledger")


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
