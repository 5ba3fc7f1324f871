"""What a gateway does not start on: data that is damaged, incomplete, old, or not its own. It says what to do and makes nothing new."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.gateway import company, free_port, ostiary

Damage = Callable[[Path], object]
KEYS = "keys/master.key", "keys/ledger.ed25519"


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with `data`, of a gateway that worked and left, and `old`, a backup from before."""
    folder = tmp_path_factory.mktemp("kept")
    with company(folder) as gateway:
        token = gateway.session()
        assert gateway.leave() == 0
        shutil.copytree(gateway.data, folder / "old")
        gateway.start()
        assert gateway.chat(token).status == 200
        assert gateway.leave() == 0
    return folder


def garbage(name: str) -> Damage:
    return lambda data: (data / name).write_bytes(b"garbage" * 1000)


def cut(name: str, size: int) -> Damage:
    return lambda data: os.truncate(data / name, size)


def gone(name: str) -> Damage:
    return lambda data: (data / name).unlink()


def readable(name: str) -> Damage:
    return lambda data: (data / name).chmod(0o644)


def old_ledger(data: Path) -> None:
    shutil.rmtree(data / "ledger")
    shutil.copytree(data.parent / "old-copy" / "ledger", data / "ledger")


def folder_for_state(data: Path) -> None:
    (data / "state.db").unlink()
    (data / "state.db").mkdir()


CASES: dict[str, tuple[Damage, int, str]] = {
    "no master key": (gone(KEYS[0]), 1, "restore it from the backup"),
    "no ledger key": (gone(KEYS[1]), 1, "restore it from the backup"),
    "no keys": (lambda data: shutil.rmtree(data / "keys"), 1, "restore it from the backup"),
    "another master key": (lambda data: (data / KEYS[0]).write_bytes(os.urandom(32)), 1, "does not open with this master key"),
    "a short master key": (cut(KEYS[0], 1), 1, "expected 32"),
    "a garbled ledger key": (cut(KEYS[1], 2), 1, "does not open with this master key"),
    "a readable master key": (readable(KEYS[0]), 2, "chmod 600"),
    "a readable ledger key": (readable(KEYS[1]), 2, "chmod 600"),
    "garbage for state": (garbage("state.db"), 1, "restore it from a backup"),
    "half the state": (cut("state.db", 5000), 1, "restore it from a backup"),
    "empty state": (cut("state.db", 0), 1, "restore the whole data folder"),
    "no state": (gone("state.db"), 1, "restore the whole data folder"),
    "a folder for state": (folder_for_state, 2, "restore it from a backup"),
    "garbage for the ledger": (garbage("ledger/ledger.db"), 1, "cannot be read"),
    "half the ledger": (cut("ledger/ledger.db", 8192), 1, "cannot be read"),
    "an empty ledger": (cut("ledger/ledger.db", 0), 1, "restore the whole data folder"),
    "no ledger": (lambda data: shutil.rmtree(data / "ledger"), 1, "restore the whole data folder"),
    "an old ledger": (old_ledger, 1, "restore the whole data folder"),
    "no origin": (gone("ledger.origin"), 1, "restore it from the backup"),
    "another origin": (lambda data: (data / "ledger.origin").write_text("x/y\n"), 2, "use the keys and origin"),
}


@pytest.mark.parametrize("name", CASES)
def test_damaged_data_is_refused_and_no_key_or_record_is_made_anew(kept: Path, tmp_path: Path, name: str) -> None:
    """R-L2, R-P4: one clear line, what to do, the right exit code, and the keys and the entries that were there are still there.

    Asked twice: the first try must not have turned the damage into something that starts.
    """
    damage, code, said = CASES[name]
    data = tmp_path / "data"
    shutil.copytree(kept / "data", data)
    shutil.copytree(kept / "old", tmp_path / "old-copy")
    damage(data)
    keys = {path.name: path.read_bytes() for path in (data / "keys").glob("*")}
    for _ in range(2):
        ran = ostiary(data, "up", "--port", str(free_port()))
        assert (ran.returncode, said in ran.stderr) == (code, True), ran.stderr
        assert "Traceback" not in ran.stderr
    assert {path.name: path.read_bytes() for path in (data / "keys").glob("*")} == keys


@pytest.mark.parametrize("where", ["file", "nowhere"])
def test_a_data_folder_that_cannot_be_is_a_clear_line(tmp_path: Path, where: str) -> None:
    """R-P4: a file in its place, or a place where nobody can write."""
    path = tmp_path / "file" if where == "file" else Path("/proc/nowhere")
    (tmp_path / "file").write_text("mine")
    ran = ostiary(path, "up", "--port", str(free_port()))
    assert (ran.returncode, ran.stderr.startswith("error: "), "Traceback" in ran.stderr) == (3, True, False), ran.stderr
    assert (tmp_path / "file").read_text() == "mine"
