"""The shape of a messages request: what is decided must be what every upstream's parser reads."""

import re
from collections.abc import Mapping
from typing import Any

from ostiary.core.errors import InvalidAction
from ostiary.protocols.model_shape import Kind, check_fields, check_inline, check_members, objects

_TEXT = Kind("a string", (str,))
_OBJECT = Kind("an object", (dict,))
_LIST = Kind("a list", (list,))
_NUMBER = Kind("a number", (int, float))

COUNTED: Mapping[str, Kind] = {
    "cache_control": _OBJECT,
    "messages": _LIST,
    "model": _TEXT,
    "output_config": _OBJECT,
    "speed": _TEXT,
    "system": Kind("a string or a list", (str, list)),
    "thinking": _OBJECT,
    "tool_choice": _OBJECT,
    "tools": _LIST,
    "user_profile_id": _TEXT,
    "workspace_id": _TEXT,
}
"""The fields of a token count."""

FIELDS: Mapping[str, Kind] = {
    **COUNTED,
    "container": Kind("a string or an object", (str, dict)),
    "context_management": _OBJECT,
    "diagnostics": _OBJECT,
    "inference_geo": _TEXT,
    "max_tokens": Kind("an integer", (int,)),
    "metadata": _OBJECT,
    "service_tier": _TEXT,
    "stop_sequences": _LIST,
    "stream": Kind("true or false", (bool,)),
    "temperature": _NUMBER,
    "top_k": Kind("an integer", (int,)),
    "top_p": _NUMBER,
}
"""The fields of Anthropic's API. Those that reach out from the provider (`mcp_servers`, `fallbacks` …) are not among them."""

MESSAGE = frozenset({"role", "content"})
BLOCK = frozenset({"type", "text", "source", "id", "name", "input", "tool_use_id", "content", "is_error", "cache_control", "citations"})
TOOL = frozenset({"type", "name", "description", "input_schema", "cache_control", "strict"})
_CLIENT_TOOLS = re.compile(r"(custom|(bash|text_editor|computer|memory|computer_toolset|browser_toolset)_\d{8})\Z")
"""Tools that the client runs; all others are run by the provider."""


def check_messages(body: dict[str, Any]) -> None:
    """Check a request. Raises InvalidAction, `not_granted` for what would act outside the gateway's sight."""
    check_fields(body, FIELDS, required=("model", "messages", "max_tokens"))
    if body.get("container") is not None:
        raise _unseen("`container`")
    _check_parts(body)


def check_count(body: dict[str, Any]) -> None:
    """Check a token count. Raises InvalidAction."""
    check_fields(body, COUNTED, required=("model", "messages"))
    _check_parts(body)


def _check_parts(body: dict[str, Any]) -> None:
    if not body["messages"]:
        raise InvalidAction("`messages` must not be empty")
    for where, message in objects(body["messages"], "messages"):
        check_members(where, message, MESSAGE)
        if not isinstance(message.get("role"), str):
            raise InvalidAction(f"{where}.role must be a string")
        _check_content(f"{where}.content", message.get("content"))
    if isinstance(body.get("system"), list):
        _check_content("system", body["system"])
    for where, tool in objects(body.get("tools") or [], "tools"):
        check_members(where, tool, TOOL)
        kind = tool.get("type", "custom")
        if not isinstance(kind, str) or not _CLIENT_TOOLS.match(kind):
            raise _unseen(f"{where}.type `{str(kind)[:60]}`")


def _check_content(where: str, content: Any) -> None:
    if isinstance(content, str):
        return
    for at, block in objects(content, where):
        check_members(at, block, BLOCK)
        if not isinstance(block.get("type"), str):
            raise InvalidAction(f"{at}.type must be a string")
        check_inline(at, {name: item for name, item in block.items() if name not in {"input", "citations"}})
        if block["type"] == "tool_result" and isinstance(block.get("content"), list):
            for inner, part in objects(block["content"], f"{at}.content"):
                check_members(inner, part, BLOCK)


def _unseen(what: str) -> InvalidAction:
    return InvalidAction(
        f"{what} would be carried out by the provider, where the gateway neither decides nor records",
        code="not_granted",
        status=403,
        remedy="offer the tool through the gateway's MCP door",
    )
