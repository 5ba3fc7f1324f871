"""The one writer: receipts only for what is durable, one sync for many, and no way on after an error."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Sequence
from typing import Any

import pytest

from ostiary.core.entry import Family, Kind, Part
from ostiary.core.errors import InvalidAction, LedgerUnavailable
from ostiary.ledger import Ledger, Pace
from ostiary.ledger.leaf import decode
from ostiary.ledger.note import Verifier
from ostiary.ledger.tree import Tree, leaf_hash
from ostiary.ledger.verify import verify_source
from ostiary.ledger.writer import MAX_QUEUE
from tests.support.ledger import ORIGIN, QUICK, FailingStore, MemoryStore, SlowStore, ledger_keys, make_entry, running


async def test_a_receipt_names_the_place_and_hash_of_a_durable_entry() -> None:
    """R-L1: no receipt, no execution; a receipt means durable."""
    store = MemoryStore()
    async with running(store) as ledger:
        receipts = [await ledger.append(make_entry()) for _ in range(3)]
        assert [receipt.index for receipt in receipts] == [0, 1, 2]
        assert [receipt.leaf_hash for receipt in receipts] == [leaf_hash(leaf) for leaf in store.entries]
        assert [decode(leaf).n for leaf in store.entries] == [0, 1, 2]
        assert ledger.size == 3
        assert ledger.state.is_ok


async def test_no_receipt_before_the_store_says_durable() -> None:
    """R-L1: while the sync is under way nobody is told anything."""
    store = SlowStore()
    async with running(store) as ledger:
        waiting = asyncio.ensure_future(ledger.append(make_entry()))
        await asyncio.to_thread(store.arrived.acquire)
        for _ in range(10):
            await asyncio.sleep(0)
        assert not waiting.done()
        store.gate.release(5)
        assert (await waiting).index == 0


async def test_a_caller_who_goes_away_does_not_disturb_the_others() -> None:
    """R-L1: a cancelled append is still recorded."""
    store = SlowStore()
    async with running(store) as ledger:
        gone = asyncio.ensure_future(ledger.append(make_entry(session="gone")))
        stays = asyncio.ensure_future(ledger.append(make_entry(session="stays")))
        await asyncio.to_thread(store.arrived.acquire)
        gone.cancel()
        store.gate.release(5)
        await stays
        assert [decode(leaf).session for leaf in store.entries] == ["gone", "stays"]


async def test_a_deep_queue_sheds() -> None:
    """R-L1: more than 4,096 waiting entries are refused, not kept waiting for ever."""
    store = SlowStore()
    async with running(store) as ledger:
        first = asyncio.ensure_future(ledger.append(make_entry(parts=())))
        await asyncio.to_thread(store.arrived.acquire)
        rest = [asyncio.ensure_future(ledger.append(make_entry(parts=()))) for _ in range(MAX_QUEUE + 50)]
        await asyncio.sleep(0)
        shed = [task for task in rest if task.done()]
        assert len(shed) >= 50
        assert all(isinstance(task.exception(), LedgerUnavailable) for task in shed)
        store.gate.release(100)
        done = await asyncio.gather(first, *[task for task in rest if task not in shed])
        assert len(store.entries) == len(done) == ledger.size


async def test_an_old_queue_sheds() -> None:
    """R-L1: when the oldest has waited more than 250 ms the disk is too slow for more."""
    store = SlowStore()
    async with running(store, pace=Pace(watermark=0, max_age_s=-1.0)) as ledger:
        first = asyncio.ensure_future(ledger.append(make_entry()))
        await asyncio.to_thread(store.arrived.acquire)
        second = asyncio.ensure_future(ledger.append(make_entry()))
        await asyncio.sleep(0)
        with pytest.raises(LedgerUnavailable, match="too slow"):
            await ledger.append(make_entry())
        store.gate.release(5)
        await asyncio.gather(first, second)


@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("method", ["commit", "release"])
@pytest.mark.parametrize("nth", [1, 2, 3])
async def test_any_store_error_is_final_and_told_to_everybody(method: str, nth: int, is_after: bool) -> None:
    """R-L1: failing before or after it took effect: no receipt, no retry, no more entries; a restart finds what is there."""
    inner = MemoryStore()
    store = FailingStore(inner, method, nth, is_after=is_after)
    receipts = 0
    async with running(store) as ledger:
        for _ in range(50):
            try:
                await ledger.append(make_entry(decision="allow", code=""))
                receipts += 1
                await ledger.seal()
            except LedgerUnavailable:
                break
        assert store.has_failed
        assert not ledger.state.is_ok
        assert "injected" in ledger.state.reason
        for _ in range(3):
            with pytest.raises(LedgerUnavailable, match="injected"):
                await ledger.append(make_entry())
        with pytest.raises(LedgerUnavailable):
            await ledger.seal()
    assert receipts <= len(inner.entries) <= receipts + 1
    before = list(inner.entries)
    async with running(inner) as again:
        await again.append(make_entry())
    assert inner.entries[: len(before)] == before
    outcomes = [decode(leaf) for leaf in inner.entries if decode(leaf).kind == "outcome"]
    assert [leaf.intent for leaf in outcomes] == [decode(leaf).id for leaf in before]


async def test_everybody_in_a_failed_batch_and_behind_it_is_told() -> None:
    """R-L1."""
    inner = SlowStore()
    async with running(FailingStore(inner, "commit", 1, is_after=False)) as ledger:
        waiting = [asyncio.ensure_future(ledger.append(make_entry())) for _ in range(2_000)]
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(answer, LedgerUnavailable) for answer in answers)
    assert inner.entries == []


async def test_a_signer_that_fails_is_final(monkeypatch: pytest.MonkeyPatch) -> None:
    """R-L2: no checkpoint, no ledger."""
    async with running(MemoryStore()) as ledger:
        await ledger.append(make_entry())

        def broken(*_: object) -> bytes:
            raise RuntimeError("the key is gone")

        monkeypatch.setattr(ledger._signer, "sign", broken)
        await ledger.append(make_entry())
        with pytest.raises(LedgerUnavailable, match="the key is gone"):
            await ledger.seal()
        with pytest.raises(LedgerUnavailable):
            await ledger.append(make_entry())


async def test_checkpoints_cover_only_what_is_durable_and_follow_by_themselves() -> None:
    """R-L2: signed over each size reached, without being asked."""
    store = MemoryStore()
    async with running(store) as ledger:
        verifier = Verifier.parse(ledger.public_key)
        for _ in range(5):
            await ledger.append(make_entry())
            while verifier.open(ledger.checkpoint)[0].size < ledger.size:
                await asyncio.sleep(0.005)
    tree = Tree()
    roots = {0: tree.root()}
    for leaf in store.entries:
        tree.append(leaf_hash(leaf))
        roots[tree.size] = tree.root()
    released = [verifier.open(note)[0] for note in store.notes.values()]
    assert {checkpoint.size for checkpoint in released} >= {0, 5}
    assert all(roots[checkpoint.size] == checkpoint.root for checkpoint in released)


async def test_an_idle_ledger_says_so() -> None:
    """R-L2: a heartbeat signs the same tree again with a later time: silence would hide a cut."""
    store, times = MemoryStore(), iter(range(10**18, 2 * 10**18, 10**9))
    ledger = Ledger(store, ledger_keys(), origin=ORIGIN, node="n1", pace=Pace(heartbeat_s=0.02, watermark=0), clock_ns=lambda: next(times))
    await ledger.start()
    verifier = Verifier.parse(ledger.public_key)
    seen: set[int | None] = set()
    while len(seen) < 3:
        await asyncio.sleep(0.005)
        if ledger.checkpoint:
            seen.add(verifier.open(ledger.checkpoint)[1])
    await ledger.close()
    assert ledger.size == 0


async def test_open_intents_are_closed_as_unknown_at_the_next_start() -> None:
    """R-L1: after a crash the record says that the outcome is unknown, and says it once."""
    store = MemoryStore()
    async with running(store) as ledger:
        allowed = make_entry(decision="allow", code="", user="carol")
        settled = make_entry(decision="allow", code="")
        for entry in (allowed, settled, make_entry(), make_entry(kind=Kind.EVENT, family=Family.CHANGE, decision="allow")):
            await ledger.append(entry)
        await ledger.append(make_entry(kind=Kind.OUTCOME, intent=settled.id, decision="allow", code=""))
    for unknown in (1, 0):
        async with running(store) as ledger:
            assert (ledger.size, ledger.unknown) == (6, unknown)
    intent, last = decode(store.entries[0]), decode(store.entries[-1])
    assert (last.kind, last.intent, last.code, last.decision) == ("outcome", allowed.id, "unknown", "allow")
    assert (last.user, last.on_behalf_of, last.owner, last.action) == (intent.user, intent.on_behalf_of, intent.owner, intent.action)
    assert [decode(leaf).n for leaf in store.entries] == list(range(6))


async def test_what_cannot_be_recorded_costs_nobody_else_anything() -> None:
    """R-L2: a refused entry leaves no gap in the counter and does not stop the ledger."""
    store = MemoryStore()
    async with running(store) as ledger:
        await ledger.append(make_entry())
        with pytest.raises(InvalidAction):
            await ledger.append(make_entry(upstream_status=1.5))
        await ledger.append(make_entry())
    assert [decode(leaf).n for leaf in store.entries] == [0, 1]


async def test_a_full_disk_lets_operators_act_while_there_is_room() -> None:
    """LEDGER, 'a break-glass admin path': an agent can be stopped before there is space again; nobody can fill what is left for outcomes."""
    store = MemoryStore()
    by_operator: dict[str, Any] = {"kind": Kind.EVENT, "family": Family.CHANGE, "user": "olga", "decision": ""}
    async with running(store, pace=Pace(seal_s=0.01, watermark=1_000, disk_s=0.005, max_age_s=600.0)) as ledger:
        store.room = 900
        while store.has_ballast or not store.entries:
            with contextlib.suppress(LedgerUnavailable):
                await ledger.append(make_entry(kind=Kind.OUTCOME, intent="x"))
            await asyncio.sleep(0.005)
        await ledger.append(make_entry(**by_operator))
        await ledger.append(make_entry(**{**by_operator, "family": Family.IDENTITY, "decision": "allow"}))
        for other in ({"family": Family.ACTION}, {"family": Family.IDENTITY, "user": ""}, {"decision": "deny"}, {"kind": Kind.INTENT}):
            with pytest.raises(LedgerUnavailable, match="disk is nearly full"):
                await ledger.append(make_entry(**{**by_operator, **other}))
        store.room = 249
        while True:
            await asyncio.sleep(0.01)
            try:
                await ledger.append(make_entry(**by_operator))
            except LedgerUnavailable:
                break
        await ledger.append(make_entry(kind=Kind.OUTCOME, intent="x"))


async def test_a_full_disk_stops_new_actions_and_lets_old_ones_end() -> None:
    """R-L1: below the watermark the ballast is given up and only outcomes are taken; room brings it back."""
    store = MemoryStore()
    async with running(store, pace=Pace(seal_s=0.01, watermark=1_000, disk_s=0.005, max_age_s=600.0)) as ledger:
        await ledger.append(make_entry())
        assert store.has_ballast
        store.room = 999
        while store.has_ballast:
            await asyncio.sleep(0.005)
            if ledger.state.is_ok and store.has_ballast:
                try:
                    await ledger.append(make_entry())
                except LedgerUnavailable:
                    break
        for kind in (Kind.INTENT, Kind.EVENT):
            with pytest.raises(LedgerUnavailable, match="disk is nearly full"):
                await ledger.append(make_entry(kind=kind))
        await ledger.append(make_entry(kind=Kind.OUTCOME, intent="x"))
        assert not store.has_ballast
        store.room = 1_500
        with pytest.raises(LedgerUnavailable):
            await ledger.append(make_entry())
        store.room = 2_000
        while not store.has_ballast:
            await asyncio.sleep(0.005)
        await ledger.append(make_entry())


async def test_a_ledger_not_started_or_closed_takes_nothing() -> None:
    """R-L1: fail closed at both ends."""
    store = MemoryStore()
    ledger = Ledger(store, ledger_keys(), origin=ORIGIN, node="n1", pace=QUICK)
    for moment in ("before", "after"):
        assert not ledger.state.is_ok
        with pytest.raises(LedgerUnavailable):
            await ledger.append(make_entry())
        with pytest.raises(LedgerUnavailable):
            await ledger.seal()
        if moment == "before":
            await ledger.start()
            await ledger.append(make_entry())
            await ledger.close()
    assert Verifier.parse(ledger.public_key).open(ledger.checkpoint)[0].size == 1
    assert not store.is_locked


async def test_the_keys_of_a_batch_are_durable_with_it() -> None:
    """R-L4: a part whose key was lost in a crash could never be read."""
    store = MemoryStore()
    async with running(store) as ledger:
        await ledger.append(make_entry())
        await ledger.append(make_entry(on_behalf_of=("dora",)))
    async with running(store) as ledger:
        reader = ledger.reader()
        people: Sequence[str] = [reader.list(1, resolve=True)[0]["on_behalf_of"][0], reader.tail(-1, resolve=True)[0]["on_behalf_of"][0]]
        assert people == ["dora", "alice"]
        assert reader.reveal(reader.list(1)[0]["id"], "arguments") == b'{"amount":12,"to":"ACME"}'


async def test_large_parts_are_sealed_beside_the_loop_and_small_entries_pass_them() -> None:
    """R-L1: megabytes of prompt do not hold up the gateway, and are recorded whole."""
    store = MemoryStore()
    content = bytes(range(256)) * 20_000
    async with running(store) as ledger:
        large = asyncio.ensure_future(ledger.append(make_entry(session="large", parts=(Part("prompt", content),))))
        await asyncio.sleep(0)
        small = await ledger.append(make_entry(session="small"))
        receipt = await large
        assert [decode(leaf).session for leaf in store.entries] == ["small", "large"]
        assert [decode(leaf).n for leaf in store.entries] == [0, 1]
        reader = ledger.reader()
        assert reader.reveal(reader.tail(small.index)[0]["id"], "prompt") == content
        assert receipt.index == 1
        wrong: Any = None
        for part in (Part("x", wrong), wrong):
            with pytest.raises(InvalidAction):
                await ledger.append(make_entry(parts=(part,)))


async def test_a_ledger_that_closes_while_a_large_part_is_sealed_gives_no_receipt() -> None:
    """R-L1: nothing is left waiting."""
    store = MemoryStore()
    async with running(store) as ledger:
        large = asyncio.ensure_future(ledger.append(make_entry(parts=(Part("prompt", bytes(8_000_000)),))))
        await asyncio.sleep(0)
        await ledger.close()
        with pytest.raises(LedgerUnavailable):
            await large
    assert store.entries == []


@pytest.mark.parametrize("step_s", [-86_400, 400 * 86_400])
async def test_a_clock_that_jumps_changes_nothing_but_times(step_s: int) -> None:
    """R-L2: times are advisory; order is the tree's."""
    store, now = MemoryStore(), [1_800_000_000 * 10**9]
    ledger = Ledger(store, ledger_keys(), origin=ORIGIN, node="a node", pace=QUICK, clock_ns=lambda: now[0])
    await ledger.start()
    for _ in range(3):
        await ledger.append(make_entry(at_ns=now[0]))
        await ledger.seal()
        now[0] += step_s * 10**9
    await ledger.close()
    found = verify_source(store.source())
    assert (found.ok, found.entries) == (True, 3), found.problems
    assert decode(store.entries[0]).node.startswith("n-")


async def test_the_writer_taking_the_last_entry_while_the_queue_is_looked_at_does_no_harm() -> None:
    """R-L1: the queue is shared with a thread; what was there may be gone the next instant."""

    class Emptied(deque[Any]):
        def __len__(self) -> int:
            return 1

    async with running(MemoryStore()) as ledger:
        assert ledger._writer is not None
        queue, ledger._writer._queue = ledger._writer._queue, Emptied()
        assert ledger._writer.refusal("intent") == ""
        ledger._writer._queue = queue


async def test_a_checkpoint_asked_for_while_closing_is_refused_not_forgotten() -> None:
    """R-L2."""
    async with running(MemoryStore()) as ledger:
        await ledger.append(make_entry())
        assert ledger._writer is not None
        before = asyncio.ensure_future(ledger.seal())
        await asyncio.sleep(0)
        ledger._writer.close()
        with pytest.raises(LedgerUnavailable):
            await ledger.seal()
        assert Verifier.parse(ledger.public_key).open(await before)[0].size == 1
