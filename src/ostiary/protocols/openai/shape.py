"""The shape of a chat completion request: what is decided must be what every upstream's parser reads."""

from collections.abc import Mapping
from typing import Any

from ostiary.core.errors import InvalidAction
from ostiary.protocols.model_shape import Kind, check_fields, check_inline, check_members, objects

_NUMBER = Kind("a number", (int, float))
_INTEGER = Kind("an integer", (int,))
_TEXT = Kind("a string", (str,))
_FLAG = Kind("true or false", (bool,))
_LIST = Kind("a list", (list,))
_OBJECT = Kind("an object", (dict,))

FIELDS: Mapping[str, Kind] = {
    "audio": _OBJECT,
    "frequency_penalty": _NUMBER,
    "function_call": Kind("a string or an object", (str, dict)),
    "functions": _LIST,
    "logit_bias": _OBJECT,
    "logprobs": _FLAG,
    "max_completion_tokens": _INTEGER,
    "max_tokens": _INTEGER,
    "messages": _LIST,
    "metadata": _OBJECT,
    "modalities": _LIST,
    "model": _TEXT,
    "moderation": _OBJECT,
    "n": _INTEGER,
    "parallel_tool_calls": _FLAG,
    "prediction": _OBJECT,
    "presence_penalty": _NUMBER,
    "prompt_cache_key": _TEXT,
    "prompt_cache_options": _OBJECT,
    "prompt_cache_retention": _TEXT,
    "reasoning_effort": _TEXT,
    "response_format": _OBJECT,
    "safety_identifier": _TEXT,
    "seed": _INTEGER,
    "service_tier": _TEXT,
    "stop": Kind("a string or a list", (str, list)),
    "store": _FLAG,
    "stream": _FLAG,
    "stream_options": _OBJECT,
    "temperature": _NUMBER,
    "tool_choice": Kind("a string or an object", (str, dict)),
    "tools": _LIST,
    "top_logprobs": _INTEGER,
    "top_p": _NUMBER,
    "user": _TEXT,
    "verbosity": _TEXT,
    "web_search_options": _OBJECT,
    "chat_template_kwargs": _OBJECT,
    "min_p": _NUMBER,
    "repetition_penalty": _NUMBER,
    "top_k": _INTEGER,
}
"""Every field of OpenAI's API, and the sampling fields that compatible servers add. Anything else is refused."""

MESSAGE = frozenset({"role", "content", "name", "tool_calls", "tool_call_id", "refusal", "audio", "function_call"})
PART = frozenset({"type", "text", "image_url", "input_audio", "file", "refusal"})
CALL = frozenset({"id", "type", "function", "custom"})
FUNCTION = frozenset({"name", "arguments", "description", "parameters", "strict"})
TOOL = frozenset({"type", "function", "custom"})


def check_chat(body: dict[str, Any]) -> None:
    """Check a request. Raises InvalidAction, `not_granted` for what would act outside the gateway's sight."""
    check_fields(body, FIELDS, required=("model", "messages"))
    if not body["messages"]:
        raise InvalidAction("`messages` must not be empty")
    for where, message in objects(body["messages"], "messages"):
        _check_message(where, message)
    for where, tool in objects(body.get("tools") or [], "tools"):
        check_members(where, tool, TOOL)
        if tool.get("type") not in {"function", "custom"}:
            raise _unseen(f"{where}.type `{str(tool.get('type'))[:60]}`")
        if isinstance(tool.get("function"), dict):
            check_members(f"{where}.function", tool["function"], FUNCTION)
    if body.get("web_search_options") is not None:
        raise _unseen("`web_search_options`")
    if body.get("audio") is not None or any(kind != "text" for kind in body.get("modalities") or ()):
        raise InvalidAction("answers other than text cannot be inspected: `modalities` must be `text`")


def _check_message(where: str, message: dict[str, Any]) -> None:
    check_members(where, message, MESSAGE)
    if not isinstance(message.get("role"), str):
        raise InvalidAction(f"{where}.role must be a string")
    content = message.get("content")
    if isinstance(content, list):
        for at, part in objects(content, f"{where}.content"):
            check_members(at, part, PART)
            check_inline(at, part)
    elif content is not None and not isinstance(content, str):
        raise InvalidAction(f"{where}.content must be a string or a list")
    if not message.get("tool_calls"):
        return
    for at, tool_call in objects(message["tool_calls"], f"{where}.tool_calls"):
        check_members(at, tool_call, CALL)
        if isinstance(tool_call.get("function"), dict):
            check_members(f"{at}.function", tool_call["function"], FUNCTION)


def _unseen(what: str) -> InvalidAction:
    return InvalidAction(
        f"{what} would be carried out by the provider, where the gateway neither decides nor records",
        code="not_granted",
        status=403,
        remedy="offer the tool through the gateway's MCP door",
    )
