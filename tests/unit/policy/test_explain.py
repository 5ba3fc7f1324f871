"""May X do Y to Z, with the lines that say so."""

import pytest

from ostiary.core.action import Origins
from ostiary.core.errors import Invalid, NotFound
from ostiary.policy.cases import Case
from ostiary.policy.explain import explain
from tests.support.policy import UNTRUSTED, engine
from tests.support.zones import company

TEXT = {
    "payers.cedar": '// who pays\n@id("payers-pay")\npermit (principal in Role::"payer", action in Action::"payments", resource);',
    "limits.cedar": '@id("limit") @approval("finance")\nforbid (principal, action in Action::"payments", resource)\n'
    'when { context.arguments has amount && context.arguments.amount.greaterThan(decimal("1000.0")) }\nunless { context has approval };\n'
    '@id("origin") forbid (principal, action in Action::"external", resource) unless { context.control.origin == "user" };',
    "all.cedar": '@id("clerks-list") permit (principal in Role::"clerk", action == Action::"mail/inbox", resource);\n'
    '@id("no-refunds") @because("refunds are closed") forbid (principal, action == Action::"payments/refund", resource);',
}
CHAIN = ("user:alice", "agent:invoice-bot")


def test_an_allow_names_file_and_line() -> None:
    """R-P4: the answer is a policy's text, where it stands, and for which links."""
    found = explain(engine(TEXT), Case(CHAIN, "payments/pay", arguments={"account": "AT1", "amount": 5}))
    assert found.effect == "allow"
    (line,) = found.lines
    assert (line.policy, line.effect, line.file, line.line) == ("payers-pay", "permit", "payers.cedar", 2)
    assert line.text.startswith("@id")
    assert line.links == CHAIN
    assert found.sentence == "agent `invoice-bot` for user `alice` may do `payments/pay` on `Tool::payments/pay`"


def test_a_refusal_and_a_hold_name_their_policies() -> None:
    """R-P4: with arguments the answer is the decision itself."""
    refused = explain(engine(TEXT), Case(CHAIN, "payments/pay", arguments={"account": "AT1", "amount": 5}, origins=UNTRUSTED))
    assert (refused.effect, [line.policy for line in refused.lines]) == ("deny", ["origin"])
    assert refused.decision is not None
    assert refused.decision.code == "untrusted_argument"
    unnamed = Case(CHAIN, "payments/pay", arguments={"account": "AT1", "amount": 5}, origins=Origins({"account": "untrusted"}, "untrusted"))
    assert "`account` came from somebody's text" in explain(engine(TEXT), unnamed).sentence
    held = explain(engine(TEXT), Case(CHAIN, "payments/pay", arguments={"account": "AT1", "amount": 5000}))
    assert (held.effect, [line.policy for line in held.lines]) == ("hold", ["limit"])
    assert "may, once a person approves, do" in held.sentence


def test_without_arguments_it_says_what_it_depends_on() -> None:
    """R-P4: what matters is named, what does not is not."""
    found = explain(engine(TEXT), Case(CHAIN, "payments/pay"))
    assert found.effect == "depends"
    assert {line.policy for line in found.lines} == {"payers-pay", "limit", "origin"}
    assert explain(engine(TEXT), Case(("user:alice",), "mail/inbox")).effect == "allow"
    refused = explain(engine(TEXT), Case(CHAIN, "payments/refund"))
    assert (refused.effect, [line.policy for line in refused.lines]) == ("deny", ["no-refunds"])
    nobody = explain(engine(TEXT), Case(("user:bob",), "mail/inbox"))
    assert (nobody.effect, nobody.lines) == ("deny", ())
    assert "no policy permits it" in nobody.sentence


def test_always_held_is_a_hold_without_arguments() -> None:
    """R-P4: certain although the arguments are open."""
    text = (
        TEXT["payers.cedar"]
        + '@id("ask") @approval("finance") forbid (principal, action in Action::"payments", resource) unless { context has approval };'
    )
    assert explain(engine(text), Case(CHAIN, "payments/pay")).effect == "hold"


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        (Case(("user:alise",), "payments/pay"), "there is no user `alise` (nearest: `alice`)"),
        (Case(("agent:x",), "payments/pay"), "there is no agent `x`"),
        (Case(("robot:x",), "payments/pay"), "is no principal"),
        (Case(CHAIN, "payments/pya"), "there is no action `payments/pya` (nearest: `payments/pay`)"),
        (Case(CHAIN, "generate"), "write `Model::name`"),
        (Case(CHAIN, "generate", "Tool::x"), "write `Model::name`"),
        (Case((), "payments/pay"), "say who asks"),
    ],
)
def test_names_that_mean_nothing_are_refused(case: Case, expected: str) -> None:
    """R-P4: a typo is not an answer."""
    with pytest.raises((NotFound, Invalid)) as refused:
        explain(engine(TEXT), case)
    assert expected in refused.value.detail


def test_cedar_spelling_of_principals_and_resources() -> None:
    """R-P4: names may be written as policies write them."""
    case = Case(('User::"alice"', 'Agent::"invoice-bot"'), "payments/pay", 'Tool::"payments/pay"', {"account": "A", "amount": 1})
    assert explain(engine(TEXT), case).effect == "allow"


def test_a_zone_in_the_way_is_said_with_and_without_arguments() -> None:
    """R-P5: beforehand as at the call: which zone, and what to write."""
    everybody = engine('@id("all") permit (principal, action in Action::"call_tool", resource);', company())
    tried: tuple[dict[str, str] | None, ...] = (None, {})
    for arguments in tried:
        found = explain(everybody, Case(("user:alice", "agent:invoice-bot"), "people/lookup", arguments=arguments))
        assert found.effect == "deny"
        assert "agent `invoice-bot` would enter zone `hr`" in found.sentence
        assert 'resource in Zone::"hr"' in found.sentence
    named = engine('@id("into-hr") permit (principal, action in Action::"call_tool", resource in Zone::"hr");', company())
    allowed = explain(named, Case(("user:alice", "agent:invoice-bot"), "people/lookup"))
    assert (allowed.effect, [line.policy for line in allowed.lines]) == ("allow", ["into-hr"])
