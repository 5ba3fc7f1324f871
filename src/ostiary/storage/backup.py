"""Copies a data directory, also of a gateway that runs: every file whole, and nothing newer than the ledger says."""

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from ostiary.core.errors import InvalidConfig, Unavailable

PLAIN = ("ledger.origin", "ostiary.toml", "ledger/checkpoint")
"""Copied first: a ledger may be newer than its checkpoint, never older."""
SECRET = ("operator.key",)
SECRET_FOLDERS = ("keys", "tls")
TRIES = 20
WAL_HEADER = 32


def copy(data: Path, to: Path, *, keys: bool = True) -> None:
    """Copy a data directory into an empty folder, without `keys` nothing that lets anybody in. Raises InvalidConfig, and Unavailable when the state does not hold still.

    State goes before the ledger, so that it holds no change without a record; the ledger before its keys, so that each
    entry's keys are there. The search index is left out: it is made again at the next start.
    """
    if not (data / "ledger" / "ledger.db").is_file():
        raise InvalidConfig(f"`{data}` is no data directory", remedy="name it with --data")
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise InvalidConfig(f"`{to}` is not an empty folder", remedy="name a new one")
    for folder in (to, to / "ledger"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
    for name in SECRET_FOLDERS if keys else ():
        if (data / name).is_dir():
            shutil.copytree(data / name, to / name)
            (to / name).chmod(0o700)
    for name in (*PLAIN, *(SECRET if keys else ())):
        if (data / name).is_file():
            shutil.copy2(data / name, to / name)
    _copy_held(data / "state.db", to / "state.db")
    for name in ("ledger/ledger.db", "ledger/keys.db"):
        _copy_shared(data / name, to / name)


def _copy_shared(source: Path, target: Path) -> None:
    """Copy a database that other processes may read while one writes."""
    target.touch(0o600)
    try:
        with closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as old, closing(sqlite3.connect(target)) as new:
            old.backup(new)
    except sqlite3.Error as error:
        raise Unavailable(f"`{source}` cannot be read: {error}") from None


def _copy_held(source: Path, target: Path) -> None:
    """Copy a database that its gateway lets nobody else read.

    The file and its write-ahead log belong together as long as the log was not begun anew in between, which changes its
    header; what a checkpoint moved meanwhile still stands in the log.
    """
    log, copied_log = (path.with_name(path.name + "-wal") for path in (source, target))
    for _ in range(TRIES):
        before = _head(log)
        for old, new in ((source, target), (log, copied_log)):
            new.unlink(missing_ok=True)
            if old.exists():
                os.close(os.open(new, os.O_CREAT | os.O_WRONLY, 0o600))
                shutil.copyfile(old, new)
        if _head(log) == before:
            break
    else:
        raise Unavailable(f"`{source}` was written all the time", remedy="try again when the gateway is less busy, or stop it")
    with closing(sqlite3.connect(target)) as db:
        found = db.execute("PRAGMA integrity_check").fetchone()[0]
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    if found != "ok":
        raise Unavailable(f"the copy of `{source}` is not whole: {found}", remedy="look at the disk, then try again")


def _head(log: Path) -> bytes:
    try:
        with log.open("rb") as file:
            return file.read(WAL_HEADER)
    except FileNotFoundError:
        return b""
