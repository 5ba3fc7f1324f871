"""The headers of 2026-07-28 that must equal the body, and the `x-mcp-header` arguments mirrored into them."""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from ostiary.protocols.mcp.message import HEADER_MISMATCH, INVALID_PARAMS, MODERN, UNSUPPORTED_VERSION, VERSIONS, Message, RpcError
from ostiary.protocols.wire import Call

META_VERSION: Final = "io.modelcontextprotocol/protocolVersion"
META_CAPABILITIES: Final = "io.modelcontextprotocol/clientCapabilities"
META_CLIENT: Final = "io.modelcontextprotocol/clientInfo"
META_SERVER: Final = "io.modelcontextprotocol/serverInfo"
META_LOG_LEVEL: Final = "io.modelcontextprotocol/logLevel"
META_SUBSCRIPTION: Final = "io.modelcontextprotocol/subscriptionId"
LEVELS: Final = frozenset({"debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"})
"""The levels of log messages."""

NAMED: Final[Mapping[str, str]] = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
"""The parameter that `Mcp-Name` repeats."""

_SINGLE = frozenset({b"mcp-method", b"mcp-name", b"mcp-protocol-version"})
_SAFE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?\Z")
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
_DECIMAL = re.compile(r"(-?[0-9]{1,19})(?:\.0+)?\Z")
_ENCODED_HEAD, _ENCODED_TAIL = "=?base64?", "?="


def encode(value: str) -> str:
    """Return a header value for any text (streamable HTTP, Value Encoding)."""
    looks_encoded = value.startswith(_ENCODED_HEAD) and value.endswith(_ENCODED_TAIL)
    if value == "" or (_SAFE.match(value) and not looks_encoded):
        return value
    return f"{_ENCODED_HEAD}{base64.b64encode(value.encode()).decode()}{_ENCODED_TAIL}"


def decode(value: str) -> str | None:
    """Return the text of a header value; None when its encoding is broken or not the only one for that text."""
    if not (value.startswith(_ENCODED_HEAD) and value.endswith(_ENCODED_TAIL)):
        return value
    payload = value[len(_ENCODED_HEAD) : -len(_ENCODED_TAIL)]
    try:
        raw = base64.b64decode(payload, validate=True)
        return raw.decode() if base64.b64encode(raw).decode() == payload else None
    except (binascii.Error, UnicodeDecodeError):
        return None


def check(call: Call, message: Message) -> None:
    """Refuse a stateless request whose `_meta` is incomplete or whose headers say something else. Raises RpcError."""
    meta = message.params.get("_meta")
    if not isinstance(meta, dict) or META_VERSION not in meta or not isinstance(meta.get(META_CAPABILITIES), dict):
        raise RpcError(INVALID_PARAMS, f"`_meta` must carry `{META_VERSION}` and `{META_CAPABILITIES}`", id=message.id)
    _check_single(call, message)
    headers, version = call.headers, meta[META_VERSION]
    if headers.get("mcp-protocol-version") != version:
        _fail(message, "header `MCP-Protocol-Version` does not equal the version in `_meta`")
    if headers.get("mcp-method") != message.method:
        _fail(message, "header `Mcp-Method` does not equal the body's method")
    named = NAMED.get(message.method)
    if named is not None:
        value = message.params.get(named)
        if not isinstance(value, str):
            _fail(message, f"`{named}` must be a string", INVALID_PARAMS)
        if "mcp-name" not in headers or decode(headers["mcp-name"]) != value:
            _fail(message, f"header `Mcp-Name` does not equal the body's `{named}`")
    if version != MODERN:
        data = {"supported": list(VERSIONS), "requested": str(version)[:64]}
        raise RpcError(UNSUPPORTED_VERSION, "unsupported protocol version", data, id=message.id)


def check_arguments(call: Call, message: Message, schema: Any, arguments: Mapping[str, Any]) -> None:
    """Refuse a call whose `Mcp-Param-*` headers differ from its arguments. Raises RpcError."""
    annotated = mirrored(schema)
    if not annotated:
        return
    raw = [name.lower() for name, _ in call.scope["headers"] if name[:10].lower() == b"mcp-param-"]
    for path, token, kind in annotated:
        name = f"mcp-param-{token.lower()}"
        if raw.count(name.encode()) > 1:
            _fail(message, f"header `{name}` stands twice")
        text, given = _rendered(_value_at(arguments, path)), call.headers.get(name)
        if (text is None) != (given is None):
            _fail(message, f"header `{name}` and argument `{'.'.join(path)}` must be given together")
        if text is not None and given is not None and not _equal(kind, text, decode(given)):
            _fail(message, f"header `{name}` does not equal argument `{'.'.join(path)}`")


def argument_headers(schema: Any, arguments: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the `Mcp-Param-*` headers a call must carry upstream."""
    annotated = _annotated(schema)
    if not annotated:
        return []
    found = ((token, _rendered(_value_at(arguments, path))) for path, token, _ in annotated)
    return [(f"mcp-param-{token.lower()}", encode(text)) for token, text in found if text is not None]


def _annotated(schema: Any) -> list[tuple[tuple[str, ...], str, str]]:
    """Return `mirrored`, remembered for the schemas of pinned tools, which stay the same object until they change."""
    known = _KNOWN.get(id(schema))
    if known is None or known[0] is not schema:
        if len(_KNOWN) >= _MAX_KNOWN:
            _KNOWN.clear()
        known = _KNOWN[id(schema)] = (schema, mirrored(schema))
    return known[1]


_MAX_KNOWN = 4096
_KNOWN: dict[int, tuple[Any, list[tuple[tuple[str, ...], str, str]]]] = {}


def mirrored(schema: Any) -> list[tuple[tuple[str, ...], str, str]]:
    """Return the annotated arguments as (path, header token, type); empty when any annotation is wrong."""
    found: list[tuple[tuple[str, ...], str, str]] = []
    if not isinstance(schema, dict) or "properties" not in schema:
        return found
    for path, node in _properties(schema):
        token, kind = node.get("x-mcp-header"), node.get("type")
        if token is None:
            continue
        if not isinstance(token, str) or not _TOKEN.match(token) or kind not in {"string", "integer", "boolean"}:
            return []
        found.append((path, token, kind))
    tokens = {token.lower() for _, token, _ in found}
    return found if len(tokens) == len(found) else []


def _properties(schema: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    level: list[tuple[tuple[str, ...], Any]] = [((), schema)]
    while level:
        path, node = level.pop()
        properties = node.get("properties") if isinstance(node, dict) else None
        if len(path) < 16 and isinstance(properties, dict):
            for name, inner in properties.items():
                if isinstance(inner, dict):
                    yield (*path, name), inner
                    level.append(((*path, name), inner))


def _value_at(arguments: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        arguments = arguments.get(key) if isinstance(arguments, Mapping) else None
    return arguments


def _rendered(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int | float) else None


def _equal(kind: str, text: str, given: str | None) -> bool:
    if given is None:
        return False
    if kind == "integer":
        left, right = _DECIMAL.match(text), _DECIMAL.match(given)
        if left and right:
            return int(left[1]) == int(right[1])
    return text == given


def _check_single(call: Call, message: Message) -> None:
    seen = [name.lower() for name, _ in call.scope["headers"] if name.lower() in _SINGLE]
    if len(seen) != len(set(seen)):
        _fail(message, "an MCP header stands twice")


def _fail(message: Message, text: str, code: int = HEADER_MISMATCH) -> None:
    raise RpcError(code, text, id=message.id)
