"""The state store keeps all or nothing, sealed at rest, for one process."""

import sqlite3
from pathlib import Path

import pytest

from ostiary.core.errors import Corrupt, InvalidConfig, Unavailable
from ostiary.core.ports import Change
from ostiary.storage.sqlite import SqliteStateStore

KEY = bytes(range(32))


async def test_what_is_written_is_there_after_a_restart(tmp_path: Path) -> None:
    store = SqliteStateStore(tmp_path / "state.db", KEY)
    await store.write([Change("user", "alice", b"{}"), Change("user", "bob", b"1"), Change("agent", "alice", b"2")])
    await store.write([Change("user", "bob", None)])
    store.close()
    again = SqliteStateStore(tmp_path / "state.db", KEY)
    assert again.load("user") == {"alice": b"{}"}
    assert again.load("agent") == {"alice": b"2"}
    again.close()


async def test_nothing_readable_lies_on_disk(tmp_path: Path) -> None:
    """R-H1: encryption at rest, in the database and in its log."""
    store = SqliteStateStore(tmp_path / "state.db", KEY)
    await store.write([Change("secret", "openai", b"sk-very-secret-value")])
    files = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"very-secret" not in files
    store.close()


async def test_a_body_moved_to_another_row_does_not_open(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    store = SqliteStateStore(path, KEY)
    await store.write([Change("key", "admin", b"admin"), Change("key", "guest", b"guest")])
    store.close()
    with sqlite3.connect(path) as db:
        db.execute("UPDATE document SET body = (SELECT body FROM document WHERE id = 'admin') WHERE id = 'guest'")
    db.close()
    again = SqliteStateStore(path, KEY)
    with pytest.raises(Corrupt, match="changed by hand"):
        again.load("key")
    again.close()


async def test_a_second_gateway_on_the_same_data_is_refused(tmp_path: Path) -> None:
    store = SqliteStateStore(tmp_path / "state.db", KEY)
    await store.write([Change("user", "alice", b"{}")])
    with pytest.raises(InvalidConfig, match="in use by another gateway"):
        SqliteStateStore(tmp_path / "state.db", KEY)
    store.close()


async def test_a_failing_write_changes_nothing(tmp_path: Path) -> None:
    store = SqliteStateStore(tmp_path / "state.db", KEY)
    await store.write([Change("user", "alice", b"1")])
    with pytest.raises(Unavailable):
        await store.write([Change("user", "alice", b"2"), Change("user", None, b"3")])  # type: ignore[arg-type]
    assert store.load("user") == {"alice": b"1"}
    store.close()


def test_a_later_format_and_garbage_are_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "later.db") as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(InvalidConfig, match="format 99"):
        SqliteStateStore(tmp_path / "later.db", KEY)
    (tmp_path / "garbage.db").write_bytes(b"not a database" * 1000)
    with pytest.raises(Corrupt, match="not a state store"):
        SqliteStateStore(tmp_path / "garbage.db", KEY)
