"""How this wire says no: JSON-RPC error objects and google.rpc.Status, both with typed details (sections 5.4, 9.5, 11.6)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ostiary.core.decision import Refusal
from ostiary.core.errors import DOCS

ERROR_INFO: Final = "type.googleapis.com/google.rpc.ErrorInfo"
BAD_REQUEST: Final = "type.googleapis.com/google.rpc.BadRequest"
A2A_DOMAIN: Final = "a2a-protocol.org"
OUR_DOMAIN: Final = "ostiary.dev"
PROBLEM: Final = DOCS.removeprefix("https://") + "problem"
"""The `@type` of the problem details (RFC 9457) of a refusal."""
REFUSED: Final = -32050
HELD: Final = -32051
NO_SESSION: Final = -32052
"""JSON-RPC codes of ours, clear of those the protocol gives a meaning."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One error of the protocol's own: its JSON-RPC code, HTTP status, canonical status and reason."""

    code: int
    http: int
    status: str
    reason: str = ""
    """Empty for the errors JSON-RPC itself defines."""


PARSE_ERROR: Final = Fault(-32700, 400, "INVALID_ARGUMENT")
INVALID_REQUEST: Final = Fault(-32600, 400, "INVALID_ARGUMENT")
METHOD_NOT_FOUND: Final = Fault(-32601, 404, "NOT_FOUND")
INVALID_PARAMS: Final = Fault(-32602, 400, "INVALID_ARGUMENT")
INTERNAL: Final = Fault(-32603, 500, "INTERNAL")
TASK_NOT_FOUND: Final = Fault(-32001, 404, "NOT_FOUND", "TASK_NOT_FOUND")
NOT_CANCELABLE: Final = Fault(-32002, 400, "FAILED_PRECONDITION", "TASK_NOT_CANCELABLE")
NO_PUSH: Final = Fault(-32003, 400, "FAILED_PRECONDITION", "PUSH_NOTIFICATION_NOT_SUPPORTED")
UNSUPPORTED: Final = Fault(-32004, 400, "FAILED_PRECONDITION", "UNSUPPORTED_OPERATION")
CONTENT_TYPE: Final = Fault(-32005, 400, "INVALID_ARGUMENT", "CONTENT_TYPE_NOT_SUPPORTED")
BAD_ANSWER: Final = Fault(-32006, 500, "INTERNAL", "INVALID_AGENT_RESPONSE")
NO_EXTENDED_CARD: Final = Fault(-32007, 400, "FAILED_PRECONDITION", "EXTENDED_AGENT_CARD_NOT_CONFIGURED")
NEEDS_EXTENSION: Final = Fault(-32008, 400, "FAILED_PRECONDITION", "EXTENSION_SUPPORT_REQUIRED")
VERSION: Final = Fault(-32009, 400, "FAILED_PRECONDITION", "VERSION_NOT_SUPPORTED")
FAULTS: Final = {
    each.code: each
    for each in (
        PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS, INTERNAL, TASK_NOT_FOUND, NOT_CANCELABLE, NO_PUSH,
        UNSUPPORTED, CONTENT_TYPE, BAD_ANSWER, NO_EXTENDED_CARD, NEEDS_EXTENSION, VERSION,
    )
}  # fmt: skip
REASONS: Final = {each.reason: each for each in FAULTS.values() if each.reason}
_CANONICAL: Final = {
    400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 409: "ABORTED", 413: "INVALID_ARGUMENT",
    415: "INVALID_ARGUMENT", 422: "INVALID_ARGUMENT", 429: "RESOURCE_EXHAUSTED", 499: "CANCELLED", 502: "UNAVAILABLE", 503: "UNAVAILABLE",
}  # fmt: skip


class A2aError(Exception):
    """An error the protocol has a name for, raised while a request is read or carried out."""

    def __init__(self, fault: Fault, message: str, details: tuple[Mapping[str, Any], ...] = (), *, http: int = 0) -> None:
        super().__init__(message)
        self.fault = fault
        self.message = message
        self.details = details
        self.http = http or fault.http

    @property
    def refusal_code(self) -> str:
        """Our code for the record."""
        if self.http == 413:
            return "too_large"
        named = {TASK_NOT_FOUND.code: "not_found", METHOD_NOT_FOUND.code: "unknown_method", INTERNAL.code: "upstream_failed"}
        return named.get(self.fault.code, "upstream_failed" if self.fault is BAD_ANSWER else "invalid_request")


def violation(field: str, description: str) -> Mapping[str, Any]:
    """Return the detail that names a wrong field."""
    return {"@type": BAD_REQUEST, "fieldViolations": [{"field": field, "description": description}]}


def details_of(fault: Fault, more: tuple[Mapping[str, Any], ...], refusal: Refusal | None, decision: str) -> list[Mapping[str, Any]]:
    """Return the typed details of an error: what the protocol calls it, and the whole problem when we refused."""
    found: list[Mapping[str, Any]] = []
    if fault.reason:
        found.append({"@type": ERROR_INFO, "reason": fault.reason, "domain": A2A_DOMAIN, "metadata": {"decision": decision}})
    elif refusal is not None:
        found.append({"@type": ERROR_INFO, "reason": refusal.code.upper(), "domain": OUR_DOMAIN, "metadata": {"decision": decision}})
    found += more
    if refusal is not None:
        found.append({"@type": PROBLEM, **refusal.problem(decision)})
    return found


def of_refusal(refusal: Refusal) -> Fault:
    """Return how a refusal of ours is said on this wire."""
    http = {202: 403, 499: 503}.get(refusal.status, refusal.status)
    code = {"held": HELD, "no_session": NO_SESSION, "expired": NO_SESSION, "revoked": NO_SESSION}.get(refusal.code, REFUSED)
    if refusal.code in {"upstream_failed", "unavailable"}:
        code = INTERNAL.code
    return Fault(code, http, "FAILED_PRECONDITION" if refusal.code == "held" else _CANONICAL.get(http, "INTERNAL"))


def rpc_error(identifier: Any, fault: Fault, message: str, details: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a JSON-RPC error response."""
    error: dict[str, Any] = {"code": fault.code, "message": message}
    return {"jsonrpc": "2.0", "id": identifier, "error": error | ({"data": details} if details else {})}


def http_error(http: int, fault: Fault, message: str, details: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the body of an HTTP+JSON error (AIP-193)."""
    return {"error": {"code": http, "status": fault.status, "message": message, "details": details}}
