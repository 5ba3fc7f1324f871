"""The inbox: the right people, exactly one action, once, for a time, recorded before it counts (R-B4, R-G3, R-K3)."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from ostiary.core.action import Action, Boundary, Origins, Resource
from ostiary.core.decision import ApprovalRule, Decision, Effect, Refusal
from ostiary.core.errors import Conflict, Invalid, LedgerUnavailable, NotFound, Unavailable
from ostiary.core.pipeline import Passage
from ostiary.core.ports import Change, Credential
from ostiary.core.registry import Registry, User
from ostiary.core.subject import Limits, Principal, PrincipalKind, Session, Status, Subject
from ostiary.governance.approvals import MAX_OPEN_PER_SESSION, Approvals
from ostiary.identity.backing import Backing
from tests.support.identity import Memory

FINANCE = ApprovalRule("big", "finance", four_eyes=frozenset({"user", "owner"}))
PAY = Action(Boundary.AGENT_API, "call_tool", "pay/pay", Resource("Tool", "pay/pay"), "tool:pay/pay", {"amount": 5000, "to": "ACME"})
PEOPLE = {
    "alice": User("alice", "alice@x.example", groups=frozenset({"finance"})),
    "carol": User("carol", "carol@x.example", groups=frozenset({"finance"})),
    "carol2": User("carol2", "Carol@x.example ", groups=frozenset({"finance"})),
    "dan": User("dan", "dan@x.example", roles=frozenset({"finance"})),
    "erin": User("erin", "erin@x.example", groups=frozenset({"sales"})),
    "owen": User("owen", "owen@x.example", groups=frozenset({"finance"})),
}


class World(Memory):
    """Memory with the people of these tests, and an inbox over it."""

    def approvals(self, **options: Any) -> Approvals:
        return Approvals(Backing(self, self, self.clock, self), url="http://x/v1/approvals/{id}", **options)


def made() -> World:
    return World(registry=Registry(users=PEOPLE))


def session(name: str = "s1", user: str | None = "alice") -> Session:
    agent = Principal("spiffe://t/agent/bot", PrincipalKind.AGENT, "bot", owner="owen")
    chain = (Principal(f"spiffe://t/user/{user}", PrincipalKind.USER, user), agent) if user else (agent,)
    return Session(name, Subject(chain), ("tool:*",), "pay ACME", 0, 10)


def passage(action: Action = PAY, where: Session | None = None, *rules: ApprovalRule) -> Passage:
    decision = Decision(Effect.HOLD, "held", ("big",), ("needs a yes",), "r1", approvals=rules or (FINANCE,))
    return Passage(Credential("t", "mcp"), session=where or session(), action=action, origins=Origins({"to": "user"}), decision=decision)


async def held(inbox: Approvals, *rules: ApprovalRule, action: Action = PAY, where: Session | None = None) -> str:
    handle = await inbox.hold(passage(action, where, *rules))
    assert not isinstance(handle, Refusal), handle
    return str(handle["id"])


async def test_a_held_action_waits_once_and_runs_once() -> None:
    world = made()
    inbox = world.approvals()
    task = await held(inbox)
    assert await held(inbox) == task
    assert inbox.find(session(), PAY.digest) is None
    await inbox.approve(task, by="carol", reason="checked")
    approval = inbox.find(session(), PAY.digest)
    assert approval is not None
    assert (approval.group, approval.by, approval.reason) == ("finance", frozenset({"carol"}), "checked")
    assert list(await asyncio.gather(inbox.consume(approval), inbox.consume(approval))) == [True, False]
    assert inbox.find(session(), PAY.digest) is None
    assert await held(inbox) != task


async def test_people_are_shown_what_would_happen() -> None:
    """R-S5: agent, person, purpose, rule, arguments and where they came from."""
    inbox = made().approvals()
    task, state = inbox.show(await held(inbox))
    assert (state, task.agent, task.owner, task.user, task.purpose) == ("pending", "bot", "owen", "alice", "pay ACME")
    assert (task.arguments, task.origins, task.policies) == ('{"amount":5000,"to":"ACME"}', {"to": "user"}, ("big",))


@pytest.mark.parametrize(
    ("by", "why"),
    [("alice", "lent the rights"), ("owen", "own the agent"), ("erin", "not in `finance`"), ("nobody", "no active"), ("bot", "no active")],
)
async def test_who_may_not_answer(by: str, why: str) -> None:
    """Four eyes: neither the lending user nor the agent's owner, nor anybody outside the group."""
    inbox = made().approvals()
    task = await held(inbox)
    for answer in (inbox.approve, inbox.deny):
        with pytest.raises(Invalid, match=why) as caught:
            await answer(task, by=by, reason="me")
        assert caught.value.status == 403
    assert inbox.show(task)[1] == "pending"


async def test_a_steward_counts_as_a_member_unless_four_eyes_says_no() -> None:
    inbox = made().approvals(stewards=frozenset({"operator", "alice"}))
    task = await held(inbox)
    with pytest.raises(Invalid, match="lent the rights"):
        await inbox.approve(task, by="alice", reason="me")
    await inbox.approve(task, by="operator", reason="nobody else is here yet")
    assert inbox.find(session(), PAY.digest) is not None


async def test_an_autonomous_agents_owner_is_its_user() -> None:
    inbox = made().approvals()
    task = await held(inbox, replace(FINANCE, four_eyes=frozenset({"user"})), where=session(user=None))
    with pytest.raises(Invalid, match="lent the rights"):
        await inbox.approve(task, by="owen", reason="me")


@pytest.mark.parametrize(("by", "why"), [("alice", "lent the rights"), ("carol", "one that it acts for"), ("owen", "own the agent")])
async def test_everybody_behind_a_delegated_action_is_barred(by: str, why: str) -> None:
    """R-B4, R-B1: bot is owen's and acts for planner, which is carol's; after a restart too."""
    planner = Principal("spiffe://t/agent/planner", PrincipalKind.AGENT, "planner", owner="carol")
    world = made()
    user, actor = session().subject.chain
    task = await held(world.approvals(), where=replace(session(), subject=Subject((user, planner, actor)), depth=1))
    inbox = world.approvals()
    with pytest.raises(Invalid, match=why):
        await inbox.approve(task, by=by, reason="me")
    await inbox.approve(task, by="dan", reason="neither theirs nor lent by me")
    assert inbox.show(task)[1] == "approved"


async def test_the_owners_of_an_autonomous_chain_stand_for_its_user() -> None:
    """R-B4: planner began by itself; neither its owner nor the acting agent's answers."""
    planner = Principal("spiffe://t/agent/planner", PrincipalKind.AGENT, "planner", owner="carol")
    where = replace(session(user=None), subject=Subject((planner, session().subject.actor)), depth=1)
    inbox = made().approvals()
    task = await held(inbox, replace(FINANCE, four_eyes=frozenset({"user"})), where=where)
    for by in ("carol", "owen"):
        with pytest.raises(Invalid, match="lent the rights"):
            await inbox.approve(task, by=by, reason="me")
    await inbox.approve(task, by="dan", reason="ordered")
    assert inbox.show(task)[1] == "approved"


async def test_a_task_of_an_older_data_directory_bars_whom_it_named() -> None:
    """R-B4: without what is kept now, the user and the acting agent's owner are who they were."""
    world = made()
    task = await held(world.approvals())
    ((name, raw),) = [(name, body) for name, body in world.load("approval").items() if name == task]
    older = {key: value for key, value in json.loads(raw).items() if key != "owners"}
    await world.write([Change("approval", name, json.dumps(older).encode())])
    inbox = world.approvals()
    for by, why in (("alice", "lent the rights"), ("owen", "own the agent")):
        with pytest.raises(Invalid, match=why):
            await inbox.approve(task, by=by, reason="me")


async def test_a_quorum_is_of_people_not_of_names() -> None:
    inbox = made().approvals()
    task = await held(inbox, replace(FINANCE, quorum=2))
    await inbox.approve(task, by="carol", reason="one")
    for name in ("carol", "carol2"):
        with pytest.raises(Conflict, match="different people"):
            await inbox.approve(task, by=name, reason="again")
    assert inbox.find(session(), PAY.digest) is None
    await inbox.approve(task, by="dan", reason="two")
    assert inbox.find(session(), PAY.digest) is not None


async def test_a_yes_counts_only_while_its_giver_may_still_give_it() -> None:
    """R-P6."""
    world = made()
    inbox = world.approvals()
    await inbox.approve(await held(inbox), by="carol", reason="ok")
    for changed in (replace(PEOPLE["carol"], groups=frozenset()), replace(PEOPLE["carol"], status=Status.RETIRED)):
        world.registry = Registry(users={**PEOPLE, "carol": changed})
        assert inbox.find(session(), PAY.digest) is None


async def test_a_no_is_told_and_ends_it() -> None:
    inbox = made().approvals()
    task = await held(inbox)
    await inbox.deny(task, by="dan", reason="not this month")
    answer = await inbox.hold(passage())
    assert isinstance(answer, Refusal)
    assert (answer.code, answer.detail) == ("forbidden", "`dan` denied it: not this month")
    with pytest.raises(Conflict, match="is denied"):
        await inbox.approve(task, by="carol", reason="but I say yes")


async def test_waiting_and_approval_both_end() -> None:
    world = made()
    inbox = world.approvals()
    task = await held(inbox)
    world.clock.at_s += 3601
    with pytest.raises(Conflict, match="is expired"):
        await inbox.approve(task, by="carol", reason="late")
    again = await held(inbox)
    assert again != task
    await inbox.approve(again, by="carol", reason="ok")
    world.clock.at_s += 3601
    assert inbox.find(session(), PAY.digest) is None


CHANGED = [
    PAY.with_arguments({"amount": 5001, "to": "ACME"}),
    PAY.with_arguments({"amount": 5000, "to": "ACME "}),
    PAY.with_arguments({"amount": "5000", "to": "ACME"}),
    PAY.with_arguments({"amount": 5000, "to": "ACME", "extra": None}),
    replace(PAY, name="pay/refund"),
]


@pytest.mark.parametrize("action", CHANGED)
async def test_one_byte_changed_is_another_action(action: Action) -> None:
    inbox = made().approvals()
    await inbox.approve(await held(inbox), by="carol", reason="ok")
    assert inbox.find(session(), action.digest) is None
    assert inbox.find(session("s2"), PAY.digest) is None


async def test_a_stricter_rule_needs_a_new_answer() -> None:
    inbox = made().approvals()
    task = await held(inbox)
    await inbox.approve(task, by="carol", reason="ok")
    assert await held(inbox, replace(FINANCE, quorum=2)) != task
    assert inbox.find(session(), PAY.digest) is None


LAW = ApprovalRule("law", "sales")


async def test_two_groups_hold_one_action_and_both_must_say_yes() -> None:
    """R-B4: one task, a quorum for each group, and the approval carries the yes of each."""
    world = made()
    inbox = world.approvals()
    task = await held(inbox, replace(FINANCE, quorum=2), LAW)
    assert await held(inbox, LAW, replace(FINANCE, quorum=2)) == task
    await inbox.approve(task, by="erin", reason="lawful")
    await inbox.approve(task, by="carol", reason="affordable")
    assert (inbox.show(task)[1], inbox.find(session(), PAY.digest)) == ("pending", None)
    await inbox.approve(task, by="dan", reason="affordable")
    approval = world.approvals().find(session(), PAY.digest)
    assert approval is not None, "and it survives a restart"
    assert {each.group: each.by for each in approval.each} == {"finance": {"carol", "dan"}, "sales": {"erin"}}
    assert await inbox.consume(approval)
    assert await held(inbox, FINANCE) != task


async def test_a_yes_of_one_group_is_none_of_another() -> None:
    """R-B4: two of finance are not one of finance and one of sales; leaving a group takes the yes back; one no ends it."""
    world = made()
    inbox = world.approvals()
    task = await held(inbox, FINANCE, LAW)
    await inbox.approve(task, by="carol", reason="yes")
    await inbox.approve(task, by="dan", reason="yes")
    assert inbox.show(task)[1] == "pending"
    await inbox.approve(task, by="erin", reason="yes")
    assert inbox.find(session(), PAY.digest) is not None
    world.registry = Registry(users={**PEOPLE, "erin": replace(PEOPLE["erin"], groups=frozenset({"finance"}))})
    assert inbox.find(session(), PAY.digest) is None
    other = await held(inbox, FINANCE, LAW, action=PAY.with_arguments({"amount": 1}))
    await inbox.approve(other, by="carol", reason="yes")
    await inbox.deny(other, by="dan", reason="no")
    assert inbox.show(other)[1] == "denied"


async def test_a_rule_that_asks_one_more_group_needs_a_new_task() -> None:
    """R-B4: what was approved under a looser policy does not count for a stricter one."""
    inbox = made().approvals()
    task = await held(inbox, FINANCE)
    await inbox.approve(task, by="carol", reason="yes")
    assert await held(inbox, FINANCE, LAW) != task


async def test_a_flood_of_held_actions_is_bounded() -> None:
    inbox = made().approvals(max_open=MAX_OPEN_PER_SESSION + 10)
    for number in range(MAX_OPEN_PER_SESSION):
        await held(inbox, action=PAY.with_arguments({"amount": number}))
    answer = await inbox.hold(passage())
    assert isinstance(answer, Refusal)
    assert answer.code == "rate_limited"
    for number in range(10):
        await held(inbox, action=PAY.with_arguments({"amount": number}), where=session("s2"))
    assert isinstance(await inbox.hold(passage(PAY, session("s3"))), Refusal)


async def test_everything_is_there_after_a_restart() -> None:
    world = made()
    inbox = world.approvals()
    task = await held(inbox)
    await inbox.approve(task, by="carol", reason="ok")
    later = world.approvals()
    approval = later.find(session(), PAY.digest)
    assert approval is not None
    assert await later.consume(approval)
    assert world.approvals().find(session(), PAY.digest) is None
    assert world.approvals().show(task)[1] == "used"


async def test_an_answer_that_cannot_be_recorded_does_not_count() -> None:
    """R-K3: no receipt, no effect."""
    world = made()
    inbox = world.approvals()
    task = await held(inbox)
    world.is_recording = False
    with pytest.raises(LedgerUnavailable):
        await inbox.approve(task, by="carol", reason="ok")
    assert inbox.find(session(), PAY.digest) is None
    world.is_recording = True
    await inbox.approve(task, by="carol", reason="ok")
    entry = world.entries[-1]
    assert (entry.user, entry.action, entry.decision, entry.approval, entry.parts[0].content) == ("carol", "approve", "allow", task, b"ok")


async def test_an_answer_that_cannot_be_stored_is_taken_back_but_a_use_is_not() -> None:
    """Failing closed costs a second question, not a second payment."""
    world = made()
    inbox = world.approvals()
    task = await held(inbox)
    world.is_storing = False
    with pytest.raises(Unavailable):
        await inbox.approve(task, by="carol", reason="ok")
    assert inbox.find(session(), PAY.digest) is None
    world.is_storing = True
    await inbox.approve(task, by="carol", reason="ok")
    approval = inbox.find(session(), PAY.digest)
    assert approval is not None
    world.is_storing = False
    with pytest.raises(Unavailable):
        await inbox.consume(approval)
    assert not await inbox.consume(approval)


async def test_two_answers_at_once_are_one_answer() -> None:
    inbox = made().approvals()
    task = await held(inbox)
    results = await asyncio.gather(
        inbox.approve(task, by="carol", reason="yes"), inbox.deny(task, by="dan", reason="no"), return_exceptions=True
    )
    assert sum(isinstance(result, Conflict) for result in results) == 1


@pytest.mark.parametrize("reason", ["", "   ", "x" * 4001])
async def test_a_reason_is_needed(reason: str) -> None:
    inbox = made().approvals()
    with pytest.raises(Invalid, match="reason"):
        await inbox.approve(await held(inbox), by="carol", reason=reason)


async def test_what_is_not_there() -> None:
    with pytest.raises(NotFound):
        made().approvals().show("../x")


async def test_a_session_asks_people_as_often_as_it_was_lent() -> None:
    """R-B1: asking again for what waits already is free; children count against their parent, however parallel."""
    parent = replace(session(), limits=Limits(approvals=3))
    children = [replace(session(name), above=(parent,)) for name in ("s2", "s3")]
    inbox = made().approvals()
    asked = [
        inbox.hold(passage(replace(PAY, arguments={"amount": number}), where)) for number in range(4) for where in (*children, children[0])
    ]
    answers = await asyncio.gather(*asked)
    refused = [each for each in answers if isinstance(each, Refusal)]
    assert {each.code for each in refused} == {"budget_spent"}
    assert parent.state.approvals == 3
    assert len(inbox.list()) == 3


async def test_what_waits_for_a_session_that_is_over_waits_no_more() -> None:
    """R-B4: nobody can answer it, it takes no place, and the record says so; by itself when the session ran out, at once when it was ended."""
    world, over = made(), set[str]()
    inbox = world.approvals(is_over=over.__contains__, max_open=2)
    pending, approved = await held(inbox), await held(inbox, action=replace(PAY, arguments={"amount": 1}), where=session("s2"))
    await inbox.approve(approved, by="carol", reason="fine")
    kept = await held(inbox, where=session("s3"))
    assert isinstance(await inbox.hold(passage(where=session("s4"))), Refusal)
    over |= {"s1", "s2"}
    assert [inbox.show(task)[1] for task in (pending, approved, kept)] == ["withdrawn", "withdrawn", "pending"]
    assert inbox.find(session("s2"), inbox.show(approved)[0].digest) is None
    with pytest.raises(Conflict, match="withdrawn"):
        await inbox.approve(pending, by="carol", reason="too late")
    await held(inbox, where=session("s4"))
    inbox.withdraw("s1")
    inbox.withdraw("s1")
    await inbox.stop()
    found = [entry for entry in world.entries if entry.action == "withdraw"]
    assert [(each.approval, each.session, each.user, each.decision, each.code) for each in found] == [
        (pending, "s1", "ostiary", "deny", "expired")
    ]
    over.clear()
    later = world.approvals(is_over=lambda name: name in {"s2", "s3"})
    later.withdraw()
    await later.stop()
    assert {entry.approval for entry in world.entries if entry.action == "withdraw"} == {pending, approved, kept}
    assert sorted(where for _, where in later.list()) == ["pending", "withdrawn", "withdrawn", "withdrawn"]


async def test_a_withdrawal_that_cannot_be_recorded_counts_all_the_same() -> None:
    """The state does not wait for the record, which is made up for at the next start."""
    world, over = made(), {"s1"}
    inbox = world.approvals(is_over=over.__contains__)
    over.clear()
    task = await held(inbox)
    over.add("s1")
    world.is_recording = False
    inbox.withdraw()
    await inbox.stop()
    assert (inbox.show(task)[1], inbox.show(task)[0].withdrawn) == ("withdrawn", False)
    world.is_recording = True
    inbox.withdraw()
    await inbox.stop()
    assert inbox.show(task)[0].withdrawn
