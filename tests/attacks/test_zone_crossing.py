"""Attack: getting from one zone into another by a way that does not look like entering it (R-P5)."""

from dataclasses import replace

import pytest

from ostiary.core.action import Resource
from ostiary.core.decision import Context, Decision, Effect
from ostiary.core.registry import Agent, Registry, Zone
from ostiary.core.subject import Status
from ostiary.policy.engine import PolicyEngine
from ostiary.policy.version import PolicyVersion
from tests.support.policy import approval, call, decide, engine, session, tool
from tests.support.zones import FINANCE, HR, READ, company

EVERYBODY = '@id("everybody-works") permit (principal, action in Action::"call_tool", resource);'
NAMED = EVERYBODY.replace("resource)", 'resource in Zone::"hr")')
INTO_HR = call("people/lookup")
WAYS = [
    ("agent:invoice-bot",),
    ("user:carol", "agent:invoice-bot"),
    ("user:alice", "agent:invoice-bot"),
    ("user:dora", "agent:invoice-bot"),
    ("user:carol", "agent:hr-bot"),
    ("user:carol", "agent:roamer"),
    ("user:alice", "agent:roamer"),
    ("agent:roamer",),
    ("agent:invoice-bot", "agent:roamer"),
    ("user:dora", "agent:roamer"),
    ("agent:hr-bot", "agent:roamer"),
    ("agent:invoice-bot", "agent:hr-bot"),
    ("agent:roamer", "agent:invoice-bot", "agent:hr-bot"),
    ("user:dora", "agent:roamer", "agent:invoice-bot", "agent:roamer", "agent:hr-bot"),
]
"""Chains somebody would try: through a user, a delegate, or an agent that stands nowhere."""


def is_shut(decision: Decision, zone: str = "hr") -> bool:
    return decision.effect is Effect.DENY and decision.code == "forbidden" and f"`{zone}`" in decision.reasons[0]


@pytest.mark.parametrize("chain", WAYS, ids=" → ".join)
def test_no_chain_carries_anybody_over(chain: tuple[str, ...]) -> None:
    """R-P5: whoever stands elsewhere is stopped wherever in the chain; without zones the same policies let them in."""
    shut, open_ = engine(EVERYBODY, company()), engine(EVERYBODY, company(zones={}))
    assert decide(open_, INTO_HR, *chain).effect is Effect.ALLOW, "the attack works without the control"
    assert is_shut(decide(shut, INTO_HR, *chain))
    assert not shut.may_see(session(*chain, over=company()), INTO_HR), "nor does a listing show what is in there"
    assert decide(engine(NAMED, company()), INTO_HR, *chain).effect is Effect.ALLOW, "the remedy in the refusal works"


def test_leaving_every_zone_gains_nothing() -> None:
    """R-P5: an agent that is taken out of its zone comes from outside; it does not become free of zones."""
    out = company(zones={"finance": replace(FINANCE, agents=frozenset()), "hr": HR})
    assert is_shut(decide(engine(EVERYBODY, out), INTO_HR, "agent:invoice-bot"))
    assert is_shut(decide(engine(EVERYBODY, out), call("payments/list"), "agent:invoice-bot"), "finance")


def test_a_tool_of_the_same_name_elsewhere_is_another_tool() -> None:
    """R-P5: neither a twin outside the zone nor an action's name put onto the twin opens the tool inside."""
    twin = tool("mail", "lookup", {}, profile=READ)
    over = company(tools={**company().tools, twin.id: twin})
    found = engine(EVERYBODY, over)
    assert decide(found, call("mail/lookup"), "agent:invoice-bot").effect is Effect.ALLOW
    assert is_shut(decide(found, INTO_HR, "agent:invoice-bot"))
    swapped = decide(found, call("people/lookup", Resource("Tool", "mail/lookup")), "agent:invoice-bot")
    assert (swapped.effect, swapped.code) == (Effect.DENY, "not_granted")
    reversed_ = decide(found, call("mail/lookup", Resource("Tool", "people/lookup")), "agent:invoice-bot")
    assert (reversed_.effect, reversed_.code) == (Effect.DENY, "not_granted")


def test_a_group_or_server_called_like_the_zone_names_no_zone() -> None:
    """R-P5: only the entity `Zone::"hr"` counts, in exactly its spelling."""
    for resource in (
        'resource in Server::"people"',
        'resource == Tool::"people/lookup"',
        'resource in Zone::"HR"',
        'resource in Group::"hr"',
    ):
        text = EVERYBODY + EVERYBODY.replace("everybody-works", "hr").replace("resource)", f"{resource})")
        assert is_shut(decide(engine(text, company()), INTO_HR, "agent:invoice-bot"))


@pytest.mark.parametrize(
    "condition",
    [
        'unless { resource in Zone::"hr" && principal is User }',
        'unless { principal in Zone::"hr" }',
        'when { !(resource in Zone::"payroll") && !(!(resource in Zone::"hr")) }',
        'when { principal in Zone::"finance" }',
        'when { (resource in Zone::"hr") == true }',
    ],
)
def test_what_only_mentions_the_zone_does_not_name_it(condition: str) -> None:
    """R-P5: an exception, a negation, a word about the principal: none of them is a permission to enter."""
    assert is_shut(decide(engine(EVERYBODY.replace(";", f" {condition};"), company()), INTO_HR, "agent:invoice-bot"))


def test_a_renamed_zone_is_another_zone() -> None:
    """R-P5: a policy that names what a zone was called no longer opens it."""
    renamed = company(zones={"finance": FINANCE, "people": replace(HR, name="people")})
    assert decide(engine(NAMED, company()), INTO_HR, "agent:invoice-bot").effect is Effect.ALLOW
    assert decide(engine(NAMED, renamed), INTO_HR, "agent:invoice-bot").code == "not_granted"
    assert is_shut(decide(engine(NAMED + EVERYBODY.replace("everybody-works", "all"), renamed), INTO_HR, "agent:invoice-bot"), "people")


def moved(found: PolicyEngine, text: str, over: Registry) -> None:
    found.load(over, PolicyVersion({"test.cedar": text}))


def test_a_server_that_moved_while_the_action_was_held() -> None:
    """R-P5: an approval is for what was decided; after the move it is decided anew, and the zone is shut."""
    text = EVERYBODY + (
        '@id("ask") @approval("hr") forbid (principal, action == Action::"people/raise", resource)'
        ' unless { context has approval && context.approval.group == "hr" };'
    )
    before = company(zones={"finance": FINANCE, "hr": replace(HR, servers=frozenset())})
    found = engine(text, before)
    asked = call("people/raise", who="dora")
    assert decide(found, asked, "agent:invoice-bot").effect is Effect.HOLD
    moved(found, text, company())
    assert is_shut(decide(found, asked, "agent:invoice-bot", about=Context(200.0, approval=approval("hr"))))
    assert is_shut(decide(found, asked, "agent:invoice-bot")), "and nobody is asked for an approval that would not help"


def test_an_approval_rule_is_not_lost_behind_a_zone() -> None:
    """R-P5, R-H3: a permit that names the zone only once approved does not let a wrong group's approval through."""
    text = (
        EVERYBODY
        + '@id("once-approved") permit (principal, action in Action::"call_tool", resource in Zone::"hr") when { context has approval };'
        + '@id("ask") @approval("hr") @quorum("2") forbid (principal, action == Action::"people/raise", resource)'
        + " unless { context has approval };"
    )
    found = engine(text, company())
    asked = call("people/raise", who="dora")
    decision = decide(found, asked, "agent:invoice-bot", about=Context(200.0, approval=approval("finance")))
    assert decision.effect is Effect.HOLD, decision
    assert decision.policies == ("ask",)


def test_what_two_zones_hold_needs_both_named() -> None:
    """R-P5: should two changes at once leave something in two zones, the stricter reading holds."""
    both = company(zones={"finance": FINANCE, "hr": HR, "audit": Zone("audit", servers=frozenset({"people"}))})
    assert is_shut(decide(engine(NAMED, both), INTO_HR, "agent:invoice-bot"), "audit")
    twice = NAMED.replace('resource in Zone::"hr")', 'resource in Zone::"hr") when { resource in Zone::"audit" }')
    assert decide(engine(twice, both), INTO_HR, "agent:invoice-bot").effect is Effect.ALLOW


def test_a_zone_is_not_told_to_whom_nothing_is_granted() -> None:
    """R-P5: one link without any permit hears only that nothing is granted, not that there is a zone."""
    text = EVERYBODY.replace("(principal,", '(principal in Role::"clerk",')
    over = company(agents={**company().agents, "stranger": Agent("stranger", "alice", "looks", status=Status.ACTIVE)})
    decision = decide(engine(text, over), INTO_HR, "agent:invoice-bot", "agent:stranger")
    assert (decision.code, decision.reasons) == ("not_granted", ())
