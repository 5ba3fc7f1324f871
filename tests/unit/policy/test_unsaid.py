"""Words that a condition waits for and nothing says are pointed at; those that something says are not (R-S3, R-K1)."""

import pytest

from ostiary.controls.control_set import ControlSet
from ostiary.policy.checks import check
from ostiary.policy.obligations import Means
from tests.support.policy import registry
from tests.support.provenance import World

CONTROLS = ControlSet(World("x"), lambda: 0)
MEANS = Means(classes=CONTROLS.classes, detected=CONTROLS.detectable)


def warned(condition: str, head: str = "") -> list[str]:
    text = f'@id("no") {head}forbid (principal, action == Action::"payments/pay", resource)\nwhen {{ {condition} }};'
    found = check({"a.cedar": text}, registry(), MEANS)
    assert found.is_sound, found.errors
    return [str(problem) for problem in found.warnings]


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ('context.control.origin == "untrused"', "2:35: warning: `untrused` is never in `context.control.origin` (nearest: `untrusted`)"),
        ('"userr" != context.origins.account', "`userr` is never in `context.origins.account` (nearest: `user`)"),
        (
            '!["user", "directry"].contains(context.control.origin)',
            "`directry` is never in `context.control.origin` (nearest: `directory`)",
        ),
        ('context.detected.contains("pii.emial")', "`pii.emial` is never in `context.detected` (nearest: `pii.email`)"),
        ('context.detected.contains("pii")', "`pii` is never in `context.detected`: name each, `pii.birth_date`, `pii.card`, `pii.email`"),
        ('context.detected.containsAny(["secret", "sercet"])', "`sercet` is never in `context.detected` (nearest: `secret`)"),
        ('context.session.labels.contains("confidental")', "`confidental` is never in `context.session.labels` (nearest: `confidential`)"),
        ('context.session.integrity == "untrustd"', "`untrustd` is never in `context.session.integrity` (nearest: `untrusted`)"),
        ('resource.effect == "irreversble"', "`irreversble` is never in `resource.effect` (nearest: `irreversible`)"),
        ('context.control.unsafe.contains("acount")', "`acount` is never in `context.control.unsafe` (nearest: `account`)"),
    ],
)
def test_a_word_that_nothing_says_is_pointed_at(condition: str, said: str) -> None:
    """POLICY, 'warns of policies that can never match': with line, column and the nearest word there is."""
    assert any(said in warning for warning in warned(condition)), warned(condition)


@pytest.mark.parametrize(
    "condition",
    [
        'context.control.origin == "untrusted"',
        '["user", "directory", "attested", "lent", "derived", "model"].contains(context.control.origin)',
        'context.detected.containsAny(["secret", "pii.email", "pii.card", "phi", "injection", "hidden_text", "canary", "remote_image"])',
        'context.session.labels.containsAny(["phi", "secret", "confidential", "pii", "mine"])',
        'context.session.integrity == "trusted"',
        'context.control.unsafe.contains("account")',
        'context.arguments.account == "anything at all"',
        'context.session.purpose == "anything at all"',
    ],
)
def test_a_word_that_something_says_is_not(condition: str) -> None:
    """POLICY, context: the origins, classes and labels named there, and those that a permit gives."""
    labels = '@id("gives") @label("mine") permit (principal in Role::"clerk", action in Action::"read", resource);'
    found = check(
        {"a.cedar": f'{labels}\n@id("no") forbid (principal, action == Action::"payments/pay", resource) when {{ {condition} }};'},
        registry(),
        MEANS,
    )
    assert found.is_sound, found.errors
    assert [str(problem) for problem in found.warnings if "is never in" in problem.message] == []


def test_an_approval_of_another_group_than_the_one_that_lifts_it() -> None:
    """R-B4: the annotation says who may lift it, and the condition waits for somebody else."""
    head = '@approval("finance") '
    assert "`finanse` is never in `context.approval.group` (nearest: `finance`)" in str(
        warned('!(context has approval && context.approval.group == "finanse")', head)
    )
    assert warned('!(context has approval && context.approval.group == "finance")', head) == []


def test_a_group_that_nobody_is_in_is_told_nothing() -> None:
    """POLICY, obligations: `@notify` names who is told."""
    text = '@id("a") @notify("financ") permit (principal in Role::"clerk", action in Action::"read", resource);'
    (warning,) = check({"a.cedar": text}, registry(), MEANS).warnings
    assert "a.cedar:1:19: warning: nobody registered is in `financ` (nearest: `finance`)" in str(warning)
