"""What a client asks, read from either binding into one value: the operation, its parameters, how to answer (sections 9 and 11)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl

from ostiary.core.errors import InvalidAction
from ostiary.core.strict_json import parse
from ostiary.protocols.a2a import errors
from ostiary.protocols.a2a.errors import A2aError, violation
from ostiary.protocols.a2a.kinds import BadField
from ostiary.protocols.a2a.shapes import EMPTY, OPERATIONS, Operation
from ostiary.protocols.wire import MAX_BODY

VERSION: Final = "1.0"
VERSION_NAME: Final = "a2a-version"
JSON_TYPES: Final = frozenset({"application/json", "application/a2a+json"})
MAX_QUERY: Final = 32
_FLAGS = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Request:
    """One request of a client. `id` is the JSON-RPC id; `is_rpc` says which binding it came by."""

    operation: Operation
    params: dict[str, Any]
    is_rpc: bool
    id: str | int | None = None


@dataclass(frozen=True, slots=True)
class Envelope:
    """A JSON-RPC request before its parameters are read."""

    method: str
    params: Any
    id: str | int | None


def check_version(headers: Mapping[str, str], query: bytes) -> None:
    """Refuse every version but 1.0; none said means 0.3 (section 3.6.2). Raises A2aError."""
    asked = headers.get(VERSION_NAME, "").strip()
    if not asked:
        found = [value for name, value in parse_qsl(query.decode("latin-1"), max_num_fields=MAX_QUERY) if name.lower() == VERSION_NAME]
        asked = found[0] if len(found) == 1 else ""
    major_minor = ".".join(asked.split(".")[:2])
    if major_minor != VERSION or not asked.replace(".", "").isdigit():
        said = f"version `{asked[:32]}`" if asked else "a request without A2A-Version, which means 0.3,"
        raise A2aError(errors.VERSION, f"{said} is not spoken here; send A2A-Version: {VERSION}")


def envelope(body: bytes) -> Envelope:
    """Read a JSON-RPC request. Raises A2aError."""
    try:
        value = parse(body, max_bytes=MAX_BODY)
    except InvalidAction as error:
        raise A2aError(errors.PARSE_ERROR, f"invalid JSON payload: {error.detail}", http=413 if error.status == 413 else 200) from None
    if not isinstance(value, dict):
        raise A2aError(errors.INVALID_REQUEST, "the body must be one JSON-RPC request", http=200)
    identifier = value.get("id")
    if (
        not isinstance(identifier, str | int | None)
        or isinstance(identifier, bool)
        or (isinstance(identifier, str) and len(identifier) > 256)
    ):
        raise A2aError(errors.INVALID_REQUEST, "`id` must be a string, an integer or null", http=200)
    if value.get("jsonrpc") != "2.0" or not isinstance(value.get("method"), str):
        raise Known(errors.INVALID_REQUEST, "the body must be a JSON-RPC 2.0 request with a method", identifier)
    if value.keys() - {"jsonrpc", "id", "method", "params"}:
        raise Known(errors.INVALID_REQUEST, "the request has members that JSON-RPC does not know", identifier)
    return Envelope(value["method"], value.get("params"), identifier)


class Known(A2aError):
    """An error in a request whose JSON-RPC id could be read."""

    def __init__(
        self, fault: errors.Fault, message: str, identifier: str | int | None, details: tuple[Mapping[str, Any], ...] = ()
    ) -> None:
        super().__init__(fault, message, details)
        self.id = identifier


def of_envelope(found: Envelope) -> Request:
    """Read the parameters of a JSON-RPC request. Raises Known."""
    operation = OPERATIONS.get(found.method)
    if operation is None:
        raise Known(errors.METHOD_NOT_FOUND, f"there is no method `{found.method[:64]}`", found.id)
    params = {} if found.params is None and operation.request is EMPTY else found.params
    if not isinstance(params, dict):
        raise Known(errors.INVALID_PARAMS, "`params` must be an object", found.id)
    try:
        return Request(operation, operation.request(params), True, found.id)
    except BadField as error:
        raise Known(
            errors.INVALID_PARAMS, f"invalid parameters: {error.detail}", found.id, (violation(error.place, error.detail),)
        ) from None


def of_http(method: str, path: str, query: bytes, body: bytes) -> Request:
    """Read a request of the HTTP+JSON binding; `path` is what follows the agent's own. Raises A2aError."""
    name, params = _route(method, path)
    operation = OPERATIONS[name]
    fields = operation.request.spellings
    for key, value in _query(query):
        known = fields.get(key)
        if known is None:
            continue
        if known.name in params:
            raise A2aError(errors.INVALID_PARAMS, f"`{known.name}` is given twice")
        params[known.name] = _FLAGS.get(value, value) if known.name == "includeArtifacts" else value
    try:
        if method == "POST":
            sent = parse(body, max_bytes=MAX_BODY) if body else {}
            if not isinstance(sent, dict):
                raise A2aError(errors.INVALID_PARAMS, "the body must be a JSON object")
            sent = operation.request(_merged(operation, sent, params))
        else:
            sent = operation.request(params)
    except BadField as error:
        raise A2aError(errors.INVALID_PARAMS, f"invalid parameters: {error.detail}", (violation(error.place, error.detail),)) from None
    except InvalidAction as error:
        raise A2aError(errors.PARSE_ERROR, error.detail, http=413 if error.status == 413 else 400) from None
    return Request(operation, sent, False)


def _merged(operation: Operation, sent: Mapping[str, Any], named: Mapping[str, Any]) -> dict[str, Any]:
    """Return a body with what the path and query name, which it may repeat but not contradict. Raises A2aError."""
    merged = dict(named)
    for key, value in sent.items():
        known = operation.request.spellings.get(key)
        if known is None or known.name not in named:
            merged[key] = value
        elif value != named[known.name]:
            raise A2aError(errors.INVALID_PARAMS, f"`{known.name}` in the body contradicts the path or query")
    return merged


def _query(query: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(query.decode("ascii"), keep_blank_values=True, strict_parsing=True, max_num_fields=MAX_QUERY) if query else []
    except (ValueError, UnicodeError):
        raise A2aError(errors.INVALID_PARAMS, "the query cannot be read") from None


_COLLECTIONS: Final[Mapping[tuple[str, str], str]] = {
    ("POST", "message:send"): "SendMessage",
    ("POST", "message:stream"): "SendStreamingMessage",
    ("GET", "tasks"): "ListTasks",
    ("GET", "extendedAgentCard"): "GetExtendedAgentCard",
}
_CONFIGS: Final[Mapping[tuple[str, bool], str]] = {
    ("POST", False): "CreateTaskPushNotificationConfig",
    ("GET", False): "ListTaskPushNotificationConfigs",
    ("GET", True): "GetTaskPushNotificationConfig",
    ("DELETE", True): "DeleteTaskPushNotificationConfig",
}


def _route(method: str, path: str) -> tuple[str, dict[str, Any]]:
    """Return the operation a method and path stand for, with what the path says (section 11.3). Raises A2aError."""
    name = _COLLECTIONS.get((method, path))
    if name is not None:
        return name, {}
    kind, *rest = path.split("/")
    if kind == "tasks" and rest and rest[0]:
        task, colon, verb = rest[0].rpartition(":")
        if len(rest) == 1 and colon and verb == "cancel" and method == "POST":
            return "CancelTask", {"id": task}
        if len(rest) == 1 and colon and verb == "subscribe" and method in {"GET", "POST"}:
            return "SubscribeToTask", {"id": task}
        if len(rest) == 1 and method == "GET":
            return "GetTask", {"id": rest[0]}
        name = (
            _CONFIGS.get((method, len(rest) == 3 and rest[2] != "")) if rest[1:2] == ["pushNotificationConfigs"] and len(rest) < 4 else None
        )
        if name is not None:
            return name, {"taskId": rest[0]} | ({"id": rest[2]} if len(rest) == 3 else {})
    raise A2aError(errors.METHOD_NOT_FOUND, f"`{method} /{path[:100]}` is not served here")
