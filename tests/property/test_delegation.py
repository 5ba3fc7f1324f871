"""Any order of opening, lending on, acting, ending, waiting, killing and starting again: a child never exceeds its parent (R-B1, R-P6)."""

import asyncio
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from ostiary.controls.limits import Limits as Counting
from ostiary.core.action import Resource
from ostiary.core.decision import Refusal
from ostiary.core.entry import Entry, Family, Kind
from ostiary.core.ids import new_id
from ostiary.core.subject import Integrity, Limits, Session, Status
from ostiary.identity.credentials import Opened
from ostiary.identity.lending import Ask
from tests.support.identity import Identity, Memory, bot, calling, company, crashed, identity, presented
from tests.support.ports import FixedPolicy

AGENTS = ("bot", "planner", "helper")
SCOPES = ("tool:mail/*", "tool:mail/read", "tool:pay/pay?to=ACME*&amount=..1000", "tool:*/read", "tool:pay/pay?amount=100..", "tool:pay/*")
PROBES = [
    calling("mail/read"),
    calling("mail/send"),
    *(
        calling("pay/pay").with_arguments({"to": to, "amount": amount})
        for to in ("ACME", "ACME GmbH", "EVIL")
        for amount in (5, 100, 1000, 5000)
    ),
]
BUDGET = st.none() | st.integers(1, 8)
PICKED = st.sets(st.sampled_from(SCOPES), min_size=1, max_size=3)


class Delegation(RuleBasedStateMachine):
    """What is modelled: which session was lent from which, what each has used, which were ended."""

    sessions = Bundle("sessions")

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        memory = Memory(registry=company(*(bot(name=name) for name in AGENTS)))
        self.here: Identity = self.run(identity(memory, policy=FixedPolicy()))
        self.opened: dict[str, Opened] = {}
        self.parents: dict[str, str] = {}
        self.used: dict[str, int] = {}
        self.ended: set[str] = set()

    def run(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    def know(self, opened: Opened, parent: str = "") -> str:
        name = opened.session.id
        self.opened[name], self.used[name] = opened, 0
        if parent:
            self.parents[name] = parent
        return name

    def line(self, name: str) -> list[str]:
        found = [name]
        while found[-1] in self.parents:
            found.append(self.parents[found[-1]])
        return found

    def now(self, name: str) -> Session:
        session = self.here.sessions.session(name)
        assert session is not None
        return session

    @rule(target=sessions, scopes=PICKED, actions=BUDGET, ttl_s=st.integers(1, 3600))
    def open(self, scopes: set[str], actions: int | None, ttl_s: int) -> str:
        found = self.run(self.here.sessions.open(Ask("bot", "alice", (*scopes, "agent:*"), "work", ttl_s, Limits(actions))))
        return "" if isinstance(found, Refusal) else self.know(found)

    @rule(target=sessions, parent=sessions, to=st.sampled_from(AGENTS), scopes=PICKED, actions=BUDGET, ttl_s=st.integers(1, 3600))
    def lend_on(self, parent: str, to: str, scopes: set[str], actions: int | None, ttl_s: int) -> str:
        if parent not in self.opened:
            return ""
        ask = Ask(to, None, (*scopes, "agent:*"), "work", ttl_s, Limits(actions))
        found = self.run(self.here.sessions.delegate(self.now(parent), ask))
        if isinstance(found, Refusal):
            return ""
        assert not self.ended.intersection(self.line(parent))
        above = self.now(parent)
        assert found.expires_at <= above.expires_at
        assert found.session.state.labels >= above.state.labels
        assert found.session.state.integrity is above.state.integrity or found.session.state.integrity is Integrity.UNTRUSTED
        assert found.session.depth == above.depth + 1 <= 4
        return self.know(found, parent)

    @rule(name=sessions, times=st.integers(1, 4))
    def act(self, name: str, times: int) -> None:
        if name not in self.opened:
            return
        counting = Counting(self.here.memory, self.here.memory.clock.now_ns)
        ledger = self.here.sessions.guard(self.here.memory)
        for _ in range(times):
            if counting.admit(self.now(name), Resource("Tool", "mail/read")) is None:
                self.run(ledger.append(Entry(new_id(), Family.ACTION, Kind.INTENT, 0, session=name)))
                for each in self.line(name):
                    self.used[each] += 1

    @rule(name=sessions, how=st.sampled_from(["close", "revoke"]))
    def end(self, name: str, how: str) -> None:
        if name in self.opened:
            self.run(getattr(self.here.sessions, how)(name, by="alice"))
            self.ended.add(name)

    @rule(name=st.sampled_from(AGENTS), status=st.sampled_from([Status.ACTIVE, Status.ISOLATED]))
    def isolate(self, name: str, status: Status) -> None:
        self.here.change(**{**self.here.memory.registry.agents, name: bot(name=name, status=status)})

    @rule(name=sessions)
    def meet(self, name: str) -> None:
        if name in self.opened:
            self.now(name).state.labels |= {"secret"}

    @rule(seconds=st.integers(1, 1000))
    def wait(self, seconds: int) -> None:
        self.here.memory.clock.at_s += seconds

    @rule(how=st.sampled_from(["kill", "stop"]))
    def start_again(self, how: str) -> None:
        if how == "stop":
            self.run(self.here.stop())
        self.here = self.run(identity(crashed(self.here.memory), policy=FixedPolicy()))

    @invariant()
    def no_child_exceeds_its_parent(self) -> None:
        sessions = self.here.sessions
        for name, parent in self.parents.items():
            child, above = self.now(name), self.now(parent)
            if sessions.is_open(name):
                assert all(sessions.is_open(each) for each in self.line(name))
                assert not self.ended.intersection(self.line(name))
            for probe in PROBES:
                assert sessions.in_scope(child, probe) is not None or sessions.in_scope(above, probe) is None
            assert len(child.subject.chain) == child.depth + 2

    @invariant()
    def nobody_spends_more_than_was_lent(self) -> None:
        for name in self.opened:
            session = self.now(name)
            assert session.state.actions >= self.used[name]
            if session.limits.actions is not None:
                assert self.used[name] <= session.limits.actions

    @invariant()
    def what_was_ended_opens_nothing(self) -> None:
        for name in self.opened:
            if self.ended.intersection(self.line(name)):
                assert isinstance(self.run(self.here.sessions.authenticate(presented(self.opened[name].token))), Refusal)

    def teardown(self) -> None:
        self.run(self.here.stop())
        self.loop.close()


TestDelegation = Delegation.TestCase
TestDelegation.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
