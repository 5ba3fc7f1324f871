"""One request of a client on its way: who asks, in which version, and how events and the answer get back."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from ostiary.core.pipeline import Passage
from ostiary.core.subject import Session
from ostiary.protocols.mcp.headers import LEVELS, META_CAPABILITIES, META_LOG_LEVEL
from ostiary.protocols.mcp.message import LEGACY, MODERN, Message
from ostiary.protocols.mcp.questions import relayed
from ostiary.protocols.mcp.sessions import ClientSession, Outlet
from ostiary.protocols.wire import Call, Header, encode, passage_headers

EVENT_STREAM: Final = "text/event-stream"
STREAM_HEADERS: Final[tuple[Header, ...]] = ((b"x-accel-buffering", b"no"),)


class Reply(Protocol):
    """The way back to the client of one request."""

    prefers_stream: bool
    """True when the server answered with a stream; the older versions then do the same."""

    @property
    def has_started(self) -> bool:
        """Say whether the answer has become a stream."""
        ...

    async def event(self, message: Mapping[str, Any]) -> None:
        """Send something before the answer; the answer is a stream from then on."""
        ...

    async def pause(self, retry_ms: int) -> None:
        """Close the stream for now; the client comes back for the rest."""
        ...

    async def final(self, body: Mapping[str, Any], status: int = 200) -> None:
        """Send the answer."""
        ...


@dataclass(slots=True)
class Exchange:
    """What the operations work on."""

    call: Call
    passage: Passage
    message: Message
    server: str
    """The server of the path; empty on the door to all."""
    reply: Reply
    client: ClientSession | None = None
    """The MCP session, on the older versions."""
    status: int = 200
    """HTTP status of the answer, where the version gives it a meaning."""
    is_given_up: bool = False
    capabilities: Mapping[str, Any] = field(default_factory=dict)
    """What the client says it can do."""
    failures: list[str] = field(default_factory=list)
    """Servers that could not be looked at, on the door to all."""

    @property
    def is_modern(self) -> bool:
        """Say whether the client speaks the stateless version."""
        return self.client is None

    @property
    def version(self) -> str:
        """The version the client speaks."""
        return self.client.version if self.client is not None else MODERN

    @property
    def session(self) -> Session:
        """The lent session; identified before any exchange is made."""
        if self.passage.session is None:
            raise RuntimeError("an exchange needs an identified passage")
        return self.passage.session

    @property
    def meta(self) -> dict[str, Any]:
        """The request's `_meta`."""
        meta = self.message.params.get("_meta")
        return meta if isinstance(meta, dict) else {}

    @property
    def progress_token(self) -> str | int | None:
        """The client's own progress token."""
        token = self.meta.get("progressToken")
        return token if isinstance(token, str | int) and not isinstance(token, bool) else None

    @property
    def log_level(self) -> str:
        """The level of log messages the client wants; empty for none."""
        level = self.client.log_level if self.client is not None else self.meta.get(META_LOG_LEVEL)
        return level if isinstance(level, str) and level in LEVELS else ""

    def meta_upstream(self, *, is_modern: bool) -> dict[str, Any]:
        """Return the `_meta` a server is sent: nothing that was not looked at travels in it.

        A caller's trace (SEP-414) begins anew here, under the decision's id, by which the ledger finds it.
        """
        meta: dict[str, Any] = {}
        if "traceparent" in self.meta:
            meta["traceparent"] = f"00-{self.passage.id}-{self.passage.id[-16:]}-01"
        if self.progress_token is not None:
            meta["progressToken"] = 0
        if is_modern:
            meta[META_CAPABILITIES] = relayed(self.capabilities)
            if self.log_level:
                meta[META_LOG_LEVEL] = self.log_level
        return meta


class ModernReply:
    """JSON when nothing came before the answer, else a stream that ends with it; closing it cancels the request."""

    def __init__(self, call: Call, passage: Passage) -> None:
        self.prefers_stream = False
        self._call, self._passage = call, passage
        self._lock = asyncio.Lock()

    @property
    def has_started(self) -> bool:
        """Say whether the answer has become a stream."""
        return self._call.has_started

    async def event(self, message: Mapping[str, Any]) -> None:
        """Send something before the answer."""
        async with self._lock:
            if not self._call.has_started:
                await self._call.start(200, EVENT_STREAM, [*STREAM_HEADERS, *passage_headers(self._passage)])
            await self._call.push(b"event: message\ndata: " + encode(message) + b"\n\n")

    async def pause(self, retry_ms: int) -> None:
        """Streams of this version are never resumed, so they stay open."""

    async def final(self, body: Mapping[str, Any], status: int = 200) -> None:
        """Send the answer."""
        if not self._call.has_started:
            await self._call.respond_json(status, body, passage_headers(self._passage))
            return
        await self.event(body)
        await self._call.end()


class LegacyReply:
    """The same for the older versions, where streams can be resumed and outlive their connection."""

    def __init__(self, call: Call, passage: Passage, client: ClientSession) -> None:
        self.prefers_stream = False
        self._call, self._passage, self._client = call, passage, client
        self._outlet: Outlet | None = None
        self._is_paused = False
        self._lock = asyncio.Lock()

    @property
    def has_started(self) -> bool:
        """Say whether the answer has become a stream."""
        return self._call.has_started

    async def event(self, message: Mapping[str, Any]) -> None:
        """Send something before the answer."""
        async with self._lock:
            outlet = await self._begin()
            await self._push(outlet.put(message))

    async def pause(self, retry_ms: int) -> None:
        """Close the stream as the server closed its own; what follows is kept until the client resumes."""
        async with self._lock:
            if self._client.version != LEGACY[0] or self._is_paused:
                return
            outlet = await self._begin()
            await self._push(outlet.prime(retry_ms))
            await self._call.end()
            self._is_paused = True

    async def final(self, body: Mapping[str, Any], status: int = 200) -> None:
        """Send the answer."""
        if self._outlet is None and not self.prefers_stream:
            headers = [*passage_headers(self._passage), (b"mcp-session-id", self._client.id.encode())]
            await self._call.respond_json(status, body, headers)
            return
        async with self._lock:
            outlet = await self._begin()
            await self._push(outlet.put(body))
            outlet.finish()
            if not self._is_paused:
                await self._call.end()

    async def _begin(self) -> Outlet:
        if self._outlet is None:
            self._outlet = self._client.open_outlet()
            headers = [*STREAM_HEADERS, *passage_headers(self._passage), (b"mcp-session-id", self._client.id.encode())]
            await self._call.start(200, EVENT_STREAM, headers)
        return self._outlet

    async def _push(self, event: bytes) -> None:
        if not self._is_paused:
            await self._call.push(event)
