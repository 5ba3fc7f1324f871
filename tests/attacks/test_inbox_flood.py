"""One hijacked agent floods what people and other agents need: the inbox of held actions, and the sessions there may be."""

from dataclasses import replace

import pytest

from ostiary.core.decision import Refusal
from ostiary.core.subject import Principal, PrincipalKind, Session, Subject
from ostiary.governance import approvals as inbox_of
from ostiary.identity import roster
from tests.support.identity import identity
from tests.unit.governance.test_approvals import FINANCE, PAY, made, passage, session


async def test_one_agent_does_not_fill_the_inbox_by_opening_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    """R-G3: over all its sessions an agent has so many questions open; another agent still gets its own in."""
    monkeypatch.setattr(inbox_of, "MAX_OPEN_PER_AGENT", 6)
    inbox = made().approvals()
    answers = [
        await inbox.hold(passage(PAY.with_arguments({"amount": amount}), session(f"s{number}")))
        for number in range(4)
        for amount in range(2)
    ]
    assert [isinstance(answer, Refusal) for answer in answers] == [False] * 6 + [True] * 2
    assert isinstance(answers[-1], Refusal)
    assert answers[-1].code == "rate_limited"
    alice = session().subject.chain[0]
    other = Subject((alice, Principal("spiffe://t/agent/other", PrincipalKind.AGENT, "other", owner="owen")))
    assert not isinstance(await inbox.hold(passage(PAY, Session("s9", other, ("tool:*",), "pay", 0, 10))), Refusal)


async def test_nobody_is_asked_about_more_than_a_person_can_read() -> None:
    """R-G3: megabytes of arguments are no question, and fifty of them a session are no inbox."""
    inbox = made().approvals()
    refused = await inbox.hold(passage(PAY.with_arguments({"note": "a" * (inbox_of.MAX_ARGUMENTS + 1)})))
    assert isinstance(refused, Refusal)
    assert refused.code == "too_large"
    assert inbox.list() == []


async def test_sessions_that_are_over_leave_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """R-P1: an agent that works in many short sessions is not locked out by those that are past their end."""
    monkeypatch.setattr(roster, "MAX_LIVE_PER_AGENT", 3)
    here = await identity()
    for _ in range(3):
        await here.opened()
    refusal = await here.refused()
    assert refusal.code == "rate_limited"
    here.memory.clock.at_s += 3601
    await here.opened()
    await here.stop()


async def test_what_ended_does_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """R-S1: hour after hour an agent lets its questions expire: those that ended longest ago make room, a no that holds and what waits stay."""
    monkeypatch.setattr(inbox_of, "MAX_KEPT", 20)
    world = made()
    inbox = world.approvals()
    said_no = PAY.with_arguments({"amount": 666})
    no = await inbox.hold(passage(said_no, session("no"), replace(FINANCE, expires_s=10**6)))
    assert not isinstance(no, Refusal)
    await inbox.deny(str(no["id"]), by="carol", reason="never")
    for hour in range(30):
        for amount in range(2):
            answer = await inbox.hold(passage(PAY.with_arguments({"amount": amount}), session(f"s{hour}")))
            assert not isinstance(answer, Refusal)
        world.clock.at_s += 700
    assert len(inbox.list()) <= 20
    assert len(world.load("approval")) <= 20
    assert len(inbox.list(state="pending")) > 0
    refused = await inbox.hold(passage(said_no, session("no")))
    assert isinstance(refused, Refusal)
    assert refused.code == "forbidden"
    later = world.approvals()
    assert later.list() == inbox.list()
    assert len(later._waiting["bot"]) == len(inbox._waiting_of("bot")) == len(inbox.list(state="pending"))


async def test_what_expired_leaves_room_without_being_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """R-G3: the bounds count what waits now: over one session, one agent and all."""
    monkeypatch.setattr(inbox_of, "MAX_OPEN_PER_AGENT", 2)
    world = made()
    inbox = world.approvals(max_open=2)
    for _ in range(3):
        answers = [await inbox.hold(passage(PAY.with_arguments({"amount": amount}))) for amount in range(3)]
        assert [isinstance(answer, Refusal) for answer in answers] == [False, False, True]
        world.clock.at_s += 100_000
