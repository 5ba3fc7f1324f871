"""Large values are worked on beside the loop, and come out as small ones do."""

import asyncio
import sys
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary.controls import text_rules
from ostiary.controls.scanner import fold
from ostiary.core import canonical as forms
from ostiary.core.beside import LARGE, PIECE, TURN_S, beside, is_large

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=80) | st.dictionaries(st.text(), inner, max_size=80),
    max_leaves=120,
)


def where() -> int:
    return threading.get_ident()


async def test_only_what_is_large_leaves_the_loop() -> None:
    """What is small is done at once: no thread, no turn of the loop."""
    here = threading.get_ident()
    small = beside(LARGE, where)
    with pytest.raises(StopIteration) as done:
        small.send(None)
    assert done.value.value == here
    assert await beside(LARGE + 1, where) != here


async def test_the_interpreter_changes_hands_faster_only_meanwhile() -> None:
    """The loop waits for the thread no longer than a turn; afterwards everything is as it was, also after an error."""
    usual = sys.getswitchinterval()
    assert await beside(LARGE + 1, sys.getswitchinterval) == pytest.approx(TURN_S)
    with pytest.raises(ValueError, match="int"):
        await asyncio.gather(beside(LARGE + 1, int, "x"), beside(LARGE + 1, where))
    await beside(LARGE + 1, where)
    assert sys.getswitchinterval() == usual


@pytest.mark.parametrize(
    ("value", "large"),
    [
        ({"content": [{"type": "text", "text": "x" * LARGE}]}, True),
        ({"content": [{"type": "text", "text": "x" * (LARGE // 2)}]}, False),
        (list(range(LARGE)), True),
        ({f"key {number}": number for number in range(LARGE // 8)}, True),
        ({"k" * (LARGE + 1): 1}, True),
        ([["x" * 1_000]] * 100, True),
        ([], False),
        (None, False),
    ],
)
def test_what_is_large_is_seen(value: Any, large: bool) -> None:
    """Wherever its bytes stand: in one text, in keys, in many small members."""
    assert is_large(value) is large


@given(VALUES)
def test_canonical_in_pieces_is_canonical(value: Any) -> None:
    """What is recorded and digested is the same bytes, however it was encoded."""
    try:
        whole = forms.canonical(value)
    except UnicodeEncodeError:
        with pytest.raises(UnicodeEncodeError):
            forms.canonical_in_pieces(value)
        return
    assert forms.canonical_in_pieces(value) == whole


def test_long_texts_in_pieces() -> None:
    """Each way of reading a text in pieces says what reading it whole says, wherever the piece ends."""
    text = 'é"\\\n\U0001f600' * PIECE
    value = {"b": [text] * 2, "a": {"\U0001f600": text, "\uffff": 1}}
    assert forms.canonical_in_pieces(value) == forms.canonical(value)
    for at in (0, PIECE - 1, PIECE, 2 * PIECE + 5):
        plain = "x" * 3 * PIECE
        hidden = plain[:at] + "\u200b" + plain[at:]
        assert (text_rules.needs_cleaning(plain), text_rules.needs_cleaning(hidden)) == (False, True)
        wide = plain[:at] + "１２" + plain[at:]
        assert fold(wide) == plain[:at] + "12" + plain[at:]
