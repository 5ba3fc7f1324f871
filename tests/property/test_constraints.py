"""What scopes say of arguments agrees, in containing and intersecting, with trying every value (R-B1)."""

import json
from decimal import Decimal
from itertools import product
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ostiary.core.errors import InvalidAction
from ostiary.identity.constraints import common, contains, parse, spelled, unmet
from ostiary.identity.scopes import asked_of, intersect, matches, parse_scopes
from ostiary.identity.scopes import contains as scope_contains

ALPHABET = "ab/.,"
WORDS = ["".join(letters) for size in range(1, 5) for letters in product(ALPHABET, repeat=size)]
NUMBERS = [*range(-3, 4), 0.5, -1.5, 2.25, Decimal("0.1")]
VALUES: list[Any] = [*WORDS, *NUMBERS, True, False, None, {}, [], {"a": 1}, "1", "0.5"]

TEXT = st.text("ab/.,*", min_size=1, max_size=5).map(lambda text: text.replace(",", "%2C").replace("..", ".a."))
END = st.sampled_from(["", "-2", "-1.5", "0", "0.5", "1", "3"])
RANGE = st.builds("{}..{}".format, END, END)
WANTED = TEXT | RANGE


def parsed(text: str) -> Any:
    try:
        return parse(text)
    except InvalidAction:
        assume(condition=False)


@settings(max_examples=150, deadline=None)
@given(WANTED, WANTED)
def test_one_argument_agrees_with_trying_every_value(one: str, other: str) -> None:
    left, right = parsed(f"x={one}"), parsed(f"x={other}")
    both = common(left, right)
    is_within = contains(left, right)
    for value in VALUES:
        fits = [not unmet(each, {"x": value}) for each in (left, right)]
        assert any(not unmet(each, {"x": value}) for each in both) == all(fits), value
        assert not (is_within and fits[1]) or fits[0], value
    if is_within:
        assert any(contains(each, right) for each in both)
    elif one.count(".") + other.count(".") == 0 and "*" not in other:
        witness = [value for value in VALUES if not unmet(right, {"x": value}) and unmet(left, {"x": value})]
        assert witness or len(other) > 4


@given(st.lists(WANTED, min_size=1, max_size=3), st.lists(WANTED, min_size=1, max_size=3), st.data())
def test_several_arguments_agree_with_trying_values(one: list[str], other: list[str], data: st.DataObject) -> None:
    names = "xyz"
    left = parsed("&".join(f"{name}={wanted}" for name, wanted in zip(names, one, strict=False)))
    right = parsed("&".join(f"{name}={wanted}" for name, wanted in zip(reversed(names), other, strict=False)))
    try:
        both = common(left, right)
    except InvalidAction:
        return
    arguments = {name: data.draw(st.sampled_from(VALUES)) for name in data.draw(st.sets(st.sampled_from(names)))}
    fits = not unmet(left, arguments) and not unmet(right, arguments)
    assert any(not unmet(each, arguments) for each in both) == fits
    assert not (contains(left, right) and not unmet(right, arguments)) or not unmet(left, arguments)


@given(st.dictionaries(st.sampled_from("xyz"), WANTED, min_size=1))
def test_there_is_one_spelling(said: dict[str, str]) -> None:
    constraints = parsed("&".join(f"{name}={wanted}" for name, wanted in said.items()))
    text = spelled(constraints)
    assert parse(text) == constraints
    assert spelled(parse(text)) == text


@given(st.text(max_size=20), st.text(max_size=20))
def test_any_text_can_be_asked_for_and_nothing_else_fits(wanted: str, other: str) -> None:
    assume(wanted and "*" not in wanted and not any("\ud800" <= letter <= "\udfff" for letter in wanted))
    encoded = "".join(f"%{byte:02X}" for byte in wanted.encode())
    constraints = parsed(f"x={encoded}")
    assert not unmet(constraints, {"x": wanted})
    assert bool(unmet(constraints, {"x": other})) == (other != wanted)
    assert parse(spelled(constraints)) == constraints


SCOPE = st.builds(
    "tool:{}/{}{}".format, st.sampled_from(["s", "*"]), st.sampled_from(["t", "u", "*"]), st.just("") | WANTED.map("?x={}".format)
)


@settings(max_examples=150, deadline=None)
@given(SCOPE, SCOPE, st.sampled_from(["t", "u"]), st.sampled_from(VALUES))
def test_scopes_with_and_without_arguments_mix(one: str, other: str, tool: str, value: Any) -> None:
    try:
        left, right = parse_scopes([one]), parse_scopes([other])
    except InvalidAction:
        assume(condition=False)
        raise

    def lends(scopes: tuple[str, ...]) -> bool:
        return any(matches(scope, f"tool:s/{tool}") and not unmet(asked_of(scope), {"x": value}) for scope in scopes)

    assert lends(intersect(left, right)) == (lends(left) and lends(right))
    assert not (scope_contains(left[0], right[0]) and lends(right)) or lends(left)
    assert lends(parse_scopes([one, other])) == (lends(left) or lends(right))
    assert json.loads(json.dumps(left)) == list(left)
