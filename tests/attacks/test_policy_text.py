"""Attack: policy text that reads one way and works another, or that takes the gateway down when it is loaded."""

import subprocess
import sys

import pytest

from ostiary.core.errors import InvalidPolicy
from ostiary.policy.checks import Review, check
from ostiary.policy.source import read
from tests.support.policy import engine, registry

GOOD = '@id("ok") permit (principal in Role::"clerk", action in Action::"read", resource);'


def checked(text: str) -> Review:
    return check({"a.cedar": text}, registry())


@pytest.mark.parametrize("char", ["\u202e", "\u2066", "\u200b", "\ufeff", "\0", "\u2028", "\u00ad", "\U000e0041", "\x1b"])
def test_characters_that_hide_something(char: str) -> None:
    """R-P2: bidirectional, zero-width and control characters are refused with their place, in comments and strings too."""
    for text in (f"{GOOD}\n// fine {char} here", GOOD.replace("clerk", f"cl{char}erk")):
        found = checked(text)
        assert not found.is_sound
        assert f"U+{ord(char):04X}" in str(found.errors[0])


def test_a_lone_surrogate_in_a_file() -> None:
    """R-P2: text that is no text."""
    assert not checked(GOOD.replace("clerk", "\ud800")).is_sound


@pytest.mark.parametrize(
    "text",
    [
        '@id("a") @aproval("finance") forbid (principal, action, resource);',
        '@id("a") @Approval("finance") forbid (principal, action, resource);',
        '@id("a") @approval("finance") permit (principal, action, resource);',
        '@id("a") @redact forbid (principal, action, resource);',
        '@id("a") @redacted("pii") permit (principal, action, resource);',
        '@id("a") @cap("row=100") permit (principal, action, resource);',
        '@id("a") @four_eyes("usr") @approval("x") forbid (principal, action, resource);',
        "@id permit (principal, action, resource);",
        '@id("") permit (principal, action, resource);',
        '@id("a\\nb") permit (principal, action, resource);',
    ],
)
def test_annotations_that_nearly_mean_something(text: str) -> None:
    """R-P2: a typo in an annotation must not quietly drop an approval or an obligation."""
    with pytest.raises(InvalidPolicy):
        engine(text)


def test_two_files_cannot_share_an_id() -> None:
    """R-L5: a second policy of the same id must not replace the first in records or slices."""
    forbid = '@id("ok") forbid (principal, action, resource);'
    for files in ({"a.cedar": GOOD, "b.cedar": forbid}, {"a.cedar": forbid, "b.cedar": GOOD}):
        with pytest.raises(InvalidPolicy, match="is taken"):
            engine(files)


@pytest.mark.parametrize(
    "text",
    [
        '@id("a") permit (principal, action, resource) when { "; // " == "; // " }; // ; @id("b") forbid (principal, action, resource);\n'
        + GOOD,
        '// "unclosed\n' + GOOD + ' // "\n',
        '@id("a") @because("semi ; colon // and \\" quote") permit (principal, action, resource);' + GOOD,
    ],
)
def test_what_ends_a_policy(text: str) -> None:
    """R-P2: semicolons, quotes and comment marks inside strings and comments end nothing; we cut as Cedar does."""
    from cedarpy import _internal as cedar

    policies, problems = read({"a.cedar": text})
    assert not problems
    whole = cedar.policies_to_pst(text)
    assert [policy.id for policy in policies] == [node.annotations["id"] for node in whole.static_policies.values()]


def test_the_parser_alone_would_end_the_process() -> None:
    """R-P2: what the nesting limit is for: without it, one policy file kills the gateway."""
    code = (
        "from cedarpy import _internal as cedar; n = 100_000;"
        "cedar.policies_to_pst('permit (principal, action, resource) when { ' + '(' * n + 'true' + ')' * n + ' };')"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, timeout=60).returncode != 0
    deep = '@id("a") permit (principal, action, resource) when { ' + "(" * 100_000 + "true" + ")" * 100_000 + " };"
    assert "nested at most" in str(checked(deep).errors[0])


@pytest.mark.parametrize("call", ['unknown("x")', 'unknown("context")', 'error("x")', 'Cedar::decimal("1.0")', 'offset("1ms")'])
def test_functions_that_are_not_the_authors(call: str) -> None:
    """R-P2: the engine's own inner functions are refused in policies."""
    assert not checked(f'@id("a") permit (principal, action, resource) when {{ {call} == {call} }};').is_sound


def test_thousands_of_policies_and_problems_stay_bounded() -> None:
    """R-P2: a flood of broken policies is a list of problems."""
    found = checked("permit (;" * 500)
    assert 0 < len(found.errors) <= 1000
