"""Attack: make a forbid fail, so that the engine skips it and a permit wins."""

import pytest
from cedarpy import _internal as cedar

from ostiary.core.action import Action, Boundary, Resource
from ostiary.core.decision import Effect
from ostiary.core.registry import Agent, User
from ostiary.core.subject import Status
from tests.support.policy import call, decide, engine, registry, session, tool

ALLOW = '@id("all") permit (principal, action, resource);'
OVERFLOW = ALLOW + '@id("f") forbid (principal, action, resource) when { context.session.actions + 9223372036854775807 > 0 };'


def test_the_engine_itself_skips_it() -> None:
    """R-P2: Cedar alone answers Allow, with the error beside it."""
    policies = cedar.PolicySet.from_str(
        "permit (principal, action, resource); forbid (principal, action, resource) when { context.n + 9223372036854775807 > 0 };"
    )
    answer = cedar.is_authorized(
        {"principal": 'User::"x"', "action": 'Action::"x"', "resource": 'User::"x"', "context": '{"n": 5}'}, policies, "[]"
    )
    assert '"decision":"Allow"' in answer
    assert "overflow" in answer


def test_an_erroring_forbid_denies() -> None:
    """R-P2: a decision with evaluation errors is never an allow."""
    found = engine(OVERFLOW)
    decision = decide(found, call("files/read", path="a"), actions=1)
    assert (decision.effect, decision.code) == (Effect.DENY, "unavailable")
    assert (decision.policies, decision.reasons) == (("f",), ("`f` could not be evaluated, so nothing is allowed",))
    assert decision.revision == found.revision


def test_an_erroring_permit_beside_a_good_one_denies() -> None:
    """R-P2: any error, in any policy of the slice."""
    text = ALLOW + '@id("p") permit (principal, action, resource) when { context.session.actions + 9223372036854775807 > 0 };'
    assert decide(text, call("files/read", path="a"), actions=1).code == "unavailable"


def test_one_link_in_error_denies_the_chain() -> None:
    """R-P2: the user's link is fine, the agent's is not."""
    text = ALLOW + '@id("f") forbid (principal is Agent, action, resource) when { context.session.actions + 9223372036854775807 > 0 };'
    assert decide(text, call("files/read", path="a"), actions=1).code == "unavailable"


def test_a_requestable_forbid_in_error_is_no_hold() -> None:
    """R-B4: what cannot be evaluated cannot be approved."""
    text = (
        ALLOW
        + '@id("f") @approval("finance") forbid (principal, action, resource) when { context.session.actions + 9223372036854775807 > 0 };'
    )
    assert decide(text, call("files/read", path="a"), actions=1).code == "unavailable"


def test_an_error_that_only_shows_without_the_requestable_forbids_denies() -> None:
    """R-B4: the second question is held to the same standard as the first."""
    text = (
        ALLOW
        + '@id("h") @approval("finance") forbid (principal, action, resource) when { context.session.depth == 0 };'
        + '@id("f") forbid (principal, action, resource) when { context.session.actions + 9223372036854775807 > 0 };'
    )
    assert decide(text, call("files/read", path="a"), actions=1).code == "unavailable"


@pytest.mark.parametrize(
    "name", ["payments/Pay", "payments/pay ", "payments", "call_tool", "external", "", "payments/pay\0", "Payments/pay"]
)
def test_action_names_that_are_not_exact(name: str) -> None:
    """R-P2: an unknown action, or the name of a group, is nothing anybody may do."""
    found = engine(ALLOW)
    for resource in (Resource("Tool", name), Resource("Tool", "payments/pay")):
        decision = decide(found, call(name, resource, account="A", amount=1))
        assert (decision.effect, decision.code) == (Effect.DENY, "not_granted")
        assert not found.may_see(session(), call(name, resource))


@pytest.mark.parametrize(
    "resource", [Resource("Tool", "files/read"), Resource("Server", "payments"), Resource("User", "alice"), Resource("Tool", "")]
)
def test_an_action_on_another_resource(resource: Resource) -> None:
    """R-P2: a rule about one tool is not passed by naming another as its resource."""
    found = engine('@id("p") permit (principal, action, resource == Tool::"files/read");' + ALLOW)
    assert decide(found, call("payments/pay", resource, account="A", amount=1)).code == "not_granted"
    assert not found.may_see(session(), call("payments/pay", resource))


def test_refusals_do_not_tell_what_exists() -> None:
    """R-P2: an unknown tool and one that is not permitted are refused in the same words."""
    found = engine('@id("p") permit (principal in Role::"nobody", action, resource);')
    known = decide(found, call("payments/pay", account="A", amount=1))
    unknown = decide(found, call("payments/pex", account="A", amount=1))
    assert known.code == unknown.code == "not_granted"
    assert known.remedy.replace("payments/pay", "") == unknown.remedy.replace("payments/pex", "")
    assert known.reasons == unknown.reasons == ()


def test_a_quarantined_tool_is_refused_whatever_policy_says() -> None:
    """R-B5: only an accepted definition can be called or listed."""
    from dataclasses import replace

    held = replace(tool("files", "new", {}), accepted=False)
    found = engine(ALLOW, registry(held))
    assert decide(found, call("files/new")).code == "quarantined"
    assert not found.may_see(session(over=registry(held)), call("files/new"))


def test_an_agent_named_like_a_person_is_not_that_person() -> None:
    """R-P2: a name means something only with its type."""
    before = registry()
    over = registry(
        users={**before.users, "payer": User("payer")},
        agents={**before.agents, "alice": Agent("alice", "bob", "impersonates", status=Status.ACTIVE)},
    )
    found = engine('@id("p") permit (principal == User::"alice", action, resource);', over)
    assert decide(found, call("files/read", path="a"), "user:alice").effect is Effect.ALLOW
    assert decide(found, call("files/read", path="a"), "agent:alice").effect is Effect.DENY
    roles = engine('@id("p") permit (principal in Role::"payer", action, resource);', over)
    assert decide(roles, call("files/read", path="a"), "user:payer").effect is Effect.DENY


def test_a_principal_the_registry_does_not_know() -> None:
    """R-P2: a session that outlived its agent is nobody's, even where everyone may."""
    found, opened = engine(ALLOW), session()
    gone = registry(agents={name: agent for name, agent in registry().agents.items() if name != "invoice-bot"})
    found.load(gone, found.snapshot.version)
    from ostiary.core.action import Origins
    from ostiary.core.decision import Context

    assert found.decide(opened, call("files/read", path="a"), Origins(), Context(200.0)).code == "not_granted"


def test_an_empty_chain_is_nobody() -> None:
    """R-P2: `all()` of nothing must not be an allow."""
    from ostiary.core.action import Origins
    from ostiary.core.decision import Context
    from ostiary.core.subject import Session, Subject

    found = engine(ALLOW)
    nobody = Session("s", Subject(()), (), "x", 0.0, 1e9)
    action = Action(Boundary.AGENT_API, "call_tool", "files/read", Resource("Tool", "files/read"), "", {"path": "a"})
    assert found.decide(nobody, action, Origins(), Context(200.0)).effect is Effect.DENY
    assert not found.may_see(nobody, action)
