"""Text that must not pass is cut into pieces, hidden in tool calls, or smuggled in fields a stream may carry."""

import json
from typing import Any

import pytest

from ostiary.core.decision import refuse
from ostiary.core.errors import OstiaryError, UpstreamUnavailable
from ostiary.core.registry import Model
from ostiary.protocols.anthropic.stream import EventTranslator
from ostiary.protocols.openai.stream import ChunkTranslator
from ostiary.protocols.sse import SseReader
from tests.support.ports import PlainStream

MODEL = Model("gpt", "openai", "http://127.0.0.1/v1")


def chat(*deltas: dict[str, Any] | str, finish: str | None = "stop", **choice: Any) -> bytes:
    """An upstream's stream: one chunk a delta, then the finish and `[DONE]`."""
    chunks = [
        {"id": "1", "created": 1, "model": "m", "choices": [{"index": 0, "delta": {"content": d} if isinstance(d, str) else d, **choice}]}
        for d in deltas
    ]
    if finish:
        chunks.append({"id": "1", "created": 1, "model": "m", "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    return b"".join(b"data: %b\n\n" % json.dumps(chunk).encode() for chunk in chunks) + (b"data: [DONE]\n\n" if finish else b"")


def translate(raw: bytes, size: int = 10_000) -> tuple[list[dict[str, Any]], ChunkTranslator]:
    translator = ChunkTranslator(MODEL, PlainStream(), lambda refusal: {"error": refusal.code})
    out = b"".join(translator.feed(raw[start : start + size]) for start in range(0, len(raw), size))
    return [json.loads(data) for _, data in SseReader().feed(out)], translator


def text(events: list[dict[str, Any]], name: str = "content") -> str:
    return "".join(choice["delta"].get(name) or "" for event in events for choice in event["choices"])


def calls(events: list[dict[str, Any]]) -> str:
    deltas = [choice["delta"] for event in events for choice in event["choices"]]
    return "".join(call["function"].get("arguments", "") for delta in deltas for call in delta.get("tool_calls", []))


@pytest.mark.parametrize("size", [1, 3, 10_000])
@pytest.mark.parametrize("pieces", [["my secret"], ["my se", "cret"], list("my secret"), ["my secre", "t", " is a secret"]])
def test_a_word_in_pieces_is_found(pieces: list[str], size: int) -> None:
    """Issue 3 section 6: what may be part of a find is held back until it is decided."""
    events, translator = translate(chat(*pieces), size)
    assert "secret" not in text(events)
    assert text(events).startswith("my ******")
    assert translator.is_complete
    assert translator.completion()["texts"]["content"] == text(events)


def test_a_held_tail_comes_before_the_finish() -> None:
    """Issue 3 section 6: what was held back harmlessly is not lost."""
    events, _ = translate(chat("no sec"))
    assert text(events) == "no sec"
    assert [choice["finish_reason"] for event in events for choice in event["choices"]][-2:] == [None, "stop"]


@pytest.mark.parametrize("name", ["refusal", "reasoning_content", "reasoning"])
def test_every_text_of_a_delta_is_controlled(name: str) -> None:
    """Issue 3 section 6: not only `content` carries text."""
    events, _ = translate(chat({name: "a sec"}, {name: "ret"}))
    assert text(events, name) == "a ******"


def test_tool_arguments_are_controlled() -> None:
    """Issue 3 section 6: nor only deltas with text."""
    call = {"index": 0, "id": "c", "type": "function", "function": {"name": "send", "arguments": '{"body":"se'}}
    events, _ = translate(chat({"tool_calls": [call]}, {"tool_calls": [{"index": 0, "function": {"arguments": 'cret"}'}}]}))
    assert calls(events) == '{"body":"******"}'


@pytest.mark.parametrize("name", [b"id", b"model", b"system_fingerprint", b"service_tier", b"created"])
def test_names_that_only_inform_are_left_out_when_they_are_text(name: bytes) -> None:
    """Issue 3 section 6: a local server's odd names do not break a stream, and do not carry text either."""
    events, translator = translate(chat("a").replace(b'"id": "1"', b'"id": "1", "%b": "a secret, C:\\\\models"' % name))
    assert text(events) == "a"
    assert "secret" not in json.dumps(events)
    assert translator.is_complete


def test_an_empty_piece_after_the_finish_is_harmless() -> None:
    """R-B2: some servers repeat the role beside the finish."""
    late = {"role": "assistant", "content": ""}
    raw = chat("a").replace(b"data: [DONE]\n\n", b"") + chat(late, finish=None) + b"data: [DONE]\n\n"
    events, translator = translate(raw)
    assert text(events) == "a"
    assert translator.is_complete


def test_what_a_stream_need_not_carry_does_not_travel() -> None:
    """Issue 3 section 6: token lists, audio, unknown members and comments are dropped."""
    tokens = {"content": [{"token": "secret", "logprob": 0, "top_logprobs": []}]}
    raw = b": secret\nid: secret\nretry: 1\n" + chat({"content": "a", "audio": {"transcript": "secret"}, "x": "secret"}, logprobs=tokens)
    events, _ = translate(raw.replace(b'"created"', b'"note": "secret", "created"'))
    assert text(events) == "a"
    assert "secret" not in json.dumps(events)


@pytest.mark.parametrize(
    "raw",
    [
        chat("a", finish="my secret reason"),
        chat({"role": "the secret"}),
        chat({"tool_calls": [{"index": 0, "function": {"name": "a secret in words"}}]}),
        chat({"tool_calls": [{"index": 0, "id": "a secret in words"}]}),
    ],
)
def test_identifiers_carry_no_text(raw: bytes) -> None:
    """Issue 3 section 6: text in the place of an identifier is a lie."""
    with pytest.raises(UpstreamUnavailable):
        translate(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b"data: [DONE]\n\n",
        chat("a", finish=None) + b"data: [DONE]\n\n",
        chat("a").replace(b"data: [DONE]", b"") + chat("b"),
        b"data: {}\n\n",
        b"data: 5\n\n",
        b'data: {"choices": [5]}\n\n',
        b'data: {"choices": [{"index": -1, "delta": {}}]}\n\n',
        b'data: {"choices": [{"index": 100000, "delta": {}}]}\n\n',
        b'data: {"choices": [{"index": true, "delta": {}}]}\n\n',
        b'data: {"choices": [{"index": 0, "delta": {"content": 5}}]}\n\n',
        b'data: {"choices": [{"index": 0, "delta": {"content": {"a": "b"}}}]}\n\n',
        b'data: {"choices": [{"index": 0, "delta": {"tool_calls": ["x"]}}]}\n\n',
        b'data: {"error": {"message": "overloaded"}}\n\n',
        b"data: " + b"x" * 2_000_000,
        b"data: x\n" * 1_000_000 + b"\n",
        b'data: {"choices": "\xff"}\n\n',
        b'data: {"choices": [{"index": 0, "delta": {"content": "\\ud800"}}]}\n\n',
        b"data: " + b"[" * 100_000 + b"\n\n",
    ],
    ids=lambda raw: repr(raw[:50]),
)
def test_a_stream_that_makes_no_sense_is_refused(raw: bytes) -> None:
    """Issue 3 section 9: malformed and hostile SSE."""
    with pytest.raises(UpstreamUnavailable):
        translate(raw)


def test_a_tool_call_that_had_ended_cannot_go_on() -> None:
    """Issue 3 section 6: pieces of one text cannot be passed around each other."""
    first, second = ({"tool_calls": [{"index": n, "function": {"arguments": "se"}}]} for n in (0, 1))
    with pytest.raises(UpstreamUnavailable, match="had ended"):
        translate(chat(first, second, {"tool_calls": [{"index": 0, "function": {"arguments": "cret"}}]}))


def test_too_many_channels_are_refused() -> None:
    """Issue 3 section 9: memory is bounded by the number of texts, too."""
    choices = [{"index": n % 256, "delta": {"content": "x", "refusal": "x"}} for n in range(256)]
    with pytest.raises(UpstreamUnavailable, match="too many"):
        translate(b"data: %b\n\n" % json.dumps({"choices": choices}).encode())


def test_a_refusing_control_stops_the_stream() -> None:
    """Issue 3 section 6: nothing of the piece that was refused gets out."""
    with pytest.raises(OstiaryError) as caught:
        translate(chat("all fine ", "now forbidden"), 40)
    assert caught.value.code == "content_rejected"


def test_the_record_of_a_stream_is_bounded() -> None:
    """Issue 3 section 9: at most 64 KiB of a completion are kept, and the record says that it is a part."""
    events, translator = translate(chat(*["x" * 1000] * 200))
    kept = translator.completion()
    assert len(text(events)) == 200_000
    assert len(kept["texts"]["content"]) == 65536
    assert kept["is_whole"] is False


def events_of(raw: bytes) -> list[dict[str, Any]]:
    translator = EventTranslator(Model("claude", "anthropic", "http://127.0.0.1"), PlainStream(), lambda refusal: {"error": refusal.code})
    return [json.loads(data) for _, data in SseReader().feed(translator.feed(raw))]


def message(*events: dict[str, Any]) -> bytes:
    start = {"type": "message_start", "message": {"id": "m", "model": "x", "content": [], "usage": {"input_tokens": 1, "output_tokens": 1}}}
    return b"".join(b"event: %b\ndata: %b\n\n" % (e["type"].encode(), json.dumps(e).encode()) for e in (start, *events))


def block(kind: dict[str, Any], *deltas: dict[str, Any]) -> list[dict[str, Any]]:
    begun: list[dict[str, Any]] = [{"type": "content_block_start", "index": 0, "content_block": kind}]
    return [
        *begun,
        *({"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": 0},
    ]


@pytest.mark.parametrize(
    ("kind", "deltas"),
    [
        ({"type": "text", "text": ""}, [{"type": "text_delta", "text": "se"}, {"type": "text_delta", "text": "cret"}]),
        ({"type": "text", "text": "se"}, [{"type": "text_delta", "text": "cret"}]),
        ({"type": "thinking", "thinking": "se"}, [{"type": "thinking_delta", "thinking": "cret"}]),
        ({"type": "tool_use", "id": "t", "name": "n"}, [{"type": "input_json_delta", "partial_json": p} for p in ('{"a":"sec', 'ret"}')]),
        ({"type": "text", "text": ""}, [{"type": "citations_delta", "citation": {"type": "char_location", "cited_text": "a secret"}}]),
        ({"type": "text", "text": "a", "note": "secret"}, []),
        ({"type": "tool_use", "id": "t", "name": "n", "input": {"a": "secret"}}, []),
    ],
    ids=str,
)
def test_every_text_of_a_message_is_controlled(kind: dict[str, Any], deltas: list[dict[str, Any]]) -> None:
    """Issue 3 section 6: the same on the Anthropic wire."""
    events = events_of(message(*block(kind, *deltas)))
    assert "secret" not in json.dumps(events)
    assert events[-1]["type"] == "content_block_stop"


@pytest.mark.parametrize(
    "events",
    [
        block({"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}),
        block({"type": "web_search_tool_result", "content": []}),
        block({"type": "text"}, {"type": "input_json_delta", "partial_json": "x"}),
        block({"type": "text"})[1:],
        [*block({"type": "text"}), {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "x"}}],
        [*block({"type": "text"})[:1], {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "x"}}],
        block({"type": "text"})[:1] * 2,
        [*block({"type": "text"}), *block({"type": "text"})],
        [*block({"type": "text"})[:1], {"type": "message_stop"}],
        [{"type": "message_stop"}],
        [{"type": "error", "error": {"type": "overloaded_error"}}],
        [{"type": "message_delta", "delta": {"stop_reason": "for a secret reason"}}],
        block({"type": "redacted_thinking", "data": "the secret in words"}),
        [{"type": "message_start", "message": {"content": []}}],
    ],
    ids=str,
)
def test_a_message_that_makes_no_sense_is_refused(events: list[dict[str, Any]]) -> None:
    """Issue 3 section 9: hostile SSE on the Anthropic wire."""
    with pytest.raises(UpstreamUnavailable):
        events_of(message(*events))


def test_a_failure_is_told_in_an_event() -> None:
    """R-P2: the reason of a cut reaches the client."""
    translator = ChunkTranslator(MODEL, PlainStream(), lambda refusal: {"error": {"code": refusal.code}})
    assert translator.failure(refuse("revoked", "x")) == b'data: {"error":{"code":"revoked"}}\n\n'
