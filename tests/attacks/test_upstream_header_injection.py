"""A caller tries to make one header into two, or to take over the framing of the request that goes upstream."""

import pytest

from ostiary.connectors.http import UpstreamHttp
from ostiary.core.errors import UpstreamUnavailable
from ostiary.core.ports import HttpRequest
from tests.support.raw_upstream import Exchange, raw_upstream

HOSTILE = [
    ("x", "a\r\nauthorization: Bearer stolen"),
    ("x", "a\nb: c"),
    ("x", "a\rb"),
    ("x", "a\0b"),
    ("x\r\ny", "a"),
    ("x: y\r\nz", "a"),
    ("x y", "a"),
    ("", "a"),
    ("x", "\N{SNOWMAN}"),
    ("content-length", "0"),
    ("transfer-encoding", "chunked"),
    ("host", "elsewhere.example"),
    ("connection", "upgrade"),
    ("Transfer-Encoding", "chunked"),
    ("accept-encoding", "gzip"),
    ("cookie", "a=b"),
]


@pytest.mark.parametrize("header", HOSTILE, ids=repr)
async def test_a_header_stays_one_header(header: tuple[str, str]) -> None:
    """Issue 3 section 9: nothing is sent."""

    async def script(exchange: Exchange) -> None:
        await exchange.say(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    async with raw_upstream(script) as upstream:
        http = UpstreamHttp()
        with pytest.raises(UpstreamUnavailable):
            await http.send(HttpRequest("POST", upstream.url, (header,), b"{}"))
        await http.close()
        assert not upstream.requests


@pytest.mark.parametrize("method", ["GET /x HTTP/1.1\r\n\r\nGET", "CONNECT", "", "GE T"])
async def test_a_method_stays_a_method(method: str) -> None:
    """Issue 3 section 9: the request line is ours."""
    http = UpstreamHttp()
    with pytest.raises(UpstreamUnavailable):
        await http.send(HttpRequest(method, "http://127.0.0.1:9/"))
    await http.close()
