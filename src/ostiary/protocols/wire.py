"""One HTTP exchange over ASGI, bounded and strict: what every wire reads requests with and answers through."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

import msgspec

from ostiary.core.errors import InvalidAction
from ostiary.core.ids import new_id
from ostiary.core.pipeline import Passage
from ostiary.core.ports import Credential

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Header = tuple[bytes, bytes]

MAX_BODY = 4 * 1024 * 1024
"""Bytes of a request body a wire reads unless it says otherwise."""
BODY_TIMEOUT_S = 30.0
"""Longest time a client may take to send its body."""

_DECISION, _OVERHEAD = b"x-ostiary-decision", b"x-ostiary-overhead-ms"

ONCE = frozenset(
    {"authorization", "x-api-key", "content-type", "content-length", "content-encoding", "host", "origin", "mcp-session-id",
     "last-event-id", "a2a-version", "x-ostiary-scopes"}
)  # fmt: skip
"""Headers that two parsers could read differently when they stand twice."""

WHOLE = "ostiary.whole"
"""Where our listener leaves, in the scope, a function that sends a whole answer at once: status, headers, body."""

encode = msgspec.json.Encoder().encode


class ClientGone(Exception):
    """The client disconnected before its request was complete."""


class Call:
    """One request with its answer. Header names are lower case; a header in `ONCE` that stands twice is refused."""

    __slots__ = (
        "_began_ns",
        "_body_read",
        "_decision",
        "_receive",
        "_send",
        "_started",
        "_twice",
        "headers",
        "method",
        "path",
        "query",
        "scope",
    )

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self._receive = receive
        self._send = send
        self._started = False
        self._body_read = False
        self._decision = ""
        self._began_ns = time.perf_counter_ns()
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.query: bytes = scope.get("query_string", b"")
        self._twice = ""
        headers: dict[str, str] = {}
        self.headers = headers
        for raw_name, raw_value in scope["headers"]:
            name = raw_name.decode("latin-1").lower()
            if name in headers and name in ONCE:
                self._twice = name
                headers[name] = "\0twice"
            else:
                headers[name] = raw_value.decode("latin-1")

    @property
    def has_started(self) -> bool:
        """Say whether the answer's head has been sent."""
        return self._started

    @property
    def decision(self) -> str:
        """The id of an answer that no passage gave one."""
        self._decision = self._decision or new_id()
        return self._decision

    def _marked(self, headers: Iterable[Header]) -> list[Header]:
        """Return the headers with the two that every answer carries; those of a passage stay."""
        fields = list(headers)
        if not fields or (fields[0][0] != _DECISION and all(name != _DECISION for name, _ in fields)):
            spent = b"%.3f" % ((time.perf_counter_ns() - self._began_ns) / 1e6)
            fields += ((_DECISION, self.decision.encode()), (_OVERHEAD, spent))
        return fields

    @property
    def ip(self) -> str:
        """The peer's address."""
        client = self.scope.get("client")
        return str(client[0]) if client else "127.0.0.1"

    @property
    def _has_body(self) -> bool:
        return "transfer-encoding" in self.headers or self.headers.get("content-length", "0") != "0"

    def check_headers(self) -> None:
        """Refuse ambiguous or encoded requests. Raises InvalidAction."""
        if self._twice:
            raise InvalidAction(f"header `{self._twice}` stands twice")
        if self.headers.get("content-encoding", "identity") != "identity":
            raise InvalidAction("a compressed body is not accepted: send it as it is", status=415)

    def credential(self, door: str) -> Credential:
        """Return what the caller presented: `Authorization: Bearer`, else `x-api-key`; empty when neither is usable."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            token = self.headers.get("x-api-key", "")
        return Credential(token.strip(), door, self.ip, self.headers.get("host", ""))

    async def body(self, max_bytes: int = MAX_BODY) -> bytes:
        """Read the whole body. Raises InvalidAction when it is too large or too slow, ClientGone when it stops."""
        declared = self.headers.get("content-length", "")
        if declared.isdigit() and int(declared) > max_bytes:
            raise InvalidAction(f"body of {declared} bytes is over the limit of {max_bytes}", code="too_large", status=413)
        message = await self._receive()
        if message["type"] == "http.request" and not message.get("more_body"):
            self._body_read = True
            return self._bounded(message.get("body", b""), max_bytes)
        return await self._slow_body(message, max_bytes)

    async def _slow_body(self, message: MutableMapping[str, Any], max_bytes: int) -> bytes:
        pieces, size = [], 0
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                while True:
                    if message["type"] == "http.disconnect":
                        raise ClientGone
                    piece = message.get("body", b"")
                    size += len(piece)
                    pieces.append(self._bounded(piece, max_bytes - size + len(piece)))
                    if not message.get("more_body"):
                        break
                    message = await self._receive()
        except TimeoutError:
            raise InvalidAction(f"the body did not arrive within {BODY_TIMEOUT_S:.0f} s", status=408) from None
        self._body_read = True
        return b"".join(pieces)

    @staticmethod
    def _bounded(body: bytes, max_bytes: int) -> bytes:
        if len(body) > max_bytes:
            raise InvalidAction("body is over the size limit", code="too_large", status=413)
        return body

    async def gone(self) -> None:
        """Return when the client has disconnected; only after the body was read."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def respond(self, status: int, body: bytes, content_type: str = "application/json", headers: Iterable[Header] = ()) -> None:
        """Send a whole answer."""
        headers = self._marked(headers)
        whole = self.scope.get(WHOLE)
        if (
            whole is not None
            and self._body_read
            and whole(status, [(b"content-type", content_type.encode()), *SAFE_HEADERS, *headers], body)
        ):
            self._started = True
            return
        await self.start(status, content_type, [(b"content-length", b"%d" % len(body)), *headers])
        await self._send({"type": "http.response.body", "body": body})

    async def respond_json(self, status: int, value: Any, headers: Iterable[Header] = (), content_type: str = "application/json") -> None:
        """Send `value` as a whole JSON answer."""
        await self.respond(status, encode(value), content_type, headers)

    async def start(self, status: int, content_type: str, headers: Iterable[Header] = ()) -> None:
        """Send the head of an answer; `push` and `end` follow."""
        self._started = True
        fields = [(b"content-type", content_type.encode()), *SAFE_HEADERS, *self._marked(headers)]
        if not self._body_read and self._has_body:
            fields.append((b"connection", b"close"))
        await self._send({"type": "http.response.start", "status": status, "headers": fields})

    async def push(self, piece: bytes) -> None:
        """Send a piece of the body; waits while the client is slow."""
        await self._send({"type": "http.response.body", "body": piece, "more_body": True})

    async def end(self) -> None:
        """End a body that was pushed."""
        await self._send({"type": "http.response.body", "body": b""})


SAFE_HEADERS: tuple[Header, ...] = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))


def passage_headers(passage: Passage) -> list[Header]:
    """Return the headers every answer carries: the decision id and the milliseconds we added."""
    return [(_DECISION, passage.id.encode()), (_OVERHEAD, b"%.3f" % passage.overhead_ms)]
