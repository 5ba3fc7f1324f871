"""The ledger's search index in SQLite: postings of words, and where ids are. It can be deleted at any time."""

# ruff: noqa: S608 - table and column names are our own words; every value is bound

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ostiary.core.errors import LedgerTampered
from ostiary.ledger.index import BLOCK_BITS, IndexRow, Projection, Want, key_of, words
from ostiary.ledger.leaf import Leaf
from ostiary.storage.sqlite_files import connect, insert_rows

_VERSION = 1
_TABLES = """
CREATE TABLE IF NOT EXISTS words (id INTEGER PRIMARY KEY, word TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS postings (word INTEGER NOT NULL, idx INTEGER NOT NULL, PRIMARY KEY (word, idx)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ids (id BLOB NOT NULL, idx INTEGER NOT NULL, PRIMARY KEY (id, idx)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS links (intent BLOB NOT NULL, idx INTEGER NOT NULL, PRIMARY KEY (intent, idx)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS unanswered (id BLOB PRIMARY KEY, idx INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS times (block INTEGER PRIMARY KEY, low INTEGER NOT NULL, high INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""
_ALL = ("words", "postings", "ids", "links", "unanswered", "times", "state")
_CACHE = 65_536
_MANY = 10_000


class SqliteLedgerIndex:
    """A LedgerIndex in one file, for its one projector, or read-only for searching."""

    def __init__(self, path: Path, *, is_readonly: bool = False) -> None:
        self._words: dict[str, int] = {}
        self._db = connect(path, is_readonly=is_readonly)
        if not is_readonly:
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(_TABLES)

    def _read(self, sql: str, values: Sequence[object] = ()) -> Iterator[tuple[Any, ...]]:
        try:
            yield from self._db.execute(sql, values)
        except sqlite3.DatabaseError as error:
            raise LedgerTampered(
                f"the search index cannot be read: {error}", remedy="delete index.db: the next start rebuilds it"
            ) from None

    def projected(self) -> int:
        """Return how many entries are covered."""
        found = dict(self._read("SELECT name, CAST(value AS INTEGER) FROM state"))
        return int(found.get("projected", 0)) if found.get("version", _VERSION) == _VERSION else 0

    def reset(self) -> None:
        """Empty every table."""
        self._words.clear()
        self._db.execute("BEGIN IMMEDIATE")
        for table in _ALL:
            self._db.execute(f"DELETE FROM {table}")
        self._db.execute("COMMIT")

    def project(self, first: int, leaves: Sequence[Leaf]) -> None:
        """Add entries in one transaction."""
        if first == 0:
            self.reset()
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._add(first, leaves)
            state = [("projected", first + len(leaves)), ("version", _VERSION)]
            self._db.executemany("INSERT OR REPLACE INTO state VALUES (?, ?)", state)
            self._db.execute("COMMIT")
        except BaseException:
            self._words.clear()
            self._db.execute("ROLLBACK")
            raise

    def _add(self, first: int, leaves: Sequence[Leaf]) -> None:
        postings: list[tuple[int, int]] = []
        projection = Projection()
        for index, leaf in enumerate(leaves, first):
            postings += [(self._word(word), index) for word in words(leaf)]
            projection.add(index, leaf)
        postings.sort()
        insert_rows(self._db, "INSERT OR IGNORE INTO postings VALUES ", 2, [value for pair in postings for value in pair])
        for table, kind in (("ids", "id"), ("links", "link")):
            values: list[object] = [value for row in projection.rows if row[0] == kind for value in row[1:]]
            insert_rows(self._db, f"INSERT OR IGNORE INTO {table} VALUES ", 2, values)
        self._db.executemany("INSERT OR REPLACE INTO unanswered VALUES (?, ?)", projection.unanswered.items())
        self._db.executemany("DELETE FROM unanswered WHERE id = ?", [(key,) for key in projection.answered])
        sql = "INSERT INTO times VALUES (?, ?, ?) ON CONFLICT (block) DO UPDATE SET low = min(low, excluded.low), high = max(high, excluded.high)"
        self._db.executemany(sql, [(block, low, high) for block, (low, high) in projection.times.items()])

    def _word(self, word: str) -> int:
        found = self._words.get(word)
        if found is not None:
            return found
        if len(self._words) >= _CACHE:
            self._words.clear()
        self._db.execute("INSERT OR IGNORE INTO words (word) VALUES (?)", (word,))
        (found,) = self._db.execute("SELECT id FROM words WHERE word = ?", (word,)).fetchone()
        self._words[word] = number = int(found)
        return number

    def place(self, entry_id: str) -> int | None:
        """Return where an entry is."""
        return next(
            (int(place) for (place,) in self._read("SELECT idx FROM ids WHERE id = ? ORDER BY idx LIMIT 1", (key_of(entry_id),))), None
        )

    def outcomes(self, intent: str) -> list[int]:
        """Return the entries that name an intent."""
        return [idx for (idx,) in self._read("SELECT idx FROM links WHERE intent = ? ORDER BY idx", (key_of(intent),))]

    def open_intents(self) -> list[int]:
        """Return allowed intents without an outcome."""
        return [idx for (idx,) in self._read("SELECT idx FROM unanswered ORDER BY idx")]

    def find(self, wants: Sequence[Want], low: int, high: int, limit: int) -> list[int]:
        """Return the newest entries that may meet every want."""
        if not wants:
            return []
        groups = sorted((self._numbers(want) for want in wants), key=self._weight)
        if not all(groups):
            return []
        head, *rest = groups
        sql = f"SELECT DISTINCT p.idx FROM postings p WHERE p.word IN ({_marks(head)}) AND p.idx >= ? AND p.idx < ?"
        values: list[int] = [*head, low, high]
        for group in rest:
            sql += f" AND EXISTS (SELECT 1 FROM postings q WHERE q.word IN ({_marks(group)}) AND q.idx = p.idx)"
            values += group
        return [idx for (idx,) in self._read(f"{sql} ORDER BY p.idx DESC LIMIT ?", (*values, limit))]

    def _numbers(self, want: Want) -> list[int]:
        found: set[int] = set()
        for word in want.exact:
            found.update(number for (number,) in self._read("SELECT id FROM words WHERE word = ?", (word,)))
        for ending in want.endings:
            pattern = f"{_literal(want.field)}=%{_literal(ending)}"
            found.update(number for (number,) in self._read("SELECT id FROM words WHERE word LIKE ? ESCAPE '!'", (pattern,)))
        if want.text:
            pattern = f"%{_literal(want.text)}%"
            found.update(n for (n,) in self._read("SELECT id FROM words WHERE word LIKE ? ESCAPE '!' LIMIT 4096", (pattern,)))
        return sorted(found)

    def _weight(self, group: list[int]) -> int:
        sql = f"SELECT count(*) FROM (SELECT 1 FROM postings WHERE word IN ({_marks(group)}) LIMIT {_MANY})"
        return sum(int(count) for (count,) in self._read(sql, group))

    def span(self, since_us: int | None, until_us: int | None) -> tuple[int, int]:
        """Return the blocks that may hold entries of a time."""
        low, high = 0, self.projected()
        if since_us is not None:
            ((block,),) = self._read("SELECT min(block) FROM times WHERE high >= ?", (since_us,))
            low = high if block is None else block << BLOCK_BITS
        if until_us is not None:
            ((block,),) = self._read("SELECT max(block) FROM times WHERE low <= ?", (until_us,))
            high = low if block is None else min(high, (block + 1) << BLOCK_BITS)
        return low, high

    def totals(self, factor: int, first: int, second: int) -> Iterable[tuple[str, int, int]]:
        """Iterate per word what `verify` compares with the leaves."""
        mixed = "(idx * ?1 % ?2)"
        sql = f"SELECT word, count(*), sum({mixed} * {mixed} % ?3) FROM postings WHERE idx < ?4 GROUP BY word"
        names: dict[int, str] = dict(self._read("SELECT id, CAST(word AS TEXT) FROM words"))
        for number, count, total in self._read(sql, (factor, first, second, self.projected())):
            yield names.get(number, ""), count, total

    def freeze(self, is_frozen: bool) -> None:
        """Hold one snapshot of the write-ahead log, or let it go."""
        list(self._read("BEGIN" if is_frozen else "COMMIT"))

    def entries(self) -> Iterable[IndexRow]:
        """Iterate ids, links, unanswered intents and times."""
        for table, column, kind in (("ids", "id", "id"), ("links", "intent", "link"), ("unanswered", "id", "open")):
            yield from ((kind, key, idx) for key, idx in self._read(f"SELECT {column}, idx FROM {table}"))
        yield from (("time", block, (low, high)) for block, low, high in self._read("SELECT block, low, high FROM times"))

    def close(self) -> None:
        """Close the file."""
        self._db.close()


def _marks(group: Sequence[int]) -> str:
    return ",".join("?" * len(group))


def _literal(text: str) -> str:
    return text.replace("!", "!!").replace("%", "!%").replace("_", "!_")
