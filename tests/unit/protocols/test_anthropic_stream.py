"""Message events through the translator: what is harmless arrives whole, in order, and as the official client reads it."""

import json
from typing import Any

from anthropic.types import RawMessageStreamEvent
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from ostiary.core.registry import Model
from ostiary.protocols.anthropic.stream import EventTranslator
from ostiary.protocols.sse import SseReader
from tests.support.ports import PlainStream

official: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
START = {
    "id": "m1",
    "type": "message",
    "role": "assistant",
    "model": "vendor",
    "content": [],
    "usage": {"input_tokens": 3, "output_tokens": 1},
}


def raw(*events: dict[str, Any]) -> bytes:
    every = [{"type": "message_start", "message": START}, *events]
    return b"".join(b"event: %b\ndata: %b\n\n" % (event["type"].encode(), json.dumps(event).encode()) for event in every)


def block(index: int, kind: dict[str, Any], *deltas: dict[str, Any]) -> list[dict[str, Any]]:
    written = [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
    begun: dict[str, Any] = {"type": "content_block_start", "index": index, "content_block": kind}
    return [begun, *written, {"type": "content_block_stop", "index": index}]


def text_block(index: int, pieces: list[str]) -> list[dict[str, Any]]:
    return block(index, {"type": "text", "text": ""}, *({"type": "text_delta", "text": piece} for piece in pieces))


def ended(reason: str = "end_turn") -> list[dict[str, Any]]:
    return [{"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 9}}, {"type": "message_stop"}]


def translate(data: bytes, size: int = 10_000, upstream_name: str = "") -> tuple[list[Any], EventTranslator]:
    model = Model("ours", "anthropic", "http://127.0.0.1", upstream_name=upstream_name)
    translator = EventTranslator(model, PlainStream(), lambda refusal: {})
    out = b"".join(translator.feed(data[start : start + size]) for start in range(0, len(data), size))
    return [official.validate_json(event, strict=True) for name, event in SseReader().feed(out) if name != "ping"], translator


def text(events: list[Any], index: int = 0) -> str:
    return "".join(event.delta.text for event in events if event.type == "content_block_delta" and event.index == index)


@settings(max_examples=60)
@given(st.lists(st.sampled_from(["se", "cret", "secret", "s", "\u00e9", "\n\n", "data: ", "x"]), max_size=20), st.integers(1, 40))
def test_text_is_controlled_as_if_it_were_whole(pieces: list[str], size: int) -> None:
    """Issue 3 section 6: wherever text and bytes are cut, the client gets what the whole text would have become."""
    events, translator = translate(raw(*text_block(0, pieces), *ended()), size)
    assert text(events) == "".join(pieces).replace("secret", "******")
    assert translator.is_complete
    assert [event.type for event in events[-2:]] == ["content_block_stop", "message_delta"]


def test_blocks_follow_each_other_whole() -> None:
    """R-B2: thinking, text, sealed thinking and a tool call; each tail comes before its block ends."""
    thinking = block(
        0,
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "thinking_delta", "thinking": "hm sec"},
        {"type": "signature_delta", "signature": "c2lnbmVk"},
    )
    sealed = block(1, {"type": "redacted_thinking", "data": "c2VhbGVk"})
    call = block(3, {"type": "tool_use", "id": "t1", "name": "pay", "input": {}}, {"type": "input_json_delta", "partial_json": '{"to":"se'})
    events, translator = translate(raw(*thinking, *sealed, *text_block(2, ["a sec"]), *call, *ended("tool_use")), upstream_name="vendor")
    assert translator.completion() == {
        "texts": {"reasoning:0": "hm sec", "content:2": "a sec", "tool:3": '{"to":"se'},
        "tools": {"tool:3": "pay"},
        "finish": "tool_use",
        "usage": {"input_tokens": 3, "output_tokens": 9},
        "model": "ours",
        "is_whole": True,
    }
    order = [(event.type, event.index) for event in events if event.type.startswith("content_block")]
    assert [index for _, index in order] == sorted(index for _, index in order)
    assert events[0].message.model == "ours"
    assert events[-1].usage.output_tokens == 9


def test_events_of_the_future_are_left_out() -> None:
    """The API may add events: what is not known is neither trusted nor fatal."""
    events, translator = translate(raw({"type": "novelty", "text": "secret"}, *text_block(0, ["x"]), *ended()))
    assert text(events) == "x"
    assert translator.is_complete
