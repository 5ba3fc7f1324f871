"""A load for `ostiary bench`: keep-alive connections over bare asyncio, so that the client costs little beside what is measured."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle

from ostiary.core.errors import Unavailable

PATIENCE_S = 30.0
Done = Callable[["Line", int, bytes], None]


@dataclass(frozen=True, slots=True)
class Target:
    """Where requests go, and what they say; the bodies are sent one after another, over and over."""

    port: int
    path: str
    headers: dict[str, str]
    bodies: Sequence[str]

    def requests(self) -> list[bytes]:
        """Return the requests as they stand on the wire."""
        lines = [f"POST {self.path} HTTP/1.1", f"host: 127.0.0.1:{self.port}", "content-type: application/json"]
        head = "\r\n".join([*lines, *(f"{name}: {value}" for name, value in self.headers.items())]).encode()
        return [b"%b\r\ncontent-length: %d\r\n\r\n%b" % (head, len(body), body) for body in (text.encode() for text in self.bodies)]


@dataclass(frozen=True, slots=True)
class Measured:
    """What came back: requests a second, and latencies in milliseconds."""

    per_s: float
    p50_ms: float
    p99_ms: float
    count: int


class Line(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self, done: Done) -> None:
        self._done = done
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._awaited = 0
        self._status = 0
        self.since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self._transport = transport  # type: ignore[assignment]

    def connection_lost(self, exc: Exception | None) -> None:
        """Report a request that got no answer."""
        if self.since:
            self._done(self, 0, f"the connection broke: {exc or 'closed'}".encode())

    def ask(self, request: bytes, since: float) -> None:
        """Send a request; `since` is when it was due."""
        self.since = since
        if self._transport is not None:
            self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Collect an answer with a length, and hand it over when it is whole."""
        self._received += data
        if not self._awaited:
            end = self._received.find(b"\r\n\r\n")
            if end < 0:
                return
            head = bytes(self._received[:end]).lower()
            length = head.partition(b"content-length:")[2].partition(b"\r\n")[0].strip()
            self._status = int(head[9:12]) if length.isdigit() else 0
            self._awaited = end + 4 + int(length or b"0")
        if len(self._received) >= self._awaited:
            answer, status = bytes(self._received[: self._awaited]), self._status
            del self._received[: self._awaited]
            self._awaited = 0
            self._done(self, status, answer)

    def hang_up(self) -> None:
        """Close the connection; nothing is owed."""
        self.since = 0.0
        if self._transport is not None:
            self._transport.close()


class Load:
    """Sends requests and keeps the time of each. Raises Unavailable at the first answer that is not 200."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._requests = cycle(target.requests())
        self._took: list[float] = []
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def closed(self, connections: int, seconds: float) -> Measured:
        """Ask over so many connections, each as soon as it was answered."""
        until = time.perf_counter() + seconds

        def done(line: Line, status: int, answer: bytes) -> None:
            now = time.perf_counter()
            if self._note(status, answer, now - line.since) and now < until:
                line.ask(next(self._requests), now)
            else:
                line.since = 0.0
                running.discard(line)
                if not running and not self._over.done():
                    self._over.set_result(None)

        lines = [await self._dial(done) for _ in range(connections)]
        running, began = set(lines), time.perf_counter()
        for line in lines:
            line.ask(next(self._requests), time.perf_counter())
        return await self._ended(lines, began)

    async def paced(self, rate: int, seconds: float) -> Measured:
        """Ask at a fixed rate whatever comes back; latencies count from when a request was due."""
        count, began = round(rate * seconds), time.perf_counter()
        free: deque[Line] = deque()

        def done(line: Line, status: int, answer: bytes) -> None:
            is_good = self._note(status, answer, time.perf_counter() - line.since)
            line.since = 0.0
            free.append(line)
            if is_good and len(self._took) == count and not self._over.done():
                self._over.set_result(None)

        lines = [await self._dial(done) for _ in range(8)]
        free.extend(lines)
        began = time.perf_counter()
        for at in range(count):
            due = began + at / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            if self._over.done():
                break
            if not free:
                lines.append(line := await self._dial(done))
                free.append(line)
            free.popleft().ask(next(self._requests), due)
        return await self._ended(lines, began)

    async def _dial(self, done: Done) -> Line:
        _, line = await asyncio.get_running_loop().create_connection(lambda: Line(done), "127.0.0.1", self._target.port)
        return line

    def _note(self, status: int, answer: bytes, took: float) -> bool:
        if status == 200:
            self._took.append(took)
            return True
        if not self._over.done():
            told = answer.rpartition(b"\r\n\r\n")[2][:300].decode(errors="replace")
            self._over.set_exception(Unavailable(f"a request was answered {status}, so nothing was measured: {told}"))
        return False

    async def _ended(self, lines: Sequence[Line], began: float) -> Measured:
        try:
            async with asyncio.timeout(PATIENCE_S + 600.0):
                await self._over
        finally:
            elapsed = time.perf_counter() - began
            for line in lines:
                line.hang_up()
        took = sorted(self._took)
        return Measured(len(took) / elapsed, took[len(took) // 2] * 1e3, took[len(took) * 99 // 100] * 1e3, len(took))
