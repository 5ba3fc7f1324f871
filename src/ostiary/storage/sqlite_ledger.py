"""Keeps the ledger in SQLite: one writer, write-ahead log, every commit synced before it is acknowledged.

`ledger.db` holds leaves, sealed parts, full tiles and checkpoints; `keys.db` the identities and data keys, with a
backup cycle of its own; `checkpoint` the newest signed checkpoint, outside both.
"""

# ruff: noqa: S608 - table and column names are our own words; every value is bound

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from ostiary.core.errors import LedgerTampered, LedgerUnavailable
from ostiary.ledger.index import LedgerIndex
from ostiary.ledger.store import Batch, DataKey, Identity, LedgerSource, SealedPart
from ostiary.storage.sqlite_files import connect, sync_directory
from ostiary.storage.sqlite_ledger_index import SqliteLedgerIndex

PART_BITS = 6
"""A part's row id is its entry's index times 64 plus its number."""
_TILE_BITS = 40
_LEDGER_TABLES = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS entries (idx INTEGER PRIMARY KEY, leaf BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS parts (place INTEGER PRIMARY KEY, key BLOB NOT NULL, wrapped BLOB NOT NULL, blob BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS tiles (place INTEGER PRIMARY KEY, hashes BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS checkpoints (size INTEGER PRIMARY KEY, note BLOB NOT NULL);
"""
_KEY_TABLES = """
CREATE TABLE IF NOT EXISTS identities (lookup BLOB PRIMARY KEY, handle BLOB NOT NULL UNIQUE, name BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS data_keys (id BLOB PRIMARY KEY, subject BLOB NOT NULL, retention TEXT NOT NULL, quarter INTEGER NOT NULL,
    wrapped BLOB NOT NULL, UNIQUE (subject, retention, quarter)) WITHOUT ROWID;
"""
_ENTRY, _PART, _TILE, _CHECKPOINT = range(4)
_WIDTH = 5
_BATCH = f"""
CREATE TEMP VIEW batch (kind, place, a, b, c) AS SELECT 0, 0, x'', x'', x'' WHERE 0;
CREATE TEMP TRIGGER batch_entry INSTEAD OF INSERT ON batch WHEN NEW.kind = {_ENTRY} BEGIN
    INSERT INTO entries VALUES (NEW.place, NEW.a); END;
CREATE TEMP TRIGGER batch_part INSTEAD OF INSERT ON batch WHEN NEW.kind = {_PART} BEGIN
    INSERT INTO parts VALUES (NEW.place, NEW.a, NEW.b, NEW.c); END;
CREATE TEMP TRIGGER batch_tile INSTEAD OF INSERT ON batch WHEN NEW.kind = {_TILE} BEGIN
    INSERT INTO tiles VALUES (NEW.place, NEW.a); END;
CREATE TEMP TRIGGER batch_checkpoint INSTEAD OF INSERT ON batch WHEN NEW.kind = {_CHECKPOINT} BEGIN
    INSERT OR REPLACE INTO checkpoints VALUES (NEW.place, NEW.a); END;
"""
"""Spreads one statement over the tables: a whole batch is one turn at the interpreter lock, which the event loop needs too."""
_SAVE_EVERY = 256
_SAVE_AFTER_S = 60.0
_BALLAST = 16 * 1024 * 1024


def _raw(column: str) -> str:
    """Return SQL for a column as bytes, whatever type a damaged file says it has."""
    return f"coalesce(CAST({column} AS BLOB), x'')"


class SqliteLedgerSource:
    """Reads a ledger directory and changes nothing in it (LedgerSource)."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._ledger = self._open("ledger.db")
        self._keys = self._open("keys.db")

    def _open(self, name: str) -> sqlite3.Connection | None:
        path = self._directory / name
        try:
            return connect(path, is_readonly=True) if path.exists() else None
        except sqlite3.DatabaseError as error:
            raise LedgerTampered(f"`{path}` cannot be read: {error}", remedy="restore the whole data folder from a backup") from None

    def _rows(self, connection: sqlite3.Connection | None, sql: str, values: Sequence[object] = ()) -> Iterator[tuple[object, ...]]:
        if connection is None:
            return
        try:
            yield from connection.execute(sql, values)
        except sqlite3.DatabaseError as error:
            if "no such table" in str(error):
                return
            raise LedgerTampered(
                f"a database in `{self._directory}` cannot be read: {error}", remedy="restore the whole data folder from a backup"
            ) from None

    def meta(self) -> Mapping[str, str]:
        """Return origin, verifier key and format; empty when there is no ledger."""
        return {str(name): str(value) for name, value in self._rows(self._ledger, "SELECT name, value FROM meta")}

    def size(self) -> int:
        """Return one more than the highest index."""
        for (size,) in self._rows(self._ledger, "SELECT max(idx) + 1 FROM entries"):
            return size if isinstance(size, int) else 0
        return 0

    def leaves(self, first: int, stop: int) -> Iterator[tuple[int, bytes]]:
        """Iterate leaves by index."""
        sql = f"SELECT idx, {_raw('leaf')} FROM entries WHERE idx >= ? AND idx < ? ORDER BY idx"
        return self._rows(self._ledger, sql, (first, stop))  # type: ignore[return-value]

    def parts(self, first: int, stop: int) -> Iterator[tuple[int, int, SealedPart]]:
        """Iterate sealed parts by entry and number."""
        sql = f"SELECT place, {_raw('key')}, {_raw('wrapped')}, {_raw('blob')} FROM parts WHERE place >= ? AND place < ? ORDER BY place"
        rows: Iterator[Any] = self._rows(self._ledger, sql, (first << PART_BITS, stop << PART_BITS))
        for place, key, wrapped, blob in rows:
            yield place >> PART_BITS, place & (1 << PART_BITS) - 1, SealedPart(key, wrapped, blob)

    def tile(self, level: int, n: int) -> bytes | None:
        """Return a full tile."""
        rows: Iterator[Any] = self._rows(self._ledger, f"SELECT {_raw('hashes')} FROM tiles WHERE place = ?", (level << _TILE_BITS | n,))
        for (hashes,) in rows:
            return hashes  # type: ignore[no-any-return]
        return None

    def checkpoints(self, at_least: int = 0) -> Iterator[bytes]:
        """Iterate stored checkpoints by size."""
        sql = f"SELECT {_raw('note')} FROM checkpoints WHERE size >= ? ORDER BY size"
        rows: Iterator[Any] = self._rows(self._ledger, sql, (at_least,))
        yield from (note for (note,) in rows)

    def newest_checkpoint(self) -> bytes | None:
        """Return the checkpoint file."""
        try:
            return (self._directory / "checkpoint").read_bytes()
        except FileNotFoundError:
            return None

    def identity(self, lookup: bytes) -> Identity | None:
        """Return a person's row by lookup."""
        return self._identity("lookup", lookup)

    def named(self, handle: bytes) -> Identity | None:
        """Return a person's row by handle."""
        return self._identity("handle", handle)

    def _identity(self, column: str, value: bytes) -> Identity | None:
        return next(self._identities(f"WHERE {column} = ?", value), None)

    def identities(self) -> Iterator[Identity]:
        """Iterate the table itself."""
        return self._identities("NOT INDEXED")

    def _identities(self, where: str, *values: object) -> Iterator[Identity]:
        sql = f"SELECT {_raw('lookup')}, {_raw('handle')}, {_raw('name')} FROM identities {where}"
        rows: Iterator[Any] = self._rows(self._keys_now(), sql, values)
        return (Identity(*row) for row in rows)

    def data_key(self, key: bytes) -> DataKey | None:
        """Return a data key by id."""
        return next(self._data_keys("WHERE id = ?", key), None)

    def data_key_for(self, subject: bytes, retention: str, quarter: int) -> DataKey | None:
        """Return the data key of a subject, class and quarter."""
        return next(self._data_keys("WHERE subject = ? AND retention = ? AND quarter = ?", subject, retention, quarter), None)

    def data_keys(self) -> Iterator[DataKey]:
        """Iterate the table itself."""
        return self._data_keys("NOT INDEXED")

    def _data_keys(self, where: str, *values: object) -> Iterator[DataKey]:
        columns = f"{_raw('id')}, {_raw('subject')}, CAST(retention AS TEXT), CAST(quarter AS INTEGER), {_raw('wrapped')}"
        rows: Iterator[Any] = self._rows(self._keys_now(), f"SELECT {columns} FROM data_keys {where}", values)
        return (DataKey(*row) for row in rows)

    def _keys_now(self) -> sqlite3.Connection | None:
        if self._keys is None:
            self._keys = self._open("keys.db")
        return self._keys

    def close(self) -> None:
        """Close the connections."""
        for connection in (self._ledger, self._keys):
            if connection is not None:
                connection.close()


class SqliteLedgerStore:
    """The one writer of a ledger directory (LedgerStore)."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock: int | None = None
        self._ledger: sqlite3.Connection | None = None
        self._keys: sqlite3.Connection | None = None
        self._newest: tuple[int, bytes] | None = None
        self._unsaved: tuple[int, bytes] | None = None
        self._saved_size, self._saved_at = -_SAVE_EVERY, 0.0
        self._is_broken = False

    def lock(self) -> None:
        """Take the directory. Raises LedgerUnavailable when another process has it."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._directory / "lock"
        self._lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(self._lock, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(self._lock)
            self._lock = None
            raise LedgerUnavailable(
                f"the ledger in `{self._directory}` is in use by process {holder}: a ledger has one writer",
                remedy="stop the other gateway, or give this one another --data directory",
            ) from None
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f"{os.getpid()}\n".encode(), 0)

    def source(self) -> LedgerSource:
        """Open a reader of its own connections."""
        return SqliteLedgerSource(self._directory)

    def index(self, *, is_readonly: bool = False, is_fresh: bool = False) -> LedgerIndex:
        """Open the search index, for the projector or for one reader; a fresh one begins from nothing."""
        if is_fresh:
            for suffix in ("", "-wal", "-shm"):
                (self._directory / f"index.db{suffix}").unlink(missing_ok=True)
        return SqliteLedgerIndex(self._directory / "index.db", is_readonly=is_readonly)

    def open(self, meta: Mapping[str, str]) -> None:
        """Open both databases for writing, creating them the first time."""
        self._keys = self._writable("keys.db", _KEY_TABLES)
        self._ledger = self._writable("ledger.db", _LEDGER_TABLES)
        self._ledger.executescript(_BATCH)
        self._ledger.execute("BEGIN IMMEDIATE")
        self._ledger.executemany("INSERT OR IGNORE INTO meta VALUES (?, ?)", meta.items())
        self._ledger.execute("COMMIT")
        sync_directory(self._directory)

    def _writable(self, name: str, tables: str) -> sqlite3.Connection:
        connection = connect(self._directory / name, is_readonly=False)
        connection.executescript(tables)
        return connection

    def commit(self, batch: Batch) -> None:
        """Write keys first, then the entries, each in one synced transaction. An error ends all writing by this store."""
        try:
            self._commit(batch)
        except BaseException:
            self._is_broken = True
            raise

    def _commit(self, batch: Batch) -> None:
        if batch.identities or batch.data_keys:
            self._commit_keys(batch)
        values: list[object] = []
        for at, leaf in enumerate(batch.leaves, batch.first):
            values += (_ENTRY, at, leaf, None, None)
        for index, number, part in batch.parts:
            values += (_PART, index << PART_BITS | number, *part)
        for level, n, hashes in batch.tiles:
            values += (_TILE, level << _TILE_BITS | n, hashes, None, None)
        saved = self._unsaved
        if saved is not None:
            values += (_CHECKPOINT, *saved, None, None)
        rows = len(values) // _WIDTH
        padded = 1 << max(0, rows - 1).bit_length()
        values += [None] * ((padded - rows) * _WIDTH)
        _opened(self._ledger).execute(_batch_sql(padded), values)
        self._saved(saved)

    def _commit_keys(self, batch: Batch) -> None:
        keys = _opened(self._keys)
        keys.execute("BEGIN IMMEDIATE")
        keys.executemany("INSERT INTO identities VALUES (?, ?, ?)", batch.identities)
        keys.executemany("INSERT INTO data_keys VALUES (?, ?, ?, ?, ?)", batch.data_keys)
        keys.execute("COMMIT")

    def _save_checkpoint(self, ledger: sqlite3.Connection) -> None:
        if self._unsaved is not None:
            ledger.execute("INSERT OR REPLACE INTO checkpoints VALUES (?, ?)", self._unsaved)
            self._saved(self._unsaved)

    def _saved(self, checkpoint: tuple[int, bytes] | None) -> None:
        if checkpoint is not None:
            self._saved_size, self._saved_at = checkpoint[0], time.monotonic()
            self._unsaved = None

    def release(self, size: int, note: bytes) -> None:
        """Replace the checkpoint file, durably; the database keeps one for every 256 entries or minute, and the last."""
        temporary = self._directory / "checkpoint.new"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, note)
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)
        temporary.replace(self._directory / "checkpoint")
        sync_directory(self._directory)
        self._newest = (size, note)
        if size - self._saved_size >= _SAVE_EVERY or time.monotonic() - self._saved_at >= _SAVE_AFTER_S:
            self._unsaved = self._newest

    def free_bytes(self) -> int:
        """Return the room left for us on the file system."""
        status = os.statvfs(self._directory)
        return status.f_bavail * status.f_frsize

    def reserve(self, is_held: bool) -> None:
        """Preallocate the ballast file, or give its room up."""
        path = self._directory / "ballast"
        if not is_held:
            path.unlink(missing_ok=True)
            return
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, _BALLAST)
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Keep the last checkpoint, close, unlock."""
        try:
            if self._ledger is not None and self._newest is not None and not self._is_broken:
                self._unsaved = self._newest
                self._ledger.execute("BEGIN IMMEDIATE")
                self._save_checkpoint(self._ledger)
                self._ledger.execute("COMMIT")
        finally:
            for connection in (self._ledger, self._keys):
                if connection is not None:
                    connection.close()
            self._ledger = self._keys = None
            if self._lock is not None:
                os.close(self._lock)
                self._lock = None


@lru_cache(maxsize=32)
def _batch_sql(rows: int) -> str:
    """Return the statement for so many rows, a power of two, so that few statements are kept prepared."""
    row = f"({','.join('?' * _WIDTH)})"
    return f"INSERT INTO batch VALUES {','.join([row] * rows)}"


def _opened(connection: sqlite3.Connection | None) -> sqlite3.Connection:
    if connection is None:
        raise LedgerUnavailable("the ledger is not open")
    return connection
