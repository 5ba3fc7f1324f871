"""A hijacked agent whose every call is refused sends large ones for hours: the record stays, the disk is not filled with its arguments."""

import json

import pytest

from ostiary.core.entry import Entry
from ostiary.core.registry import Server
from ostiary.core.spare import MOST, SMALL, Spare
from tests.support.mcp_shaped import Caller, shaped
from tests.support.mcp_upstream import gateway


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
        refused = [entry for entry in running.ledger.entries if entry.decision == "deny"]
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
