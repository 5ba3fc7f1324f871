"""The SQLite ledger: synced, private, locked, and read without being changed."""

import asyncio
import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from ostiary.core.errors import LedgerTampered, LedgerUnavailable, NotFound
from ostiary.ledger.index import catch_up
from ostiary.ledger.leaf import Leaf
from ostiary.ledger.verify import verify_source
from ostiary.storage.ledger_files import open_reader, verify
from ostiary.storage.sqlite_files import connect
from ostiary.storage.sqlite_ledger import SqliteLedgerSource, SqliteLedgerStore
from ostiary.storage.sqlite_ledger_index import SqliteLedgerIndex
from tests.support.ledger import QUICK, fill, ledger_keys, make_entry, running


def test_every_commit_is_synced(tmp_path: Path) -> None:
    """R-L2: write-ahead log, synchronous FULL: acknowledged is on the disk."""
    connection = connect(tmp_path / "x.db", is_readonly=False)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert connection.execute("PRAGMA secure_delete").fetchone() == (1,)
    connection.close()


async def test_files_are_for_their_owner_only(tmp_path: Path) -> None:
    """R-L4."""
    await fill(tmp_path / "ledger", 3)
    assert stat.S_IMODE((tmp_path / "ledger").stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "ledger").iterdir()}
    assert set(modes.values()) == {0o600}
    assert {"ledger.db", "keys.db", "index.db", "checkpoint", "lock"} <= set(modes)


async def test_a_second_writer_in_another_process_is_named(tmp_path: Path) -> None:
    """R-L2: the message says who holds it and what to do."""
    async with running(SqliteLedgerStore(tmp_path)):
        script = (
            "import sys; from pathlib import Path; from ostiary.storage.sqlite_ledger import SqliteLedgerStore\n"
            "try: SqliteLedgerStore(Path(sys.argv[1])).lock()\n"
            "except Exception as error: print(type(error).__name__, error.diagnostics())"
        )
        command = [sys.executable, "-c", script, str(tmp_path)]
        found = await asyncio.to_thread(lambda: subprocess.run(command, capture_output=True, text=True, check=True))
    assert found.stdout.startswith("LedgerUnavailable")
    assert f"in use by process {os.getpid()}" in found.stdout
    assert "to do: stop the other gateway" in found.stdout


async def test_a_writer_that_ignores_the_lock_stops_the_ledger(tmp_path: Path) -> None:
    """R-L2: an entry slipped in by somebody else is never covered up: the next commit fails, and so does a start."""
    async with running(SqliteLedgerStore(tmp_path)) as ledger:
        await ledger.append(make_entry())
        other = sqlite3.connect(tmp_path / "ledger.db")
        other.execute("INSERT INTO entries VALUES (1, x'7b7d')")
        other.commit()
        other.close()
        with pytest.raises(LedgerUnavailable, match="UNIQUE"):
            await ledger.append(make_entry())
        assert not ledger.state.is_ok
    assert verify(tmp_path).ok is False


async def test_verifying_a_live_ledger_disturbs_nobody(tmp_path: Path) -> None:
    """R-L5: an auditor reads beside the writer."""
    async with running(SqliteLedgerStore(tmp_path)) as ledger:
        for _ in range(3):
            await ledger.append(make_entry())
            await ledger.seal()
            found = await asyncio.to_thread(verify, tmp_path, key=ledger.public_key, checkpoint=ledger.checkpoint)
            assert (found.ok, found.anchored, found.entries) == (True, True, ledger.size)


async def test_reading_changes_no_byte(tmp_path: Path) -> None:
    """R-L5: evidence is not touched by looking at it."""
    await fill(tmp_path, 300)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    reader = open_reader(tmp_path, ledger_keys())
    rows = reader.tail(-1)
    reader.reveal(rows[0]["id"], "arguments")
    reader.prove(rows[0]["id"])
    reader.search(session="s-1")
    reader.export(lambda _: None, parts=True)
    reader.close()
    assert verify(tmp_path).ok
    assert {name: (tmp_path / name).read_bytes() for name in before} == before


def test_a_ledger_on_read_only_media_can_be_verified() -> None:
    """R-L5: a directory nobody may write to, as an auditor's copy is."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        asyncio.run(fill(directory, 10))
        for path in directory.iterdir():
            path.chmod(0o444)
        directory.chmod(0o555)
        child = os.fork()
        if not child:
            if os.geteuid() == 0:
                os.setuid(65_534)
            os._exit(0 if not os.access(directory, os.W_OK) and verify(directory).ok is True else 1)
        assert os.waitpid(child, 0)[1] == 0
        directory.chmod(0o700)


def test_there_is_no_ledger_in_an_empty_directory(tmp_path: Path) -> None:
    """R-L5."""
    with pytest.raises(NotFound):
        open_reader(tmp_path)
    source = SqliteLedgerSource(tmp_path)
    assert (dict(source.meta()), source.size(), source.newest_checkpoint(), list(source.leaves(0, 9))) == ({}, 0, None, [])
    source.close()


def test_a_file_that_is_no_database_is_said_to_be_none(tmp_path: Path) -> None:
    """R-L2."""
    (tmp_path / "ledger.db").write_bytes(b"x" * 5_000)
    with pytest.raises(LedgerTampered):
        SqliteLedgerSource(tmp_path)


async def test_a_damaged_index_is_made_anew(tmp_path: Path) -> None:
    """R-L5: it is only a projection; the ledger starts, and finds everything."""
    await fill(tmp_path, 50)
    for damage in (b"garbage" * 2_000, b""):
        (tmp_path / "index.db").write_bytes(damage)
        async with running(SqliteLedgerStore(tmp_path)) as ledger:
            reader = ledger.reader()
            assert len(reader.search(session="s-3", limit=100)) == 7
            reader.close()


async def test_an_index_ahead_of_a_restored_ledger_is_made_anew(tmp_path: Path) -> None:
    """R-L5."""
    await fill(tmp_path, 50)
    connection = sqlite3.connect(tmp_path / "index.db")
    connection.execute("UPDATE state SET value = 99 WHERE name = 'projected'")
    connection.commit()
    connection.close()
    async with running(SqliteLedgerStore(tmp_path)) as ledger:
        assert ledger.index_lag == 0
    assert verify(tmp_path).ok


async def test_verifying_an_index_that_grows_meanwhile_raises_no_alarm(tmp_path: Path) -> None:
    """R-L5: the check sees one moment, whatever the projector does."""
    async with running(SqliteLedgerStore(tmp_path)) as ledger:
        await asyncio.gather(*[ledger.append(make_entry(decision="allow", code="")) for _ in range(200)])
        catch_up(source := SqliteLedgerSource(tmp_path), index := SqliteLedgerIndex(tmp_path / "index.db"), 150)

        class Growing(SqliteLedgerIndex):
            """An index whose projector goes on the moment it is asked how far it is."""

            def projected(self) -> int:
                found = super().projected()
                catch_up(source, index, 200)
                return found

        frozen = Growing(tmp_path / "index.db", is_readonly=True)
        found = verify_source(source, index=frozen)
        assert found.ok, found.problems
        assert SqliteLedgerIndex.projected(frozen) == 200
        for opened in (source, index, frozen):
            opened.close()


def test_a_failed_projection_leaves_nothing_behind(tmp_path: Path) -> None:
    """R-L5: all or none of a batch."""
    index = SqliteLedgerIndex(tmp_path / "index.db")
    good = Leaf(at=1, family="action", id="a", kind="intent", ledger="o", n=0, node="n", v=1)
    bad = Leaf(at=2**70, family="action", id="b", kind="intent", ledger="o", n=1, node="n", v=1)
    with pytest.raises(OverflowError):
        index.project(0, [good, bad])
    assert index.projected() == 0
    assert list(index.entries()) == []
    index.project(0, [good])
    assert (index.projected(), index.place("a"), index.place("b")) == (1, 0, None)
    index.close()


async def test_the_ballast_holds_room(tmp_path: Path) -> None:
    """R-L1: real blocks, not a sparse file."""
    store = SqliteLedgerStore(tmp_path)
    async with running(store, pace=QUICK) as ledger:
        await ledger.append(make_entry())
        assert (tmp_path / "ballast").stat().st_blocks * 512 >= 16 * 1024 * 1024
        store.reserve(False)
        assert not (tmp_path / "ballast").exists()
