"""What every ledger store must do, run over each that we have."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from ostiary.core.errors import LedgerUnavailable
from ostiary.ledger.store import Batch, DataKey, Identity, LedgerStore, SealedPart
from ostiary.storage.sqlite_ledger import SqliteLedgerStore
from tests.support.ledger import MemoryStore, make_entry, running

Reopen = Callable[[], LedgerStore]
META = {"format": "1", "origin": "o", "vkey": "v"}


@pytest.fixture(params=["sqlite", "memory"])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Reopen:
    """Return what opens the same store again, as a restarted process would."""
    memory = MemoryStore()
    return (lambda: SqliteLedgerStore(tmp_path / "ledger")) if request.param == "sqlite" else lambda: memory


def opened(reopen: Reopen) -> LedgerStore:
    store = reopen()
    store.lock()
    store.open(META)
    return store


def test_what_was_committed_is_read_back_after_a_restart(reopen: Reopen) -> None:
    """R-L2: leaves, parts, tiles, identities, data keys, byte for byte and in order."""
    store = opened(reopen)
    parts = [
        (0, 0, SealedPart(b"k" * 16, b"w", b"b0")),
        (0, 1, SealedPart(b"k" * 16, b"w", b"")),
        (2, 0, SealedPart(b"k" * 16, b"w", b"b2")),
    ]
    identity, key = Identity(b"l" * 32, b"h" * 16, b"n"), DataKey(b"k" * 16, b"h" * 16, "standard", 20264, b"w")
    store.commit(Batch(0, [b"a", b"\x00\xff", b"c"], parts, [(0, 0, b"t" * 8192), (1, 7, b"u")], [identity], [key]))
    store.commit(Batch(3, [b"d"], [], []))
    store.close()
    source = reopen().source()
    assert source.meta() == META
    assert source.size() == 4
    assert list(source.leaves(0, 99)) == [(0, b"a"), (1, b"\x00\xff"), (2, b"c"), (3, b"d")]
    assert list(source.leaves(1, 3)) == [(1, b"\x00\xff"), (2, b"c")]
    assert list(source.parts(0, 99)) == parts
    assert list(source.parts(1, 3)) == parts[2:]
    assert (source.tile(0, 0), source.tile(1, 7), source.tile(0, 1)) == (b"t" * 8192, b"u", None)
    assert source.identity(b"l" * 32) == source.named(b"h" * 16) == identity
    assert source.data_key(b"k" * 16) == source.data_key_for(b"h" * 16, "standard", 20264) == key
    assert [source.identity(b""), source.named(b"")] == [None, None]
    assert [source.data_key(b""), source.data_key_for(b"", "standard", 20264)] == [None, None]
    source.close()


@pytest.mark.parametrize("count", [1, 2, 127, 128, 129, 300, 1024])
def test_batches_of_any_size(reopen: Reopen, count: int) -> None:
    """R-L2: none lost, none twice."""
    store = opened(reopen)
    leaves = [b"%d" % at for at in range(count)]
    parts = [(at, n, SealedPart(b"k", b"w", b"%d/%d" % (at, n))) for at in range(count) for n in range(2)]
    store.commit(Batch(0, leaves, parts, []))
    source = store.source()
    assert [leaf for _, leaf in source.leaves(0, count)] == leaves
    assert list(source.parts(0, count)) == parts
    source.close()
    store.close()


def test_a_reader_sees_what_is_committed_while_the_writer_is_open(reopen: Reopen) -> None:
    """R-L5."""
    store = opened(reopen)
    source = store.source()
    for at in range(3):
        store.commit(Batch(at, [b"x"], [], []))
        assert source.size() == at + 1
    source.close()
    store.close()


def test_the_newest_checkpoint_is_kept_at_once_and_all_of_them_in_the_end(reopen: Reopen) -> None:
    """R-L2."""
    store = opened(reopen)
    source = store.source()
    assert source.newest_checkpoint() is None
    store.release(0, b"note 0")
    assert source.newest_checkpoint() == b"note 0"
    store.commit(Batch(0, [b"x"], [], []))
    store.release(1, b"note 1")
    source.close()
    store.close()
    source = reopen().source()
    assert source.newest_checkpoint() == b"note 1"
    assert list(source.checkpoints()) == [b"note 0", b"note 1"]
    assert list(source.checkpoints(1)) == [b"note 1"]
    source.close()


def test_a_second_writer_is_refused_and_told_what_to_do(reopen: Reopen) -> None:
    """R-L2: a ledger has one writer; when it goes, the next may come."""
    store = opened(reopen)
    with pytest.raises(LedgerUnavailable):
        reopen().lock()
    store.close()
    other = reopen()
    other.lock()
    other.close()


def test_room_is_known_and_can_be_held(reopen: Reopen) -> None:
    """R-L1."""
    store = opened(reopen)
    assert store.free_bytes() > 0
    for is_held in (True, True, False, False):
        store.reserve(is_held)
    store.close()


def test_closing_twice_does_no_harm(reopen: Reopen) -> None:
    """R-L1."""
    store = opened(reopen)
    store.close()
    store.close()


async def test_a_ledger_runs_on_it_and_goes_on_where_it_ended(reopen: Reopen) -> None:
    """R-L2: three runs, one tree."""
    for run in range(3):
        async with running(reopen()) as ledger:
            assert ledger.size == run * 300
            receipts = await asyncio.gather(*[ledger.append(make_entry()) for _ in range(300)])
            assert [receipt.index for receipt in receipts] == list(range(run * 300, run * 300 + 300))
