"""Opens SQLite files: for reading without changing a byte of them, or for writing with every commit synced."""

import os
import sqlite3
from pathlib import Path

CACHE_KIB = 512
"""Pages that each connection keeps: we write at the end and read what is new, and there are a dozen of them; SQLite's own is 2000."""


def connect(path: Path, *, is_readonly: bool) -> sqlite3.Connection:
    """Open one database, for reading without changing a byte of it, or for writing with every commit synced."""
    if is_readonly:
        connection = _connect_readonly(path)
        connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
        return connection
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
    connection.execute("PRAGMA page_size=8192")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA wal_autocheckpoint=2000")
    connection.execute("PRAGMA secure_delete=ON")
    connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
    return connection


def _connect_readonly(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False, timeout=5.0, isolation_level=None
    )
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        connection.close()
        wal = path.with_name(path.name + "-wal")
        if os.access(path.parent, os.W_OK) or (wal.exists() and wal.stat().st_size):
            raise
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?immutable=1", uri=True, check_same_thread=False, isolation_level=None)
    return connection


def insert_rows(connection: sqlite3.Connection, sql: str, width: int, values: list[object]) -> None:
    """Insert many rows in few statements: each statement is one turn at the interpreter lock, not one a row."""
    row = "(" + ",".join("?" * width) + ")"
    start, left = 0, len(values) // width
    while left:
        count = min(128, 1 << left.bit_length() - 1)
        connection.execute(sql + ",".join([row] * count), values[start : start + count * width])
        start, left = start + count * width, left - count


def sync_directory(directory: Path) -> None:
    """Make names made in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
