"""State on one SQLite file: documents by kind and id, each sealed with AES-256-GCM at rest (R-H1)."""

import asyncio
import os
import sqlite3
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ostiary.core.errors import Corrupt, InvalidConfig, Unavailable
from ostiary.core.ports import Change

FORMAT = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS document (
    kind TEXT NOT NULL, id TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (kind, id)
) WITHOUT ROWID;
"""
_NONCE = 12


class SqliteStateStore:
    """The embedded state store. One process holds it; a second is refused.

    `key` (32 bytes) seals every body; kind and id are authenticated with it, so that a body moved to another
    row does not open. Raises InvalidConfig when the file is held by another gateway or of a later format.
    """

    def __init__(self, path: Path, key: bytes) -> None:
        self._path = path
        self._cipher = AESGCM(key)
        self._writer = ThreadPoolExecutor(1, "state-store")
        self._db = self._open(path)

    @staticmethod
    def _open(path: Path) -> sqlite3.Connection:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise InvalidConfig(f"`{path}` is a folder, not a state store", remedy="restore it from a backup")
        path.touch(0o600)
        db = sqlite3.connect(path, timeout=0.2, check_same_thread=False, isolation_level=None)
        try:
            db.execute("PRAGMA locking_mode=EXCLUSIVE")
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
            db.execute("PRAGMA secure_delete=ON")
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version > FORMAT:
                raise InvalidConfig(f"`{path}` has format {version}, this version reads up to {FORMAT}", remedy="use a newer ostiary")
            db.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version={FORMAT}; COMMIT;")
        except sqlite3.OperationalError as error:
            db.close()
            if "locked" in str(error):
                raise InvalidConfig(f"`{path}` is in use by another gateway", remedy="stop it, or choose another --data folder") from None
            raise InvalidConfig(f"`{path}` cannot be opened: {error}") from None
        except sqlite3.DatabaseError as error:
            db.close()
            raise Corrupt(f"`{path}` is not a state store: {error}", remedy="restore it from a backup") from None
        return db

    def load(self, kind: str) -> dict[str, bytes]:
        """Return every document of a kind, by id. Raises Corrupt when one does not open."""
        rows = self._db.execute("SELECT id, body FROM document WHERE kind = ?", (kind,))
        return {name: self._unseal(kind, name, body) for name, body in rows}

    async def write(self, changes: Sequence[Change]) -> None:
        """Make all changes durable, or none. Raises Unavailable."""
        rows = [(change.kind, change.id, None if change.body is None else self._seal(change)) for change in changes]
        await asyncio.get_running_loop().run_in_executor(self._writer, self._commit, rows)

    def close(self) -> None:
        """Finish what is queued and release the file."""
        self._writer.shutdown(wait=True)
        self._db.close()

    def _commit(self, rows: Sequence[tuple[str, str, bytes | None]]) -> None:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            for kind, name, body in rows:
                if body is None:
                    self._db.execute("DELETE FROM document WHERE kind = ? AND id = ?", (kind, name))
                else:
                    self._db.execute("INSERT OR REPLACE INTO document VALUES (?, ?, ?)", (kind, name, body))
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise Unavailable(f"state could not be written: {error}", remedy="free disk space, then try again") from None

    def _seal(self, change: Change) -> bytes:
        nonce = os.urandom(_NONCE)
        return nonce + self._cipher.encrypt(nonce, change.body or b"", _context(change.kind, change.id))

    def _unseal(self, kind: str, name: str, blob: bytes) -> bytes:
        try:
            return self._cipher.decrypt(blob[:_NONCE], blob[_NONCE:], _context(kind, name))
        except InvalidTag:
            raise Corrupt(f"`{kind}/{name}` in `{self._path}` does not open: wrong key, or changed by hand") from None


def _context(kind: str, name: str) -> bytes:
    return f"ostiary/state\0{kind}\0{name}".encode()
