"""Attack: an approval given for one thing, by too few or by the wrong people, is made to lift another."""

import pytest

from ostiary.core.decision import Approval, Context, Effect
from tests.support.policy import UNTRUSTED, call, decide

ALLOW = '@id("all") permit (principal, action, resource);'
LOOSE = """
@id("large") @approval("finance") @quorum("2") @four_eyes("user,owner")
forbid (principal, action == Action::"payments/pay", resource)
when { context.arguments.amount.greaterThan(decimal("1000.0")) } unless { context has approval };
"""
PAY = call("payments/pay", account="A", amount=5000)


def given(group: str, *by: str) -> Context:
    return Context(200.0, approval=Approval("a", group, frozenset(by), 150.0, "ordered"))


@pytest.mark.parametrize(
    ("group", "by"),
    [
        ("security", ("bob", "carol")),
        ("finance", ("bob",)),
        ("finance", ()),
        ("finance", ("bob", "alice")),
        ("finance", ("alice", "carol", "dora")),
        ("Finance", ("bob", "carol")),
        ("", ("bob", "carol")),
    ],
)
def test_an_approval_that_is_not_the_one_asked_for(group: str, by: tuple[str, ...]) -> None:
    """R-B4: the policy's condition alone would let all of these through; group, quorum and four eyes hold besides."""
    decision = decide(ALLOW + LOOSE, PAY, about=given(group, *by))
    assert (decision.effect, decision.code) == (Effect.HOLD, "held")
    assert [rule.group for rule in decision.approvals] == ["finance"]


def test_the_one_asked_for() -> None:
    """R-B4: two others from finance."""
    assert decide(ALLOW + LOOSE, PAY, about=given("finance", "bob", "carol")).effect is Effect.ALLOW


def test_the_owner_of_the_agent_counts_as_involved() -> None:
    """R-B4: invoice-bot is alice's, so alice is barred even where bob lends the rights."""
    owner = LOOSE.replace("user,owner", "owner").replace('"2"', '"1"')
    assert decide(ALLOW + owner, PAY, "user:bob", "agent:invoice-bot", about=given("finance", "alice")).effect is Effect.HOLD
    assert decide(ALLOW + owner, PAY, "user:bob", "agent:invoice-bot", about=given("finance", "bob")).effect is Effect.ALLOW


@pytest.mark.parametrize(
    ("links", "who", "barred"),
    [
        (("user:bob", "agent:invoice-bot", "agent:helper"), "owner", {"alice", "bob"}),
        (("agent:invoice-bot", "agent:helper"), "user", {"alice", "bob"}),
        (("user:bob", "agent:invoice-bot", "agent:helper"), "user", {"bob"}),
    ],
)
def test_everybody_behind_a_chain_counts_as_involved(links: tuple[str, ...], who: str, barred: set[str]) -> None:
    """R-B4, R-B1: invoice-bot (alice's) hands on to helper (bob's); without a user, the owners stand for one."""
    rule = LOOSE.replace("user,owner", who).replace('"2"', '"1"')
    for name in ("alice", "bob", "carol"):
        found = decide(ALLOW + rule, PAY, *links, about=given("finance", name)).effect
        assert found is (Effect.HOLD if name in barred else Effect.ALLOW), name


def test_one_approval_does_not_lift_two_rules_of_two_groups() -> None:
    """R-B4: finance cannot answer for security."""
    other = '@id("night") @approval("security") forbid (principal, action, resource) unless { context has approval };'
    decision = decide(ALLOW + LOOSE + other, PAY, about=given("finance", "bob", "carol"))
    assert decision.effect is Effect.HOLD
    assert [rule.group for rule in decision.approvals] == ["security"]


def test_an_approval_lifts_nothing_that_is_not_requestable() -> None:
    """R-B4, R-K1: approved is approved of this rule; where the account came from is another."""
    origin = '@id("origin") forbid (principal, action in Action::"external", resource) unless { context.control.origin == "user" };'
    decision = decide(ALLOW + LOOSE + origin, PAY, about=given("finance", "bob", "carol"), origins=UNTRUSTED)
    assert (decision.effect, decision.code) == (Effect.DENY, "untrusted_argument")


def test_an_approval_nobody_needed_changes_nothing() -> None:
    """R-B4: a small payment is allowed with or without."""
    assert decide(ALLOW + LOOSE, call("payments/pay", account="A", amount=5), about=given("nobody")).effect is Effect.ALLOW


def test_a_permit_that_needs_an_approval_does_not_hide_the_rule() -> None:
    """R-B4: without the approval nothing is permitted either, and still the rule's own approval is needed."""
    text = '@id("p") permit (principal, action, resource) when { context has approval };'
    assert decide(text + LOOSE, PAY, about=given("security", "bob", "carol")).effect is Effect.HOLD
    assert decide(text + LOOSE, PAY, about=given("finance", "bob", "carol")).effect is Effect.ALLOW


def test_an_approval_is_no_permit() -> None:
    """R-P2: what is permitted only with an approval is not permitted by any approval that a permit does not name."""
    text = '@id("p") permit (principal, action, resource) when { context has approval && context.approval.group == "finance" };'
    assert decide(text, PAY).code == "not_granted"
    assert decide(text, PAY, about=given("security", "bob")).code == "not_granted"
