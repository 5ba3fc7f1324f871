"""Attack: an agent that was lent too little widens its session itself, twice, too far, or after the end (R-B1, R-P2)."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ostiary.core.action import Action, Boundary, Resource
from ostiary.core.decision import Refusal
from ostiary.core.errors import Conflict, LedgerUnavailable, NotFound, Unavailable
from ostiary.core.ports import Credential
from ostiary.identity.lending import Ask
from ostiary.identity.step_up import MAX_PENDING, MAX_PENDING_PER_AGENT, StepUp
from tests.support.control import company as control_company
from tests.support.control import control
from tests.support.identity import Identity, Memory, bot, calling, company, crashed, identity, presented
from tests.support.ports import FixedPolicy


async def start(**agent: Any) -> tuple[Identity, Any]:
    here = await identity(Memory(registry=company(bot(**agent), bot(name="helper"))), policy=FixedPolicy())
    return here, await here.opened("tool:mail/*", "agent:helper")


async def asked(here: Identity, opened: Any, *scopes: str) -> StepUp:
    found = await here.sessions.ask_more(opened.session, scopes)
    assert isinstance(found, StepUp), found
    return found


async def test_more_is_asked_for_shown_as_a_difference_and_had_after_a_yes() -> None:
    here, opened = await start()
    other = await here.opened("tool:mail/*")
    refusal = here.sessions.in_scope(opened.session, calling("pay/pay"))
    assert refusal is not None
    waiting = here.sessions.step_ups.list()
    assert [(each.adds, each.has, each.user) for each in waiting] == [(("tool:pay/pay",), ("agent:helper", "tool:mail/*"), "alice")]
    assert waiting[0].id in refusal.remedy
    assert here.sessions.in_scope(opened.session, calling("pay/pay")) is not None
    assert len(here.sessions.step_ups.list()) == 1
    await here.sessions.step_ups.grant(waiting[0].id, by="alice", reason="today")
    assert here.sessions.in_scope(opened.session, calling("pay/pay")) is None
    assert here.sessions.in_scope(other.session, calling("pay/pay")) is not None
    entry = next(each for each in here.memory.entries if each.action == "grant_session")
    assert (entry.user, entry.session) == ("alice", opened.session.id)
    assert b"tool:pay/pay" in entry.parts[0].content
    found = await here.sessions.authenticate(presented(opened.token))
    assert not isinstance(found, Refusal)
    assert "tool:pay/pay" in found.scopes
    await here.stop()
    later = await identity(here.memory)
    session = later.sessions.session(opened.session.id)
    assert session is not None
    assert later.sessions.in_scope(session, calling("pay/pay")) is None
    await later.stop()


async def test_just_the_value_is_asked_for_where_values_were_lent() -> None:
    here, _ = await start()
    opened = await here.opened("tool:pay/pay?to=ACME*&amount=..1000")
    pay = Action(
        Boundary.AGENT_API, "call_tool", "pay/pay", Resource("Tool", "pay/pay"), "tool:pay/pay", {"to": "ACME GmbH", "amount": 1200.5}
    )
    assert here.sessions.in_scope(opened.session, pay) is not None
    (waiting,) = here.sessions.step_ups.list()
    assert waiting.adds == ("tool:pay/pay?amount=1200.5..1200.5&to=ACME%20GmbH",)
    await here.sessions.step_ups.grant(waiting.id, by="alice")
    assert here.sessions.in_scope(opened.session, pay) is None
    assert here.sessions.in_scope(opened.session, replace(pay, arguments={"to": "ACME GmbH", "amount": 1200.6})) is not None
    await here.stop()


async def test_a_grant_is_used_once_however_parallel() -> None:
    here, opened = await start()
    request = await asked(here, opened, "tool:pay/pay")
    tried = await asyncio.gather(*[here.sessions.step_ups.grant(request.id, by="alice") for _ in range(5)], return_exceptions=True)
    assert sum(isinstance(each, StepUp) for each in tried) == 1
    assert sum(isinstance(each, Conflict) for each in tried) == 4
    with pytest.raises(Conflict):
        await here.sessions.step_ups.refuse(request.id, by="alice")
    assert sum(each.action == "grant_session" for each in here.memory.entries) == 1
    await here.stop()


@pytest.mark.parametrize("end", ["close", "revoke", "expire", "isolate", "parent"])
async def test_nothing_is_granted_to_a_session_that_is_over(end: str) -> None:
    here, opened = await start()
    child = await here.lent_on((await here.opened("tool:*/*", "agent:*")).session)
    which = child if end == "parent" else opened
    request = await asked(here, which, "tool:pay/pay")
    if end == "parent":
        await here.sessions.close(child.session.above[0].id, by="alice")
    elif end == "expire":
        here.memory.clock.at_s += 3601
    elif end == "isolate":
        here.change(bot=replace(bot(), owner="nobody"))
    else:
        await getattr(here.sessions, end)(opened.session.id, by="alice")
    with pytest.raises((Conflict, NotFound)):
        await here.sessions.step_ups.grant(request.id, by="alice")
    assert here.sessions.step_ups.list() == []
    await here.stop()


async def test_a_session_that_ends_while_the_grant_is_recorded_gets_nothing() -> None:
    here, opened = await start()
    request = await asked(here, opened, "tool:pay/pay")
    granting = asyncio.ensure_future(here.sessions.step_ups.grant(request.id, by="alice"))
    await asyncio.sleep(0)
    await here.sessions.revoke(opened.session.id, by="alice")
    with pytest.raises((Conflict, NotFound)):
        await granting
    found = here.sessions.session(opened.session.id)
    assert found is not None
    assert "tool:pay/pay" not in found.scopes
    await here.stop()


async def test_no_more_than_the_agent_declares_and_the_session_above_has() -> None:
    """R-P2: what could not be lent at opening cannot be had by asking."""
    here, opened = await start(scopes=("tool:mail/*", "tool:files/read", "agent:helper"))
    assert isinstance(await here.sessions.ask_more(opened.session, ["tool:pay/pay"]), Refusal)
    assert (await asked(here, opened, "tool:files/*")).adds == ("tool:files/read",)
    child = await here.lent_on(opened.session, "tool:mail/read")
    assert isinstance(await here.sessions.ask_more(child.session, ["tool:files/read"]), Refusal)
    request = await asked(here, child, "tool:*/*")
    assert request.adds == ("tool:mail/*",)
    await here.sessions.step_ups.grant(request.id, by="alice")
    assert here.sessions.in_scope(child.session, calling("mail/send")) is None
    assert here.sessions.in_scope(child.session, calling("files/read")) is not None
    await here.stop()


async def test_an_agent_that_declares_less_meanwhile_gets_less() -> None:
    here, opened = await start()
    request = await asked(here, opened, "tool:pay/pay")
    here.change(**{**here.memory.registry.agents, "bot": bot(scopes=("tool:mail/*",))})
    with pytest.raises(Conflict):
        await here.sessions.step_ups.grant(request.id, by="alice")
    assert here.sessions.in_scope(opened.session, calling("pay/pay")) is not None
    await here.stop()


async def test_people_are_not_flooded() -> None:
    """A bounded number waits; what was refused is not asked again; what was refused is told."""
    here, opened = await start()
    for number in range(40):
        assert here.sessions.in_scope(opened.session, calling(f"pay/p{number}")) is not None
    waiting = here.sessions.step_ups.list()
    assert len(waiting) == MAX_PENDING
    for each in waiting:
        await here.sessions.step_ups.refuse(each.id, by="alice", reason="never")
    refusal = here.sessions.in_scope(opened.session, calling("pay/p0"))
    assert refusal is not None
    assert "never" in refusal.remedy
    assert here.sessions.step_ups.list() == []
    for number in range(100):
        here.sessions.in_scope(opened.session, calling(f"other/p{number}"))
        for each in here.sessions.step_ups.list():
            await here.sessions.step_ups.refuse(each.id, by="alice")
    assert sum(each.action == "refuse_session" for each in here.memory.entries) <= 32
    await here.stop()


async def test_one_agent_does_not_take_every_place_and_what_is_over_gives_its_place_back() -> None:
    here, _ = await start()
    for number in range(20):
        opened = await here.opened("tool:mail/*", ttl_s=60)
        for tool in range(8):
            here.sessions.in_scope(opened.session, calling(f"pay/p{number}-{tool}"))
    assert len(here.sessions.step_ups.list()) == MAX_PENDING_PER_AGENT
    other = await here.opened("tool:mail/*", agent="helper")
    assert isinstance(await here.sessions.ask_more(other.session, ["tool:pay/pay"]), StepUp)
    here.memory.clock.at_s += 61
    fresh = await here.opened("tool:mail/*")
    assert isinstance(await here.sessions.ask_more(fresh.session, ["tool:pay/pay"]), StepUp)
    assert len(here.sessions.step_ups.list()) == 2
    await here.stop()


async def test_nothing_widens_unrecorded() -> None:
    here, opened = await start()
    request = await asked(here, opened, "tool:pay/pay")
    here.memory.is_recording = False
    with pytest.raises(LedgerUnavailable):
        await here.sessions.step_ups.grant(request.id, by="alice")
    assert here.sessions.in_scope(opened.session, calling("pay/pay")) is not None
    here.memory.is_recording = True
    await here.sessions.step_ups.grant(request.id, by="alice")
    assert here.sessions.in_scope(opened.session, calling("pay/pay")) is None
    await here.stop()


async def test_a_write_under_way_takes_no_grant_back() -> None:
    """The state that was on its way to the disk when the grant came must not overwrite it."""
    here, opened = await start()
    request = await asked(here, opened, "tool:pay/pay")
    ledger, intent = here.sessions.guard(here.memory), here.memory.entries[-1]
    opened.session.state.actions += 1000
    await asyncio.gather(ledger.append(replace(intent, session=opened.session.id)), here.sessions.step_ups.grant(request.id, by="alice"))
    assert here.sessions.in_scope(opened.session, calling("pay/pay")) is None
    await here.stop()
    later = await identity(crashed(here.memory))
    session = later.sessions.session(opened.session.id)
    assert session is not None
    assert later.sessions.in_scope(session, calling("pay/pay")) is None
    await later.stop()


async def test_an_agent_cannot_answer_for_its_user(tmp_path: Path) -> None:
    """R-K5: neither its key, nor its session token, nor the user's token it exchanges reach `/v1/me` or the requests."""
    async with control(tmp_path) as plane:
        await plane.register(*control_company())
        services = plane.services
        await services.directory.set_password("alice", "correct horse battery", by="test")
        signed_in = await services.directory.sign_in("alice", "correct horse battery", Credential("", "login"))
        assert not isinstance(signed_in, Refusal)
        key = await services.keys.issue_agent_key("alice-bot", by="test")
        opened = await services.sessions.open(Ask("alice-bot", "alice", ("tool:mail/*",), "read"))
        assert not isinstance(opened, Refusal)
        request = await services.sessions.ask_more(opened.session, ["tool:pay/pay"])
        assert isinstance(request, StepUp)
        for token in (key.secret, opened.token, signed_in.token):
            async with plane.client(token) as client:
                for path in (f"/v1/me/requests/{request.id}/grant", f"/v1/sessions/requests/{request.id}/grant"):
                    assert (await client.post(path, json={})).status_code == 401
                assert (await client.get("/v1/me/sessions")).status_code == 401
        own, _ = services.directory.own_token(signed_in)
        assert isinstance(services.directory.person(signed_in.token), Refusal)
        async with plane.client(own) as client:
            assert (await client.get("/v1/me")).json()["roles"] == ["person"]
            assert (await client.get("/v1/sessions")).status_code == 403
            assert (await client.post(f"/v1/sessions/requests/{request.id}/grant", json={})).status_code == 403
            found = (await client.get("/v1/me/requests")).json()["items"]
            assert [each["adds"] for each in found] == [["tool:pay/pay"]]
            granted = await client.post(f"/v1/me/requests/{request.id}/grant", json={"reason": "yes"})
            assert granted.json()["state"] == "granted"
            again = await client.post(f"/v1/me/requests/{request.id}/grant", json={})
            assert again.status_code == 409
            mine = (await client.get("/v1/me/sessions")).json()["items"]
            assert [each["id"] for each in mine] == [opened.session.id]
            assert (await client.delete(f"/v1/me/sessions/{opened.session.id}")).json() == {"id": opened.session.id, "children": 0}
            assert (await client.get("/v1/me/sessions")).json()["items"] == []


async def test_nobody_sees_ends_or_answers_for_somebody_else(tmp_path: Path) -> None:
    async with control(tmp_path) as plane:
        await plane.register(*control_company())
        services = plane.services
        opened = await services.sessions.open(Ask("alice-bot", "alice", ("tool:mail/*",), "read"))
        assert not isinstance(opened, Refusal)
        request = await services.sessions.ask_more(opened.session, ["tool:pay/pay"])
        assert isinstance(request, StepUp)
        for role in ("approver", "owner", "security", "auditor", "administrator"):
            async with plane.client(role) as client:
                assert (await client.get("/v1/me/sessions")).json()["items"] == []
                assert (await client.get(f"/v1/me/sessions/{opened.session.id}")).status_code == 404
                assert (await client.delete(f"/v1/me/sessions/{opened.session.id}")).status_code == 404
                assert (await client.post(f"/v1/me/requests/{request.id}/grant", json={})).status_code == 404
                answer = await client.post(f"/v1/sessions/requests/{request.id}/grant", json={})
                assert answer.status_code == (200 if role == "administrator" else 403), role


async def test_what_waits_and_what_was_refused_outlive_the_process() -> None:
    """R-B1: an agent does not get a second answer, nor a second eight places, by having the gateway killed; what ended is forgotten."""
    here, opened = await start()
    waits, refused = await asked(here, opened, "tool:pay/pay"), await asked(here, opened, "tool:files/read")
    await here.sessions.step_ups.refuse(refused.id, by="alice", reason="not that")
    gone = await here.opened("tool:mail/*")
    await asked(here, gone, "tool:pay/pay")
    await here.sessions.close(gone.session.id, by="alice")
    later = await identity(crashed(here.memory))
    assert [each.id for each in later.sessions.step_ups.list()] == [waits.id]
    session = later.sessions.session(opened.session.id)
    assert session is not None
    again = await later.sessions.ask_more(session, ["tool:files/read"])
    assert isinstance(again, Refusal)
    assert (again.code, "not that" in again.detail) == ("forbidden", True)
    for number in range(MAX_PENDING - 1):
        assert isinstance(await later.sessions.ask_more(session, [f"tool:other/t{number}"]), StepUp)
    assert isinstance(await later.sessions.ask_more(session, ["tool:other/more"]), Refusal)
    await later.sessions.step_ups.grant(waits.id, by="alice")
    assert later.sessions.in_scope(session, calling("pay/pay")) is None
    await later.sessions.close(opened.session.id, by="alice")
    await later.stop()
    assert later.memory.load("identity/step_up") == {}
    await here.stop()


async def test_a_refusal_is_recorded_once_its_request_is_stored_and_a_no_is_kept_or_not_given() -> None:
    """Nothing names a request that a crash would forget; when it cannot be stored, that is said, and nothing is answered by halves."""
    here, opened = await start()
    refusal = here.sessions.in_scope(opened.session, calling("pay/pay"))
    assert refusal is not None
    assert here.memory.load("identity/step_up") == {}
    here.memory.is_storing = False
    ledger, entry = here.sessions.guard(here.memory), replace(here.memory.entries[-1], session=opened.session.id)
    with pytest.raises(Unavailable):
        await ledger.append(entry)
    (waits,) = here.sessions.step_ups.list()
    with pytest.raises(Unavailable):
        await here.sessions.step_ups.grant(waits.id, by="alice")
    with pytest.raises(Unavailable):
        await here.sessions.step_ups.refuse(waits.id, by="alice")
    assert here.sessions.step_ups.show(waits.id).state == "pending"
    assert here.sessions.in_scope(opened.session, calling("pay/pay")) is not None
    here.memory.is_storing = True
    await ledger.append(entry)
    assert list(here.memory.load("identity/step_up")) == [waits.id]
    await here.stop()
