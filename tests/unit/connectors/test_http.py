"""The upstream client against servers that answer with exact bytes."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ostiary.connectors.http import UpstreamHttp, encode_request, is_loopback, target_of
from ostiary.connectors.http_connection import Connection
from ostiary.connectors.http_pool import Pool, PoolLimits
from ostiary.core.errors import UpstreamUnavailable
from ostiary.core.ports import HttpRequest
from ostiary.storage.development_ca import issue
from tests.support.raw_upstream import Exchange, RawUpstream, Script, raw_upstream

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def answers(*pieces: bytes) -> Script:
    async def script(exchange: Exchange) -> None:
        await exchange.say(*pieces)

    return script


def then_closes(*pieces: bytes) -> Script:
    async def script(exchange: Exchange) -> None:
        await exchange.say(*pieces)
        exchange.writer.close()

    return script


@asynccontextmanager
async def client(limits: PoolLimits | None = None) -> AsyncIterator[UpstreamHttp]:
    http = UpstreamHttp(limits)
    try:
        yield http
    finally:
        await http.close()


def get(upstream: RawUpstream, method: str = "GET", body: bytes = b"", timeout_s: float = 2.0) -> HttpRequest:
    return HttpRequest(method, f"{upstream.url}/path?q=1", (("x-a", "b"),), body, timeout_s)


async def test_sends_only_what_it_was_given() -> None:
    """Issue 3 section 9: no cookie, no proxy, no header of its own but framing and `accept-encoding: identity`."""
    async with raw_upstream(answers(OK)) as upstream, client() as http:
        answer = await http.send(get(upstream, "POST", b"{}"))
        assert await answer.read(10) == b"ok"
    assert upstream.requests[0].head.decode().split("\r\n") == [
        "POST /path?q=1 HTTP/1.1",
        f"host: 127.0.0.1:{upstream.port}",
        "accept-encoding: identity",
        "x-a: b",
        "content-length: 2",
        "",
        "",
    ]


@pytest.mark.parametrize(
    ("raw", "body"),
    [
        (OK, b"ok"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n", b"ok"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2;ext=1\r\nok\r\n0\r\nx-trailer: 1\r\n\r\n", b"ok"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n", b""),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + OK, b"ok"),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 4096])
async def test_reads_answers_however_they_are_cut(raw: bytes, body: bytes, size: int) -> None:
    """Issue 3 section 9: framing is understood at every cut, and the connection is used again."""
    pieces = [raw[start : start + size] for start in range(0, len(raw), size)]
    async with raw_upstream(answers(*pieces)) as upstream, client() as http:
        for _ in range(3):
            answer = await http.send(get(upstream))
            assert await answer.read(100) == body
        assert upstream.connections == 1
        assert "x-trailer" not in answer.headers


async def test_reads_until_the_end_of_the_connection() -> None:
    """RFC 9112 section 6.3: no length at all means until the end."""
    async with raw_upstream(then_closes(b"HTTP/1.1 200 OK\r\n\r\n", b"to the ", b"end")) as upstream, client() as http:
        assert await (await http.send(get(upstream))).read(100) == b"to the end"
        assert await (await http.send(get(upstream))).read(100) == b"to the end"
    assert upstream.connections == 2


async def test_a_head_has_no_body() -> None:
    """RFC 9110 section 9.3.2: the length of a HEAD's answer is not followed by a body."""
    async with raw_upstream(answers(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")) as upstream, client() as http:
        answer = await http.send(get(upstream, "HEAD"))
        assert await answer.read(10) == b""
        assert answer.headers["content-length"] == "1000"
        assert await (await http.send(get(upstream, "HEAD"))).read(10) == b""


async def test_repeated_headers_are_joined_and_lower_case() -> None:
    """`core.ports.HttpAnswer`: names in lower case, repeated ones joined."""
    raw = b"HTTP/1.1 404 No\r\nX-Seen: 1\r\nx-seen: 2\r\nContent-Length: 0\r\n\r\n"
    async with raw_upstream(answers(raw)) as upstream, client() as http:
        answer = await http.send(get(upstream))
        assert answer.status == 404
        assert answer.headers["x-seen"] == "1, 2"


async def test_no_redirect_is_followed() -> None:
    """Issue 3 section 9: a redirect is an answer like any other."""
    raw = b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"
    async with raw_upstream(answers(raw)) as upstream, client() as http:
        assert (await http.send(get(upstream))).status == 302


async def test_dead_and_slow_upstreams() -> None:
    """Issue 3 section 9: nothing listens, nothing comes, nothing goes on: each an error in time."""

    async def silent(exchange: Exchange) -> None:
        await asyncio.sleep(30)

    async def stalls(exchange: Exchange) -> None:
        await exchange.say(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")
        await asyncio.sleep(30)

    async with client() as http:
        with pytest.raises(UpstreamUnavailable, match="could not be reached"):
            await http.send(HttpRequest("GET", "http://127.0.0.1:9/"))
        async with raw_upstream(silent) as upstream:
            with pytest.raises(UpstreamUnavailable, match="no answer came"):
                await http.send(get(upstream, timeout_s=0.05))
        async with raw_upstream(stalls) as upstream:
            answer = await http.send(get(upstream, timeout_s=0.05))
            with pytest.raises(UpstreamUnavailable, match="no next piece"):
                await answer.read(100)


async def test_a_body_that_drips_is_given_up() -> None:
    """Issue 3 section 9: a whole answer has a whole deadline, whatever keeps coming."""

    async def drips(exchange: Exchange) -> None:
        await exchange.say(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
        for _ in range(1000):
            await exchange.say(b"x")
            await asyncio.sleep(0.02)

    async with raw_upstream(drips) as upstream, client() as http:
        answer = await http.send(get(upstream, timeout_s=0.05))
        with pytest.raises(UpstreamUnavailable, match="too slowly"):
            await answer.read(10_000)


async def test_cancelling_closes_the_connection() -> None:
    """Issue 3 section 5: cancel of the client cancels upstream, before and after the head."""

    async def waits(exchange: Exchange) -> None:
        if b"POST" in exchange.head:
            await exchange.say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n")
        await exchange.reader.readexactly(1)

    for method in ("GET", "POST"):
        async with raw_upstream(waits) as upstream, client() as http:

            async def ask(http: UpstreamHttp = http, upstream: RawUpstream = upstream, method: str = method) -> None:
                answer = await http.send(get(upstream, method, timeout_s=30))
                await answer.read(1000)

            asking = asyncio.ensure_future(ask())
            while not upstream.requests:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.02)
            asking.cancel()
            await asyncio.wait_for(upstream.closed_by_peer.wait(), 5)
            with pytest.raises(asyncio.CancelledError):
                await asking


async def test_closing_an_answer_wakes_who_reads_it() -> None:
    """`core.ports.HttpAnswer.close`: what was given up never looks complete, even when the end of the connection ends the body."""

    async def waits(exchange: Exchange) -> None:
        await exchange.say(b"HTTP/1.1 200 OK\r\n\r\nx")
        await exchange.reader.readexactly(1)

    async with raw_upstream(waits) as upstream, client() as http:
        answer = await http.send(get(upstream, timeout_s=30))
        reading = asyncio.ensure_future(answer.read(1000))
        await asyncio.sleep(0.02)
        answer.close()
        with pytest.raises(UpstreamUnavailable, match="given up"):
            await reading


async def test_a_slow_consumer_stops_the_upstream() -> None:
    """Issue 3 section 9: back-pressure; memory stays bounded however much the upstream has to say."""
    sent = 0

    async def pours(exchange: Exchange) -> None:
        nonlocal sent
        await exchange.say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        for _ in range(1000):
            await exchange.say(b"10000\r\n" + b"x" * 65536 + b"\r\n")
            sent += 65536
        await exchange.say(b"0\r\n\r\n")

    async with raw_upstream(pours) as upstream, client() as http:
        answer = await http.send(get(upstream))
        before = -1
        while before != sent:
            before = sent
            await asyncio.sleep(0.05)
        assert sent < 40_000_000
        received = 0
        async for piece in answer.chunks():
            received += len(piece)
        assert received == 65_536_000


async def test_the_pool_is_capped_and_waiting_is_bounded() -> None:
    """Issue 3 section 9: no more connections than the cap; who waits too long, or behind too many, is told."""
    gate = asyncio.Event()

    async def gated(exchange: Exchange) -> None:
        await gate.wait()
        await exchange.say(OK)

    async with raw_upstream(gated) as upstream, client(PoolLimits(connections=2, waiting=2, wait_s=0.2)) as http:

        async def ask() -> bytes:
            return await (await http.send(get(upstream))).read(10)

        asked = [asyncio.ensure_future(ask()) for _ in range(5)]
        done, waiting = await asyncio.wait(asked, timeout=0.1)
        assert len(done) == 1
        with pytest.raises(UpstreamUnavailable, match="too many"):
            await done.pop()
        late = asyncio.ensure_future(asyncio.sleep(0.2))
        await late
        gate.set()
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert results.count(b"ok") == 2
        assert sum(isinstance(result, UpstreamUnavailable) for result in results) == 2
        assert upstream.connections == 2
        assert await ask() == b"ok"
        assert upstream.connections == 2


async def test_waiters_get_what_becomes_free() -> None:
    """A hundred calls share four connections."""
    async with raw_upstream(answers(OK)) as upstream, client(PoolLimits(connections=4)) as http:

        async def ask() -> bytes:
            return await (await http.send(get(upstream))).read(10)

        assert await asyncio.gather(*(ask() for _ in range(100))) == [b"ok"] * 100
    assert upstream.connections == 4


async def test_a_cancelled_waiter_passes_its_turn_on() -> None:
    """A connection handed to a waiter that was cancelled goes to the next."""
    gate = asyncio.Event()

    async def gated(exchange: Exchange) -> None:
        await gate.wait()
        await exchange.say(OK)

    async with raw_upstream(gated) as upstream, client(PoolLimits(connections=1)) as http:

        async def ask() -> bytes:
            return await (await http.send(get(upstream))).read(10)

        first, second, third = (asyncio.ensure_future(ask()) for _ in range(3))
        await asyncio.sleep(0.05)
        second.cancel()
        gate.set()
        assert await first == b"ok"
        assert await third == b"ok"


async def test_a_connection_handed_to_a_cancelled_waiter_is_not_lost() -> None:
    """The waiter is cancelled in the very turn of the loop in which its connection becomes free."""
    loop = asyncio.get_running_loop()

    async def connect(on_free: Callable[[Connection], None], on_lost: Callable[[Connection], None]) -> Connection:
        return Connection(loop, on_free, on_lost)

    pool = Pool(connect, PoolLimits(connections=1))
    connection = await pool.acquire()
    waiting = asyncio.ensure_future(pool.acquire())
    await asyncio.sleep(0)
    pool._freed(connection)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert pool.take() is connection


async def test_idle_connections_expire() -> None:
    """A connection that nobody uses is closed."""
    async with raw_upstream(answers(OK)) as upstream, client(PoolLimits(idle_s=0.05)) as http:
        await (await http.send(get(upstream))).read(10)
        await asyncio.wait_for(upstream.closed_by_peer.wait(), 5)
        await (await http.send(get(upstream))).read(10)
    assert upstream.connections == 2


async def test_a_connection_is_kept_no_longer_than_the_upstream_says() -> None:
    """`Keep-Alive: timeout=n`: a request does not race an upstream that is about to close."""
    raw = b"HTTP/1.1 200 OK\r\nkeep-alive: timeout=1, max=5\r\ncontent-length: 2\r\n\r\nok"
    async with raw_upstream(answers(raw)) as upstream, client() as http:
        for _ in range(2):
            await (await http.send(get(upstream))).read(10)
        assert upstream.connections == 1
        await asyncio.sleep(0.6)
        await (await http.send(get(upstream))).read(10)
    assert upstream.connections == 2


async def test_a_connection_the_upstream_closed_is_not_used() -> None:
    """A kept connection that died while idle costs nothing: the request goes out on a new one."""
    async with raw_upstream(then_closes(OK)) as upstream, client() as http:
        for _ in range(3):
            await (await http.send(get(upstream))).read(10)
            await asyncio.sleep(0.02)
    assert len(upstream.requests) == 3


async def test_a_request_that_may_have_arrived_is_not_sent_twice() -> None:
    """A generation costs money: when the connection dies after sending, the caller decides whether to ask again."""

    async def dies_the_second_time(exchange: Exchange) -> None:
        if len(upstream.requests) == 1:
            await exchange.say(OK)
        else:
            exchange.writer.close()

    async with raw_upstream(dies_the_second_time) as upstream, client() as http:
        await (await http.send(get(upstream, "POST", b"{}"))).read(10)
        with pytest.raises(UpstreamUnavailable, match="closed the connection"):
            await http.send(get(upstream, "POST", b"{}"))
    assert len(upstream.requests) == 2


def test_urls_are_split_as_they_are_dialled() -> None:
    """What is dialled is what stands in Host."""
    target = target_of("https://API.example.com/v1/x?y=1#z")
    assert (target.secure, target.host, target.port, target.authority, target.path) == (
        *(True, "api.example.com", 443, "api.example.com"),
        "/v1/x?y=1",
    )
    assert target_of("http://[::1]:81").authority == "[::1]:81"


@pytest.mark.parametrize(
    "url",
    [
        "ftp://x/",
        "http://",
        "http://user:pass@host/",
        "http://host/a b",
        "http://host/\r\nx",
        "http://ho st/",
        "http://h:99999/",
        "/path",
        "",
    ],
)
def test_urls_that_cannot_be_sent(url: str) -> None:
    """Issue 3 section 9: a URL no request may be sent to is refused."""
    with pytest.raises(UpstreamUnavailable):
        encode_request(HttpRequest("GET", url), target_of(url))


def test_loopback_is_only_this_machine() -> None:
    """Names that merely look like loopback are not."""
    assert all(map(is_loopback, ["localhost", "127.0.0.1", "127.9.9.9", "::1"]))
    assert not any(map(is_loopback, ["localhost.evil.com", "127.0.0.1.evil.com", "10.0.0.1", "0.0.0.0", "127.1"]))


async def test_untrusted_certificates_are_refused(tmp_path: Path) -> None:
    """Issue 3 section 9: TLS with verification on."""
    chain, key, authority = issue(tmp_path, ["localhost"])
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(chain, key)
    upstream = RawUpstream(answers(OK))
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0, ssl=served)
    url = f"https://localhost:{server.sockets[0].getsockname()[1]}/"
    async with client() as http:
        with pytest.raises(UpstreamUnavailable, match="no trusted TLS"):
            await http.send(HttpRequest("GET", url))
    trusting = UpstreamHttp(tls=ssl.create_default_context(cafile=authority))
    assert await (await trusting.send(HttpRequest("GET", url))).read(10) == b"ok"
    with pytest.raises(UpstreamUnavailable, match="no trusted TLS"):
        await trusting.send(HttpRequest("GET", url.replace("localhost", "127.0.0.1")))
    await trusting.close()
    server.close()
    assert len(upstream.requests) == 1
