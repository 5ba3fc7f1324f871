"""What is refused at load, where it points, and what is only warned of."""

import pytest

from ostiary.controls.detectors import scanner
from ostiary.core.action import Origins
from ostiary.core.decision import Context, Effect
from ostiary.core.errors import InvalidPolicy
from ostiary.policy.checks import Review
from ostiary.policy.checks import check as checked
from ostiary.policy.engine import PolicyEngine
from ostiary.policy.obligations import Means
from ostiary.policy.version import PolicyVersion
from tests.support.policy import call, engine, registry, session


def check(text: str) -> Review:
    return checked({"a.cedar": text}, registry())


def first(text: str) -> str:
    errors = check(text).errors
    assert errors, "expected a problem"
    return str(errors[0])


GOOD = '@id("ok") permit (principal in Role::"clerk", action in Action::"read", resource);'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("permit (principal, action, resource);", "a.cedar:1:1: a policy must have an `@id`"),
        ('@id("Not Kebab") permit (principal, action, resource);', 'a.cedar:1:2: `@id("Not Kebab")`: expected lower-case words'),
        (f"{GOOD}\n{GOOD}", 'a.cedar:2:6: `@id("ok")` is taken: see a.cedar:1'),
        (
            '@id("a") @becuase("x") permit (principal, action, resource);',
            "a.cedar:1:11: annotation `@becuase` is unknown (nearest: `because`)",
        ),
        ('@id("a") @approval("finance") permit (principal, action, resource);', "belongs on a `forbid`"),
        ('@id("a") @redact("pii") forbid (principal, action, resource);', "belongs on a `permit`"),
        ('@id("a") @quorum("2") forbid (principal, action, resource);', 'needs `@approval("group")`'),
        ('@id("a") @approval("finance") @quorum("0") forbid (principal, action, resource);', "expected a number from 1 to 9"),
        ('@id("a") @approval("finance") @expires("soon") forbid (principal, action, resource);', "`soon` is no duration"),
        ('@id("a") @approval("finance") @expires("31d") forbid (principal, action, resource);', "is no duration"),
        ('@id("a") @approval("finance") @four_eyes("boss") forbid (principal, action, resource);', "got `boss`"),
        ('@id("a") @approval("") forbid (principal, action, resource);', "expected the name of one group"),
        ('@id("a") @cap("rows=0") permit (principal, action, resource);', "expected caps such as"),
        ('@id("a") @cap("rows") permit (principal, action, resource);', "expected caps such as"),
        ('@id("a") @record("loudly") permit (principal, action, resource);', "expected `witnessed`"),
        ('@id("a") @shadow("maybe") permit (principal, action, resource);', "expected `true` or `false`"),
        ('@id("a") permit (principal == ?principal, action, resource);', "templates"),
        ('@id("a") permit (principal in Rol::"x", action, resource);', "a.cedar:1:31: unrecognized entity type `Rol` (nearest: `Role`)"),
        (
            '@id("a")\npermit (principal,\n  action == Action::"payments/pya", resource);',
            'a.cedar:3:22: unrecognized action `Action::"payments/pya"` (nearest: `payments/pay`)',
        ),
        (
            '@id("a") permit (principal, action, resource)\n  when { context.session.lables.contains("x") };',
            "a.cedar:2:26: attribute `session.lables`",
        ),
        (
            '@id("a") permit (principal, action == Action::"payments/pay", resource) when { context.arguments.memo == "x" };',
            "guard it with `context.arguments has memo && …`",
        ),
        (
            '@id("a") permit (principal, action == Action::"payments/pay", resource) when { context.arguments.amount > 5 };',
            "a.cedar:1:105: ",
        ),
        (
            '@id("amuont-guard") @because("amuont") permit (principal, action in Action::"payments", resource) // amuont\nwhen { context.arguments has amuont };',
            "a.cedar:2:30: `has amuont` can never be true",
        ),
        (
            '@id("a") permit (principal, action == Action::"payments/pay", resource)\nwhen { context.arguments.amount.lessThan(decimal("5")) };',
            'a decimal value: `"5"`: write it with one to four places, `decimal("5.0")`',
        ),
        (
            '@id("a") permit (principal is User, action, resource) when { principal.department == "x" };',
            "a.cedar:1:72: attribute `department` on entity type `User` not found: declared attributes are tags",
        ),
        ('@id("redcat")\n@redcat("pii") permit (principal, action, resource);', "a.cedar:2:2: annotation `@redcat` is unknown"),
        ('@id("a")\npermitt (principal, action, resource);', "a.cedar:2:1: does not parse: invalid policy effect"),
        ('@id("a") permit (principal, resource, action);', "a.cedar:1:29: does not parse: found the variable `resource`"),
        ('@id("a") permit (principal, action, resource) when { true', "a.cedar:1:54: does not parse: unexpected end of input"),
        ('// fine ; here\n@id("a")\npermit (principal, action resource);', "a.cedar:3:27: does not parse: unexpected token `resource`"),
        ('@id("a") permit (principal, action, resource) when { foo(1) };', "a.cedar:1:54: does not parse: `foo` is not a valid function"),
        ('@id("a") @id("b") permit (principal, action, resource);', "a.cedar:1:11: does not parse: duplicate annotation"),
        (
            '@id("a") permit (principal, action in Action::"payments", resource) when { context.arguments has amuont };',
            "a.cedar:1:98: `has amuont` can never be true: no action this policy matches has it (nearest: `amount`)",
        ),
        ('@id("a") permit (principal, action, resource) when { context has aproval };', "`has aproval` can never be true"),
        ('@id("a") permit (principal is User, action, resource) when { principal has emial };', "(nearest: `email`)"),
        ('@id("a") permit (principal, action, resource) when { context.session has usr && context.session has user };', "`has usr`"),
        ('@id("a") permit (principal, action, resource) when { unknown("x") };', "a.cedar:1:"),
        ('@id("a") permit (principal, action, resource) when { decimal("1.00001").lessThan(decimal("2.0")) };', "a.cedar:1:"),
    ],
)
def test_refused_with_its_place(text: str, expected: str) -> None:
    """R-P2: file, line, column, nearest name."""
    assert any(expected in str(problem) for problem in check(text).errors), "\n".join(map(str, check(text).errors))


def test_all_problems_are_listed_and_nothing_changes() -> None:
    """R-P2: a version with any problem is refused whole; the old one keeps deciding."""
    found = engine(GOOD)
    revision = found.revision
    bad = {"a.cedar": GOOD, "b.cedar": '@id("x") permit (principal in Rol::"a", action, resource);', "c.cedar": "permit"}
    with pytest.raises(InvalidPolicy) as refused:
        found.load(registry(), PolicyVersion(bad))
    assert "b.cedar:1:" in refused.value.detail
    assert "c.cedar:1:" in refused.value.detail
    assert found.revision == revision
    assert found.decide(session(), call("files/read", path="a"), Origins(), Context(200.0)).effect is Effect.ALLOW


def test_a_first_version_that_is_refused_leaves_nothing_loaded() -> None:
    """R-P2: no policy = no traffic."""
    found = PolicyEngine()
    with pytest.raises(InvalidPolicy):
        found.load(registry(), PolicyVersion({"a.cedar": "nonsense"}))
    assert not found.is_loaded


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('@id("a") permit (principal in Role::"payerr", action, resource);', '`Role::"payerr"` (nearest: `payer`)'),
        ('@id("a") permit (principal == User::"nobody", action, resource);', "can never match"),
        ('@id("a") permit (principal, action, resource);', "permits without any condition to everyone"),
        (f'{GOOD} @id("b") permit (principal in Role::"clerk", action == Action::"files/read", resource);', "decides nothing: `ok`"),
        (f'{GOOD} @id("b") forbid (principal, action, resource);', "decides nothing: `b`"),
        ('@id("a") @approval("finance") forbid (principal, action, resource) when { context.session.denied > 3 };', "no approval lifts it"),
        (
            '@id("a") @approval("finanze") forbid (principal, action, resource) unless { context has approval };',
            "in `finanze` (nearest: `finance`)",
        ),
    ],
)
def test_warned_of(text: str, expected: str) -> None:
    """R-P2: valid and probably not meant."""
    found = check(text)
    assert found.is_sound
    assert any(expected in str(warning) for warning in found.warnings), "\n".join(map(str, found.warnings))
    assert all("warning: " in str(warning) for warning in found.warnings)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('@id("a") permit (principal in Role::"clerk", action, resource) when { false };', "always false"),
        ('@id("a") permit (principal in Role::"clerk", action, resource) unless { 1 == 1 || context.session.denied > 3 };', "always false"),
        ('@id("a") permit (principal in Role::"clerk", action, resource) when { !(if true then "a" == "a" else true) };', "always false"),
        ('@id("a") permit (principal, action, resource) when { true };', "permits without any condition to everyone"),
        (
            '@id("a") permit (principal, action, resource) when { principal in Role::"payerr" };',
            '`Role::"payerr"` is nothing registered (nea',
        ),
        ('@id("a") @label("pho") permit (principal in Role::"clerk", action, resource);', "looks at the label `pho`: no policy, no model"),
        ('@id("a") @cap("tokens=5") permit (principal in Role::"clerk", action, resource);', "only models answer in tokens"),
    ],
)
def test_warned_of_what_is_certain(text: str, expected: str) -> None:
    """R-P2: conditions that never hold or always do, labels nobody reads, caps that only deny."""
    found = check(text)
    assert found.is_sound
    assert any(expected in str(warning) for warning in found.warnings), "\n".join(map(str, found.warnings))


def test_a_label_that_some_policy_reads_is_meant() -> None:
    """R-P2: a label of one's own is no mistake."""
    reader = '@id("b") forbid (principal, action in Action::"external", resource) when { context.session.labels.contains("merger") };'
    assert check(f'@id("a") @label("merger") permit (principal in Role::"clerk", action, resource); {reader}').warnings == ()


def test_a_class_no_detector_finds_is_refused() -> None:
    """R-P2, R-K2: with the detectors that run; a permit that could only deny does not load."""
    means = Means(classes=scanner().classes)
    text = '@id("a")\n@redact("pii, secrte") permit (principal in Role::"clerk", action, resource);'
    (error,) = checked({"a.cedar": text}, registry(), means).errors
    assert str(error) == "a.cedar:2:15: `@redact`: no detector finds the class `secrte` (nearest: `secret`)"
    assert checked({"a.cedar": text.replace("secrte", "pii.card")}, registry(), means).is_sound
    found = PolicyEngine(means)
    with pytest.raises(InvalidPolicy, match="no detector finds"):
        found.load(registry(), PolicyVersion({"a.cedar": text}))


def test_no_warning_without_cause() -> None:
    """R-P2: warnings that mean nothing are not read."""
    assert check(GOOD).warnings == ()
    assert (
        check(f'{GOOD} @id("b") @redact("pii") permit (principal in Role::"clerk", action == Action::"files/read", resource);').warnings
        == ()
    )


def test_a_very_large_file_is_refused() -> None:
    """R-P2: every size is bounded."""
    assert "at most" in first("//" + "x" * 1_000_001)


@pytest.mark.parametrize("count", [400, 5_000, 100_000])
@pytest.mark.parametrize(
    ("opening", "middle", "closing"),
    [
        ("(", "true", ")"),
        ("!(", "true", ")"),
        ("[", "1", "]"),
        ("{a:", "1", "}"),
        ("if true then ", "true", " else true"),
        ("if true then true else ", "true", ""),
        ("", "true", " && true"),
        ("", "context.session.labels", ".isEmpty()"),
        ("", "1", "+1"),
        ("-", "1", ""),
    ],
)
def test_a_deeply_nested_policy_is_refused(count: int, opening: str, middle: str, closing: str) -> None:
    """R-P2: nesting that would overflow the parser's stack is a problem with a place, not the end of the process."""
    assert "a.cedar:1:" in first(f'@id("a") permit (principal, action, resource) when {{ {opening * count}{middle}{closing * count} }};')
