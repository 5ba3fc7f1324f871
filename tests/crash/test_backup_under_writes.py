"""A copy taken while a gateway's stores are written as fast as they go is whole, and never older than the one before (R-P4, R-H1)."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from ostiary.core.errors import InvalidConfig
from ostiary.storage.backup import copy
from ostiary.storage.ledger_files import verify
from ostiary.storage.sqlite import SqliteStateStore

ROOT = Path(__file__).parents[2]
KEY = bytes(32)
COPIES = 3
STATE_WRITER = """
import asyncio, itertools, sys
from pathlib import Path
from ostiary.core.ports import Change
from ostiary.storage.sqlite import SqliteStateStore

async def main():
    store = SqliteStateStore(Path(sys.argv[1]), bytes(32))
    for number in itertools.count(1):
        body = str(number).encode() * 200
        await store.write([Change("pair", "left", body), Change("pair", "right", body), Change("fill", str(number % 50), body)])
        if number == 1:
            print("ready", flush=True)

asyncio.run(main())
"""


@pytest.fixture
def written(tmp_path: Path) -> Iterator[Path]:
    """A data directory that two processes write."""
    data = tmp_path / "data"
    (data / "ledger").mkdir(parents=True)
    commands = [
        ["-c", STATE_WRITER, str(data / "state.db")],
        ["-m", "tests.support.ledger_child", str(data / "ledger"), "1"],
    ]
    with ExitStack() as stack:
        for command in commands:
            process = stack.enter_context(subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, cwd=ROOT))
            stack.callback(process.kill)
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            if command[0] == "-m":
                assert process.stdout.readline()
                drain = stack.enter_context(subprocess.Popen(["cat"], stdin=process.stdout, stdout=subprocess.DEVNULL))
                stack.callback(drain.kill)
        yield data


def test_copies_of_what_is_written_are_whole(written: Path, tmp_path: Path) -> None:
    """Both halves of a transaction or none; every entry under its checkpoint; each copy at least as new as the last."""
    before = (0, 0)
    for number in range(COPIES):
        to = tmp_path / f"copy-{number}"
        copy(written, to)
        store = SqliteStateStore(to / "state.db", KEY)
        pair = store.load("pair")
        store.close()
        found = verify(to)
        assert pair["left"] == pair["right"]
        assert found.ok, found.problems
        now = (int(pair["left"][: len(pair["left"]) // 200]), found.entries)
        assert now > before
        before = now
        assert not {"lock", "ballast", "index.db"} & {path.name for path in (to / "ledger").iterdir()}
        assert (to / "state.db").stat().st_mode & 0o077 == 0


def test_a_copy_goes_nowhere_it_could_harm(written: Path, tmp_path: Path) -> None:
    """A folder with something in it is left as it is; what is no data directory is not copied."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine").write_text("mine")
    for data, to in ((written, tmp_path / "full"), (tmp_path / "full", tmp_path / "new"), (written, tmp_path / "full/mine")):
        with pytest.raises(InvalidConfig):
            copy(data, to)
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine"]
    assert not (tmp_path / "new").exists()


def test_keys_stay_where_they_are_when_asked(written: Path, tmp_path: Path) -> None:
    """R-H1: a copy for a place that is trusted less holds nothing that opens it, or lets somebody into the gateway it was made of."""
    secrets = ("keys/master.key", "operator.key", "tls/ca.key")
    for name in secrets:
        (written / name).parent.mkdir(exist_ok=True)
        (written / name).write_bytes(KEY)
    (tmp_path / "without").mkdir(mode=0o755)
    copy(written, tmp_path / "with")
    copy(written, tmp_path / "without", keys=False)
    for name in secrets:
        assert (tmp_path / "with" / name).read_bytes() == KEY
    assert not [path for path in (tmp_path / "without").rglob("*") if path.is_file() and path.read_bytes() == KEY]
    assert (tmp_path / "without").stat().st_mode & 0o077 == 0
