"""Any order of holding, answering, using, waiting and starting again: one execution a task, and never without enough of the right people."""

import asyncio
from dataclasses import replace
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from ostiary.core.action import Action, Boundary, Origins, Resource
from ostiary.core.decision import ApprovalRule, Decision, Effect
from ostiary.core.errors import OstiaryError
from ostiary.core.pipeline import Passage
from ostiary.core.ports import Credential
from ostiary.core.registry import Registry, User
from ostiary.core.subject import Principal, PrincipalKind, Session, Subject
from ostiary.governance.approvals import Approvals
from ostiary.identity.backing import Backing
from tests.support.identity import Memory

PEOPLE = ("alice", "bob", "carol", "dan", "erin")
ELIGIBLE = {"bob", "carol", "dan"}
"""alice lends, erin is in no group."""
RULE = ApprovalRule("big", "finance", quorum=2, expires_s=600, four_eyes=frozenset({"user"}))


class Inbox(RuleBasedStateMachine):
    """A model of the inbox: who said yes to which action since when, and how often each was let through."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        groups = {name: frozenset({"finance"}) if name != "erin" else frozenset() for name in PEOPLE}
        self.memory = Memory(registry=Registry(users={name: User(name, groups=groups[name]) for name in PEOPLE}))
        self.inbox = self.started()
        self.yes: dict[str, set[str]] = {}
        self.passed: dict[str, int] = {}

    def started(self) -> Approvals:
        return Approvals(Backing(self.memory, self.memory, self.memory.clock, self.memory), url="u/{id}")

    def run(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    def call(self, amount: int) -> tuple[Session, Action]:
        user = Principal("spiffe://t/user/alice", PrincipalKind.USER, "alice")
        agent = Principal("spiffe://t/agent/bot", PrincipalKind.AGENT, "bot", owner="erin")
        session = Session("s1", Subject((user, agent)), ("tool:*/*",), "pay", 0, 10**10)
        return session, Action(Boundary.AGENT_API, "call_tool", "pay/pay", Resource("Tool", "pay/pay"), "tool:pay/pay", {"amount": amount})

    @rule(amount=st.integers(1, 3), callers=st.integers(1, 3))
    def retry(self, amount: int, callers: int) -> None:
        """What the pipeline does: find, decide, use; else hold."""
        session, action = self.call(amount)
        approval = self.inbox.find(session, action.digest)
        if approval is None:
            decision = Decision(Effect.HOLD, "held", ("big",), (), "r", approvals=(RULE,))
            self.run(self.inbox.hold(Passage(Credential("t", "mcp"), session=session, action=action, origins=Origins(), decision=decision)))
            return
        assert approval.by <= ELIGIBLE
        assert len(approval.by) >= RULE.quorum
        assert approval.by <= self.yes[approval.id]

        async def race() -> list[bool]:
            return list(await asyncio.gather(*(self.inbox.consume(approval) for _ in range(callers))))

        self.passed[approval.id] = self.passed.get(approval.id, 0) + sum(self.run(race()))
        assert self.passed[approval.id] == 1

    @rule(by=st.sampled_from(PEOPLE), approves=st.booleans(), which=st.integers(0, 5))
    def answer(self, by: str, approves: bool, which: int) -> None:
        tasks = self.inbox.list()
        if not tasks:
            return
        task, state = tasks[which % len(tasks)]
        try:
            self.run((self.inbox.approve if approves else self.inbox.deny)(task.id, by=by, reason="because"))
        except OstiaryError:
            assert state != "pending" or by not in ELIGIBLE or by in self.yes.get(task.id, set())
            return
        assert state == "pending"
        assert by in ELIGIBLE
        if approves:
            self.yes.setdefault(task.id, set()).add(by)

    @rule(seconds=st.integers(1, 400))
    def wait(self, seconds: int) -> None:
        self.memory.clock.at_s += seconds

    @rule()
    def start_again(self) -> None:
        self.inbox = self.started()

    @rule(name=st.sampled_from(sorted(ELIGIBLE)), is_member=st.booleans())
    def move(self, name: str, is_member: bool) -> None:
        """People join and leave; a yes of one who left does not count when it is used."""
        session, _ = self.call(1)
        groups = frozenset({"finance"}) if is_member else frozenset()
        users = {**self.memory.registry.users, name: User(name, groups=groups)}
        self.memory.registry = replace(self.memory.registry, users=users)
        for amount in (1, 2, 3):
            found = self.inbox.find(session, self.call(amount)[1].digest)
            assert found is None or all("finance" in users[who].groups for who in found.by)
        self.memory.registry = users_back(self.memory.registry)

    def teardown(self) -> None:
        self.loop.close()


def users_back(registry: Registry) -> Registry:
    """Everybody eligible is a member again, so that the other rules have people to ask."""
    users = {name: User(name, groups=frozenset({"finance"}) if name != "erin" else frozenset()) for name in PEOPLE}
    return replace(registry, users=users)


TestInbox = Inbox.TestCase
TestInbox.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
