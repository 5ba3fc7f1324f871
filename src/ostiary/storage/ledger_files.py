"""Opens and checks a ledger that lies on disk: a data directory or an export, with or without its keys."""

import os
import sqlite3
from pathlib import Path

from ostiary.core.errors import Corrupt, NotFound
from ostiary.ledger.checking import Progress, Verification, cannot_tell, damaged
from ostiary.ledger.index import LedgerIndex
from ostiary.ledger.reader import LedgerReader
from ostiary.ledger.vault import LedgerKeys
from ostiary.ledger.verify import verify_source
from ostiary.ledger.verify_export import verify_export
from ostiary.storage.sqlite_ledger import SqliteLedgerSource
from ostiary.storage.sqlite_ledger_index import SqliteLedgerIndex


def ledger_directory(path: Path) -> Path:
    """Return the ledger in a data directory, or the path itself when it is a ledger."""
    inner = path / "ledger"
    return inner if inner.is_dir() and not (path / "ledger.db").exists() else path


def ledger_size(directory: Path) -> int:
    """Return how many entries a ledger directory holds, looking only: nothing is made or mended. Raises LedgerTampered."""
    source = SqliteLedgerSource(directory)
    try:
        return source.size()
    finally:
        source.close()


def newest_at(path: Path) -> float | None:
    """Return when the newest entry of a data directory was made, in seconds since the epoch; None for one without. Raises as `open_reader`."""
    reader = open_reader(path)
    try:
        newest = reader.newest_ns()
    finally:
        reader.close()
    return newest / 1e9 if newest else None


def open_reader(path: Path, keys: LedgerKeys | None = None) -> LedgerReader:
    """Open a data directory for reading, beside a running gateway or offline. Raises NotFound, or LedgerTampered."""
    directory = ledger_directory(path)
    if not (directory / "ledger.db").exists():
        raise NotFound(f"no ledger in `{path}`")
    return LedgerReader(SqliteLedgerSource(directory), _index(directory), keys)


def verify(
    path: Path,
    *,
    key: str | None = None,
    checkpoint: bytes | None = None,
    keys: LedgerKeys | None = None,
    check_index: bool = True,
    progress: Progress | None = None,
) -> Verification:
    """Check a data directory, a ledger directory or an export. Changes nothing.

    `key` is the verifier key you trust, `checkpoint` a signed checkpoint you hold from elsewhere, `keys` also tries
    every data key. Raises InvalidConfig when `key` is none.
    """
    try:
        if path.is_file():
            with path.open("rb") as file:
                return verify_export(file, key=key, checkpoint=checkpoint, progress=progress)
        if not path.is_dir():
            return cannot_tell(f"`{path}` is neither a data directory nor an export")
        return _verify_directory(ledger_directory(path), key, checkpoint, keys, progress, check_index=check_index)
    except Corrupt as error:
        return damaged(error.detail)
    except OSError as error:
        return cannot_tell(f"`{path}` cannot be read: {error.strerror or error}")


def _verify_directory(
    directory: Path, key: str | None, checkpoint: bytes | None, keys: LedgerKeys | None, progress: Progress | None, *, check_index: bool
) -> Verification:
    if (directory / "ledger.db").exists() and not os.access(directory / "ledger.db", os.R_OK):
        return cannot_tell(f"`{directory / 'ledger.db'}` cannot be read: permission denied")
    source = SqliteLedgerSource(directory)
    index = None
    try:
        index = _index(directory) if check_index else None
        return verify_source(source, key=key, checkpoint=checkpoint, keys=keys, index=index, progress=progress)
    finally:
        source.close()
        if index is not None:
            index.close()


def _index(directory: Path) -> LedgerIndex | None:
    path = directory / "index.db"
    try:
        return SqliteLedgerIndex(path, is_readonly=True) if path.exists() else None
    except sqlite3.DatabaseError:
        return None
