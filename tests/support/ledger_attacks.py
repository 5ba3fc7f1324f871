"""What attacks on a ledger share: one written ledger, copies of it to attack, and everything anybody can read from one."""

import asyncio
import atexit
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

from ostiary.core.errors import OstiaryError
from ostiary.ledger import Verification
from ostiary.ledger.note import Signer
from ostiary.ledger.tree import Tree, leaf_hash
from ostiary.storage.ledger_files import open_reader
from ostiary.storage.sqlite_ledger import SqliteLedgerStore
from tests.support.ledger import ORIGIN, fill, ledger_keys, running


@cache
def written(count: int) -> Path:
    """Return a closed ledger of `count` entries, written once a session; attack only copies."""
    directory = Path(tempfile.mkdtemp(prefix="ostiary-ledger-"))
    atexit.register(shutil.rmtree, directory)
    asyncio.run(fill(directory, count))
    return directory


def copy_ledger(original: Path, target: Path) -> Path:
    """Copy a closed ledger without its ballast."""
    shutil.copytree(original, target, ignore=shutil.ignore_patterns("ballast", "lock", "*-shm", "*-wal"))
    return target


def places(found: Verification) -> list[int | None]:
    """Return where a check found something wrong."""
    return [problem.index for problem in found.problems]


def refuses_to_start(directory: Path) -> bool:
    """Say whether a gateway refuses this ledger, and check that refusing changed no evidence."""
    before = {name: (directory / name).read_bytes() for name in ("ledger.db", "keys.db")}

    async def run() -> bool:
        try:
            async with running(SqliteLedgerStore(directory)):
                return False
        except OstiaryError:
            return True

    is_refused = asyncio.run(run())
    if is_refused:
        assert {name: (directory / name).read_bytes() for name in before} == before
    return is_refused


def rewrite(directory: Path, change: Callable[[bytes], bytes], seed: str = "test") -> None:
    """Write a consistent ledger of other entries: leaves, tiles, checkpoints, all signed."""
    signer = Signer(ORIGIN, ledger_keys(seed).signing)
    connection = sqlite3.connect(directory / "ledger.db")
    tree = Tree()
    with connection:
        connection.execute("DELETE FROM checkpoints")
        connection.execute("DELETE FROM tiles")
        connection.execute("UPDATE meta SET value = ? WHERE name = 'vkey'", (signer.vkey,))
        for index, leaf in connection.execute("SELECT idx, leaf FROM entries ORDER BY idx").fetchall():
            changed = change(leaf)
            connection.execute("UPDATE entries SET leaf = ? WHERE idx = ?", (changed, index))
            tree.append(leaf_hash(changed))
        for level, n, hashes in tree.take_tiles():
            connection.execute("INSERT INTO tiles VALUES (?, ?)", (level << 40 | n, hashes))
        note = signer.sign(tree.size, tree.root(), 1_900_000_000)
        connection.execute("INSERT INTO checkpoints VALUES (?, ?)", (tree.size, note))
    connection.close()
    (directory / "checkpoint").write_bytes(note)


def leaf_at(directory: Path, index: int) -> bytes:
    """Return the stored bytes of an entry."""
    source = SqliteLedgerStore(directory).source()
    (_, leaf) = next(iter(source.leaves(index, index + 1)))
    source.close()
    return leaf


def content(directory: Path) -> list[object]:
    """Everything anybody can read from a ledger."""
    reader = open_reader(directory, ledger_keys())
    lines: list[bytes] = []
    reader.export(lines.append, parts=True)
    rows = reader.tail(-1, limit=10_000, resolve=True)
    revealed = [reader.reveal(row["id"], part["name"]) for row in rows for part in row["parts"]]
    found = reader.search(session="s-3", limit=10_000)
    reader.close()
    return [lines[1:-1], rows, revealed, found]
