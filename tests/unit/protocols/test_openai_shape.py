"""The shape of a chat completion request, held against the official client's own types."""

from typing import Any

import pytest
from openai.types.chat import completion_create_params as official

from ostiary.core.errors import InvalidAction
from ostiary.protocols.openai.shape import FIELDS, check_chat

CHAT: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "x"}]}


def test_every_field_of_the_official_client_is_known() -> None:
    """STANDARDS.md: a new field of the API fails here, before a user finds it."""
    fields = {*official.CompletionCreateParamsBase.__annotations__, *official.CompletionCreateParamsStreaming.__annotations__}
    assert fields <= set(FIELDS)


@pytest.mark.parametrize(
    "rest",
    [
        {},
        {"temperature": 0, "top_p": 0.5, "n": 2, "stop": ["a"], "stream": True, "stream_options": {"include_usage": True}},
        {"temperature": None, "tools": None, "user": None},
        {"tools": [{"type": "function", "function": {"name": "a", "parameters": {"Name": {"type": "string"}}}}], "tool_choice": "auto"},
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}]},
        {"messages": [{"role": "assistant", "content": None, "tool_calls": [{"id": "c", "type": "function", "function": {"name": "a"}}]}]},
        {"messages": [{"role": "assistant", "content": "x", "reasoning_content": "y", "annotations": []}]},
        {"modalities": ["text"]},
    ],
    ids=str,
)
def test_well_formed_requests(rest: dict[str, Any]) -> None:
    """R-B2: what the official client sends passes; names inside a tool's schema are the user's own."""
    check_chat({**CHAT, **rest})


def test_a_typing_mistake_is_named() -> None:
    """STYLE.md: an error says what was meant."""
    with pytest.raises(InvalidAction, match="did you mean `temperature`"):
        check_chat({**CHAT, "temprature": 1})
    with pytest.raises(InvalidAction, match="`n` must be an integer, got bool"):
        check_chat({**CHAT, "n": True})
    with pytest.raises(InvalidAction, match=r"messages\[0\].role must be a string"):
        check_chat({"model": "m", "messages": [{"content": "x"}]})
