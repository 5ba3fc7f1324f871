"""Lending on: what a session gives another agent is never more than it has, and ends with it (R-B1, R-P6)."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from ostiary.controls.limits import Limits as Counting
from ostiary.core.action import Resource
from ostiary.core.decision import Refusal
from ostiary.core.errors import LedgerUnavailable, Unavailable
from ostiary.core.subject import Integrity, Limits, Session, Status
from ostiary.identity import asking
from ostiary.identity.keeper import SessionDocument
from ostiary.identity.lending import Ask
from ostiary.identity.roster import MAX_CHILDREN
from ostiary.identity.tokens import acting
from tests.support.identity import Identity, Memory, bot, calling, company, crashed, identity, presented
from tests.support.policy import engine
from tests.support.policy import session as lending
from tests.support.ports import FixedPolicy

ANYTHING = ("tool:mail/*", "agent:*")


def helper(name: str = "helper", **fields: Any) -> Any:
    return bot(name=name, **fields)


async def start(memory: Memory | None = None, **options: Any) -> Identity:
    memory = memory or Memory(registry=company(bot(), helper(), helper("third")))
    return await identity(memory, **{"policy": FixedPolicy(), **options})


async def test_the_whole_chain_stands_in_the_session_the_token_and_the_record() -> None:
    """R-B1: user → agent → sub-agent, in the subject, in `act` and in `on_behalf_of`."""
    here = await start()
    opened = await here.opened(*ANYTHING)
    child = await here.lent_on(opened.session, "tool:mail/read", "agent:third")
    grandchild = await here.lent_on(child.session, agent="third")
    session = await here.sessions.authenticate(presented(grandchild.token))
    assert not isinstance(session, Refusal)
    assert [link.name for link in session.subject.chain] == ["alice", "bot", "helper", "third"]
    assert (session.depth, session.scopes, session.above[0].id) == (2, ("tool:mail/read",), child.session.id)
    claims = here.signer.verify(grandchild.token, "at+jwt")
    assert not isinstance(claims, Refusal)
    assert claims["act"] == acting(["third", "helper", "bot"]) == {"sub": "third", "act": {"sub": "helper", "act": {"sub": "bot"}}}
    entry = here.memory.entries[-1]
    above = tuple(link.id for link in session.subject.chain[1:3])
    assert (entry.action, entry.user, entry.on_behalf_of) == ("authenticate_session_token", "alice", above)
    lent = [entry for entry in here.memory.entries if entry.action == "delegate_session"]
    assert [entry.session for entry in lent] == [child.session.id, grandchild.session.id]
    assert lent[0].policies == ("allow",)
    view = here.sessions.show(grandchild.session.id)
    assert (view.parent, view.depth, view.chain) == (child.session.id, 2, ("alice", "bot", "helper", "third"))
    await here.stop()


async def test_rights_only_shrink() -> None:
    """R-P2: scopes are intersected as sets, the end is at most the parent's, limits at most what the parent has left."""
    here = await start()
    opened = await here.opened("tool:mail/*", "agent:helper", ttl_s=600, limits=Limits(actions=10, spend=1000))
    opened.session.state.actions = 4
    child = await here.lent_on(opened.session, "tool:*/read", "tool:pay/*", "agent:*", ttl_s=3600, limits=Limits(actions=100))
    assert child.session.scopes == ("agent:helper", "tool:mail/read")
    assert child.expires_at == opened.expires_at
    assert child.session.limits == Limits(6, 1000)
    await here.stop()


async def test_what_the_child_declares_bounds_it_too() -> None:
    here = await start(Memory(registry=company(bot(), helper(scopes=("tool:mail/read",)))))
    opened = await here.opened(*ANYTHING)
    assert (await here.lent_on(opened.session, "tool:mail/*")).session.scopes == ("tool:mail/read",)
    await here.stop()


async def test_lending_on_needs_the_scope_and_a_permit() -> None:
    """R-P1: default deny; an agent may narrow its own session without either."""
    policy = FixedPolicy(denied={"helper"})
    here = await start(policy=policy)
    opened = await here.opened("tool:mail/*")
    assert (await here.not_lent_on(opened.session)).code == "out_of_scope"
    able = await here.opened(*ANYTHING)
    assert (await here.not_lent_on(able.session)).code == "forbidden"
    assert policy.decided[-1].name == "delegate"
    assert here.memory.entries[-1].verb == "delegate"
    assert here.memory.entries[-1].decision == "deny"
    own = await here.lent_on(opened.session, agent="bot")
    assert [link.name for link in own.session.subject.chain] == ["alice", "bot", "bot"]
    await here.stop()


PERMIT = '@id("clerks-delegate") permit (principal in Role::"clerk", action == Action::"delegate", resource == Agent::"helper");'
HOLD = '@id("ask-first") @approval("finance") forbid (principal, action == Action::"delegate", resource) unless { context has approval };'
LONG = '@id("not-long") forbid (principal, action == Action::"delegate", resource) when { context.arguments has purpose };'


@pytest.mark.parametrize(
    ("text", "links", "to", "code"),
    [
        (PERMIT, ("user:alice", "agent:invoice-bot"), "helper", ""),
        ("", ("user:alice", "agent:invoice-bot"), "helper", "not_granted"),
        (PERMIT, ("user:bob", "agent:invoice-bot"), "helper", "not_granted"),
        (PERMIT, ("user:alice", "agent:helper"), "invoice-bot", "not_granted"),
        (PERMIT + HOLD, ("user:alice", "agent:invoice-bot"), "helper", "forbidden"),
        (PERMIT + LONG, ("user:alice", "agent:invoice-bot"), "helper", "forbidden"),
        ("", ("user:alice", "agent:invoice-bot"), "invoice-bot", ""),
        (LONG, ("user:alice", "agent:invoice-bot"), "invoice-bot", "forbidden"),
    ],
)
def test_policy_is_asked_for_every_link_above(text: str, links: tuple[str, ...], to: str, code: str) -> None:
    """R-P1: `delegate` on the agent that gets it, by Cedar; lending to oneself needs no permit, and can be forbidden."""
    found = asking.delegating(engine(text), lending(*links), child(to), 200.0)
    assert (found.code if isinstance(found, Refusal) else "") == code


def child(agent: str) -> SessionDocument:
    return SessionDocument("c", agent, "alice", ("tool:mail/read",), "help", 1.0, 2.0, Limits(), "token_exchange", parent="s-1", depth=1)


async def test_without_a_policy_engine_nothing_is_lent_on() -> None:
    here = await start(policy=None)
    opened = await here.opened(*ANYTHING)
    assert (await here.not_lent_on(opened.session)).code == "not_granted"
    await here.stop()


@pytest.mark.parametrize("end", ["close", "revoke", "expire", "isolate", "retire", "user", "restart"])
async def test_the_parents_end_is_the_childrens(end: str) -> None:
    """R-P6: at once, for tokens that were just used, and after a restart."""
    here = await start()
    opened = await here.opened(*ANYTHING, ttl_s=60)
    child = await here.lent_on(opened.session, "agent:*", "tool:mail/read")
    grandchild = await here.lent_on(child.session, agent="third")
    for each in (child, grandchild):
        assert not isinstance(await here.sessions.authenticate(presented(each.token)), Refusal)
    if end in {"close", "revoke", "restart"}:
        ended = here.sessions.revoke if end == "revoke" else here.sessions.close
        assert await ended(opened.session.id, by="alice") == 2
    elif end == "expire":
        here.memory.clock.at_s += 61
    elif end == "user":
        users = {**here.memory.registry.users, "alice": replace(here.memory.registry.users["alice"], status=Status.RETIRED)}
        here.memory.registry = replace(here.memory.registry, users=users)
    else:
        status = Status.ISOLATED if end == "isolate" else Status.RETIRED
        here.change(**{**here.memory.registry.agents, "bot": bot(status=status)})
    if end == "restart":
        here = await start(crashed(here.memory))
    for each in (child, grandchild):
        assert here.sessions.standing(each.session) is not None
        assert isinstance(await here.sessions.authenticate(presented(each.token)), Refusal)
        assert isinstance(await here.not_lent_on(each.session, agent="third"), Refusal)
    await here.stop()


async def test_the_end_of_a_child_is_not_its_parents() -> None:
    here = await start()
    opened = await here.opened(*ANYTHING)
    child = await here.lent_on(opened.session)
    assert await here.sessions.close(child.session.id, by="alice") == 0
    assert here.sessions.standing(opened.session) is None
    assert here.sessions.standing(child.session) is not None
    await here.stop()


async def test_depth_is_bounded() -> None:
    here = await start()
    session = (await here.opened(*ANYTHING)).session
    for _ in range(4):
        session = (await here.lent_on(session, *ANYTHING, agent="bot")).session
    refusal = await here.not_lent_on(session, agent="bot")
    assert (refusal.code, session.depth) == ("forbidden", 4)
    await here.stop()


async def test_nobody_stands_twice_in_a_chain() -> None:
    here = await start()
    opened = await here.opened(*ANYTHING)
    child = await here.lent_on(opened.session, *ANYTHING)
    assert "higher in this chain" in (await here.not_lent_on(child.session, agent="bot")).detail
    await here.stop()


async def test_a_session_lends_on_a_bounded_number_of_times_however_parallel() -> None:
    here = await start()
    opened = await here.opened(*ANYTHING)
    tried = await asyncio.gather(*[here.sessions.delegate(opened.session, ask()) for _ in range(MAX_CHILDREN + 20)])
    assert sum(not isinstance(each, Refusal) for each in tried) == MAX_CHILDREN
    refused = next(each for each in tried if isinstance(each, Refusal))
    assert refused.code == "rate_limited"
    await here.stop()


async def test_what_children_use_counts_against_everybody_above() -> None:
    """R-B1: ten children have one budget, not ten."""
    here = await start()
    opened = await here.opened(*ANYTHING, limits=Limits(actions=20))
    children = [await here.lent_on(opened.session, "agent:*", "tool:mail/read", limits=Limits(actions=15)) for _ in range(5)]
    grandchildren = [await here.lent_on(child.session, agent="third") for child in children]
    counting = Counting(here.memory, here.memory.clock.now_ns)
    allowed = 0
    for _ in range(10):
        for each in (*children, *grandchildren, opened):
            allowed += counting.admit(each.session, Resource("Tool", "mail/read")) is None
    assert allowed == 20
    assert opened.session.state.actions == 20
    refusal = await here.not_lent_on(opened.session)
    assert refusal.code == "budget_spent"
    await here.stop()


async def test_counts_of_everybody_above_outlive_a_crash() -> None:
    here = await start()
    opened = await here.opened(*ANYTHING, limits=Limits(actions=50))
    child = await here.lent_on(opened.session)
    ledger = here.sessions.guard(here.memory)
    intent = here.memory.entries[-1]
    for number in range(1, 6):
        for session in child.session.line:
            session.state.actions += 1
        await ledger.append(replace(intent, session=child.session.id))
        later = await start(crashed(here.memory))
        for each in (opened, child):
            found = later.sessions.session(each.session.id)
            assert found is not None
            assert found.state.actions >= number
        await later.stop()
    await here.stop()


async def test_labels_go_down_with_the_loan_and_up_with_the_answer() -> None:
    """R-K1: a child begins with what its parent met, and what it meets comes back with its answer."""
    here = await start()
    opened = await here.opened(*ANYTHING)
    opened.session.state.labels = frozenset({"phi"})
    child = await here.lent_on(opened.session)
    assert child.session.state.labels == {"phi"}
    child.session.state.labels |= {"secret"}
    child.session.state.integrity = Integrity.UNTRUSTED
    above = opened.session.state
    assert above.labels == {"phi"}
    assert above.integrity == "trusted"
    here.sessions.rejoin(child.session)
    assert above.labels == {"phi", "secret"}
    assert above.integrity == "untrusted"
    await here.stop()


async def test_a_chain_survives_a_restart() -> None:
    here = await start()
    opened = await here.opened(*ANYTHING)
    child = await here.lent_on(opened.session, "tool:mail/read", "agent:*")
    await here.stop()
    later = await start(here.memory)
    session = await later.sessions.authenticate(presented(child.token))
    assert not isinstance(session, Refusal)
    assert [link.name for link in session.subject.chain] == ["alice", "bot", "helper"]
    assert [each.id for each in session.above] == [opened.session.id]
    assert later.sessions.in_scope(session, calling("mail/read")) is None
    assert later.sessions.in_scope(session, calling("mail/send")) is not None
    assert (await later.lent_on(session, agent="third")).session.depth == 2
    await later.stop()


async def test_what_is_known_is_handed_down_before_the_child_can_act() -> None:
    here = await start()
    opened = await here.opened(*ANYTHING)
    seen: list[tuple[Session, Session]] = []
    here.sessions.on_delegate(lambda child, parent: seen.append((child, parent)))
    child = await here.lent_on(opened.session)
    assert seen == [(child.session, opened.session)]

    def broken(child: Session, parent: Session) -> None:
        raise RuntimeError

    here.sessions.on_delegate(broken)
    with pytest.raises(RuntimeError):
        await here.sessions.delegate(opened.session, ask())
    assert [view.id for view in here.sessions.list(agent="helper")] == [child.session.id]
    await here.stop()


@pytest.mark.parametrize("fails", ["is_recording", "is_storing"])
async def test_nothing_is_lent_on_unrecorded_or_unstored(fails: str) -> None:
    here = await start()
    opened = await here.opened(*ANYTHING)
    setattr(here.memory, fails, False)
    with pytest.raises((LedgerUnavailable, Unavailable)):
        await here.sessions.delegate(opened.session, ask())
    setattr(here.memory, fails, True)
    assert here.sessions.list(agent="helper") == []
    assert here.sessions.show(opened.session.id).children == 0
    await here.stop()


async def test_a_pipelines_decision_is_not_asked_for_twice() -> None:
    policy = FixedPolicy(denied={"helper"})
    here = await start(policy=policy)
    opened = await here.opened(*ANYTHING)
    before = len(policy.decided)
    assert not isinstance(await here.sessions.delegate(opened.session, ask(), is_decided=True), Refusal)
    assert len(policy.decided) == before
    await here.stop()


async def test_an_autonomous_agent_lends_on_to_one_that_is_not() -> None:
    memory = Memory(registry=company(bot(autonomous=True, scopes=ANYTHING), helper()))
    here = await start(memory)
    key = await here.keys.issue_agent_key("bot", by="test")
    parent = await here.sessions.authenticate(presented(key.secret))
    assert not isinstance(parent, Refusal)
    child = await here.lent_on(parent)
    assert [link.name for link in child.session.subject.chain] == ["bot", "helper"]
    found = await here.sessions.authenticate(presented(child.token))
    assert found is child.session
    await here.keys.revoke(key.id, by="test")
    assert here.sessions.standing(child.session) is not None
    await here.stop()


def ask() -> Ask:
    return Ask("helper", None, ("tool:mail/read",), "help")
