"""A declaration, or a name that changes its address, would send credentials in plain text over a network."""

import asyncio
from typing import Any

import pytest

from ostiary.connectors.http import UpstreamHttp
from ostiary.connectors.http_connection import Connection
from ostiary.core.errors import UpstreamUnavailable
from ostiary.core.ports import HttpRequest
from tests.support.raw_upstream import Exchange, raw_upstream

BEYOND = ["http://10.0.0.1/", "http://models.example.com/v1", "http://0.0.0.0:1/", "http://127.0.0.1.example.com/", "http://[fe80::1]/"]


@pytest.mark.parametrize("url", BEYOND)
async def test_plain_text_beyond_this_machine_is_refused(url: str) -> None:
    """Issue 3 section 9: refused unless the declaration says `unsafe_plaintext: true`."""
    http = UpstreamHttp()
    with pytest.raises(UpstreamUnavailable, match="plain text") as caught:
        await http.send(HttpRequest("GET", url))
    assert "unsafe_plaintext" in (caught.value.remedy or "")
    await http.close()


class SomewhereElse(asyncio.Transport):
    """A transport whose other end is not this machine."""

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("10.0.0.1", 80) if name == "peername" else default

    def abort(self) -> None:
        pass


def test_the_other_end_is_looked_at() -> None:
    """Issue 3 section 9: what counts is the address that was reached, not the name."""
    loop = asyncio.new_event_loop()
    connection = Connection(loop, lambda _: None, lambda _: None)
    connection.connection_made(SomewhereElse())
    assert not connection.peer_is_loopback
    loop.close()


async def test_a_loopback_name_that_leads_elsewhere_gets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Issue 3 section 9: a name that was rebound is found out after connecting, before anything is sent."""

    class Rebound(Connection):
        @property
        def peer_is_loopback(self) -> bool:
            return False

    async def script(exchange: Exchange) -> None:
        await exchange.say(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    monkeypatch.setattr("ostiary.connectors.http.Connection", Rebound)
    async with raw_upstream(script) as upstream:
        http = UpstreamHttp()
        with pytest.raises(UpstreamUnavailable, match="beyond this machine"):
            await http.send(HttpRequest("GET", f"http://localhost:{upstream.port}/", (("authorization", "Bearer key"),)))
        await asyncio.sleep(0.05)
        assert not upstream.requests
        await http.send(HttpRequest("GET", f"http://localhost:{upstream.port}/", unsafe_plaintext=True))
        assert len(upstream.requests) == 1
        await http.close()
