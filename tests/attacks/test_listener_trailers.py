"""Fields behind a chunked body (trailers) are no headers: what checked the head before us did not see them (RFC 9110 section 6.5.1)."""

import json

from ostiary.protocols.edge import Edge
from ostiary.protocols.wire import Call, Receive, Scope, Send
from tests.support.listening import listening, raw


async def show(call: Call) -> None:
    """Answer with what counts as a header."""
    await call.body(1000)
    await call.respond_json(
        200, {"headers": sorted(name.decode() for name, _ in call.scope["headers"]), "token": call.credential("x").token}
    )


async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """Stand in for the control plane."""


async def test_a_trailer_is_no_header() -> None:
    """R-B5: neither a credential nor anything else is taken from behind the body, and the next request has none of it."""
    edge = Edge({"show": show}, nothing, hosts=frozenset(), origins=frozenset())
    async with listening(edge) as address:
        head = b"POST /show HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nTrailer: authorization\r\n\r\n"
        request = head + b"2\r\n{}\r\n0\r\nAuthorization: Bearer smuggled\r\nMcp-Name: x\r\nX-Late: 1\r\n\r\n"
        following = b"GET /show HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        answers = await raw(address, request + following)
    bodies = [json.loads(part[part.index(b"{") : part.rindex(b"}") + 1]) for part in answers.split(b"HTTP/1.1 200")[1:]]
    assert bodies == [
        {"headers": ["host", "trailer", "transfer-encoding"], "token": ""},
        {"headers": ["connection", "host"], "token": ""},
    ]
