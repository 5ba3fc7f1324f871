"""Every answer other than yes, as RFC 9457 problem details; and the headers every answer carries."""

import logging
import time
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ostiary.core.decision import Refusal, refusal_of, refuse
from ostiary.core.ids import new_id

log = logging.getLogger("ostiary.api")

PROBLEM: dict[str, Any] = {
    "type": "object",
    "title": "Problem",
    "description": "Problem details (RFC 9457): what was refused, why, and what to do about it.",
    "required": ["type", "title", "status", "detail", "code", "decision", "policies", "remedy"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "decision": {"type": "string", "description": "The id under which this answer can be found."},
        "policies": {"type": "array", "items": {"type": "string"}},
        "remedy": {"type": "string"},
        "approval": {"type": "object"},
    },
}
_CONTENT = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
RESPONSES: dict[int | str, dict[str, Any]] = {
    400: {"description": "The request is not well formed.", "content": _CONTENT},
    401: {"description": "No credential, or one that is not valid now.", "content": _CONTENT},
    403: {"description": "The caller's role does not include this.", "content": _CONTENT},
    404: {"description": "No such thing, or none the caller may see.", "content": _CONTENT},
    408: {"description": "The body did not arrive in time.", "content": _CONTENT},
    409: {"description": "It exists already, is still needed, or changed meanwhile.", "content": _CONTENT},
    413: {"description": "The request is over a size limit.", "content": _CONTENT},
    415: {"description": "The body is not `application/json`.", "content": _CONTENT},
    422: {"description": "A field is missing, unknown or of the wrong form.", "content": _CONTENT},
    429: {"description": "Too many requests.", "content": _CONTENT},
    503: {"description": "A part is not working, so nothing was done.", "content": _CONTENT},
}
"""What every operation may answer beside success."""

FORMER = "/v1/entries"
"""Where the ledger was before its noun was the one of the command line; decision 0029."""
_HEADERS = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer"))


_NOT_YET = (
    ("/data", "the door to data sources", "a source can be declared, and no agent reaches it"),
    ("/api", "the door to external APIs", "an API can be declared, and no agent reaches it"),
    ("/access", "the AuthZEN door", "ask POST /v1/policies/explain what may be done"),
    ("/console", "the console", "use the command line, or the operations of /docs"),
)
"""Places that are promised and not built: how the path begins, what will be there, and what there is instead."""


def install(api: FastAPI) -> None:
    """Make every error of the control API a problem."""
    api.add_exception_handler(RequestValidationError, _invalid)
    api.add_exception_handler(HTTPException, _http)
    api.add_middleware(Envelope)


def problem(request: Request, refusal: Refusal) -> JSONResponse:
    """Return a refusal as the answer to `request`."""
    decision = getattr(request.state, "decision", "") or new_id()
    headers = {"retry-after": str(max(1, round(refusal.retry_after_s)))} if refusal.retry_after_s else {}
    if refusal.status == 401:
        headers["www-authenticate"] = 'Bearer realm="ostiary"'
    return JSONResponse(refusal.problem(decision), refusal.status, headers, media_type="application/problem+json")


class Envelope:
    """Gives each answer its decision id and time, and turns whatever was not foreseen into `unavailable`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        decision, began, has_started = new_id(), time.perf_counter_ns(), False
        headers = _renamed(scope)
        scope.setdefault("state", {})["decision"] = decision

        async def enveloped(message: Message) -> None:
            nonlocal has_started
            if message["type"] == "http.response.start":
                has_started = True
                spent = b"%.3f" % ((time.perf_counter_ns() - began) / 1e6)
                added = [(b"x-ostiary-decision", decision.encode()), (b"x-ostiary-overhead-ms", spent), *headers]
                message["headers"] = [*message["headers"], *added]
            await send(message)

        try:
            await self._app(scope, receive, enveloped)
        except Exception as error:
            if has_started:
                raise
            log.exception("a control request failed")
            await problem(Request(scope), refusal_of(error))(scope, receive, enveloped)


def _renamed(scope: Scope) -> tuple[tuple[bytes, bytes], ...]:
    """Send a former path to where its operations are now; returns the headers of the answer, which then say so (RFC 9745)."""
    path: str = scope["path"]
    if path != FORMER and not path.startswith(f"{FORMER}/"):
        return _HEADERS
    scope["path"] = now = f"/v1/audit{path.removeprefix(FORMER)}"
    scope.pop("raw_path", None)
    return (*_HEADERS, (b"deprecation", b"@1795478400"), (b"link", b'<%b>; rel="successor-version"' % quote(now).encode()))


async def answer_to(request: Request, error: Exception) -> JSONResponse:
    """Return the problem an exception of ours amounts to; one that was not foreseen says nothing of itself."""
    refusal = refusal_of(error)
    if refusal.code == "unavailable":
        log.error("a control request failed", exc_info=error)
    return problem(request, refusal)


def _absent(path: str) -> Refusal:
    for begin, what, instead in _NOT_YET:
        if path == begin or path.startswith(f"{begin}/"):
            return refuse("not_found", f"{what} is not in this version", remedy=instead)
    return refuse("not_found", "there is no such path here", remedy="see /docs for the operations there are")


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    lines = [_line(each) for each in error.errors()[:8]]
    return problem(request, Refusal("invalid_request", 422, "; ".join(lines), remedy="see /docs for what this operation takes"))


def _line(error: dict[str, Any]) -> str:
    place = ".".join(str(part)[:64] for part in error["loc"])
    message = str(error["msg"])
    return f"`{place}`: {message[:1].lower()}{message[1:200]}"


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return problem(request, _absent(request.url.path))
    if error.status_code == 405:
        refusal = Refusal(
            "unknown_method", 405, f"`{request.method[:16]}` is not an operation here", remedy="see the allow header, or /docs"
        )
        response = problem(request, refusal)
        response.headers.update(error.headers or {})
        return response
    return problem(request, Refusal("invalid_request", error.status_code, str(error.detail)[:300]))
