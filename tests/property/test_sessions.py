"""Any order of opening, ending, isolating, waiting, killing and starting again: what was ended never stands, what stands was lent (R-P6)."""

import asyncio
from dataclasses import replace
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from ostiary.core.decision import Refusal
from ostiary.core.subject import Status
from ostiary.identity.credentials import Opened
from tests.support.identity import Identity, bot, calling, crashed, identity, presented

SCOPES = ("tool:mail/*", "tool:mail/read", "tool:pay/pay", "model:gpt-*")
TOOLS = {"mail/read": {0, 1}, "mail/send": {0}, "pay/pay": {2}}


class Sessions(RuleBasedStateMachine):
    """A model of sessions: a set of the living, a set of the ended, one agent that may be isolated."""

    opened = Bundle("opened")

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.here: Identity = self.run(identity())
        self.living: dict[str, tuple[Opened, frozenset[int], float]] = {}
        self.ended: dict[str, Opened] = {}
        self.is_isolated = False

    def run(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    @rule(target=opened, scopes=st.frozensets(st.integers(0, 3), min_size=1), ttl_s=st.integers(1, 3600))
    def open(self, scopes: frozenset[int], ttl_s: int) -> str:
        if self.is_isolated:
            self.run(self.here.refused())
            return ""
        opened: Opened = self.run(self.here.opened(*(SCOPES[n] for n in scopes), ttl_s=ttl_s))
        self.living[opened.session.id] = (opened, scopes, self.here.memory.clock.at_s + ttl_s)
        return opened.session.id

    @rule(name=consumes(opened), how=st.sampled_from(["close", "revoke"]))
    def end(self, name: str, how: str) -> None:
        if name in self.living:
            self.run(getattr(self.here.sessions, how)(name, by="alice"))
            self.ended[name] = self.living.pop(name)[0]

    @rule(is_isolated=st.booleans())
    def isolate(self, is_isolated: bool) -> None:
        self.is_isolated = is_isolated
        self.here.change(bot=replace(bot(), status=Status.ISOLATED if is_isolated else Status.ACTIVE))

    @rule(seconds=st.integers(1, 2000))
    def wait(self, seconds: int) -> None:
        self.here.memory.clock.at_s += seconds

    @rule(how=st.sampled_from(["kill", "stop"]))
    def start_again(self, how: str) -> None:
        if how == "stop":
            self.run(self.here.stop())
        self.here = self.run(identity(crashed(self.here.memory)))

    @invariant()
    def only_the_living_stand(self) -> None:
        for opened in self.ended.values():
            assert isinstance(self.run(self.here.sessions.authenticate(presented(opened.token))), Refusal)
        for opened, scopes, until in self.living.values():
            found = self.run(self.here.sessions.authenticate(presented(opened.token)))
            stands = not self.is_isolated and self.here.memory.clock.at_s < until
            assert isinstance(found, Refusal) != stands
            if stands:
                for tool, lenders in TOOLS.items():
                    assert (self.here.sessions.in_scope(found, calling(tool)) is None) == bool(lenders & scopes)

    def teardown(self) -> None:
        self.run(self.here.stop())
        self.loop.close()


TestSessions = Sessions.TestCase
TestSessions.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)
