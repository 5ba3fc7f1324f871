"""A hostile upstream answers with more than anyone asked for: compressed, declared or endless."""

import gzip

import pytest

from ostiary.connectors.http import UpstreamHttp
from ostiary.core.errors import UpstreamUnavailable
from ostiary.core.ports import HttpRequest
from tests.support.raw_upstream import Exchange, raw_upstream

BOMB = gzip.compress(b" " * 20_000_000)


async def _read(raw: bytes, *, endless: bytes = b"") -> bytes:
    async def script(exchange: Exchange) -> None:
        await exchange.say(raw)
        while endless:
            await exchange.say(endless)

    async with raw_upstream(script) as upstream:
        http = UpstreamHttp()
        try:
            return await (await http.send(HttpRequest("GET", upstream.url, timeout_s=2.0))).read(1_000_000)
        finally:
            await http.close()


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "GZIP", "gzip, identity"])
async def test_a_compressed_answer_is_refused(encoding: str) -> None:
    """Issue 3 section 9: we ask for identity, so nothing is ever unpacked."""
    head = f"HTTP/1.1 200 OK\r\ncontent-encoding: {encoding}\r\ncontent-length: {len(BOMB)}\r\n\r\n".encode()
    with pytest.raises(UpstreamUnavailable, match="compressed"):
        await _read(head + BOMB)


async def test_a_body_over_the_limit_is_refused_before_it_is_read() -> None:
    """Issue 3 section 9: enormous upstreams."""
    with pytest.raises(UpstreamUnavailable, match="over the limit"):
        await _read(b"HTTP/1.1 200 OK\r\ncontent-length: 1000001\r\n\r\n")


async def test_an_endless_body_is_cut_at_the_limit() -> None:
    """Issue 3 section 9: enormous upstreams that do not say so."""
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    with pytest.raises(UpstreamUnavailable, match="over the limit"):
        await _read(head, endless=b"10000\r\n" + b"x" * 65536 + b"\r\n")
