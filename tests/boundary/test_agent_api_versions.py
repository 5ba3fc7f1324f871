"""Clients and servers of different versions, resumed streams, subscriptions: what one version lacks, the door carries."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest

from ostiary.core.registry import Server
from ostiary.protocols.wire import Call
from tests.support.mcp_shaped import MODERN, Caller, Shaped, code_of, last_message, shaped, tool
from tests.support.mcp_upstream import Gateway, gateway

ASKED = {
    "method": "elicitation/create",
    "params": {"mode": "form", "message": "Which colour?", "requestedSchema": {"type": "object", "properties": {}}},
}


@asynccontextmanager
async def _stream(caller: Caller, method: str, **options: Any) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
    """Open a stream; yields its messages as they come."""
    headers = {"authorization": f"Bearer {caller.token}", "accept": "application/json, text/event-stream"} | options.pop("headers", {})
    async with caller.http.stream(method, caller.url, headers=headers, **options) as response:
        assert response.headers["content-type"].startswith("text/event-stream"), await response.aread()

        async def messages() -> AsyncIterator[dict[str, Any]]:
            async for line in response.aiter_lines():
                if line.startswith("data:") and line[5:].strip():
                    yield json.loads(line[5:])

        yield messages()


def _listen(caller: Caller, **wanted: Any) -> dict[str, Any]:
    body = caller.modern("subscriptions/listen", notifications=wanted)
    headers = {"content-type": "application/json", "mcp-protocol-version": MODERN, "mcp-method": "subscriptions/listen"}
    return {"content": json.dumps(body), "headers": headers}


async def test_a_stateless_servers_question_reaches_a_client_of_an_older_version() -> None:
    """R-B5: `input_required` becomes a request on the call's own stream, and the reply goes back in the next round."""

    async def asks(server: Shaped, call: Call, message: dict[str, Any]) -> Any:
        responses = message["params"].get("inputResponses")
        if responses is None:
            return {"resultType": "input_required", "inputRequests": {"q": ASKED}, "requestState": "half"}
        assert message["params"]["requestState"] == "half"
        return {"content": [{"type": "text", "text": responses["q"]["content"]["colour"]}], "resultType": "complete"}

    async with shaped(script=asks) as server, gateway(Server("s", url=server.url)) as running, Caller(running) as caller:
        server.is_modern = True
        await caller.initialize(elicitation={})
        body = {"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {"name": "echo", "arguments": {"text": "a"}}}
        headers = {"content-type": "application/json", "mcp-session-id": caller.session}
        async with _stream(caller, "POST", content=json.dumps(body), headers=headers) as messages:
            question = await anext(messages)
            assert question["method"] == "elicitation/create"
            assert question["params"]["message"] == "Which colour?"
            reply = {"jsonrpc": "2.0", "id": question["id"], "result": {"action": "accept", "content": {"colour": "red"}}}
            assert (await caller.legacy(reply)).status_code == 202
            answer = await anext(messages)
        assert answer["result"]["content"][0]["text"] == "red"
        assert "resultType" not in answer["result"]
        assert [entry.action for entry in running.ledger.of("intent")] == ["s/echo", "answer_request"]


async def test_a_reply_that_policy_denies_does_not_leave() -> None:
    """R-B5: the server learns that it was refused, nothing of what the client said."""

    async def asks(server: Shaped, call: Call, message: dict[str, Any]) -> Any:
        return {"content": [{"type": "text", "text": json.dumps(message["params"])}], "resultType": "complete"}

    async with shaped(script=asks) as server, gateway(Server("s", url=server.url)) as running, Caller(running) as caller:
        running.policy.denied.add("s")
        answer = await caller.ask(
            "tools/call", name="echo", arguments={"text": "a"}, inputResponses={"q": {"action": "accept", "content": {"x": "private"}}}
        )
        assert "may not be given" in answer["error"]["message"]
        assert server.calls == []


async def test_an_older_client_follows_a_resource_of_a_stateless_server() -> None:
    """R-B5: `resources/subscribe` becomes a held stream upstream; updates come on the client's GET stream until it unsubscribes."""
    async with shaped() as server, gateway(Server("s", url=server.url)) as running, Caller(running) as caller:
        await caller.initialize()
        subscribe = {"jsonrpc": "2.0", "id": 1, "method": "resources/subscribe", "params": {"uri": "file:///a"}}
        assert last_message(await caller.legacy(subscribe))["result"] == {}
        async with asyncio.timeout(5):
            while not _followed(server):
                await asyncio.sleep(0.01)
        async with _stream(caller, "GET", headers={"mcp-session-id": caller.session}) as messages:
            await asyncio.sleep(0.05)
            await server.tell("notifications/resources/updated", uri="file:///a")
            async with asyncio.timeout(5):
                assert (await anext(messages))["params"] == {"uri": "file:///a"}
        unsubscribe = subscribe | {"method": "resources/unsubscribe"}
        assert last_message(await caller.legacy(unsubscribe))["result"] == {}


def _followed(server: Shaped) -> list[Any]:
    return [body for _, body in server.requests if body.get("params", {}).get("notifications", {}).get("resourceSubscriptions")]


@pytest.mark.parametrize("is_modern", [True, False])
async def test_a_stateless_client_hears_of_changes(is_modern: bool) -> None:
    """R-B5: `subscriptions/listen` acknowledges, tags what it sends, and sends nothing that was not asked for."""
    async with shaped(is_modern=is_modern) as server, gateway(Server("s", url=server.url)) as running, Caller(running) as caller:
        await caller.names()
        async with _stream(caller, "POST", **_listen(caller, toolsListChanged=True, resourceSubscriptions=["file:///a"])) as messages:
            acknowledged = await anext(messages)
            assert acknowledged["method"] == "notifications/subscriptions/acknowledged"
            assert acknowledged["params"]["notifications"] == {"toolsListChanged": True, "resourceSubscriptions": ["file:///a"]}
            await server.until_heard(2)
            await server.tell("notifications/resources/updated", uri="file:///other")
            await server.tell("notifications/prompts/list_changed")
            await server.tell("notifications/resources/updated", uri="file:///a")
            async with asyncio.timeout(5):
                update = await anext(messages)
            assert update["params"]["uri"] == "file:///a"
            assert update["params"]["_meta"] == {"io.modelcontextprotocol/subscriptionId": 1}
            server.tools.append(tool("another"))
            await server.tell("notifications/tools/list_changed")
            async with asyncio.timeout(5):
                changed = await anext(messages)
            assert changed["method"] == "notifications/tools/list_changed"
            assert "s/another" in running.registrar.registry.tools


async def test_a_subscription_to_what_may_not_be_read_is_refused() -> None:
    """R-B5: every address is decided like a read, and nothing is held upstream."""
    async with shaped() as server, gateway(Server("s", url=server.url)) as running, Caller(running) as caller:
        running.policy.denied.add("s")
        answer = await caller.ask("subscriptions/listen", notifications={"resourceSubscriptions": ["file:///a"]})
        assert code_of(answer) == "forbidden"
        assert not _followed(server)


async def test_a_revoked_session_hears_nothing_more() -> None:
    """R-P6: the listening stream ends within a second."""
    async with shaped() as server, gateway(Server("s", url=server.url)) as running, Caller(running) as caller:
        async with _stream(caller, "POST", **_listen(caller, toolsListChanged=True)) as messages:
            await anext(messages)
            running.sessions.revoked.add(running.token)
            async with asyncio.timeout(1):
                rest = [message async for message in messages]
        assert all("method" not in message for message in rest)


async def test_a_stream_is_resumed_where_it_broke_off() -> None:
    """R-B5: `Last-Event-ID` brings the events of that stream that came after, and the answer, to its own session."""
    finish = asyncio.Event()

    async def slow(server: Shaped, call: Call, message: dict[str, Any]) -> None:
        await call.start(200, "text/event-stream")
        await call.push(b'data: {"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"begun"}}\n\n')
        await finish.wait()
        await call.push(b'data: {"jsonrpc":"2.0","id":%d,"result":{"content":[]}}\n\n' % message["id"])
        await call.end()

    async with shaped(is_modern=False, script=slow) as server, gateway(Server("s", url=server.url)) as running, Caller(running) as caller:
        await caller.initialize()
        body = {"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {"name": "echo", "arguments": {"text": "a"}}}
        headers = {"content-type": "application/json", "mcp-session-id": caller.session}
        async with _stream(caller, "POST", content=json.dumps(body), headers=headers) as messages:
            assert (await anext(messages))["params"]["data"] == "begun"
        finish.set()
        async with _stream(caller, "GET", headers={"mcp-session-id": caller.session, "last-event-id": "1-1"}) as messages:
            async with asyncio.timeout(5):
                assert (await anext(messages))["result"] == {"content": []}
                assert [message async for message in messages] == []


async def test_a_server_that_forgot_the_session_is_asked_again_once() -> None:
    """R-B5: a server that was restarted answers 404 to the old session; the call was not executed and is sent anew."""
    async with shaped(is_modern=False) as server, gateway(Server("s", url=server.url)) as running, Caller(running) as caller:
        await caller.initialize()
        await caller.legacy_call("echo", text="a")
        forgotten = server.sessions[-1]
        whole = server.__class__._answer

        async def forgetful(call: Call, message: dict[str, Any]) -> Any:
            if call.headers.get("mcp-session-id") == forgotten:
                await call.respond(404, b"")
                return None
            return await whole(server, call, message)

        server._answer = forgetful  # type: ignore[method-assign]
        assert "result" in await caller.legacy_call("echo", text="b")
        assert server.sessions[-1] != forgotten


@pytest.mark.parametrize("version", ["2025-06-18", "2025-11-25", "2024-11-05", "2099-01-01"])
async def test_initialize_agrees_on_a_version(version: str) -> None:
    """R-B5: the client's own where we speak it, else our newest of that kind."""
    async with shaped(is_modern=False) as server, gateway(Server("s", url=server.url)) as running, Caller(running) as caller:
        params = {"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
        response = await caller.post({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params})
        expected = version if version in {"2025-06-18", "2025-11-25"} else "2025-11-25"
        assert response.json()["result"]["protocolVersion"] == expected
        unknown = await caller.post({"jsonrpc": "2.0", "id": 1, "method": "ping"}, {"mcp-protocol-version": "2099-01-01"})
        assert (unknown.status_code, unknown.json()["error"]["code"]) == (400, -32022)


async def test_deleting_a_session_ends_it() -> None:
    """R-P6: and its connection upstream."""
    async with shaped(is_modern=False) as server, gateway(Server("s", url=server.url)) as running, Caller(running) as caller:
        await caller.initialize()
        await caller.legacy_call("echo", text="a")
        headers = {"authorization": f"Bearer {caller.token}", "mcp-session-id": caller.session}
        assert (await caller.http.delete(caller.url, headers=headers)).status_code == 204
        assert (await caller.legacy({"jsonrpc": "2.0", "id": 1, "method": "ping"})).status_code == 404
        assert not running.door.upstreams.has_private("s", caller.session)


async def test_other_requests_are_answered_plainly() -> None:
    """R-B5: wrong methods, types and paths."""
    async with shaped() as server, gateway(Server("s", url=server.url)) as running, Caller(running) as caller:
        await _plainly(running, caller)
        assert server.calls == []


async def _plainly(running: Gateway, caller: Caller) -> None:
    headers = {"authorization": f"Bearer {caller.token}"}

    async def status(method: str, url: str = caller.url, **more: Any) -> httpx2.Response:
        return await caller.http.request(method, url, headers=headers | more.pop("headers", {}), **more)

    assert (await status("PUT")).status_code == 405
    assert (await status("GET", headers={"mcp-protocol-version": MODERN})).status_code == 405
    assert (await status("POST", content=b"{}", headers={"content-type": "text/plain"})).status_code == 415
    assert (await status("GET")).status_code == 400
    assert (await status("GET", f"{running.url}/mcp/a/b")).status_code == 404
    assert (await status("GET", f"{running.url}/mcp/..%2fv1")).status_code == 404
    assert (await status("GET", f"{running.url}/.well-known/oauth-protected-resource/v1")).status_code == 404
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    assert (await caller.post(ping)).status_code == 400
    assert "x-ostiary-decision" in (await caller.post(ping)).headers
