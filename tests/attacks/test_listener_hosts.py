"""A Host that two parsers read differently, and what strangers can write into the log."""

import logging

import pytest

from ostiary.monitoring.logs import configure
from ostiary.protocols.edge import Edge
from ostiary.protocols.wire import Call, Receive, Scope, Send
from tests.support.listening import listening, raw


async def control(scope: Scope, receive: Receive, send: Send) -> None:
    """Stand in for the control plane."""
    await Call(scope, receive, send).respond_json(200, {})


EDGE = Edge({}, control, hosts=frozenset({"gate.example"}), origins=frozenset())
SERVED = ("localhost", "LOCALHOST:80", "127.0.0.1:8470", "[::1]", "[::1]:8470", "gate.example:443")
REFUSED = (
    "localhost/evil",
    "localhost:80:80",
    "localhost#evil",
    "localhost?evil",
    "localhost\\evil",
    "evil@localhost",
    "localhost:",
    "localhost:x",
    "localhost.",
    "[::1",
    "[localhost]",
    "",
)


@pytest.mark.parametrize("host", [*SERVED, *REFUSED])
async def test_a_host_is_a_name_and_a_port_and_nothing_else(host: str) -> None:
    """R-B5: what a proxy before us could read as another host is none of ours."""
    async with listening(EDGE) as address:
        answer = await raw(address, f"GET /v1 HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    assert int(answer.split(b" ", 2)[1]) == (200 if host in SERVED else 421)


async def test_broken_requests_leave_no_line_each_in_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    """R-H1: a stranger cannot fill the disk with the log, nor hide in it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure("info", "json")
    try:
        async with listening(EDGE) as address:
            for request in (
                b"\x16\x03\x01\r\n\r\n",
                b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
            ):
                await raw(address, request, wait_s=0.3)
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    assert capsys.readouterr().err == ""
