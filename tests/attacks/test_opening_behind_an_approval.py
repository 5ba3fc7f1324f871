"""A person, or a hijacked agent, opens what a policy wants approved first: no permit is needed, and a forbid that can be lifted stands (R-B1).

The attack succeeds where 'nothing permits it' hides that something forbids it.
"""

import pytest

from ostiary.core.decision import Decision, Refusal
from ostiary.core.subject import Limits
from ostiary.identity.asking import delegating, opening
from ostiary.identity.keeper import SessionDocument
from tests.support.policy import engine, session

HELD = '@id("sessions-need-finance") @approval("finance") forbid ({who}, action == Action::"{action}", resource) {when};'
PERMIT = '@id("clerks-open") permit (principal in Role::"clerk", action == Action::"open_session", resource);'
UNLESS = "unless { context has approval }"


@pytest.mark.parametrize("who", ["principal", "principal is User", "principal is Agent"])
@pytest.mark.parametrize("when", ["", UNLESS, 'when { resource == Agent::"invoice-bot" } ' + UNLESS])
@pytest.mark.parametrize("permit", ["", PERMIT, PERMIT.replace('principal in Role::"clerk"', "principal is User")])
def test_a_session_that_needs_a_yes_is_not_opened_without(who: str, when: str, permit: str) -> None:
    """R-P2: whichever link the forbid speaks of, whatever else is or is not permitted."""
    found = opening(engine(HELD.format(who=who, action="open_session", when=when) + permit), session(), 200.0)
    assert isinstance(found, Refusal)
    assert (found.code, found.policies) == ("forbidden", ("sessions-need-finance",))


@pytest.mark.parametrize("text", ["", PERMIT, HELD.format(who="principal", action="delegate", when="")])
def test_what_no_policy_speaks_of_is_opened(text: str) -> None:
    """Decision 10: that nothing permits it is no obstacle."""
    assert opening(engine(text), session(), 200.0) is None


@pytest.mark.parametrize("who", ["principal", "principal is User", "principal is Agent"])
def test_an_agent_does_not_lend_to_itself_what_needs_a_yes(who: str) -> None:
    """R-P2: nothing needs to permit it, and what forbids it stands."""
    parent = session()
    child = SessionDocument("c" * 32, parent.subject.actor.name, None, ("tool:mail/*",), "help", 100.0, 300.0, Limits(), "delegation")
    assert isinstance(delegating(engine(""), parent, child, 200.0), Decision)
    refused = delegating(engine(HELD.format(who=who, action="delegate", when="")), parent, child, 200.0)
    assert isinstance(refused, Refusal)
    assert refused.policies == ("sessions-need-finance",)
