"""One client that holds everything open: agents leave each other room, doors leave the control plane room, no address takes all."""

import asyncio

import pytest

from ostiary.core.registry import Server
from ostiary.protocols.edge import Edge
from ostiary.protocols.listener import Bounds
from ostiary.protocols.wire import Call, Receive, Scope, Send
from tests.support.listening import listening, raw
from tests.support.mcp_shaped import Caller, code_of, shaped
from tests.support.mcp_upstream import gateway


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode()


async def control(scope: Scope, receive: Receive, send: Send) -> None:
    """Stand in for the control plane."""
    await Call(scope, receive, send).respond_json(200, {})


async def test_a_full_door_leaves_the_others_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """R-H1: while agents hold every stream of one door, operators reach the control plane and other doors serve."""
    monkeypatch.setattr("ostiary.protocols.edge.MAX_IN_FLIGHT", 2)
    release, inside = asyncio.Event(), asyncio.Semaphore(0)

    async def wait(call: Call) -> None:
        inside.release()
        await release.wait()
        await call.respond_json(200, {})

    async def other(call: Call) -> None:
        await call.respond_json(200, {})

    edge = Edge({"wait": wait, "other": other}, control, hosts=frozenset(), origins=frozenset())
    async with listening(edge) as address:
        waiting = [asyncio.create_task(raw(address, get("/wait"))) for _ in range(2)]
        for _ in waiting:
            await inside.acquire()
        answers = {path: (await raw(address, get(path)))[:12] for path in ("/wait", "/other", "/v1/agents", "/nothing")}
        release.set()
        await asyncio.gather(*waiting)
    ok = b"HTTP/1.1 200"
    assert answers == {"/wait": b"HTTP/1.1 503", "/other": ok, "/v1/agents": ok, "/nothing": ok}


async def test_no_address_takes_every_connection() -> None:
    """R-H1: of four connections one address holds three at most, and gets them back when they close."""
    async with listening(Edge({}, control, hosts=frozenset(), origins=frozenset()), Bounds(connections=4, drain_s=1)) as address:
        host, _, port = address.partition(":")
        held = [await asyncio.open_connection(host, int(port)) for _ in range(3)]
        for reader, writer in held:  # served once, so it is known to be counted
            writer.write(get("/v1").replace(b"Connection: close\r\n", b""))
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        assert await raw(address, get("/v1")) == b""
        held[0][1].close()
        async with asyncio.timeout(30):
            while not (await raw(address, get("/v1"))).startswith(b"HTTP/1.1 200"):
                await asyncio.sleep(0.05)
        for _, writer in held:
            writer.close()


async def test_an_agent_that_holds_its_streams_open_leaves_room_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """R-P1: over all its sessions an agent has so many requests under way, and one that ends makes room again."""
    monkeypatch.setattr("ostiary.protocols.crowd.MAX_OF_ONE", 2)
    async with shaped() as server, gateway(Server("s", url=server.url)) as running, Caller(running) as caller:
        running.sessions.lend("t-second")
        meta = {"mcp-protocol-version": "2026-07-28", "mcp-method": "subscriptions/listen"}
        given = {"authorization": f"Bearer {caller.token}", "content-type": "application/json", **meta}
        body = caller.modern("subscriptions/listen", notifications={"toolsListChanged": True})
        async with caller.http.stream("POST", caller.url, json=body, headers=given) as first:
            assert first.status_code == 200
            async with caller.http.stream("POST", caller.url, json=body, headers=given) as second:
                assert second.status_code == 200
                async with Caller(running, token="t-second") as again:
                    assert code_of(await again.call("echo", text="a")) == "rate_limited"
        async with asyncio.timeout(5):
            while "result" not in await caller.call("echo", text="a"):
                await asyncio.sleep(0.05)


async def test_an_agent_does_not_take_every_subscription(monkeypatch: pytest.MonkeyPatch) -> None:
    """R-P1: over all its sessions an agent listens on so many streams; its calls, and others' subscriptions, still have room."""
    monkeypatch.setattr("ostiary.protocols.mcp.listening.MAX_OPEN_OF_AGENT", 1)
    async with shaped() as server, gateway(Server("s", url=server.url)) as running, Caller(running) as caller:
        running.sessions.lend("t-second")
        meta = {"mcp-protocol-version": "2026-07-28", "mcp-method": "subscriptions/listen"}
        given = {"authorization": f"Bearer {caller.token}", "content-type": "application/json", **meta}
        body = caller.modern("subscriptions/listen", notifications={"toolsListChanged": True})
        async with caller.http.stream("POST", caller.url, json=body, headers=given) as first:
            assert first.status_code == 200
            async with Caller(running, token="t-second") as again:
                assert code_of(await again.ask("subscriptions/listen", notifications={"toolsListChanged": True})) == "rate_limited"
                assert "result" in await again.call("echo", text="a")
