"""The HTTP listener: uvicorn with the bounds it leaves to us (head size, slow heads, connections)."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, NoReturn, cast

from uvicorn import Config, Server
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from ostiary.protocols.wire import WHOLE, Header


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one client may take of a listener."""

    head_bytes: int = 32 * 1024
    """Request line and headers."""
    head_s: float = 10.0
    """From connecting, or from the first byte of a request, to the end of its headers."""
    keep_alive_s: float = 75.0
    connections: int = 4096
    drain_s: float = 10.0
    """How long a stopping listener waits for open requests."""


_PIECE = 256 * 1024
"""A read may carry the end of a head together with this much body."""


def _answer_whole(cycle: RequestResponseCycle, status: int, fields: Sequence[Header], body: bytes) -> bool:
    """Send a whole answer in one write; False when it takes uvicorn's longer way, which says what is wrong if anything is."""
    if cycle.response_started or cycle.disconnected or cycle.flow.write_paused or not cycle.keep_alive or cycle.scope["method"] == "HEAD":
        return False
    head = b"".join([b"%b: %b\r\n" % field for field in fields])
    breaks = len(fields)
    if cycle.waiting_for_100_continue or head.count(b"\r") != breaks or head.count(b"\n") != breaks or b"\0" in head:
        return False
    cycle.response_started = cycle.response_complete = True
    cycle.transport.write(b"%bcontent-length: %d\r\n%b\r\n%b" % (STATUS_LINE[status], len(body), head, body))
    cycle.message_event.set()
    cycle.on_response()
    return True


class BoundedProtocol(HttpToolsProtocol):
    """Refuses heads that are too large (431) or too slow (408), and encodings of the path that are not ASCII; drops trailers."""

    bounds: ClassVar[Bounds] = Bounds()
    peers: ClassVar[Counter[str]] = Counter()
    """Open connections by the peer's address."""
    _peer: str | None = None
    _is_head = True
    _head_bytes = 0
    _head_size = 0
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock for the first head. One address may hold most of the connections, never all: others, and operators, get in."""
        super().connection_made(transport)
        peer = str(self.client[0]) if self.client else ""
        if self.peers[peer] >= max(1, self.bounds.connections * 3 // 4):
            transport.abort()
            return
        self._peer = peer
        self.peers[peer] += 1
        self._head_timer = self.loop.call_later(self.bounds.head_s, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._stop_timer()
        if self._peer is not None:
            self.peers[self._peer] -= 1
            if not self.peers[self._peer]:
                del self.peers[self._peer]
            self._peer = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what belongs to a head before the parser stores it."""
        if self.transport.is_closing():
            return
        if self._head_timer is not None:
            self._head_bytes += len(data)
            if self._head_bytes > self.bounds.head_bytes + _PIECE:
                self._abort(431, "request header fields too large")
                return
        try:
            super().data_received(data)
        except (ValueError, UnicodeError):
            self._abort(400, "bad request")

    def on_message_begin(self) -> None:
        """Start the clock for each further head on the connection."""
        super().on_message_begin()
        self._head_size, self._is_head = 0, True
        if self._head_timer is None:
            self._head_bytes = 0
            self._head_timer = self.loop.call_later(self.bounds.head_s, self._too_slow)

    def on_url(self, url: bytes) -> None:
        """Bound the request target."""
        self._head_size += len(url)
        if self._head_size > self.bounds.head_bytes:
            self._too_large()
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Bound names and values. A field behind the body is none: nobody before us saw it in the head (RFC 9110 section 6.5.1)."""
        self._head_size += len(name) + len(value) + 4
        if self._head_size > self.bounds.head_bytes:
            self._too_large()
        if not self._is_head:
            return
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """The head is whole: stop its clock."""
        self._stop_timer()
        self._is_head = False
        super().on_headers_complete()
        cycle = self.cycle
        if cycle is not None:
            cast("dict[str, Any]", cycle.scope)[WHOLE] = partial(_answer_whole, cycle)

    def _too_large(self) -> NoReturn:
        self._abort(431, "request header fields too large")
        raise ValueError("head too large")

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _too_slow(self) -> None:
        self._abort(408, "request timeout")

    def _abort(self, status: int, reason: str) -> None:
        if not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 %d %s\r\nconnection: close\r\ncontent-length: 0\r\n\r\n" % (status, reason.encode()))
            self.transport.close()


class Listener(Server):
    """One listening port. The composition root handles signals, so this server installs none."""

    def __init__(self, app: Any, bounds: Bounds | None = None, *, tls: tuple[str, str] | None = None) -> None:
        bounds = bounds or Bounds()
        certificate, key = tls or (None, None)
        super().__init__(
            Config(
                app,
                loop="none",
                http=type("Protocol", (BoundedProtocol,), {"bounds": bounds, "peers": Counter()}),
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                date_header=False,
                timeout_keep_alive=round(bounds.keep_alive_s),
                timeout_graceful_shutdown=round(bounds.drain_s),
                limit_concurrency=bounds.connections,
                backlog=2048,
                ssl_certfile=certificate,
                ssl_keyfile=key,
            )
        )

    async def serve_forever(self, sockets: list[Any]) -> None:
        """Serve on sockets that are bound already, until `should_exit` is set, then drain."""
        await self._serve(sockets)
