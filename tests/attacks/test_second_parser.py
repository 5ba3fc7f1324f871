"""Parsers that disagree: whatever two readers could read in two ways is refused before anything is decided (R-P2)."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary.core.errors import InvalidAction
from ostiary.core.strict_json import MAX_DEPTH, parse, parse_object

HOSTILE = {
    "duplicate key": b'{"to":"bank","to":"thief"}',
    "duplicate key, one escaped": b'{"to":"bank","\\u0074o":"thief"}',
    "nested duplicate key": b'{"a":[{"x":1,"x":2}]}',
    "NaN": b'{"amount":NaN}',
    "infinity": b'{"amount":-Infinity}',
    "overflowing float": b'{"amount":1e999}',
    "integer beyond 64 bits": b'{"amount":9223372036854775808}',
    "very long integer": b'{"amount":' + b"9" * 5000 + b"}",
    "invalid UTF-8": b'{"to":"\xff"}',
    "overlong UTF-8": b'{"to":"\xc0\xaf"}',
    "lone surrogate": b'{"to":"\\ud800"}',
    "surrogate in a key": b'{"\\udc00":1}',
    "byte-order mark": b'\xef\xbb\xbf{"to":"bank"}',
    "UTF-16": '{"to":"bank"}'.encode("utf-16"),
    "two values": b'{"to":"bank"}{"to":"thief"}',
    "trailing comma": b'{"to":"bank",}',
    "comment": b'{"to":"bank"/*,"to":"thief"*/}',
    "single quotes": b"{'to':'bank'}",
    "empty": b"",
    "NUL after": b'{"to":"bank"}\0',
    "raw control character": b'{"to":"a\nb"}',
    "too deep": b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1),
    "deep enough to overflow a stack": b"[" * 100_000 + b"]" * 100_000,
    "too deep in objects": b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1),
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_bodies_are_refused_with_a_plain_reason(body: bytes) -> None:
    with pytest.raises(InvalidAction) as caught:
        parse(body, max_bytes=1_000_000)
    assert "body" in str(caught.value)
    assert "Traceback" not in caught.value.diagnostics()


def test_a_lenient_parser_would_have_let_the_second_key_win() -> None:
    """The attack works where the control is missing."""
    assert json.loads(HOSTILE["duplicate key"])["to"] == "thief"


def test_size_is_checked_before_reading() -> None:
    with pytest.raises(InvalidAction, match="over the limit of 10") as caught:
        parse(b"[" * 11, max_bytes=10)
    assert caught.value.status == 413


def test_only_an_object_is_an_object() -> None:
    with pytest.raises(InvalidAction, match="must be a JSON object, got list"):
        parse_object(b"[]", max_bytes=10)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_a_refusal(body: bytes) -> None:
    try:
        value = parse(body, max_bytes=200)
    except InvalidAction:
        return
    assert json.loads(body) == value


def test_a_negative_zero_is_sent_as_it_is_decided() -> None:
    """R-B5: digest and approval write zero for it, so nothing else reaches the server."""
    value = parse(b'{"a": -0.0, "b": -0, "c": [-0e5]}', max_bytes=100)
    assert json.dumps(value) == '{"a": 0.0, "b": 0, "c": [0.0]}'
