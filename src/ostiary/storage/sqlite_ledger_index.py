"""The ledger's search index in SQLite: postings of words, and where ids are. It can be deleted at any time.

Entries with the same words are of one shape, and there are few shapes: an entry posts one row, its shape's words are posted once.
"""

# ruff: noqa: S608 - table and column names are our own words; every value is bound

import sqlite3
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ostiary.core.errors import LedgerTampered
from ostiary.ledger.index import BLOCK_BITS, IndexRow, Projection, Want, key_of, words
from ostiary.ledger.leaf import Leaf
from ostiary.storage.sqlite_files import connect, insert_rows

_VERSION = 2
_TABLES = """
CREATE TABLE IF NOT EXISTS words (id INTEGER PRIMARY KEY, word TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS shapes (id INTEGER PRIMARY KEY, words BLOB NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS members (word INTEGER NOT NULL, shape INTEGER NOT NULL, PRIMARY KEY (word, shape)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS postings (shape INTEGER NOT NULL, idx INTEGER NOT NULL, PRIMARY KEY (shape, idx)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ids (id BLOB NOT NULL, idx INTEGER NOT NULL, PRIMARY KEY (id, idx)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS links (intent BLOB NOT NULL, idx INTEGER NOT NULL, PRIMARY KEY (intent, idx)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS unanswered (id BLOB PRIMARY KEY, idx INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS times (block INTEGER PRIMARY KEY, low INTEGER NOT NULL, high INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""
_ALL = ("words", "shapes", "members", "postings", "ids", "links", "unanswered", "times", "state")
_CACHE = 65_536
_MANY = 10_000
_WINDOW = 4_096
"""Entries looked at first, newest first; four times as many each time that there were too few hits among them."""


class SqliteLedgerIndex:
    """A LedgerIndex in one file, for its one projector, or read-only for searching."""

    def __init__(self, path: Path, *, is_readonly: bool = False) -> None:
        self._words: dict[str, int] = {}
        self._shapes: dict[tuple[object, ...], int] = {}
        self._db = connect(path, is_readonly=is_readonly)
        if not is_readonly:
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._prepare()

    def _prepare(self) -> None:
        """Make the tables; those of another version go, to be filled anew."""
        ((version,),) = self._db.execute("PRAGMA user_version")
        if version == _VERSION:
            return
        old = self._db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        drop = "".join(f'DROP TABLE "{table}";' for (table,) in old)
        self._db.executescript(f"BEGIN; {drop} {_TABLES} PRAGMA user_version = {_VERSION}; COMMIT;")

    def _read(self, sql: str, values: Sequence[object] = ()) -> Iterator[tuple[Any, ...]]:
        try:
            yield from self._db.execute(sql, values)
        except sqlite3.DatabaseError as error:
            raise LedgerTampered(
                f"the search index cannot be read: {error}", remedy="delete index.db: the next start rebuilds it"
            ) from None

    def projected(self) -> int:
        """Return how many entries are covered."""
        ((version,),) = self._read("PRAGMA user_version")
        if version != _VERSION:
            return 0
        return int(dict(self._read("SELECT name, CAST(value AS INTEGER) FROM state")).get("projected", 0))

    def reset(self) -> None:
        """Empty every table."""
        self._forget()
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
            self._db.execute("INSERT OR REPLACE INTO state VALUES ('projected', ?)", (first + len(leaves),))
            self._db.execute("COMMIT")
        except BaseException:
            self._forget()
            self._db.execute("ROLLBACK")
            raise

    def _forget(self) -> None:
        self._words.clear()
        self._shapes.clear()

    def _add(self, first: int, leaves: Sequence[Leaf]) -> None:
        postings: list[tuple[int, int]] = []
        projection = Projection()
        for index, leaf in enumerate(leaves, first):
            postings.append((self._shape(leaf), index))
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

    def _shape(self, leaf: Leaf) -> int:
        known = _spoken(leaf)
        found = self._shapes.get(known)
        if found is not None:
            return found
        if len(self._shapes) >= _CACHE:
            self._shapes.clear()
        numbers = array("q", sorted(self._word(word) for word in words(leaf)))
        packed = numbers.tobytes()
        added = self._db.execute("INSERT OR IGNORE INTO shapes (words) VALUES (?)", (packed,)).rowcount
        (found,) = self._db.execute("SELECT id FROM shapes WHERE words = ?", (packed,)).fetchone()
        self._shapes[known] = shape = int(found)
        if added:
            self._db.executemany("INSERT OR IGNORE INTO members VALUES (?, ?)", [(number, shape) for number in numbers])
        return shape

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
        shapes = f"SELECT m.shape FROM members m WHERE m.word IN ({_marks(head)})"
        values = [*head]
        for group in rest:
            shapes += f" AND EXISTS (SELECT 1 FROM members n WHERE n.word IN ({_marks(group)}) AND n.shape = m.shape)"
            values += group
        sql = f"SELECT idx FROM postings WHERE shape IN ({shapes}) AND idx >= ? AND idx < ? ORDER BY idx DESC LIMIT ?"
        found: list[int] = []
        width = _WINDOW
        while low < high and len(found) < limit:
            start = max(low, high - width)
            found += [idx for (idx,) in self._read(sql, (*values, start, high, limit - len(found)))]
            high, width = start, width * 4
        return found

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
        sql = f"SELECT count(*) FROM (SELECT 1 FROM members WHERE word IN ({_marks(group)}) LIMIT {_MANY})"
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
        sql = f"SELECT shape, count(*), sum({mixed} * {mixed} % ?3) FROM postings WHERE idx < ?4 GROUP BY shape"
        of_shape = {shape: (count, total) for shape, count, total in self._read(sql, (factor, first, second, self.projected()))}
        names: dict[int, str] = dict(self._read("SELECT id, CAST(word AS TEXT) FROM words"))
        counts: Counter[str] = Counter()
        totals: Counter[str] = Counter()
        for word, shape in self._read("SELECT word, shape FROM members"):
            if shape in of_shape:
                name = names.get(word, "")
                counts[name] += of_shape[shape][0]
                totals[name] += of_shape[shape][1]
        for name, count in counts.items():
            yield name, count, totals[name]

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


def _spoken(leaf: Leaf) -> tuple[object, ...]:
    """Return all that `words` reads of a leaf: two leaves that agree here have the same words."""
    what = (leaf.family, leaf.kind, leaf.boundary, leaf.verb, leaf.action, leaf.resource, leaf.decision, leaf.code, leaf.approval)
    who = (leaf.actor, leaf.user, leaf.owner, leaf.subject, leaf.session, leaf.on_behalf_of)
    return (*what, *who, leaf.policies, leaf.labels)


def _marks(group: Sequence[int]) -> str:
    return ",".join("?" * len(group))


def _literal(text: str) -> str:
    return text.replace("!", "!!").replace("%", "!%").replace("_", "!_")
