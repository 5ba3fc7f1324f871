"""What shares a batch: one sync for many, no wait where nothing is to be gained, and entries that nobody waits for."""

import asyncio

import pytest

from ostiary.core.entry import Kind
from ostiary.core.errors import LedgerUnavailable
from ostiary.ledger import writer
from ostiary.ledger.leaf import decode
from tests.support.ledger import FailingStore, MemoryStore, SlowStore, make_entry, running


async def test_all_that_waits_is_committed_together() -> None:
    """R-L1: one transaction, one sync for many; order is the order of asking."""
    store = SlowStore()
    async with running(store) as ledger:
        first = asyncio.ensure_future(ledger.append(make_entry(session="0")))
        await asyncio.to_thread(store.arrived.acquire)
        rest = [asyncio.ensure_future(ledger.append(make_entry(session=f"{n + 1}"))) for n in range(100)]
        await asyncio.sleep(0)
        store.gate.release(5)
        receipts = await asyncio.gather(first, *rest)
        assert [receipt.index for receipt in receipts] == list(range(101))
        assert store.batches == [1, 100]
        assert [decode(leaf).session for leaf in store.entries] == [str(n) for n in range(101)]


async def test_an_entry_in_line_is_not_waited_for_and_keeps_its_place() -> None:
    """R-L1: what changed nothing is answered before its outcome is durable; whoever asks for the record waits for it."""
    store = SlowStore()
    async with running(store) as ledger:
        await asyncio.wait_for(ledger.post(make_entry(session="first")), 1)
        assert store.entries == []
        behind = asyncio.ensure_future(ledger.append(make_entry(session="second")))
        asked = asyncio.ensure_future(ledger.settled())
        await asyncio.to_thread(store.arrived.acquire)
        assert not asked.done()
        store.gate.release(5)
        assert (await behind).index == 1
        await asked
        assert [decode(leaf).session for leaf in store.entries] == ["first", "second"]


async def test_an_entry_in_line_shares_the_batch_of_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """R-L1: one sync for both."""
    monkeypatch.setattr(writer, "_TURN_S", 0.5)
    store = MemoryStore()
    async with running(store) as ledger:
        await ledger.append(make_entry())
        await ledger.post(make_entry())
        await ledger.append(make_entry())
        assert store.batches == [1, 2]


@pytest.mark.parametrize(("busy_s", "batches"), [(0.0, [8]), (10.0, [1] * 8)])
async def test_a_batch_waits_for_company_while_the_loop_is_busy(monkeypatch: pytest.MonkeyPatch, busy_s: float, batches: list[int]) -> None:
    """R-L1: one sync for many when a sooner one would help nobody; no wait where the loop has nothing else to do."""
    monkeypatch.setattr(writer, "_BUSY_S", busy_s)
    monkeypatch.setattr(writer, "_CROWD", 8)
    monkeypatch.setattr(writer, "_CROWD_S", 10.0)
    store = MemoryStore()
    async with running(store) as ledger:
        waiting = []
        for _ in range(8):
            waiting.append(asyncio.ensure_future(ledger.append(make_entry())))
            while busy_s and not waiting[-1].done():
                await asyncio.sleep(0.001)
            await asyncio.sleep(0)
        await asyncio.gather(*waiting)
    assert store.batches == batches


async def test_an_entry_in_line_that_nothing_follows_comes_by_itself() -> None:
    """R-L1: it is durable within moments all the same."""
    async with running(MemoryStore()) as ledger:
        await ledger.post(make_entry())
        async with asyncio.timeout(10):
            while ledger.size < 1:
                await asyncio.sleep(0.001)


async def test_an_entry_in_line_that_is_lost_stops_everything_after_it() -> None:
    """R-L1: the answer is out, so nothing more may happen; the next start says that its outcome is unknown."""
    inner = MemoryStore()
    async with running(FailingStore(inner, "commit", 2, is_after=False)) as ledger:
        intent = make_entry(kind=Kind.INTENT, decision="allow")
        await ledger.append(intent)
        await ledger.post(make_entry(kind=Kind.OUTCOME, intent=intent.id))
        await ledger.settled()
        with pytest.raises(LedgerUnavailable):
            await ledger.append(make_entry())
        with pytest.raises(LedgerUnavailable):
            await ledger.post(make_entry())
    async with running(inner):
        last = decode(inner.entries[-1])
        assert (last.intent, last.code) == (intent.id, "unknown")
