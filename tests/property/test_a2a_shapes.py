"""Whatever JSON says: the A2A wire reads it into a value that reads as itself, or refuses it as the asker's fault (R-K1)."""

from base64 import b64encode
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ostiary.protocols.a2a.cards import payload
from ostiary.protocols.a2a.kinds import BadField, Shape
from ostiary.protocols.a2a.messages import arguments_of, renamed, request_of
from ostiary.protocols.a2a.shapes import CARD, OPERATIONS, SEND, STREAM_RESPONSE

COMMON = ("text", "raw", "url", "data", "parts", "role", "messageId", "message_id", "artifact", "state", "status", "metadata", "x")
SPELLINGS = {spelling for each in (*(o.request for o in OPERATIONS.values()), STREAM_RESPONSE, CARD) for spelling in each.spellings}
NAMES = st.sampled_from([*sorted(SPELLINGS), *COMMON])
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.text(max_size=8)
    | st.sampled_from(["ROLE_USER", "TASK_STATE_WORKING", "AA=="])
)
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=6), max_leaves=25)
PARTS = st.lists(
    st.fixed_dictionaries({"text": st.text(max_size=8)})
    | st.fixed_dictionaries({"data": VALUES})
    | st.fixed_dictionaries({"raw": st.binary(max_size=8).map(lambda raw: b64encode(raw).decode())}),
    min_size=1,
    max_size=4,
)
SHAPES = st.sampled_from([*(each.request for each in OPERATIONS.values()), STREAM_RESPONSE, CARD])


@settings(max_examples=400, deadline=None)
@given(SHAPES, VALUES, st.booleans())
def test_reading_is_total_and_idempotent(shape: Shape, value: Any, strict: bool) -> None:
    """R-K1: no value raises anything but BadField, and what was read is read as the same."""
    try:
        read = shape(value, "", strict)
    except BadField:
        return
    assert shape(read, "", strict) == read


@settings(max_examples=200, deadline=None)
@given(PARTS, st.dictionaries(st.text(max_size=4), LEAVES, max_size=3))
def test_what_is_decided_is_what_is_sent(parts: list[dict[str, Any]], metadata: dict[str, Any]) -> None:
    """R-B1: from the arguments alone the message is made again, and nothing beside them."""
    sent = SEND({"message": {"messageId": "m", "role": "ROLE_USER", "parts": parts, "metadata": metadata}})
    again = request_of(arguments_of(sent), "", None)
    assert again == sent


@settings(max_examples=200, deadline=None)
@given(VALUES)
def test_renaming_touches_contexts_only(value: Any) -> None:
    """R-B1: an answer under the caller's names differs from the agent's in contexts alone."""
    try:
        event = STREAM_RESPONSE(value, "", False)
    except BadField:
        return
    assert renamed(event, lambda context: context) == event
    assert payload(event) == payload(renamed(event, lambda context: context))
