"""A hijacked agent whose every call is refused sends large ones, or very many, for hours: the record stays, the disk is not filled."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from ostiary.core import refusals
from ostiary.core.entry import Entry
from ostiary.core.registry import Server
from ostiary.core.spare import MOST, SMALL, Spare
from tests.support.mcp_shaped import Caller, shaped
from tests.support.mcp_upstream import gateway
from tests.support.ports import ListLedger


def _refused(entries: Sequence[Entry]) -> list[Entry]:
    return [entry for entry in entries if entry.decision == "deny"]


def _parts(entry: Entry) -> dict[str, bytes]:
    return {part.name: part.content for part in entry.parts}


async def test_refused_arguments_are_kept_up_to_a_bound_and_named_beyond(monkeypatch: pytest.MonkeyPatch) -> None:
    """R-L1, R-L5: each refusal is recorded with who, what, why and the digest; only the bulk is left out, with its size and hash."""
    monkeypatch.setattr("ostiary.core.spare.MOST", 100_000)
    async with shaped() as server, gateway(Server("s", url=server.url)) as running, Caller(running) as caller:
        running.sessions.lend("t-alice", ("tool:s/other",))
        for _ in range(4):
            assert "error" in await caller.call("echo", text="a" * 40_000)
        assert "error" in await caller.call("echo", text="small")
        refused = _refused(running.ledger.entries)
        assert [sorted(_parts(entry)) for entry in refused] == [["arguments"]] * 2 + [["arguments_left_out"]] * 2 + [["arguments"]]
        left_out = json.loads(_parts(refused[2])["arguments_left_out"])
        assert left_out["bytes"] == len(_parts(refused[0])["arguments"])
        assert len({entry.digest for entry in refused[:4]}) == 1
        assert all(entry.code == "out_of_scope" and entry.actor for entry in refused)


async def test_what_is_allowed_is_always_kept_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """R-L1: the bound is for refusals alone."""
    monkeypatch.setattr("ostiary.core.spare.MOST", 0)
    async with shaped() as server, gateway(Server("s", url=server.url)) as running, Caller(running) as caller:
        assert "result" in await caller.call("echo", text="a" * 40_000)
        allowed = [entry for entry in running.ledger.entries if entry.decision == "allow" and entry.kind.value == "intent"]
        assert "arguments" in _parts(allowed[-1])


def test_each_agent_and_each_minute_has_its_own_room() -> None:
    """R-L5: another agent's refusals are kept whole meanwhile; a clock that goes back begins anew."""
    now = [10**18]
    spare = Spare(lambda: now[0])
    assert spare.keeps("bot", MOST)
    assert not spare.keeps("bot", SMALL + 1)
    assert spare.keeps("bot", SMALL)
    assert spare.keeps("other", MOST)
    for moved in (60_000_000_000, -120_000_000_000):
        now[0] += moved
        assert spare.keeps("bot", MOST)


async def test_small_refusals_without_number_are_one_entry_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """R-L1, R-L5: past the bound each is still refused for its own reason, and its decision id is the entry that counts it."""
    monkeypatch.setattr(refusals, "ONE_BY_ONE", 3)
    async with shaped() as server, gateway(Server("s", url=server.url)) as running, Caller(running) as caller:
        running.sessions.lend("t-alice", ("tool:s/other",))
        answers: list[dict[str, Any]] = [await caller.call("echo", text=str(number)) for number in range(10)]
        assert {answer["error"]["data"]["code"] for answer in answers} == {"out_of_scope"}
        assert len(_refused(running.ledger.entries)) == 3
        ids = {answer["error"]["data"]["decision"] for answer in answers[3:]}
        assert len(ids) == 1
        await running.door._pipeline.refusals.close()
        counted = _refused(running.ledger.entries)[3]
        assert {counted.id} == ids
        detail = json.loads(_parts(counted)["detail"])
        assert (detail["count"], detail["codes"], detail["actions"]) == (7, {"out_of_scope": 7}, {"s/echo": 7})
        assert counted.actor.endswith("/agent/bot")
        assert len(_refused(running.ledger.entries)) == 4


async def test_a_flood_hides_no_allowed_action(monkeypatch: pytest.MonkeyPatch) -> None:
    """R-L1: what an agent may do is recorded one by one as ever, however much else it is refused."""
    monkeypatch.setattr(refusals, "ONE_BY_ONE", 0)
    async with shaped() as server, gateway(Server("s", url=server.url)) as running, Caller(running) as caller:
        for _ in range(3):
            assert "there is no tool" in str(await caller.call("nothing_of_that_name"))
            assert "there is no tool" not in str(await caller.call("echo", text="a"))
        allowed = [entry for entry in running.ledger.entries if entry.decision == "allow" and entry.action == "s/echo"]
        assert [entry.kind.value for entry in allowed] == ["intent", "outcome"] * 3


async def test_names_an_agent_makes_up_do_not_grow_the_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """R-L5: the count names so many actions and no more; what it could not record it records later."""
    monkeypatch.setattr(refusals, "ONE_BY_ONE", 0)
    async with shaped() as server, gateway(Server("s", url=server.url)) as running, Caller(running) as caller:
        for number in range(refusals.MAX_NAMED + 15):
            await caller.call(f"made_up_{number}")
        ledger: ListLedger = running.ledger
        ledger.is_full = True
        await running.door._pipeline.refusals.close()
        assert _refused(ledger.entries) == []
        ledger.is_full = False
        await running.door._pipeline.refusals.close()
        [counted] = _refused(ledger.entries)
        detail = json.loads(_parts(counted)["detail"])
        assert detail["count"] == refusals.MAX_NAMED + 15 == sum(detail["actions"].values())
        assert len(detail["actions"]) <= refusals.MAX_NAMED + 1
