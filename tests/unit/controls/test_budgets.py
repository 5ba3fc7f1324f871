"""Budgets of rows, bytes and approvals: exact for a whole line of sessions, and what is over them never reaches the agent (R-B1)."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary.controls.budgets import rows_of, spent, take
from ostiary.core.decision import Refusal
from ostiary.core.errors import InvalidAction
from ostiary.core.subject import Limits, Session
from tests.support.controls import controls, passage, session


def lent(limits: Limits, *above: Session) -> Session:
    return replace(session(), limits=limits, above=tuple(above))


@given(
    st.lists(st.integers(1, 20), max_size=30), st.integers(0, 60) | st.none(), st.integers(0, 60) | st.none(), st.lists(st.integers(0, 1))
)
def test_a_line_of_sessions_is_never_overdrawn(amounts: list[int], above: int | None, below: int | None, who: list[int]) -> None:
    parent = lent(Limits(bytes=above))
    children = [lent(Limits(bytes=below), parent) for _ in range(2)]
    for amount, number in zip(amounts, who, strict=False):
        child = children[number]
        before = (parent.state.bytes, child.state.bytes)
        refused = take(child, "bytes", amount)
        after = (before[0] + amount, before[1] + amount)
        fits = all(most is None or used <= most for most, used in zip((above, below), after, strict=True))
        assert (refused is None) == fits
        assert (parent.state.bytes, child.state.bytes) == (after if fits else before)
    assert parent.state.bytes == sum(child.state.bytes for child in children)


@pytest.mark.parametrize("name", ["actions", "spend", "rows", "bytes"])
def test_what_is_used_up_stops_the_session_and_those_below(name: str) -> None:
    parent = lent(Limits(**{name: 5}))
    child = lent(Limits(), parent)
    assert spent(child) is None
    setattr(parent.state, "spent" if name == "spend" else name, 5)
    for each in (parent, child):
        refusal = spent(each)
        assert refusal is not None
        assert (refusal.code, refusal.status) == ("budget_spent", 429)


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        ({"content": [{"type": "text", "text": json.dumps([{"a": [1, 2, 3]}] * 7)}]}, 7),
        ({"content": [{"type": "text", "text": json.dumps({"rows": [1] * 4, "more": [1]})}], "structuredContent": {"rows": [1] * 4}}, 5),
        ({"content": [{"type": "text", "text": "hello"}, {"type": "text", "text": "[broken"}]}, 2),
        ({"content": []}, 0),
        ({"content": "text"}, 0),
        ([{"a": 1}] * 3, 3),
        (None, 0),
    ],
)
def test_rows_are_the_items_of_the_outermost_lists(content: Any, rows: int) -> None:
    assert rows_of(content) == rows


def test_an_answer_over_the_budget_is_not_handed_out() -> None:
    here = controls()
    crossing = passage({}, of=lent(Limits(bytes=200, rows=3)))
    small = {"content": [{"type": "text", "text": "[1, 2]"}]}
    assert here.answer(crossing, small) == small
    for content in ({"content": [{"type": "text", "text": "[1, 2]"}]}, {"content": [{"type": "text", "text": "x" * 300}]}):
        refusal = here.answer(crossing, content)
        assert isinstance(refusal, Refusal)
        assert refusal.code == "budget_spent"
    stream = here.stream(crossing)
    stream.feed("content", "x" * 50)
    with pytest.raises(InvalidAction, match="bytes"):
        stream.feed("content", "x" * 150)
