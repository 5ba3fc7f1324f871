"""One connection to an upstream: a strict, bounded reader of HTTP/1.1 answers (RFC 9112)."""

import asyncio
import math
import re
from collections.abc import Callable, Mapping
from functools import cached_property
from hashlib import sha256
from ipaddress import IPv6Address, ip_address
from typing import Self, cast

import httptools
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import load_der_x509_certificate

from ostiary.core.errors import UpstreamUnavailable

MAX_HEAD = 64 * 1024
MAX_HEADERS = 128
MAX_INFORMATIONAL = 8
HIGH_WATER = 256 * 1024
READ_TIMES = 5
"""A whole body may take this many times the timeout: a dribble does not hold a connection for ever."""
_KEPT = re.compile(r"timeout=(\d{1,6})")


class Answer:
    """Implements `core.ports.HttpAnswer`: iterate it once, or read it once. Closing it unfinished cancels the upstream."""

    __slots__ = ("_connection", "_done", "_error", "_loop", "_pieces", "_size", "_timeout_s", "_waiter", "headers", "peer_key", "status")

    def __init__(self, connection: "Connection", loop: asyncio.AbstractEventLoop, timeout_s: float) -> None:
        self.status = 0
        self.peer_key = ""
        self.headers: Mapping[str, str] = {}
        self._connection: Connection | None = connection
        self._loop = loop
        self._timeout_s = timeout_s
        self._pieces: list[bytes] = []
        self._size = 0
        self._done = False
        self._error: UpstreamUnavailable | None = None
        self._waiter: asyncio.Future[None] | None = None

    async def head(self) -> Self:
        """Wait for the head. Raises UpstreamUnavailable."""
        if not self.status and self._error is None:
            await self._wait("answer")
        if not self.status:
            raise self._error or UpstreamUnavailable("the upstream did not answer")
        return self

    async def read(self, max_bytes: int) -> bytes:
        """Return the whole body. Raises UpstreamUnavailable past `max_bytes`."""
        declared = self.headers.get("content-length")
        if declared is not None and int(declared) > max_bytes and not self._done:
            self._too_large(max_bytes)
        body, size = [], 0
        until = self._loop.time() + READ_TIMES * self._timeout_s
        while True:
            while self._pieces:
                piece = self._next()
                size += len(piece)
                if size > max_bytes:
                    self._too_large(max_bytes)
                body.append(piece)
            if self._done:
                return b"".join(body)
            if self._error is not None:
                raise self._error
            if self._loop.time() > until:
                self.fail("the upstream's answer dripped in too slowly")
                continue
            await self._wait("next piece")

    def chunks(self) -> Self:
        """Iterate the body as it arrives: when nobody asks, the upstream is not read."""
        return self

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        while True:
            if self._pieces:
                return self._next()
            if self._done:
                raise StopAsyncIteration
            if self._error is not None:
                raise self._error
            await self._wait("next piece")

    def close(self) -> None:
        """Give the connection up; cancels the upstream when the body is not finished. Whoever waits for it is woken."""
        if not self._done:
            self._pieces.clear()
            self.fail("the call was given up")

    def feed(self, piece: bytes) -> None:
        """Take a piece of the body off the wire."""
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size > HIGH_WATER and self._connection is not None:
            self._connection.pause()
        self.wake()

    def finish(self) -> None:
        """The body is complete, unless it had failed already: a given-up answer never looks whole."""
        self._done = self._error is None
        self._connection = None
        self.wake()

    def fail(self, detail: str) -> None:
        """The answer cannot be completed: what waits for it fails, and the connection goes."""
        if self._error is None and not self._done:
            self._error = UpstreamUnavailable(detail)
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.abort()
            self.wake()

    def wake(self) -> None:
        """Let the waiting reader look again."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _next(self) -> bytes:
        """Return all that has arrived as one piece: under load, fewer and larger pieces cost less downstream."""
        pieces = self._pieces
        piece = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self._size = 0
        if self._connection is not None:
            self._connection.resume()
        return piece

    async def _wait(self, what: str) -> None:
        self._waiter = waiter = self._loop.create_future()
        timer = self._loop.call_later(self._timeout_s, self.fail, f"no {what} came from the upstream within {self._timeout_s:g} s")
        try:
            await waiter
        except asyncio.CancelledError:
            self.fail("the call was cancelled")
            raise
        finally:
            timer.cancel()
            self._waiter = None

    def _too_large(self, max_bytes: int) -> None:
        self.fail("too large")
        raise UpstreamUnavailable(f"the upstream's answer is over the limit of {max_bytes} bytes")


class Connection(asyncio.Protocol):
    """One connection, one exchange at a time. Anything the upstream says unasked, twice or unclearly closes it."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, on_free: Callable[["Connection"], None], on_lost: Callable[["Connection"], None]
    ) -> None:
        self._loop = loop
        self._on_free = on_free
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._answer: Answer | None = None
        self._method = ""
        self._headers: dict[str, str] = {}
        self._header_count = 0
        self._informational = 0
        self._idle_bytes = 0
        self._is_paused = False
        self._keeps = False
        self._ends_with_connection = False
        self._broken = ""
        self.is_closed = False
        self.free_since = loop.time()
        self.keeps_s = math.inf
        """How long the upstream said it keeps an idle connection, with a second's margin."""

    @cached_property
    def peer_is_loopback(self) -> bool:
        """Say whether the other end is this machine."""
        peer = self._transport.get_extra_info("peername") if self._transport else None
        return peer is not None and ip_address(str(peer[0]).partition("%")[0]).is_loopback

    @cached_property
    def peer_is_public(self) -> bool:
        """Say whether the other end has an address of the open internet: not private, local, shared or reserved."""
        peer = self._transport.get_extra_info("peername") if self._transport else None
        address = ip_address(str(peer[0]).partition("%")[0]) if peer is not None else None
        if isinstance(address, IPv6Address):
            address = address.ipv4_mapped or address.sixtofour or address
        return address is not None and address.is_global and not address.is_multicast

    @cached_property
    def peer_key(self) -> str:
        """SHA-256 (hex) of the public key in the other end's certificate; empty without TLS."""
        tls = self._transport.get_extra_info("ssl_object") if self._transport else None
        certificate = tls.getpeercert(binary_form=True) if tls is not None else None
        if not certificate:
            return ""
        key = load_der_x509_certificate(certificate).public_key()
        return sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()

    async def exchange(self, method: str, payload: bytes, timeout_s: float) -> Answer:
        """Send a request and return its answer once the head is there. Raises UpstreamUnavailable."""
        if self._transport is None or self.is_closed or self._answer is not None:
            raise UpstreamUnavailable("the connection to the upstream was lost before the request was sent")
        self._answer = answer = Answer(self, self._loop, timeout_s)
        answer.peer_key = self.peer_key
        self._method = method
        self._informational = self._idle_bytes = 0
        self._transport.write(payload)
        return await answer.head()

    def pause(self) -> None:
        """Stop reading: the consumer is slow."""
        transport = self._alive()
        if transport is not None and not self._is_paused:
            self._is_paused = True
            transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        transport = self._alive() if self._is_paused else None
        if transport is not None:
            self._is_paused = False
            transport.resume_reading()

    def _alive(self) -> asyncio.Transport | None:
        return None if self._transport is None or self.is_closed or self._transport.is_closing() else self._transport

    def close(self) -> None:
        """Close in good order."""
        self.is_closed = True
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Drop the connection at once, with whatever is under way on it."""
        self.is_closed = True
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """End what is under way: complete only if the end of the connection was the end of the body."""
        self.is_closed = True
        answer, self._answer = self._answer, None
        if answer is not None:
            if self._ends_with_connection and exc is None:
                answer.finish()
            else:
                answer.fail("the upstream closed the connection before its answer was complete")
        self._transport = None
        self._on_lost(self)

    def data_received(self, data: bytes) -> None:
        """Parse what arrives; on any violation the answer fails and the connection goes."""
        answer = self._answer
        if answer is None:
            self.abort()
            return
        before = self._idle_bytes = self._idle_bytes + len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            answer.fail(self._broken or "the upstream's answer is not valid HTTP/1.1")
            self.abort()
            return
        if before == self._idle_bytes > MAX_HEAD:
            answer.fail("the upstream sent too much that is no body")
            self.abort()

    def on_message_begin(self) -> None:
        """Refuse an answer nobody asked for."""
        if self._answer is None or self._answer.status:
            self._violation("the upstream sent an answer nobody asked for")
        self._headers = {}
        self._header_count = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect a header of the head; trailers are counted as bytes and dropped."""
        if self._answer is None or self._answer.status:
            return
        self._header_count += 1
        if self._header_count > MAX_HEADERS:
            self._violation("the upstream sent too many headers")
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        held = self._headers.get(key)
        self._headers[key] = text if held is None else f"{held}, {text}"

    def on_headers_complete(self) -> None:
        """Check the head and hand it over."""
        answer = self._answer
        if answer is None:
            self._violation("the upstream sent an answer nobody asked for")
            return
        status = self._parser.get_status_code()
        if status < 200:
            self._informational += 1
            if status == 101 or status < 100 or self._informational > MAX_INFORMATIONAL:
                self._violation("the upstream sent interim answers that make no sense")
            return
        self._check_head(status)
        self._idle_bytes = 0
        answer.headers = self._headers
        answer.status = status
        answer.wake()
        if self._method == "HEAD":
            self._keeps = False
            self._complete(answer)

    def on_body(self, body: bytes) -> None:
        """Pass a piece of the body on."""
        if self._answer is None:
            self._violation("the upstream sent a body where there is none")
        else:
            self._idle_bytes = 0
            self._answer.feed(body)

    def on_message_complete(self) -> None:
        """The answer is whole: the connection is free for the next."""
        answer = self._answer
        if answer is not None and answer.status:
            self._complete(answer)

    def _complete(self, answer: Answer) -> None:
        self._answer = None
        if self._keeps and self._transport is not None and not self._transport.get_write_buffer_size():
            self.resume()
            self.free_since = self._loop.time()
            answer.finish()
            self._on_free(self)
        else:
            answer.finish()
            self.close()

    def _check_head(self, status: int) -> None:
        headers, length = self._headers, self._headers.get("content-length")
        encoding = headers.get("transfer-encoding")
        if encoding is not None and (length is not None or encoding.lower() != "chunked"):
            self._violation("the length of the upstream's answer can be read in two ways")
        if length is not None and not (length.isascii() and length.isdigit() and len(length) < 16):
            self._violation("the upstream's content-length is not a number")
        if headers.get("content-encoding", "identity").lower() not in {"identity", ""}:
            self._violation("the upstream compressed its answer though it was asked not to")
        version = self._parser.get_http_version()
        if version not in {"1.1", "1.0"} or (version == "1.0" and encoding is not None):
            self._violation(f"the upstream answered in HTTP/{version}")
        bodiless = status in {204, 304} or self._method == "HEAD"
        self._ends_with_connection = not bodiless and encoding is None and length is None
        self._keeps = self._parser.should_keep_alive() and not self._ends_with_connection
        kept = _KEPT.search(headers["keep-alive"]) if "keep-alive" in headers else None
        self.keeps_s = max(int(kept[1]) - 1.0, 0.5) if kept else math.inf

    def _violation(self, detail: str) -> None:
        self._broken = detail
        raise ValueError(detail)
