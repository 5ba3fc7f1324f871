"""Sessions: never more than lent, never longer than they stand, asked at every action (R-P1, R-B1, R-P6, R-G6)."""

from dataclasses import replace
from typing import Any

import pytest

from ostiary.core.decision import Refusal
from ostiary.core.errors import LedgerUnavailable, Unavailable
from ostiary.core.subject import Integrity, Limits, Status
from tests.support.identity import Memory, bot, calling, company, crashed, identity, presented
from tests.support.ports import FixedPolicy


async def test_a_session_lends_what_was_asked_and_no_more() -> None:
    here = await identity()
    opened = await here.opened("tool:mail/*", "model:gpt-4o")
    session = await here.sessions.authenticate(presented(opened.token))
    assert not isinstance(session, Refusal)
    assert session is opened.session
    assert [link.name for link in session.subject.chain] == ["alice", "bot"]
    assert here.sessions.in_scope(session, calling("mail/read")) is None
    refusal = here.sessions.in_scope(session, calling("pay/pay"))
    assert refusal is not None
    assert (refusal.code, refusal.status) == ("out_of_scope", 403)
    assert "tool:pay/pay" in refusal.remedy
    await here.stop()


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        ({"status": Status.DRAFT}, "isolated", "activate"),
        ({"status": Status.ISOLATED}, "isolated", "restore"),
        ({"status": Status.RETIRED}, "revoked", ""),
        ({"owner": "nobody"}, "isolated", "owner"),
        ({"owner": ""}, "isolated", "owner"),
        ({"purpose": ""}, "isolated", "purpose"),
        ({"prompt_digest": "changed"}, "isolated", "activate"),
        ({"model": "another"}, "isolated", "activate"),
        ({"servers": ("another",)}, "isolated", "activate"),
    ],
)
async def test_an_agent_that_may_not_run(change: dict[str, Any], code: str, says: str) -> None:
    """No owner, no purpose or a changed manifest: it does not run, and the refusal says what to do; an open session stops at once."""
    here = await identity()
    opened = await here.opened()
    here.change(bot=replace(bot(), **change))
    standing = here.sessions.standing(opened.session)
    again = await here.refused()
    for refusal in (standing, again):
        assert refusal is not None
        assert refusal.code == code
        assert says in f"{refusal.detail} {refusal.remedy}"
    here.change(bot=bot())
    assert here.sessions.standing(opened.session) is None
    await here.stop()


@pytest.mark.parametrize("user", [None, "nobody", ""])
async def test_nobody_lends_nothing(user: str | None) -> None:
    here = await identity()
    assert (await here.refused(user=user)).status in {400, 401, 403}
    await here.stop()


@pytest.mark.parametrize("ask", [{"purpose": ""}, {"purpose": " "}, {"purpose": "x" * 5000}, {"ttl_s": 0}, {"ttl_s": 3601}, {"scopes": ()}])
async def test_what_no_session_is_opened_for(ask: dict[str, Any]) -> None:
    here = await identity()
    refusal = await here.refused(**ask)
    assert refusal.status == 400
    await here.stop()


async def test_sessions_of_an_isolated_agent_stay_in_sight() -> None:
    """R-P6: what `restore` would bring back can be found and revoked meanwhile."""
    here = await identity()
    opened = await here.opened()
    here.change(bot=replace(bot(), status=Status.ISOLATED))
    assert [(each.id, each.standing) for each in here.sessions.list()] == [(opened.session.id, "isolated")]
    await here.sessions.revoke(opened.session.id, by="dave", reason="incident")
    assert here.sessions.list() == []
    here.change(bot=bot())
    assert here.sessions.standing(opened.session) is not None
    await here.stop()


async def test_a_retired_user_ends_what_they_lent() -> None:
    here = await identity()
    opened = await here.opened()
    users = {**here.memory.registry.users, "alice": replace(here.memory.registry.users["alice"], status=Status.RETIRED)}
    here.memory.registry = replace(here.memory.registry, users=users)
    assert here.sessions.standing(opened.session) is not None
    await here.stop()


async def test_it_ends_by_its_clock() -> None:
    here = await identity()
    opened = await here.opened(ttl_s=60)
    here.memory.clock.at_s += 59
    assert here.sessions.standing(opened.session) is None
    here.memory.clock.at_s += 2
    for refusal in (here.sessions.standing(opened.session), await here.sessions.authenticate(presented(opened.token))):
        assert isinstance(refusal, Refusal)
        assert refusal.code == "expired"
    await here.stop()


@pytest.mark.parametrize(("end", "code"), [("close", "expired"), ("revoke", "revoked")])
async def test_what_is_ended_never_stands_again(end: str, code: str) -> None:
    """R-P6: not from the cache of verified tokens, and not after a restart."""
    here = await identity()
    opened = await here.opened()
    assert not isinstance(await here.sessions.authenticate(presented(opened.token)), Refusal)
    await getattr(here.sessions, end)(opened.session.id, by="alice")
    later = await identity(crashed(here.memory))
    for sessions in (here.sessions, later.sessions):
        refusal = await sessions.authenticate(presented(opened.token))
        assert isinstance(refusal, Refusal)
        assert refusal.code == code
    assert here.sessions.standing(opened.session) is not None
    await here.stop()
    await later.stop()


async def test_sessions_survive_a_restart_with_what_they_have_seen() -> None:
    here = await identity()
    opened = await here.opened()
    state = opened.session.state
    state.labels, state.integrity, state.actions, state.spent = frozenset({"phi"}), Integrity.UNTRUSTED, 7, 30
    await here.stop()
    later = await identity(here.memory)
    session = await later.sessions.authenticate(presented(opened.token))
    assert not isinstance(session, Refusal)
    assert (session.state.labels, session.state.integrity) == (frozenset({"phi"}), Integrity.UNTRUSTED)
    assert (session.state.actions, session.state.spent, session.purpose) == (7, 30, "read the mail")
    assert not later.sessions.show(session.id).is_estimate
    await later.stop()


@pytest.mark.parametrize("limit", [5, 100, None])
async def test_a_crash_never_gives_back_what_was_used(limit: int | None) -> None:
    """R-K3: whatever the moment of the kill, counters are at least what was used; content that may have entered counts as entered."""
    here = await identity()
    opened = await here.opened(limits=Limits(actions=limit))
    ledger, state = here.sessions.guard(here.memory), opened.session.state
    intent = here.memory.entries[-1]
    for number in range(1, 6):
        state.actions, state.spent = number, number * 10
        await ledger.append(replace(intent, session=opened.session.id))
        later = await identity(crashed(here.memory))
        found = later.sessions.session(opened.session.id)
        assert found is not None
        assert found.state.actions >= number
        assert found.state.spent >= number * 10
        assert limit is None or found.state.actions <= limit
        assert later.sessions.show(opened.session.id).is_estimate, "it is said that the counters may stand ahead"
        assert found.state.integrity is Integrity.UNTRUSTED
        await later.stop()
    await here.stop()


async def test_nothing_opens_unrecorded_or_unstored() -> None:
    here = await identity()
    here.memory.is_recording = False
    with pytest.raises(LedgerUnavailable):
        await here.opened()
    here.memory.is_recording, here.memory.is_storing = True, False
    with pytest.raises(Unavailable):
        await here.opened()
    assert here.sessions.list() == []
    here.memory.is_storing = True
    await here.stop()


async def test_an_agent_key_opens_a_wire_only_for_an_autonomous_agent() -> None:
    here = await identity()
    key = await here.keys.issue_agent_key("bot", by="operator")
    refusal = await here.sessions.authenticate(presented(key.secret))
    assert isinstance(refusal, Refusal)
    assert refusal.code == "no_session"
    assert "/oauth/token" in refusal.remedy
    await here.stop()


async def test_an_autonomous_agents_own_session_holds_its_declared_scopes_for_an_hour() -> None:
    memory = Memory(registry=company(bot(autonomous=True, scopes=("tool:mail/read",))))
    here = await identity(memory)
    key = await here.keys.issue_agent_key("bot", by="operator")
    session = await here.sessions.authenticate(presented(key.secret))
    assert not isinstance(session, Refusal)
    assert session.subject.user is None
    assert here.sessions.in_scope(session, calling("mail/read")) is None
    assert here.sessions.in_scope(session, calling("mail/send")) is not None
    assert await here.sessions.authenticate(presented(key.secret)) is session
    await here.sessions.revoke(session.id, by="operator")
    assert isinstance(await here.sessions.authenticate(presented(key.secret)), Refusal)
    memory.clock.at_s += 3601
    fresh = await here.sessions.authenticate(presented(key.secret))
    assert not isinstance(fresh, Refusal)
    assert fresh.id != session.id
    await here.keys.revoke(key.id, by="operator")
    assert here.sessions.standing(fresh) is not None
    await here.stop()


async def test_revoking_a_key_ends_the_sessions_it_bought() -> None:
    here = await identity()
    key = await here.keys.issue_agent_key("bot", by="operator")
    opened = await here.opened(key=key.id)
    await here.keys.revoke(key.id, by="operator", reason="leaked")
    standing = here.sessions.standing(opened.session)
    assert standing is not None
    assert standing.code == "revoked"
    await here.stop()


async def test_every_authentication_is_an_identity_entry() -> None:
    """R-L1: each first use and each failure, by whom and on whose behalf."""
    here = await identity()
    opened = await here.opened(by="operator")
    await here.sessions.authenticate(presented(opened.token))
    await here.sessions.authenticate(presented(opened.token))
    await here.sessions.authenticate(presented("forged"))
    await here.sessions.close(opened.session.id, by="alice")
    seen = [(entry.action, entry.decision, entry.user, entry.on_behalf_of) for entry in here.memory.entries if entry.family == "identity"]
    assert seen[-4:] == [
        ("open_session", "allow", "operator", ("alice",)),
        ("authenticate_session_token", "allow", "alice", ()),
        ("authenticate_session_token", "deny", "", ()),
        ("close_session", "allow", "alice", ()),
    ]
    await here.stop()


async def test_a_session_lent_no_number_has_the_deployments_limits_whoever_opens_it() -> None:
    here = await identity(limits=Limits(actions=3, spend=50))
    opened = await here.opened()
    assert opened.session.limits == Limits(actions=3, spend=50)
    assert (await here.opened(limits=Limits(actions=9))).session.limits == Limits(actions=9, spend=50)
    await here.stop()


async def test_who_keeps_something_of_a_session_is_told_when_it_ends() -> None:
    here = await identity()
    ended: list[str] = []
    here.sessions.on_end(ended.append)
    opened = await here.opened()
    await here.sessions.revoke(opened.session.id, by="alice")
    assert ended == [opened.session.id]
    await here.stop()


async def test_a_session_that_does_nothing_is_over() -> None:
    """R-B1: idle time counts from the last action; what is over stays over, and a child's work keeps its parent awake."""
    here = await identity(Memory(registry=company(bot(), bot(name="helper"))), policy=FixedPolicy())
    opened = await here.opened("tool:mail/*", "agent:helper", idle_s=60)
    child = await here.lent_on(opened.session)
    for _ in range(3):
        here.memory.clock.at_s += 50
        assert here.sessions.standing(child.session) is None
    assert here.sessions.show(opened.session.id).standing == "open"
    here.memory.clock.at_s += 60
    for each in (opened, child, opened):
        refusal = here.sessions.standing(each.session)
        assert refusal is not None
        assert refusal.code == "expired"
    assert isinstance(await here.sessions.authenticate(presented(opened.token)), Refusal)
    await here.stop()


async def test_idle_time_goes_on_while_the_gateway_is_down() -> None:
    here = await identity()
    opened = await here.opened(idle_s=60)
    here.memory.clock.at_s += 30
    assert not isinstance(await here.sessions.authenticate(presented(opened.token)), Refusal)
    await here.stop()
    here.memory.clock.at_s += 59
    later = await identity(crashed(here.memory))
    assert later.sessions.is_open(opened.session.id)
    here.memory.clock.at_s += 1
    assert not later.sessions.is_open(opened.session.id)
    await later.stop()


async def test_fewer_roles_are_lent_to_the_whole_chain() -> None:
    """R-P2: of user and agents only the roles that were lent count, and a child has no more of them."""
    memory = Memory(registry=company(bot(roles=frozenset({"payer", "clerk"})), bot(name="helper", roles=frozenset({"payer", "clerk"}))))
    memory.registry.users["alice"] = replace(memory.registry.users["alice"], roles=frozenset({"clerk", "boss"}))  # type: ignore[index]
    here = await identity(memory, policy=FixedPolicy())
    opened = await here.opened("tool:mail/*", "agent:helper", roles=frozenset({"clerk", "boss"}))
    assert [set(link.roles) for link in opened.session.subject.chain] == [{"clerk", "boss"}, {"clerk"}]
    child = await here.lent_on(opened.session, roles=frozenset({"clerk", "payer"}))
    assert [set(link.roles) for link in child.session.subject.chain] == [{"clerk"}, {"clerk"}, {"clerk"}]
    assert child.session.roles == frozenset({"clerk"})
    assert (await here.refused(roles=frozenset({"nobody"}))).code == "out_of_scope"
    await here.stop()
    later = await identity(crashed(memory))
    found = later.sessions.session(child.session.id)
    assert found is not None
    assert found.subject == child.session.subject
    assert later.sessions.show(child.session.id).roles == ("clerk",)
    await later.stop()


@pytest.mark.parametrize("limits", [Limits(rows=-1), Limits(bytes=-1), Limits(approvals=-1)])
async def test_no_limit_is_negative(limits: Limits) -> None:
    here = await identity()
    assert (await here.refused(limits=limits)).status == 400
    asks: tuple[dict[str, Any], ...] = ({"idle_s": 0}, {"idle_s": 4000}, {"roles": frozenset()}, {"roles": frozenset({"a b"})})
    for ask in asks:
        assert (await here.refused(**ask)).status == 400
    await here.stop()


async def test_counts_of_rows_bytes_and_approvals_outlive_a_crash() -> None:
    here = await identity()
    opened = await here.opened(limits=Limits(rows=100, bytes=1000, approvals=3))
    ledger, state = here.sessions.guard(here.memory), opened.session.state
    intent = here.memory.entries[-1]
    for number in range(1, 4):
        state.rows, state.bytes, state.approvals = number * 10, number * 100, number
        await ledger.append(replace(intent, session=opened.session.id))
        later = await identity(crashed(here.memory))
        found = later.sessions.session(opened.session.id)
        assert found is not None
        assert found.state.rows >= number * 10
        assert found.state.bytes >= number * 100
        assert found.state.approvals >= number
        await later.stop()
    await here.stop()
