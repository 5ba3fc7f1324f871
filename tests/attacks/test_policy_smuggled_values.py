"""Attack: arguments that try to become something else inside the policy engine, or to make a rule about them fail."""

from typing import Any

import pytest
from cedarpy import _internal as cedar

from ostiary.core.action import Origins
from ostiary.core.decision import Context, Effect
from ostiary.core.registry import Profile
from tests.support.policy import NUMBER, SAFE, STRING, call, decide, engine, registry, session, tool

ALLOW = '@id("all") permit (principal, action, resource);'
LIMIT = """
@id("limit") forbid (principal, action == Action::"payments/pay", resource)
when { context.arguments.amount.greaterThan(decimal("1000.0")) };
"""

SMUGGLED: tuple[Any, ...] = (
    {"__entity": {"type": "User", "id": "bob"}},
    {"__extn": {"fn": "decimal", "arg": "1.0"}},
    {"__extn": {"fn": "unknown", "arg": "x"}},
    {"__expr": 'User::"bob"'},
    {"fn": "decimal", "arg": "1.0"},
    ["1.0"],
    "1.0",
    True,
    None,
)


def test_the_engine_itself_would_believe_them() -> None:
    """R-P2: without our conversion, an argument is an entity or an extension value if it says so."""
    policies = cedar.PolicySet.from_str('permit (principal, action, resource) when { context.a == User::"bob" };')
    request = {
        "principal": 'User::"x"',
        "action": 'Action::"x"',
        "resource": 'User::"x"',
        "context": '{"a": {"__entity": {"type": "User", "id": "bob"}}}',
    }
    assert '"decision":"Allow"' in cedar.is_authorized(request, policies, "[]")


@pytest.mark.parametrize("value", SMUGGLED)
def test_in_place_of_a_number(value: Any) -> None:
    """R-P2: refused before the engine is asked."""
    assert decide(ALLOW + LIMIT, call("payments/pay", account="A", amount=value)).code == "invalid_arguments"


@pytest.mark.parametrize("value", [each for each in SMUGGLED if not isinstance(each, str)])
def test_in_place_of_a_string(value: Any) -> None:
    """R-P2: a string argument is a string or nothing."""
    text = (
        ALLOW + '@id("f") forbid (principal, action == Action::"mail/send", resource) when { context.arguments.to like "*@evil.example" };'
    )
    assert decide(text, call("mail/send", to=value)).code == "invalid_arguments"


def test_deeper_down() -> None:
    """R-P2: inside records and sets too, declared names only."""
    schema = {"type": "object", "properties": {"id": STRING, "type": STRING}}
    nested = tool("files", "move", {"target": schema, "list": {"type": "array", "items": schema}}, profile=SAFE)
    found = engine(ALLOW, registry(nested))
    for value in ({"__entity": {"type": "User", "id": "bob"}}, {"id": "a", "__extn": {"fn": "ip", "arg": "::1"}}):
        assert decide(found, call("files/move", target=value)).code == "invalid_arguments"
        assert decide(found, call("files/move", list=[value])).code == "invalid_arguments"
    assert decide(found, call("files/move", target={"id": "a", "type": "User"})).effect is Effect.ALLOW


@pytest.mark.parametrize("name", ["__entity", "__extn", "__expr"])
def test_a_tool_that_names_its_arguments_like_the_escapes(name: str) -> None:
    """R-P2: a hostile server declares an argument `__extn`; it is free-form, and the tool external whatever it claims."""
    declared = {"type": "object", "properties": {"fn": STRING, "arg": STRING, "type": STRING, "id": STRING}}
    hostile = tool("files", "hack", {name: declared}, profile=SAFE)
    text = ALLOW + '@id("x") forbid (principal, action in Action::"external", resource);'
    found = engine(text, registry(hostile))
    assert decide(found, call("files/hack", None, **{name: {"fn": "decimal", "arg": "1.0"}})).policies == ("x",)


@pytest.mark.parametrize("amount", [922337203685478, 1e18, 1e308, -1e308, 2**63 - 1, -(2**63), 0.00001, 1000.00001])
def test_numbers_that_would_overflow_or_round(amount: float) -> None:
    """R-P2: an amount beyond a decimal is refused; it neither wraps, rounds, nor makes the limit fail."""
    assert decide(ALLOW + LIMIT, call("payments/pay", account="A", amount=amount)).code == "invalid_arguments"


def test_huge_integers() -> None:
    """R-P2: beyond 64 bits is refused, and arithmetic that overflows denies."""
    counted = tool("files", "take", {"n": {"type": "integer"}}, profile=SAFE)
    text = (
        ALLOW
        + '@id("f") forbid (principal, action == Action::"files/take", resource) when { context.arguments has n && context.arguments.n * 2 > 10 };'
    )
    found = engine(text, registry(counted))
    assert decide(found, call("files/take", n=2**63)).code == "invalid_arguments"
    assert decide(found, call("files/take", n=2**63 - 1)).code == "unavailable"
    assert decide(found, call("files/take", n=5)).effect is Effect.ALLOW


STRANGE = ['a"b', "a\\", "a\nb", "\0", "\u202e", "'); permit(", "${x}", "é", "e\u0301", "🙂", "*", "a" * 5000, "\\u{41}", "//", "\u2028"]


@pytest.mark.parametrize("text", STRANGE)
def test_strings_stay_strings(text: str) -> None:
    """R-P2: quotes, escapes, newlines and Unicode in an argument are compared as they are."""
    policy = '@id("p") permit (principal, action == Action::"mail/send", resource) when { context.arguments.to == "exact" };'
    assert decide(policy, call("mail/send", to=text)).code == "not_granted"
    assert decide(policy, call("mail/send", to="exact")).effect is Effect.ALLOW


@pytest.mark.parametrize("name", STRANGE)
def test_tools_with_strange_names(name: str) -> None:
    """R-P2: what a server calls its tools cannot end a literal; decisions and listings agree."""
    odd = tool("files", name, {}, profile=Profile("read", external=False, confirmed=True))
    over = registry(odd)
    found = engine('@id("p") permit (principal, action in Action::"read", resource in Server::"files");', over)
    action = call(f"files/{name}")
    assert decide(found, action).effect is Effect.ALLOW
    assert found.may_see(session(over=over), action)
    other = engine('@id("p") permit (principal, action in Action::"payments", resource);', over)
    assert decide(other, action).effect is Effect.DENY
    assert not other.may_see(session(over=over), action)


def test_a_lone_surrogate_denies() -> None:
    """R-P2: text that is no text refuses, whatever the wire let through."""
    decision = decide(
        ALLOW + '@id("f") forbid (principal, action == Action::"mail/send", resource) when { context.arguments.to == "x" };',
        call("mail/send", to="\ud800"),
    )
    assert decision.effect is Effect.DENY


def test_origins_that_are_missing_count_as_untrusted() -> None:
    """R-K1: an argument nobody traced is not the user's."""
    text = ALLOW + '@id("f") forbid (principal, action == Action::"mail/send", resource) unless { context.origins.to == "user" };'
    assert decide(text, call("mail/send", to="x"), origins=Origins()).code == "forbidden"
    assert decide(text, call("mail/send", to="x"), origins=Origins({"to": "user"})).effect is Effect.ALLOW


def test_an_address_that_is_none_denies() -> None:
    """R-P2: a context that cannot be built refuses."""
    text = ALLOW + '@id("f") forbid (principal, action, resource) when { context.request.ip.isMulticast() };'
    assert decide(text, call("files/read", path="a"), about=Context(200.0, ip="not-an-address")).code == "unavailable"
    assert decide(text, call("files/read", path="a")).effect is Effect.ALLOW


def test_an_argument_that_changes_its_type_between_tools() -> None:
    """R-P2: a policy over a group is checked against every member, so no member slips through by type."""
    texty = tool("payments", "cheque", {"amount": STRING})
    numeric = tool("payments", "wire", {"amount": NUMBER})
    with pytest.raises(Exception, match=r"test\.cedar"):
        engine(
            '@id("f") forbid (principal, action in Action::"payments", resource) when { context.arguments has amount && context.arguments.amount.greaterThan(decimal("1.0")) };',
            registry(texty, numeric),
        )
