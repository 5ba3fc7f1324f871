"""Observed against permitted and declared: each difference is a finding with what to do (R-S1)."""

from dataclasses import replace

import pytest

from ostiary.core.registry import Registry
from ostiary.core.subject import Status
from ostiary.monitoring import map as map_
from ostiary.monitoring.crossings import OTHER, Crossing, Key
from ostiary.monitoring.map import Finding, Map, draw
from ostiary.policy.reach import Reaches
from tests.support.policy import engine
from tests.support.zones import company

POLICIES = """
@id("clerks-work") permit (principal in Role::"clerk", action in Action::"call_tool", resource);
@id("payroll-reads") permit (principal in Role::"payroll", action in Action::"read", resource in Zone::"hr");
@id("models") permit (principal, action == Action::"generate", resource);
"""


def replace_counts(crossing: Crossing, counts: dict[str, int]) -> Crossing:
    for name, count in counts.items():
        setattr(crossing, name, count)
    return crossing


def seen(agent: str, resource: str, **counts: int) -> tuple[Key, Crossing]:
    kind, _, name = resource.partition("::")
    action = name if kind == "Tool" else "generate"
    return Key(agent, "agent_api", action, resource), replace_counts(Crossing(1_000_000, 2_000_000, policies=["clerks-work"]), counts)


def world(**servers: tuple[str, ...]) -> Registry:
    """The company, with what each agent's manifest speaks of."""
    agents = company().agents
    declared = {name: replace(agent, servers=servers.get(name.replace("-", "_"), ())) for name, agent in agents.items()}
    return company(agents=declared)


def chart(over: Registry, *found: tuple[Key, Crossing], only: frozenset[str] = frozenset({"invoice-bot"})) -> Map:
    reaches = Reaches(engine(POLICIES, over).snapshot, lambda _agent, _scopes: True)
    return draw(over, reaches, found, lambda word: word, only)


def states(found: Map) -> dict[str, str]:
    return {row.resource: row.state for row in found.rows}


def finding(found: Map, kind: str, about: str = "") -> Finding:
    (one,) = (each for each in found.findings if each.kind == kind and about in ("", each.about))
    return one


def test_what_was_seen_is_permitted_and_declared_is_no_finding() -> None:
    """R-S1: used as declared."""
    over = world(invoice_bot=("payments", "mail"))
    found = chart(
        over,
        seen("invoice-bot", "Tool::payments/list", allowed=3),
        seen("invoice-bot", "Tool::payments/pay", allowed=1),
        seen("invoice-bot", "Tool::mail/inbox", held=1),
        seen("invoice-bot", "Model::gpt-4o", allowed=2),
    )
    assert set(states(found).values()) == {"used"}
    assert (found.findings, found.unused) == ((), 0)


def test_each_difference_is_a_finding() -> None:
    """R-S1: observed and not declared, observed and not permitted, permitted and never used."""
    over = world(invoice_bot=("payments",))
    found = chart(
        over,
        seen("invoice-bot", "Tool::mail/inbox", allowed=4),
        seen("invoice-bot", "Tool::people/lookup", refused=12),
        seen("invoice-bot", "Tool::people/raise", allowed=1),
        (Key("invoice-bot", "agent_api", OTHER, OTHER), Crossing(1, 2, refused=900)),
    )
    assert states(found)["Tool::mail/inbox"] == "undeclared"
    undeclared = finding(found, "observed_not_declared")
    assert (undeclared.severity, undeclared.about, undeclared.crossings) == ("medium", "mail", ("Tool::mail/inbox",))
    refused = finding(found, "observed_not_permitted", "people")
    assert (refused.severity, "tried 12 times" in refused.detail) == ("medium", True)
    assert finding(found, "observed_not_permitted", OTHER).severity == "high"
    assert found.findings[0].severity == "high", "the worst first"
    gone = finding(found, "observed_no_longer_permitted")
    assert (gone.about, "clerks-work" in gone.detail) == ("people", True)
    unused = finding(found, "permitted_never_used", "payments")
    assert unused.crossings == ("Tool::payments/list", "Tool::payments/pay")
    assert "clerks-work" in unused.detail
    assert found.unused == 3, "two of payments and the model"


def test_what_enters_a_zone_weighs_more() -> None:
    """R-S1, R-P5: another zone makes a finding of it more than untidy."""
    over = world()
    found = chart(over, seen("payroll-bot", "Tool::people/lookup", allowed=1), only=frozenset({"payroll-bot"}))
    assert finding(found, "observed_not_declared").severity == "high"
    never = chart(over, only=frozenset({"payroll-bot"}))
    assert finding(never, "permitted_never_used", "people").severity == "medium"


def test_an_agent_that_is_stopped_or_gone_is_permitted_nothing() -> None:
    """R-S1: what it did stays on the map."""
    over = world(invoice_bot=("payments",))
    halted = replace(over, agents={**over.agents, "invoice-bot": replace(over.agents["invoice-bot"], status=Status.ISOLATED)})
    for registry, name in ((halted, "invoice-bot"), (over, "never-heard-of")):
        found = chart(registry, seen(name, "Tool::payments/list", allowed=1), only=frozenset({name}))
        assert states(found) == {"Tool::payments/list": "gone"}
        assert found.unused == 0


def test_only_the_agents_asked_for_are_drawn() -> None:
    """R-H1: what somebody may not see adds no row and no finding."""
    found = chart(world(), seen("hr-bot", "Tool::people/lookup", allowed=1))
    assert {row.agent for row in found.rows} == {"invoice-bot"}
    assert {each.agent for each in found.findings} == {"invoice-bot"}


def test_the_rest_of_unused_rows_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """R-S1: a rule for everybody and everything does not make the answer endless."""
    found = chart(world(), only=frozenset(company().agents))
    assert found.unused == len(found.rows) > 10
    monkeypatch.setattr(map_, "MAX_UNUSED", 3)
    monkeypatch.setattr(map_, "MAX_FINDINGS", 2)
    less = chart(world(), only=frozenset(company().agents))
    assert (len(less.rows), len(less.findings)) == (3, 2)
    assert (less.unused, less.counts) == (found.unused, found.counts)
    assert sum(found.counts.values()) == len(found.findings)
