"""A hostile upstream answers so that two parsers would disagree, or so that one answer becomes the next caller's."""

import asyncio

import pytest

from ostiary.connectors.http import UpstreamHttp
from ostiary.core.errors import UpstreamUnavailable
from ostiary.core.ports import HttpRequest
from tests.support.raw_upstream import Exchange, raw_upstream

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
STEP = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"

UNCLEAR = {
    "both lengths": b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "both lengths, the other way": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok",
    "a list of lengths": b"HTTP/1.1 200 OK\r\ncontent-length: 2, 2\r\n\r\nok",
    "a signed length": b"HTTP/1.1 200 OK\r\ncontent-length: +2\r\n\r\nok",
    "a hexadecimal length": b"HTTP/1.1 200 OK\r\ncontent-length: 0x2\r\n\r\nok",
    "a huge length": b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\nok",
    "another encoding": b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "an unknown encoding": b"HTTP/1.1 200 OK\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked twice": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked in HTTP/1.0": b"HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "a chunk size that is none": STEP + b"zz\r\nok\r\n0\r\n\r\n",
    "a negative chunk size": STEP + b"-2\r\nok\r\n0\r\n\r\n",
    "a chunk size too large": STEP + b"fffffffffffffffff\r\nok\r\n0\r\n\r\n",
    "a chunk without an end": STEP + b"2\r\nokXX0\r\n\r\n",
    "a space before the colon": b"HTTP/1.1 200 OK\r\ncontent-length : 2\r\n\r\nok",
    "a folded header": b"HTTP/1.1 200 OK\r\nx: a\r\n content-length: 2\r\n\r\nok",
    "a NUL in a header": b"HTTP/1.1 200 OK\r\nx: a\0b\r\ncontent-length: 2\r\n\r\nok",
    "bare line feeds": b"HTTP/1.1 200 OK\ncontent-length: 2\n\nok",
    "a switch of protocols": b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nfree",
    "endless interim answers": b"HTTP/1.1 102 Processing\r\n\r\n" * 50 + OK,
    "HTTP/2.0 in words": b"HTTP/2.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
    "HTTP/0.9": b"just text\r\n\r\n",
    "too many headers": b"HTTP/1.1 200 OK\r\n" + b"".join(b"h%d: x\r\n" % n for n in range(200)) + b"content-length: 2\r\n\r\nok",
    "an endless header": b"HTTP/1.1 200 OK\r\nx: " + b"a" * 500_000 + b"\r\ncontent-length: 2\r\n\r\nok",
    "endless trailers": STEP + b"2\r\nok\r\n0\r\n" + b"x: y\r\n" * 100_000 + b"\r\n",
    "an endless chunk extension": STEP + b"2;" + b"x" * 500_000 + b"\r\nok\r\n0\r\n\r\n",
}


async def _read(http: UpstreamHttp, url: str) -> None:
    answer = await http.send(HttpRequest("GET", url, timeout_s=2.0))
    async for _ in answer.chunks():
        pass


@pytest.mark.parametrize("name", UNCLEAR)
async def test_an_answer_that_can_be_read_in_two_ways_is_refused(name: str) -> None:
    """Issue 3 section 9: none of these yields a body; the connection is not used again."""

    async def script(exchange: Exchange) -> None:
        await exchange.say(UNCLEAR[name])

    async with raw_upstream(script) as upstream:
        http = UpstreamHttp()
        for _ in range(2):
            with pytest.raises(UpstreamUnavailable):
                await _read(http, upstream.url)
        assert upstream.connections == 2
        await http.close()


@pytest.mark.parametrize("split", [False, True])
async def test_a_second_answer_does_not_wait_for_the_next_caller(split: bool) -> None:
    """Response splitting: bytes after an answer never answer another request."""

    async def script(exchange: Exchange) -> None:
        poison = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison"
        if split:
            await exchange.say(OK)
            await asyncio.sleep(0.02)
            await exchange.say(poison)
        else:
            await exchange.say(OK + poison)

    async with raw_upstream(script) as upstream:
        http = UpstreamHttp()
        for _ in range(3):
            assert await (await http.send(HttpRequest("GET", upstream.url))).read(100) == b"ok"
            await asyncio.sleep(0.05)
        assert upstream.connections == 3
        await http.close()


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf",
        STEP + b"5\r\nha",
        STEP + b"4\r\nhalf\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-le",
        b"",
    ],
)
async def test_a_truncated_answer_is_never_taken_for_whole(raw: bytes) -> None:
    """Issue 3 section 9: truncated bodies."""

    async def script(exchange: Exchange) -> None:
        await exchange.say(raw)
        exchange.writer.close()

    async with raw_upstream(script) as upstream:
        http = UpstreamHttp()
        with pytest.raises(UpstreamUnavailable):
            await _read(http, upstream.url)
        await http.close()
