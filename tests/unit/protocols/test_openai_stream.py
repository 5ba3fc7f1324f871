"""Chat completion chunks through the translator: what is harmless arrives whole, in order, and in one piece of history."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletionChunk

from ostiary.core.registry import Model
from ostiary.protocols.openai.stream import ChunkTranslator
from ostiary.protocols.sse import SseReader
from tests.support.ports import PlainStream

HEAD = {"id": "c-1", "object": "chat.completion.chunk", "created": 5, "model": "vendor-model"}
texts = st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=12)


def raw(*chunks: dict[str, Any]) -> bytes:
    return b"".join(b"data: %b\n\n" % json.dumps({**HEAD, **chunk}).encode() for chunk in chunks) + b"data: [DONE]\n\n"


def choice(delta: dict[str, Any], finish: str | None = None, index: int = 0) -> dict[str, Any]:
    return {"choices": [{"index": index, "delta": delta, "finish_reason": finish}]}


def translate(data: bytes, size: int = 10_000, model: Model | None = None) -> tuple[list[ChatCompletionChunk], ChunkTranslator]:
    translator = ChunkTranslator(model or Model("m", "openai", "http://127.0.0.1"), PlainStream(), lambda refusal: {})
    out = b"".join(translator.feed(data[start : start + size]) for start in range(0, len(data), size))
    return [ChatCompletionChunk.model_validate_json(event, strict=True) for _, event in SseReader().feed(out)], translator


def content(chunks: list[ChatCompletionChunk], index: int = 0) -> str:
    return "".join(c.delta.content or "" for chunk in chunks for c in chunk.choices if c.index == index)


@settings(max_examples=60)
@given(texts, st.integers(1, 40))
def test_text_is_controlled_as_if_it_were_whole(pieces: list[str], size: int) -> None:
    """Issue 3 section 6: wherever text and bytes are cut, the client gets what the whole text would have become."""
    whole = "".join(pieces)
    if "forbidden" in whole:
        return
    chunks, translator = translate(raw(*(choice({"content": piece}) for piece in pieces), choice({}, "stop")), size)
    assert content(chunks) == whole.replace("secret", "******")
    assert translator.is_complete
    assert translator.completion()["finish"] == {"0": "stop"}


@settings(max_examples=60)
@given(st.lists(st.sampled_from(["se", "cret", "secret", "s", "e", "c", "r", "t", " ", "x"]), max_size=20))
def test_a_find_is_found_however_it_is_cut(pieces: list[str]) -> None:
    """Issue 3 section 6: the same for texts that hold the find in pieces."""
    chunks, _ = translate(raw(*(choice({"content": piece}) for piece in pieces), choice({}, "stop")))
    assert content(chunks) == "".join(pieces).replace("secret", "******")


def test_several_choices_do_not_mix() -> None:
    """R-B2: `n` answers in one stream, each with its own held-back tail and its own finish."""
    events = [choice({"content": "a sec"}), choice({"content": "b sec"}, index=1), choice({"content": "ret"}), choice({}, "stop")]
    chunks, translator = translate(raw(*events, choice({"content": "ond"}, "length", index=1)))
    assert (content(chunks, 0), content(chunks, 1)) == ("a ******", "b second")
    finishes = [(c.index, c.finish_reason) for chunk in chunks for c in chunk.choices if c.finish_reason]
    assert finishes == [(0, "stop"), (1, "length")]
    assert translator.completion()["texts"] == {"content": "a ******", "content@1": "b second"}


def test_parallel_tool_calls_end_one_after_the_other() -> None:
    """R-B2: the tail of one call's arguments comes before the next call begins."""

    def call(index: int, arguments: str, name: str = "") -> dict[str, Any]:
        head = {"id": f"call_{index}", "type": "function"} if name else {}
        return choice({"tool_calls": [{"index": index, **head, "function": {**({"name": name} if name else {}), "arguments": arguments}}]})

    events = [call(0, "", "pay"), call(0, '{"to":"s'), call(1, "", "mail"), call(1, '{"body":"se'), choice({}, "tool_calls")]
    chunks, translator = translate(raw(*events))
    seen = [
        (t.index, t.function.arguments or "") for chunk in chunks for c in chunk.choices for t in c.delta.tool_calls or [] if t.function
    ]
    assert [index for index, _ in seen] == sorted(index for index, _ in seen)
    assert "".join(text for index, text in seen if index == 0) == '{"to":"s'
    assert "".join(text for index, text in seen if index == 1) == '{"body":"se'
    assert translator.completion()["tools"] == {"tool:0": "pay", "tool:1": "mail"}


def test_the_older_function_call_is_controlled_too() -> None:
    """R-B2: the deprecated shape is still spoken, and still controlled."""
    events = [choice({"function_call": {"name": "pay", "arguments": ""}}), choice({"function_call": {"arguments": '{"a":"sec'}})]
    chunks, _ = translate(raw(*events, choice({"function_call": {"arguments": 'ret"}'}}, "function_call")))
    calls = [c.delta.function_call for chunk in chunks for c in chunk.choices if c.delta.function_call]
    assert calls[0].name == "pay"
    assert "".join(call.arguments or "" for call in calls) == '{"a":"******"}'


def test_usage_and_names() -> None:
    """R-B2: usage arrives as counted, the model under the registry's name when it is mapped."""
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "completion_tokens_details": {"reasoning_tokens": 1}}
    events = raw(choice({"content": "x"}), choice({}, "stop"), {"choices": [], "usage": usage})
    mapped, translator = translate(events, model=Model("ours", "openai", "http://127.0.0.1", upstream_name="vendor-model"))
    assert {chunk.model for chunk in mapped} == {"ours"}
    assert mapped[-1].usage is not None
    assert mapped[-1].usage.total_tokens == 3
    assert translator.completion()["usage"] == usage
    assert {chunk.model for chunk in translate(events)[0]} == {"vendor-model"}
