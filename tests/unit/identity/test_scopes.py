"""Scopes are sets of names: intersection and containment are about the sets, never about the strings (R-B1)."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ostiary.core.errors import InvalidAction
from ostiary.identity.scopes import contains, intersect, matches, parse_scopes

PATTERN = st.text("ab*", min_size=1, max_size=6)
SCOPE = st.builds("tool:{}/{}".format, PATTERN, PATTERN) | st.builds("model:{}".format, PATTERN)
NAME = st.text("ab", min_size=1, max_size=6)


def parsed(scope: str) -> str:
    try:
        return parse_scopes([scope])[0]
    except InvalidAction:
        assume(condition=False)
        raise


@given(SCOPE, SCOPE, NAME, NAME)
def test_the_intersection_lends_exactly_what_both_lend(one: str, other: str, server: str, tool: str) -> None:
    one, other = parsed(one), parsed(other)
    both = intersect([one], [other])
    for wanted in (f"tool:{server}/{tool}", f"model:{server}"):
        assert any(matches(scope, wanted) for scope in both) == (matches(one, wanted) and matches(other, wanted))
    assert all(contains(one, scope) and contains(other, scope) for scope in both)


@given(SCOPE, PATTERN, NAME, NAME)
def test_what_contains_lends_all_that_is_contained(wide: str, filling: str, server: str, tool: str) -> None:
    wide, narrow = parsed(wide), parsed(wide.replace("*", filling, 1))
    assert contains(wide, narrow)
    for wanted in (f"tool:{server}/{tool}", f"model:{server}"):
        assert matches(wide, wanted) or not matches(narrow, wanted)


@pytest.mark.parametrize(
    ("scope", "wanted", "lends"),
    [
        ("tool:mail/*", "tool:mail/send", True),
        ("tool:mail/*", "tool:mail2/send", False),
        ("tool:mail/*", "tool:mail/x/y", True),
        ("tool:*/read", "tool:mail/read", True),
        ("model:gpt-4o", "model:gpt-4o-mini", False),
        ("model:gpt-*", "model:gpt-4o", True),
        ("tool:payments/pay", "model:payments/pay", False),
        ("tool:payments/pay", "tool:payments/PAY", False),
    ],
)
def test_a_star_stays_within_a_name(scope: str, wanted: str, lends: bool) -> None:
    assert matches(parse_scopes([scope])[0], wanted) is lends


@pytest.mark.parametrize(
    "scope",
    ["", "*", "tool", "tool:", "tool:*", ":mail", "tool:mail send", "tool:mail/\n", "TOOL:mail/*", "nothing:x", "tool:mail/\u202esend"],
)
def test_malformed_scopes_are_refused(scope: str) -> None:
    with pytest.raises(InvalidAction):
        parse_scopes([scope])
