"""An operator edits the search index, so that an entry exists and is not found."""

import asyncio
from pathlib import Path

import pytest

from ostiary.storage.ledger_files import open_reader, verify
from ostiary.storage.sqlite_ledger import SqliteLedgerStore
from tests.support.ledger import fill, make_entry, running, tamper
from tests.support.ledger_attacks import copy_ledger, written

COUNT = 600


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    return copy_ledger(written(COUNT), tmp_path / "ledger")


def test_an_entry_dropped_from_the_search_index_is_found(victim: Path) -> None:
    """R-L5: the index can hide, not invent; `verify` says which word it hides, and a rebuild brings it back."""
    tamper(victim, "DELETE FROM postings WHERE idx = 10", file="index.db")
    reader = open_reader(victim)
    assert 10 not in [row["index"] for row in reader.search(session="s-3", limit=1000)]
    reader.close()
    found = verify(victim)
    assert found.ok is False
    assert any("the search index hides" in problem.what for problem in found.problems)
    (victim / "index.db").unlink()
    assert verify(victim).ok

    async def restart() -> None:
        async with running(SqliteLedgerStore(victim)) as ledger:
            reader = ledger.reader()
            assert 10 in [row["index"] for row in reader.search(session="s-3", limit=1000)]
            reader.close()

    asyncio.run(restart())
    assert verify(victim).ok


def test_an_index_that_invents_or_swaps_is_found_and_not_believed(victim: Path) -> None:
    """R-L5: equal counts and sums do not fool the check; a hit is decoded from its leaf before it is shown."""
    tamper(victim, "UPDATE postings SET idx = -idx WHERE idx IN (10, 11)", file="index.db")
    tamper(victim, "UPDATE postings SET idx = 21 + idx WHERE idx < 0", file="index.db")
    reader = open_reader(victim)
    rows = reader.search(session="s-3", limit=1000)
    reader.close()
    assert {row["session"] for row in rows} == {"s-3"}
    assert verify(victim).ok is False


def test_a_word_taken_from_a_shape_is_found(victim: Path) -> None:
    """R-L5: hiding all entries of a session at once, by what their words are, shows as well."""
    word = "(SELECT id FROM words WHERE word = 'session=s-3')"
    tamper(victim, f"DELETE FROM members WHERE word = {word}", file="index.db")
    reader = open_reader(victim)
    assert reader.search(session="s-3", limit=1000) == []
    reader.close()
    found = verify(victim)
    assert any("session=s-3" in problem.what for problem in found.problems)


def test_a_hidden_open_intent_is_not_hidden_from_a_rebuilt_index(tmp_path: Path) -> None:
    """R-L1: what the index said was answered is found open when it is rebuilt."""
    directory = tmp_path / "ledger"
    asyncio.run(fill(directory, 3, entry=lambda _: make_entry(decision="allow", code="")))
    tamper(directory, "DELETE FROM unanswered", file="index.db")
    (directory / "index.db").unlink()

    async def restart() -> int:
        async with running(SqliteLedgerStore(directory)) as ledger:
            return ledger.size

    assert asyncio.run(restart()) == 6
