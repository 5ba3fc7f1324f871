"""Whatever is sent as arguments, policy sees exactly it or the call is refused; nothing sent makes the engine fail."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostiary.core.decision import Effect
from ostiary.core.errors import InvalidAction
from ostiary.policy import values
from tests.support.policy import INTEGER, NUMBER, SAFE, STRING, call, decide, engine, registry, tool

RECORD = {"type": "object", "properties": {"id": STRING, "n": INTEGER, "deep": {"type": "array", "items": NUMBER}}, "required": ["id"]}
WIDE = tool(
    "files",
    "wide",
    {
        "text": STRING,
        "whole": INTEGER,
        "number": NUMBER,
        "flag": {"type": "boolean"},
        "when": {"type": "string", "format": "date-time"},
        "tags": {"type": "array", "items": STRING},
        "record": RECORD,
        "records": {"type": "array", "items": RECORD},
        "maybe": {"type": ["string", "null"]},
    },
    profile=SAFE,
)
NAMES = ["text", "whole", "number", "flag", "when", "tags", "record", "records", "maybe"]
READS = " && ".join(
    f"(if context.arguments has {name} then context.arguments.{name} == context.arguments.{name} else true)" for name in NAMES
)
ENGINE = engine(f'@id("p") permit (principal, action == Action::"files/wide", resource) when {{ {READS} }};', registry(WIDE))

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
keys = st.sampled_from(["__entity", "__extn", "__expr", "fn", "arg", "type", "id", "n", "deep", "unknown"])
scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | texts
anything = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=8)
fitting: dict[str, st.SearchStrategy[Any]] = {
    "text": texts,
    "whole": st.integers(-(2**63), 2**63 - 1),
    "number": st.decimals(-(10**11), 10**11, places=4).map(float),
    "flag": st.booleans(),
    "when": st.datetimes(timezones=st.timezones()).map(lambda at: at.isoformat()),
    "tags": st.lists(texts, max_size=3),
    "maybe": st.none() | texts,
}


@settings(max_examples=300, deadline=None)
@given(
    st.floats(allow_nan=False, allow_infinity=False)
    | st.integers(-(2**63), 2**63 - 1)
    | st.decimals(-(10**16), 10**16, places=5).map(float)
    | st.decimals(-(10**9), 10**9, places=4).map(float)
)
def test_a_number_is_seen_exactly_or_not_at_all(number: float) -> None:
    """R-P2: a decimal is the number that was sent, digit for digit."""
    exact = Decimal(repr(number))
    is_fine = exact.is_zero() or int(exact.normalize().as_tuple().exponent) >= -4
    if is_fine and abs(exact) <= Decimal("922337203685477.5807"):
        assert Decimal(values.decimal(number, "x")["__extn"]["arg"]) == exact
    else:
        with pytest.raises(InvalidAction):
            values.decimal(number, "x")


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(NAMES), anything, max_size=4))
def test_anything_is_decided_or_refused(arguments: dict[str, Any]) -> None:
    """R-P2: hostile JSON ends in an allow of what fits or in `invalid_arguments`, never in an engine that failed."""
    decision = decide(ENGINE, call("files/wide", **arguments))
    assert decision.effect is Effect.ALLOW or decision.code == "invalid_arguments", (decision, json.dumps(arguments))


@settings(max_examples=200, deadline=None)
@given(st.fixed_dictionaries({}, optional=fitting))
def test_what_fits_is_allowed(arguments: dict[str, Any]) -> None:
    """R-P2: values of the declared types reach policy; none of them is refused for its content."""
    decision = decide(ENGINE, call("files/wide", **arguments))
    narrow: dict[str, Any] = {name: arguments[name] for name in ("when", "number") if name in arguments}
    if decision.effect is Effect.ALLOW:
        return
    assert decision.code == "invalid_arguments"
    with pytest.raises(InvalidAction):
        ENGINE.snapshot.schema.actions["files/wide"].fields.convert(narrow)
