"""The blast radius: complete, with ways, bounds and zones (R-P5). `tests/property/test_reach.py` holds it against decisions."""

from dataclasses import replace
from itertools import product

import pytest

from ostiary.core.action import Action, Boundary, Origins, Resource
from ostiary.core.decision import Context, Effect
from ostiary.core.registry import Agent, Registry, User
from ostiary.core.subject import Status
from ostiary.policy.engine import PolicyEngine
from ostiary.policy.outlook import Target
from ostiary.policy.reach import Reaches, Touch
from tests.support.policy import STRING, engine, session, tool
from tests.support.zones import READ, company

POLICIES = """
@id("clerks-work") permit (principal in Role::"clerk", action in Action::"call_tool", resource);
@id("payroll-reads") permit (principal in Role::"payroll", action in Action::"read", resource in Zone::"hr");
@id("alice-asks-models") permit (principal, action == Action::"generate", resource)
  when { context.session has user && context.session.user == User::"alice" };
@id("raises-need-hr") @approval("hr") forbid (principal, action == Action::"people/raise", resource)
  unless { context has approval && context.approval.group == "hr" };
@id("small-payments") forbid (principal, action == Action::"payments/pay", resource) when { context.arguments.who == "nobody" };
@id("dora-lends-nothing-to-finance") forbid (principal == User::"dora", action == Action::"open_session", resource == Agent::"invoice-bot");
"""


def reach(over: Registry, agent: str, text: str = POLICIES, lent: frozenset[tuple[str, str]] = frozenset()) -> dict[str, Touch]:
    found = Reaches(engine(text, over).snapshot, lambda _agent, _scopes: True, lent)
    return {touch.target.action: touch for touch in found.of_agent(over.agents[agent])}


def ways(touch: Touch) -> dict[tuple[str, ...], str]:
    return {way.through: way.effect for way in touch.ways}


def test_each_thing_has_its_ways() -> None:
    """R-P5: allow, hold and depends, through whom, by which policies, and in which zone it stands."""
    over = company()
    found = reach(over, "invoice-bot")
    assert ways(found["payments/list"]) == {("alice", "carol"): "allow"}, "not dora, who stands in hr and is not let lend anyway"
    assert ways(found["payments/pay"]) == {("alice", "carol"): "depends"}
    assert ways(found["mail/inbox"]) == {("alice", "carol"): "allow"}
    assert ways(found["generate"]) == {("alice",): "allow"}
    assert (found["payments/list"].zone, found["payments/list"].enters, found["mail/inbox"].zone) == ("finance", False, "")
    assert set(found) == {"payments/list", "payments/pay", "mail/inbox", "generate"}, "nothing of hr"
    assert found["payments/pay"].ways[0].policies == ("clerks-work", "small-payments")
    assert (found["payments/pay"].does, found["payments/list"].does) == ("irreversible", "read")
    inside = reach(over, "hr-bot")
    assert ways(inside["people/raise"]) == {("alice", "dora"): "hold"}
    assert "alice" in next(iter(ways(inside["people/lookup"])))
    entering = reach(over, "payroll-bot")
    assert ways(entering["people/lookup"]) == {("alice", "dora"): "allow"}, "a rule names the zone; carol would enter it too, unnamed"
    assert entering["people/lookup"].enters


def test_an_agent_alone_is_its_own_way() -> None:
    """R-P5: an autonomous agent with declared scopes needs nobody; without scopes it opens no session."""
    alone = replace(company().agents["payroll-bot"], scopes=("tool:people/*",))
    over = company(agents={**company().agents, "payroll-bot": alone})
    found = reach(over, "payroll-bot")
    assert ways(found["people/lookup"]) == {(): "allow", ("alice", "dora"): "allow"}
    assert () not in ways(reach(company(), "payroll-bot")["people/lookup"])
    assert "generate" in found, "through alice"


def test_who_may_not_lend_is_no_way_unless_it_was_lent_before() -> None:
    """R-P5: a session opened before the rule came stays open, so it counts."""
    everybody = POLICIES.replace(
        'principal in Role::"payroll", action in Action::"read", resource in Zone::"hr"',
        'principal, action in Action::"call_tool", resource',
    )
    over = company(zones={})
    assert "dora" not in {name for way in reach(over, "invoice-bot", everybody)["mail/inbox"].ways for name in way.through}
    lent = frozenset({("invoice-bot", "dora")})
    assert "dora" in {name for way in reach(over, "invoice-bot", everybody, lent)["mail/inbox"].ways for name in way.through}


def test_a_session_lent_on_is_a_way() -> None:
    """R-P5: through an agent that acts by itself and may delegate; and around a rule against lending directly."""
    handing = POLICIES + '@id("hr-hands-on") permit (principal == Agent::"roamer", action == Action::"delegate", resource);'
    handing += '@id("people-hand-on") permit (principal is User, action == Action::"delegate", resource);'
    alone = replace(company().agents["roamer"], scopes=("tool:mail/*", "agent:invoice-bot"))
    over = company(agents={**company().agents, "roamer": alone}, zones={})
    found = reach(over, "invoice-bot", handing)
    assert "agent:roamer" in {name for way in found["mail/inbox"].ways for name in way.through}
    assert "dora" in {name for way in found["mail/inbox"].ways for name in way.through}, "dora lends to roamer, and roamer lends on"
    assert "agent:roamer" not in {name for way in reach(over, "invoice-bot")["mail/inbox"].ways for name in way.through}
    assert "dora" not in {name for way in reach(over, "invoice-bot")["mail/inbox"].ways for name in way.through}


def test_what_is_quarantined_or_beyond_declared_scopes_is_out_of_reach() -> None:
    """R-P5: bounds that hold at every call hold here."""
    hidden = replace(tool("mail", "send", {"to": STRING}, profile=READ), accepted=False)
    over = company(tools={**company().tools, hidden.id: hidden})
    assert "mail/send" not in reach(over, "invoice-bot")
    bounded = Reaches(engine(POLICIES, over).snapshot, lambda _agent, scopes: scopes == ("tool:payments/list",))
    assert [touch.target.action for touch in bounded.of_agent(over.agents["invoice-bot"])] == ["payments/list"]


def test_a_person_reaches_through_agents() -> None:
    """R-P5: what agents could do for somebody, agent by agent; isolated agents do nothing."""
    over = company(agents={**company().agents, "hr-bot": replace(company().agents["hr-bot"], status=Status.ISOLATED)})
    found = Reaches(engine(POLICIES, over).snapshot, lambda _agent, _scopes: True)
    touched = {touch.target.action: touch for touch in found.of_user(over.users["alice"])}
    assert {name for way in touched["payments/list"].ways for name in way.through} == {"invoice-bot"}
    assert {name for way in touched["people/lookup"].ways for name in way.through} == {"payroll-bot"}


def test_people_no_policy_tells_apart_are_asked_once() -> None:
    """R-P5: a thousand people alike are one question, and each of them counts."""
    people = {f"u{number}": User(f"u{number}", roles=frozenset({"clerk"})) for number in range(1000)}
    over = company(users={**company().users, **people})
    found = reach(over, "invoice-bot")
    assert sum(way.total for way in found["payments/list"].ways) == 1002
    assert all(len(way.through) <= 100 for way in found["payments/list"].ways)


def test_owners_are_told_apart_where_a_policy_does() -> None:
    """R-P5: `resource.owner == principal` is about one person, however alike people are otherwise."""
    over = company(zones={})
    handed = '@id("own") permit (principal is User, action == Action::"delegate", resource) when { resource.owner == principal };'
    handed += '@id("all") permit (principal is Agent, action == Action::"delegate", resource);'
    found = reach(over, "hr-bot", handed)
    assert {name for way in found["delegate"].ways for name in way.through} == {"alice"}


@pytest.mark.parametrize("with_zones", [True, False])
def test_nothing_reachable_is_missing_in_the_whole_company(with_zones: bool) -> None:
    """R-P5: every agent, lender, thing and several circumstances: decide and reach say the same."""
    over = company() if with_zones else company(zones={})
    deciding: PolicyEngine = engine(POLICIES, over)
    lent = frozenset(product(over.agents, ("", *over.users)))
    reaches = Reaches(deciding.snapshot, lambda _agent, _scopes: True, lent)
    agents = {name: replace(agent, scopes=("tool:*/*",)) for name, agent in over.agents.items()}
    asked = 0
    for name, agent in agents.items():
        touched = {touch.target: touch for touch in reaches.of_agent(agent)}
        for user, target in product((None, *over.users), reaches.targets):
            effects = set(_decisions(deciding, user, agent, target))
            found = touched.get(target)
            way = next((w.effect for w in found.ways if (user in w.through if user else not w.through)), "deny") if found else "deny"
            expected = {"deny": {Effect.DENY}, "allow": {Effect.ALLOW}, "hold": {Effect.HOLD}}.get(way)
            assert expected is None or effects == expected, (name, user, target, way, effects)
            asked += 1
    assert asked > 500


def _decisions(deciding: PolicyEngine, user: str | None, agent: Agent, target: Target) -> list[Effect]:
    over = deciding.snapshot.registry
    chain = (f"user:{user}", f"agent:{agent.name}") if user else (f"agent:{agent.name}",)
    given = {"who": "dora"} if target.action in ("people/raise", "payments/pay") else {}
    asked = Action(Boundary.AGENT_API, "call", target.action, Resource(*target.resource), "", given)
    return [deciding.decide(session(*chain, over=over, **state), asked, Origins(), Context(200.0)).effect for state in ({}, {"denied": 3})]
