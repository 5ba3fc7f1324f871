"""Arguments that do not fit the schema, exhaust it, or use it to reach out, are refused before anything is decided."""

from typing import Any

import pytest

from ostiary.controls.input_validation import InputValidation, compiled, measure
from tests.support.controls import controls, passage, registry, tool

PAY = tool(
    "bank/pay",
    {
        "type": "object",
        "properties": {
            "account": {"type": "string", "maxLength": 34},
            "amount": {"type": "number", "exclusiveMinimum": 0},
            "kind": {"enum": ["normal", "express"]},
            "lines": {"type": "array", "items": {"type": "object", "properties": {"sum": {"type": "integer"}}, "required": ["sum"]}},
        },
        "required": ["account", "amount"],
        "additionalProperties": False,
    },
)
SET = controls(registry(PAY))
GOOD = {"account": "DE1", "amount": 5}


def refused(arguments: dict[str, Any]) -> str:
    refusal = SET.inspect(passage(arguments, to="bank/pay"))
    assert refusal is not None
    assert refusal.code == "invalid_arguments"
    assert refusal.status == 422
    return refusal.detail


def test_fitting_arguments_pass() -> None:
    """R-S3: the schema is no more than the schema."""
    assert SET.inspect(passage({**GOOD, "kind": "express", "lines": [{"sum": 1, "more": "x"}]}, to="bank/pay")) is None


@pytest.mark.parametrize(
    ("change", "place", "says"),
    [
        ({"amount": "5"}, "/amount", "expected number"),
        ({"amount": True}, "/amount", "got boolean"),
        ({"amount": 0}, "/amount", "exclusiveMinimum"),
        ({"account": "x" * 99}, "/account", "maxLength"),
        ({"kind": "slow"}, "/kind", "normal"),
        ({"extra": 1}, "/", "extra"),
        ({"Amount": 5}, "/", "Amount"),
        ({"lines": [{"sum": 1}, {}]}, "/lines/1", "sum"),
        ({"lines": {"0": 1}}, "/lines", "expected array"),
    ],
)
def test_refusal_names_place_got_and_expected(change: dict[str, Any], place: str, says: str) -> None:
    """R-S3: an agent can mend its call from the refusal alone."""
    detail = refused({**GOOD, **change})
    assert f"`{place}`" in detail
    assert says in detail


def test_refusal_repeats_no_value() -> None:
    """R-K2: a value that does not fit may be a secret."""
    assert "hunter2hunter2" not in refused({**GOOD, "kind": "hunter2hunter2"})
    assert "hunter2hunter2" not in refused({**GOOD, "amount": "hunter2hunter2"})


def test_unknown_tool_is_refused() -> None:
    """R-K5: no definition, no call."""
    refusal = SET.inspect(passage({}, to="bank/steal"))
    assert refusal is not None
    assert refusal.code == "not_found"


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"a": {"$ref": "http://169.254.169.254/latest/meta-data"}}},
        {"type": "object", "properties": {"a": {"$ref": "file:///etc/passwd"}}},
        {"$schema": "http://evil.example/schema", "type": "object"},
        {"type": "object", "properties": {"a": {"$ref": "#/nowhere"}}},
        {"type": "banana"},
        {"type": "object", "properties": {"a": {"pattern": "("}}},
        {"type": "object", "properties": {"a": {"pattern": "(?:a{1000}){1000}"}}},
        {"type": "object", "description": "x" * 600_000},
        "object",
        None,
        [],
    ],
)
def test_schema_that_cannot_be_used_refuses(schema: Any) -> None:
    """R-S3: a schema that fetches, breaks or bloats refuses its tool; it is not skipped."""
    broken = tool("bank/pay", schema or {"type": "banana"})
    broken.definition["inputSchema"] = schema  # type: ignore[index]
    refusal = controls(registry(broken)).inspect(passage({"a": "b"}, to="bank/pay"))
    assert refusal is not None
    assert refusal.code in {"unavailable", "invalid_arguments"}


def test_pattern_cannot_hang_the_loop() -> None:
    """R-S3: a catastrophic pattern ends, and does not allow."""
    validator = compiled({"type": "object", "properties": {"a": {"type": "string", "pattern": "^(?=(a+)+$)(a|aa)+$"}}})
    fits = validator is not None and validator.is_valid({"a": "a" * 40 + "!"})
    assert not fits


def test_self_reference_works_and_ends() -> None:
    """R-S3: recursive schemas are honest."""
    schema = {"type": "object", "properties": {"next": {"$ref": "#"}, "v": {"type": "integer"}}, "additionalProperties": False}
    set_ = controls(registry(tool("bank/tree", schema)))
    assert set_.inspect(passage({"next": {"next": {"v": 1}}}, to="bank/tree")) is None
    assert set_.inspect(passage({"next": {"next": {"v": "x"}}}, to="bank/tree")) is not None


def test_too_many_and_too_deep_are_refused() -> None:
    """R-S3: sizes and depth are bounded for every door."""
    deep: Any = {}
    for _ in range(70):
        deep = {"a": deep}
    refusal = SET.inspect(passage(deep, to="gpt"))
    assert refusal is not None
    assert refusal.code == "too_large"
    assert measure({"a": [0] * 100_001}) is not None
    assert measure({"a": [0] * 1000, "b": {"c": [1, {"d": 2}]}}) is None


def test_changed_definition_is_compiled_anew() -> None:
    """R-K1: the cache is keyed by digest, so a rug-pulled schema is not the old one."""
    held = registry(PAY)
    validation = InputValidation(held, max_schemas=1)
    assert validation.check(passage(GOOD, to="bank/pay").acting[1]) is None
    changed = tool("bank/pay", {"type": "object", "properties": {"account": {"type": "integer"}}})
    held.registry = registry(changed).registry
    assert validation.check(passage(GOOD, to="bank/pay").acting[1]) is not None
    held.registry = registry(PAY).registry
    assert validation.check(passage(GOOD, to="bank/pay").acting[1]) is None
