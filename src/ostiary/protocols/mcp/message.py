"""JSON-RPC 2.0 as MCP uses it: one message read strictly, and the answers to it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ostiary.core.decision import Refusal, refuse
from ostiary.core.errors import InvalidAction
from ostiary.core.quick import quick
from ostiary.core.strict_json import parse

LEGACY: Final = ("2025-11-25", "2025-06-18")
"""Versions with `initialize`, sessions and server-initiated requests, newest first."""
MODERN: Final = "2026-07-28"
"""The stateless version."""
VERSIONS: Final = (MODERN, *LEGACY)

PARSE_ERROR, INVALID_REQUEST, UNKNOWN_METHOD, INVALID_PARAMS, INTERNAL = -32700, -32600, -32601, -32602, -32603
REFUSED, HELD = -32003, -32004
HEADER_MISMATCH, MISSING_CAPABILITY, UNSUPPORTED_VERSION = -32020, -32021, -32022

MODERN_STATUS: Final[Mapping[int, int]] = {
    PARSE_ERROR: 400,
    INVALID_REQUEST: 400,
    INVALID_PARAMS: 400,
    HEADER_MISMATCH: 400,
    MISSING_CAPABILITY: 400,
    UNSUPPORTED_VERSION: 400,
    UNKNOWN_METHOD: 404,
}
"""HTTP status of a JSON-RPC error on the stateless version; 200 for the others."""

Id = str | int
MAX_ID = 256
_KEYS = frozenset({"jsonrpc", "id", "method", "params", "result", "error"})
_LIKE = {name: name for name in ("jsonrpc", "id", "method", "params", "result", "error", "_meta", "name", "arguments", "uri")}


class RpcError(Exception):
    """A fault the wire itself answers, before any policy: code, message, data and HTTP status."""

    def __init__(self, code: int, message: str, data: Any = None, *, status: int = 400, id: Id | None = None) -> None:  # noqa: A002
        super().__init__(message)
        self.code, self.message, self.data, self.status, self.id = code, message, data, status, id


@quick
@dataclass(frozen=True, slots=True)
class Message:
    """A request (id and method), a notification (method) or a response (id and `reply`)."""

    id: Id | None
    method: str
    params: dict[str, Any]
    reply: dict[str, Any] | None = None
    """For a response: `{"result": …}` or `{"error": …}`."""
    size: int = 0

    @property
    def is_request(self) -> bool:
        """Say whether an answer is owed."""
        return self.id is not None and self.reply is None


def read(body: bytes, max_bytes: int) -> Message:
    """Return the one message of a body. Raises RpcError for what is not JSON, not JSON-RPC, or readable in two ways."""
    try:
        value = parse(body, max_bytes=max_bytes)
    except InvalidAction as error:
        raise RpcError(PARSE_ERROR, error.detail, status=error.status) from None
    return of(value, len(body))


def of(value: Any, size: int = 0) -> Message:
    """Return the message a JSON value is. Raises RpcError."""
    if not isinstance(value, dict):
        raise RpcError(INVALID_REQUEST, "the body must be one JSON-RPC message, not a batch")
    given = value.get("id")
    identifier = given if _is_id(given) else None
    if value.get("jsonrpc") != "2.0":
        raise RpcError(INVALID_REQUEST, 'a message must carry `"jsonrpc": "2.0"`', id=identifier)
    if not value.keys() <= _KEYS:
        strange = next(key for key in value if key not in _KEYS)
        raise RpcError(INVALID_REQUEST, f"a JSON-RPC message has no member `{strange[:64]}`", id=identifier)
    if "id" in value and identifier is None and not ("error" in value and given is None):
        raise RpcError(INVALID_REQUEST, "an id must be a string or an integer")
    if "method" in value:
        return _call(value, identifier, size)
    if ("result" in value) == ("error" in value) or "params" in value:
        raise RpcError(INVALID_REQUEST, "a message needs a method, or exactly one of result and error", id=identifier)
    kind = "result" if "result" in value else "error"
    if not isinstance(value[kind], dict) or (kind == "error" and not _is_error(value["error"])):
        raise RpcError(INVALID_REQUEST, f"`{kind}` is not well formed", id=identifier)
    return Message(identifier, "", {}, {kind: value[kind]}, size)


def _call(value: dict[str, Any], identifier: Id | None, size: int) -> Message:
    method, params = value["method"], value.get("params", {})
    if not isinstance(method, str) or not method or len(method) > 128:
        raise RpcError(INVALID_REQUEST, "`method` must be a string", id=identifier)
    if "result" in value or "error" in value:
        raise RpcError(INVALID_REQUEST, "a message is either a call or a response", id=identifier)
    if not isinstance(params, dict):
        raise RpcError(INVALID_PARAMS, "`params` must be an object", id=identifier)
    for key in params:
        if key not in _LIKE and key.lower() in _LIKE:
            raise RpcError(INVALID_PARAMS, f"`{key}` could be read as `{key.lower()}`", id=identifier)
    if not isinstance(params.get("_meta", {}), dict):
        raise RpcError(INVALID_PARAMS, "`_meta` must be an object", id=identifier)
    return Message(identifier, method, params, None, size)


def _is_id(value: Any) -> bool:
    return (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, str) and len(value) <= MAX_ID)


def _is_error(value: dict[str, Any]) -> bool:
    code = value.get("code")
    return isinstance(code, int) and not isinstance(code, bool) and isinstance(value.get("message"), str)


def result(identifier: Id | None, value: Any) -> dict[str, Any]:
    """Return a response that carries a result."""
    return {"jsonrpc": "2.0", "id": identifier, "result": value}


def error(identifier: Id | None, code: int, message: str, data: Any = None) -> dict[str, Any]:
    """Return a response that carries an error."""
    body: dict[str, Any] = {"code": code, "message": message}
    if data is not None:
        body["data"] = data
    return {"jsonrpc": "2.0", "id": identifier, "error": body}


def refused(identifier: Id | None, refusal: Refusal, decision: str) -> dict[str, Any]:
    """Return the response that carries a refusal: −32004 when a human could approve it, −32601 for an unknown method."""
    code = HELD if refusal.code == "held" else UNKNOWN_METHOD if refusal.code == "unknown_method" else REFUSED
    return error(identifier, code, refusal.detail, refusal.problem(decision))


def nothing_lent(server: str) -> Refusal:
    """Return the refusal of a server that no scope of the session names, whether there is such a server or not."""
    detail = f"the session was lent nothing of server `{server[:100]}`"
    return refuse("out_of_scope", detail, remedy=f"open a session with a scope of it, as `tool:{server[:100]}/*`")


def call(identifier: Id | None, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return a request, or a notification when there is no id."""
    body: dict[str, Any] = {"jsonrpc": "2.0", "method": method}
    if identifier is not None:
        body["id"] = identifier
    if params:
        body["params"] = params
    return body
