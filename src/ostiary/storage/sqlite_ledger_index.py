"""The ledger's search index in SQLite: postings of words, and where ids are. It can be deleted at any time."""

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path

from ostiary.ledger.index import Want, is_open_intent, words
from ostiary.ledger.leaf import Leaf
from ostiary.storage.sqlite_files import connect, insert_rows

_VERSION = 1
_BLOCK_BITS = 8
_TABLES = """
CREATE TABLE IF NOT EXISTS words (id INTEGER PRIMARY KEY, word TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS postings (word INTEGER NOT NULL, idx INTEGER NOT NULL, PRIMARY KEY (word, idx)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ids (id BLOB PRIMARY KEY, idx INTEGER NOT NULL) WITHOUT ROWID;
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
        try:
            self._db = self._open(path, is_readonly)
        except sqlite3.DatabaseError:
            if is_readonly:
                raise
            for suffix in ("", "-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            self._db = self._open(path, is_readonly)

    def _open(self, path: Path, is_readonly: bool) -> sqlite3.Connection:
        db = connect(path, is_readonly=is_readonly)
        if not is_readonly:
            db.execute("PRAGMA synchronous=NORMAL")
            db.executescript(_TABLES)
            (damage,) = db.execute("PRAGMA quick_check(1)").fetchone() if db.execute("PRAGMA page_count").fetchone()[0] < _MANY else ("ok",)
            if damage != "ok":
                raise sqlite3.DatabaseError(damage)
        return db

    def projected(self) -> int:
        """Return how many entries are covered."""
        found = dict(self._db.execute("SELECT name, value FROM state").fetchall())
        return int(found.get("projected", 0)) if found.get("version", _VERSION) == _VERSION else 0

    def reset(self) -> None:
        """Empty every table."""
        self._words.clear()
        self._db.execute("BEGIN IMMEDIATE")
        for table in _ALL:
            self._db.execute(f"DELETE FROM {table}")  # noqa: S608 - our own names
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
        ids, links, opened, closed, times = list[object](), list[object](), dict[bytes, int](), list[bytes](), dict[int, tuple[int, int]]()
        for index, leaf in enumerate(leaves, first):
            postings += [(self._word(word), index) for word in words(leaf)]
            key = _key(leaf.id)
            ids += (key, index)
            if leaf.intent:
                answered = _key(leaf.intent)
                links += (answered, index)
                if opened.pop(answered, None) is None:
                    closed.append(answered)
            elif is_open_intent(leaf):
                opened[key] = index
            low, high = times.get(index >> _BLOCK_BITS, (leaf.at, leaf.at))
            times[index >> _BLOCK_BITS] = min(low, leaf.at), max(high, leaf.at)
        postings.sort()
        insert_rows(self._db, "INSERT OR IGNORE INTO postings VALUES ", 2, [value for pair in postings for value in pair])
        insert_rows(self._db, "INSERT OR IGNORE INTO ids VALUES ", 2, ids)
        insert_rows(self._db, "INSERT OR IGNORE INTO links VALUES ", 2, links)
        self._db.executemany("INSERT OR IGNORE INTO unanswered VALUES (?, ?)", opened.items())
        self._db.executemany("DELETE FROM unanswered WHERE id = ?", [(key,) for key in closed])
        sql = "INSERT INTO times VALUES (?, ?, ?) ON CONFLICT (block) DO UPDATE SET low = min(low, excluded.low), high = max(high, excluded.high)"
        self._db.executemany(sql, [(block, low, high) for block, (low, high) in times.items()])

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
        row = self._db.execute("SELECT idx FROM ids WHERE id = ?", (_key(entry_id),)).fetchone()
        return int(row[0]) if row else None

    def outcomes(self, intent: str) -> list[int]:
        """Return the entries that name an intent."""
        return [idx for (idx,) in self._db.execute("SELECT idx FROM links WHERE intent = ? ORDER BY idx", (_key(intent),))]

    def open_intents(self) -> list[int]:
        """Return allowed intents without an outcome."""
        return [idx for (idx,) in self._db.execute("SELECT idx FROM unanswered ORDER BY idx")]

    def find(self, wants: Sequence[Want], low: int, high: int, limit: int) -> list[int]:
        """Return the newest entries that may meet every want."""
        if not wants:
            return [idx for (idx,) in self._db.execute("SELECT idx FROM ids WHERE 0 LIMIT 0")]
        groups = sorted((self._numbers(want) for want in wants), key=self._weight)
        if not all(groups):
            return []
        head, *rest = groups
        sql = f"SELECT DISTINCT p.idx FROM postings p WHERE p.word IN ({_marks(head)}) AND p.idx >= ? AND p.idx < ?"  # noqa: S608 - marks only
        values: list[int] = [*head, low, high]
        for group in rest:
            sql += f" AND EXISTS (SELECT 1 FROM postings q WHERE q.word IN ({_marks(group)}) AND q.idx = p.idx)"  # noqa: S608 - marks only
            values += group
        return [idx for (idx,) in self._db.execute(f"{sql} ORDER BY p.idx DESC LIMIT ?", (*values, limit))]

    def _numbers(self, want: Want) -> list[int]:
        found: set[int] = set()
        for word in want.exact:
            found.update(number for (number,) in self._db.execute("SELECT id FROM words WHERE word = ?", (word,)))
        for ending in want.endings:
            pattern = f"{_literal(want.field)}=%{_literal(ending)}"
            found.update(number for (number,) in self._db.execute("SELECT id FROM words WHERE word LIKE ? ESCAPE '!'", (pattern,)))
        if want.text:
            pattern = f"%{_literal(want.text)}%"
            found.update(n for (n,) in self._db.execute("SELECT id FROM words WHERE word LIKE ? ESCAPE '!' LIMIT 4096", (pattern,)))
        return sorted(found)

    def _weight(self, group: list[int]) -> int:
        sql = f"SELECT count(*) FROM (SELECT 1 FROM postings WHERE word IN ({_marks(group)}) LIMIT {_MANY})"  # noqa: S608 - marks only
        return int(self._db.execute(sql, group).fetchone()[0])

    def span(self, since_us: int | None, until_us: int | None) -> tuple[int, int]:
        """Return the blocks that may hold entries of a time."""
        low, high = 0, self.projected()
        if since_us is not None:
            (block,) = self._db.execute("SELECT min(block) FROM times WHERE high >= ?", (since_us,)).fetchone()
            low = high if block is None else block << _BLOCK_BITS
        if until_us is not None:
            (block,) = self._db.execute("SELECT max(block) FROM times WHERE low <= ?", (until_us,)).fetchone()
            high = low if block is None else min(high, (block + 1) << _BLOCK_BITS)
        return low, high

    def totals(self, factor: int, first: int, second: int) -> Iterable[tuple[str, int, int]]:
        """Iterate per word what `verify` compares with the leaves."""
        mixed = "(idx * ?1 % ?2)"
        sql = f"SELECT word, count(*), sum({mixed} * {mixed} % ?3) FROM postings WHERE idx < ?4 GROUP BY word"  # noqa: S608 - our own text
        names: dict[int, str] = dict(self._db.execute("SELECT id, word FROM words").fetchall())
        for number, count, total in self._db.execute(sql, (factor, first, second, self.projected())):
            yield names.get(number, ""), count, total

    def close(self) -> None:
        """Close the file."""
        self._db.close()


def _key(entry_id: str) -> bytes:
    try:
        raw = bytes.fromhex(entry_id)
    except ValueError:
        return entry_id.encode()
    return raw if raw.hex() == entry_id else entry_id.encode()


def _marks(group: Sequence[int]) -> str:
    return ",".join("?" * len(group))


def _literal(text: str) -> str:
    return text.replace("!", "!!").replace("%", "!%").replace("_", "!_")
