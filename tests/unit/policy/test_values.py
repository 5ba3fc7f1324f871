"""Arguments become Cedar values of the declared type, or the call is refused."""

from typing import Any

import pytest

from ostiary.core.errors import InvalidAction
from ostiary.policy.values import Fields, fields_of


def fields(required: tuple[str, ...] = (), **properties: Any) -> Fields:
    return fields_of({"type": "object", "properties": properties, "required": list(required)})


def one(schema: dict[str, Any], value: Any) -> Any:
    return fields(x=schema).convert({"x": value}).get("x")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0.0"),
        (5, "5.0"),
        (-5, "-5.0"),
        (1000.1, "1000.1"),
        (0.0001, "0.0001"),
        (1e15 / 10, "100000000000000.0"),
        (-0.5, "-0.5"),
        (1.5e3, "1500.0"),
        (922337203685477, "922337203685477.0"),
    ],
)
def test_numbers_become_decimals(value: float, text: str) -> None:
    """R-P2: number → decimal, four places."""
    assert one({"type": "number"}, value) == {"__extn": {"fn": "decimal", "arg": text}}


@pytest.mark.parametrize("value", [0.00001, 922337203685478, 1e16, -1e300, 0.1 + 0.2, True, "5", None, [5], 2**63])
def test_numbers_that_do_not_fit_are_refused(value: Any) -> None:
    """R-P2: outside the range or four places → invalid_arguments, never a rounded number."""
    with pytest.raises(InvalidAction) as refused:
        one({"type": "number"}, value)
    assert refused.value.code == "invalid_arguments"
    assert refused.value.status == 422


@pytest.mark.parametrize(("value", "expected"), [(5, 5), (5.0, 5), (-(2**63), -(2**63)), (2**63 - 1, 2**63 - 1)])
def test_integers_become_longs(value: Any, expected: int) -> None:
    """R-P2: integer → Long; JSON Schema counts 5.0 as an integer."""
    found = one({"type": "integer"}, value)
    assert found == expected
    assert type(found) is int


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "integer"}, 5.5),
        ({"type": "integer"}, True),
        ({"type": "integer"}, "5"),
        ({"type": "integer"}, 2**63),
        ({"type": "integer"}, 1e300),
        ({"type": "string"}, 5),
        ({"type": "string"}, {"__entity": {"type": "User", "id": "bob"}}),
        ({"type": "boolean"}, 1),
        ({"type": "boolean"}, "true"),
        ({"type": "array", "items": {"type": "string"}}, "abc"),
        ({"type": "array", "items": {"type": "string"}}, ["a", 1]),
        ({"type": "string", "format": "date-time"}, "yesterday"),
        ({"type": "string", "format": "date-time"}, "2026-01-01T00:00:00"),
        ({"type": "string", "format": "date-time"}, "0001-01-01T00:00:00+23:00"),
        ({"type": "object", "properties": {"a": {"type": "string"}}}, {"a": 1}),
        ({"type": "object", "properties": {"a": {"type": "string"}}}, {"b": "x"}),
    ],
)
def test_other_types_are_refused(schema: dict[str, Any], value: Any) -> None:
    """R-P2: a value of another type never reaches policy."""
    with pytest.raises(InvalidAction) as refused:
        one(schema, value)
    assert refused.value.code == "invalid_arguments"


def test_date_times_become_datetimes_in_utc() -> None:
    """R-P2: date-time → datetime, to the millisecond."""
    found = one({"type": "string", "format": "date-time"}, "2026-03-01T12:00:00.123456+02:00")
    assert found == {"__extn": {"fn": "datetime", "arg": "2026-03-01T10:00:00.123Z"}}


def test_nested_records_and_sets() -> None:
    """R-P2: array → Set, object → record, references inside the document followed."""
    schema = {
        "properties": {"lines": {"type": "array", "items": {"$ref": "#/$defs/line"}}},
        "$defs": {"line": {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}},
    }
    found = fields_of(schema)
    assert found.convert({"lines": [{"n": 1}]}) == {"lines": [{"n": 1}]}
    with pytest.raises(InvalidAction, match=r"lines\[\]\.n"):
        found.convert({"lines": [{}]})


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "object"},
        {"type": "array"},
        {"type": ["string", "integer"]},
        {"anyOf": [{"type": "string"}, {"type": "integer"}]},
        {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": True},
        {"$ref": "https://example.com/schema"},
        {"$ref": "#/missing"},
        {"$ref": "#/properties/x"},
        {"type": "object", "properties": {"a": {}}},
        True,
        None,
    ],
)
def test_what_has_no_one_type_is_free_form(schema: Any) -> None:
    """R-P2: free-form is absent from policy, and the tool counts as unconfirmed."""
    found = fields(x=schema)
    assert found.free == frozenset({"x"})
    assert found.is_free_form
    assert found.convert({"x": {"anything": [1]}}) == {}


def test_null_is_absence() -> None:
    """R-P2: a nullable argument needs `has`, and null is not there."""
    for schema in ({"type": ["string", "null"]}, {"anyOf": [{"type": "string"}, {"type": "null"}]}):
        found = fields(("x",), x=schema)
        assert found.is_optional("x")
        assert found.convert({"x": None}) == {}
        assert found.convert({"x": "a"}) == {"x": "a"}


def test_undeclared_arguments_are_refused_unless_the_tool_says_otherwise() -> None:
    """R-P2: policy never decides on less than what is sent."""
    with pytest.raises(InvalidAction, match="nearest: `amount`"):
        fields(amount={"type": "number"}).convert({"amuont": 5})
    is_open = fields_of({"properties": {}, "additionalProperties": True})
    assert is_open.is_free_form
    assert is_open.convert({"anything": 1}) == {}


def test_missing_required_arguments_are_refused() -> None:
    """R-P2: an attribute that policies may read without `has` is always there."""
    with pytest.raises(InvalidAction, match="`to` is missing"):
        fields(("to",), to={"type": "string"}).convert({})


def test_names_that_cedar_would_read_as_escapes_are_not_typed() -> None:
    """R-P2: a property called `__entity` or `__extn` never becomes part of a context."""
    found = fields(__entity={"type": "object", "properties": {"type": {"type": "string"}, "id": {"type": "string"}}})
    assert found.free == frozenset({"__entity"})
    assert found.convert({"__entity": {"type": "User", "id": "bob"}}) == {}


def test_a_hostile_schema_is_only_free_form() -> None:
    """R-P2: nothing a server sends as a schema breaks generation."""
    deep: Any = {"type": "string"}
    for _ in range(50):
        deep = {"type": "array", "items": deep}
    assert fields(x=deep).free == frozenset({"x"})
    hostile: tuple[Any, ...] = (
        {"properties": []},
        {"required": 5},
        {"type": 5},
        [],
        "x",
        5,
        {"properties": {"x": {"type": [[]]}}},
        {"properties": {"x": {"enum": "a"}}},
    )
    for schema in hostile:
        fields_of(schema).type()
