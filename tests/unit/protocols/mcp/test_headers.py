"""Header values and mirrored arguments of 2026-07-28."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary.protocols.mcp.headers import argument_headers, decode, encode, mirrored

REGION = {"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"}}}


@given(st.text())
def test_every_text_survives_a_header(text: str) -> None:
    """R-B5: and what travels is plain ASCII."""
    sent = encode(text)
    assert sent.isascii()
    assert "\n" not in sent
    assert decode(sent) == text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("us-west1", "us-west1"),
        ("Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?="),
        (" padded ", "=?base64?IHBhZGRlZCA=?="),
        ("line1\nline2", "=?base64?bGluZTEKbGluZTI=?="),
        ("=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="),
    ],
)
def test_the_specifications_own_examples(text: str, value: str) -> None:
    """R-B5: streamable HTTP, Value Encoding."""
    assert encode(text) == value


@pytest.mark.parametrize("value", ["=?base64?!?=", "=?base64?YQ?=", "=?base64?YR==?=", "=?base64?/w==?="])
def test_broken_encodings_equal_nothing(value: str) -> None:
    """R-B5: a header that decodes in two ways, or not at all, matches no body."""
    assert decode(value) is None


def test_annotated_arguments_are_mirrored() -> None:
    """R-B5: strings, integers and booleans, nested ones too; absent and null ones are not."""
    nested: dict[str, Any] = {"type": "object", "properties": {"n": {"type": "integer", "x-mcp-header": "N"}}}
    schema = {"type": "object", "properties": {"a": nested, **REGION["properties"], "f": {"type": "boolean", "x-mcp-header": "F"}}}  # type: ignore[dict-item]
    headers = dict(argument_headers(schema, {"a": {"n": 42}, "region": "é", "f": True}))
    assert headers == {"mcp-param-n": "42", "mcp-param-region": "=?base64?w6k=?=", "mcp-param-f": "true"}
    assert argument_headers(schema, {"region": None}) == []


@pytest.mark.parametrize(
    "field",
    [
        {"type": "number", "x-mcp-header": "R"},
        {"type": "string", "x-mcp-header": "a b"},
        {"type": "string", "x-mcp-header": ""},
        {"x-mcp-header": "R"},
    ],
)
def test_wrong_annotations_mirror_nothing(field: dict[str, Any]) -> None:
    """R-B5: such a tool is left out of the catalogue."""
    assert mirrored({"type": "object", "properties": {"region": field}}) == []


def test_two_arguments_may_not_share_a_header() -> None:
    """R-B5: they could not be told apart."""
    field = {"type": "string", "x-mcp-header": "Region"}
    assert mirrored({"type": "object", "properties": {"a": field, "b": field | {"x-mcp-header": "REGION"}}}) == []
