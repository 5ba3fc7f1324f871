"""The listener itself under attack: foreign hosts and origins, smuggling, huge and slow heads, odd targets (R-B5, R-P6)."""

import asyncio

import pytest

from ostiary.protocols.edge import Edge
from ostiary.protocols.listener import Bounds
from ostiary.protocols.wire import Call, Receive, Scope, Send
from tests.support.listening import listening, raw


async def echo(call: Call) -> None:
    """Answer with the size of the body."""
    await call.respond_json(200, {"got": len(await call.body(1000))})


async def control(scope: Scope, receive: Receive, send: Send) -> None:
    """Stand in for the control plane."""
    await Call(scope, receive, send).respond_json(200, {"control": scope["path"]})


async def explode(call: Call) -> None:
    """Fail with something that must not be shown."""
    raise RuntimeError("secret detail")


def edge() -> Edge:
    return Edge({"echo": echo, "explode": explode}, control, hosts=frozenset({"gate.example"}), origins=frozenset({"https://ok.example"}))


def get(path: str = "/echo", *headers: str, host: str = "127.0.0.1") -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", f"Host: {host}", "Connection: close", *headers, "", ""]).encode()


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer else 0


ANSWERS = [
    ("served", get(), 200),
    ("a listed name", get(host="gate.example:8470"), 200),
    ("rebinding: somebody's name for our address", get(host="evil.example"), 421),
    ("no host", b"GET /echo HTTP/1.1\r\nConnection: close\r\n\r\n", 421),
    ("userinfo in host", get(host="127.0.0.1@evil.example"), 421),
    ("suffix of a host", get(host="127.0.0.1.evil.example"), 421),
    ("two hosts", get("/echo", "Host: 127.0.0.1"), 400),
    ("a foreign page", get("/echo", "Origin: https://evil.example"), 403),
    ("null origin", get("/echo", "Origin: null"), 403),
    ("same host, other port", get("/echo", "Origin: http://127.0.0.1:1"), 403),
    ("a listed origin", get("/echo", "Origin: https://ok.example"), 200),
    ("two credentials", get("/echo", "Authorization: Bearer a", "Authorization: Bearer b"), 400),
    ("compressed body", get("/echo", "Content-Encoding: gzip"), 415),
    ("declared too large", get("/echo", "Content-Length: 99999999"), 413),
    ("absolute form", b"GET http://evil.example/echo HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", 200),
    ("asterisk form", b"OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", 400),
    ("an exception", get("/explode"), 503),
    ("smuggling: length and chunked", get("/echo", "Content-Length: 4", "Transfer-Encoding: chunked"), 400),
    ("smuggling: two lengths", get("/echo", "Content-Length: 4", "Content-Length: 5"), 400),
    ("not HTTP", b"\x16\x03\x01\x00\x00", 400),
    ("one huge header", get("/echo", "X: " + "a" * 200_000), 431),
    ("many headers", get("/echo", *[f"X-{i}: {'a' * 50}" for i in range(5000)]), 431),
    ("a huge target", get("/" + "a" * 200_000), 431),
    ("bytes above ASCII in the target", b"GET /\xff\xfe HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", 400),
]


@pytest.mark.parametrize(("request_bytes", "expected"), [row[1:] for row in ANSWERS], ids=[row[0] for row in ANSWERS])
async def test_each_request_gets_its_answer(request_bytes: bytes, expected: int) -> None:
    async with listening(edge()) as address:
        answer = await raw(address, request_bytes)
    assert status(answer) == expected
    assert b"secret detail" not in answer
    assert b"Traceback" not in answer


async def test_a_chunked_body_without_end_is_cut_at_the_limit() -> None:
    async with listening(edge()) as address:
        head = b"POST /echo HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        answer = await raw(address, head + b"400\r\n" + b"a" * 1024 + b"\r\n")
    assert status(answer) == 413


async def test_a_head_that_never_ends_is_cut() -> None:
    async with listening(edge(), Bounds(head_s=0.2, drain_s=1)) as address:
        assert status(await raw(address, b"GET /echo HTTP/1.1\r\nHost: 127")) == 408
        assert status(await raw(address, b"")) == 408


async def test_the_second_request_of_a_connection_has_its_own_clock() -> None:
    async with listening(edge(), Bounds(head_s=0.2, drain_s=1)) as address:
        answer = await raw(address, get().replace(b"Connection: close\r\n", b"") + b"GET /echo HTTP/1.1\r\n")
    assert answer.count(b"HTTP/1.1 200") == 1
    assert b"HTTP/1.1 408" in answer


async def test_too_many_at_once_are_shed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ostiary.protocols.edge.MAX_IN_FLIGHT", 2)
    release = asyncio.Event()

    async def wait(call: Call) -> None:
        await release.wait()
        await call.respond_json(200, {})

    async with listening(Edge({"wait": wait}, control, hosts=frozenset(), origins=frozenset())) as address:
        waiting = [asyncio.create_task(raw(address, get("/wait"))) for _ in range(2)]
        await asyncio.sleep(0.1)
        shed = await raw(address, get("/wait"))
        release.set()
        served = await asyncio.gather(*waiting)
    assert status(shed) == 503
    assert b"retry-after: 1" in shed
    assert [status(answer) for answer in served] == [200, 200]
