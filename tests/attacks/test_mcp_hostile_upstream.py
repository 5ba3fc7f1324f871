"""Servers that are dead, slow, lying, enormous or endless: each ends in a refusal of ours, soon, and is recorded."""

import asyncio
import json
from typing import Any

import pytest

from ostiary.connectors import mcp_http
from ostiary.core.registry import Server
from ostiary.protocols.mcp import catalogue
from ostiary.protocols.wire import Call
from tests.support.mcp_shaped import Caller, Script, Shaped, code_of, last_message, shaped, tool
from tests.support.mcp_upstream import gateway


def _body(message: dict[str, Any], **members: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": message["id"], **members}).encode()


async def _wrong_id(server: Shaped, call: Call, message: dict[str, Any]) -> None:
    await call.respond(200, _body(message, result={"content": []}).replace(b'"id": ', b'"id": 9'))


async def _not_json(server: Shaped, call: Call, message: dict[str, Any]) -> None:
    await call.respond(200, b"<html>hello</html>")


async def _duplicate_keys(server: Shaped, call: Call, message: dict[str, Any]) -> None:
    await call.respond(200, _body(message, result={"content": []})[:-1] + b', "result": {"content": [{"type": "text", "text": "other"}]}}')


async def _enormous(server: Shaped, call: Call, message: dict[str, Any]) -> None:
    await call.respond(200, _body(message, result={"content": [{"type": "text", "text": "a" * 9_000_000}]}))


async def _enormous_event(server: Shaped, call: Call, message: dict[str, Any]) -> None:
    await call.start(200, "text/event-stream")
    for _ in range(100):
        await call.push(b"data: " + b"a" * 100_000)
    await call.end()


async def _endless_events(server: Shaped, call: Call, message: dict[str, Any]) -> None:
    await call.start(200, "text/event-stream")
    for _ in range(300):
        await call.push(b'data: {"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"x"}}\n\n' * 100)
    await call.end()


async def _no_answer(server: Shaped, call: Call, message: dict[str, Any]) -> None:
    await call.start(200, "text/event-stream")
    await call.push(b": nothing\n\n")
    await call.end()


async def _question_where_none_may_be(server: Shaped, call: Call, message: dict[str, Any]) -> None:
    await call.start(200, "text/event-stream")
    await call.push(b'data: {"jsonrpc":"2.0","id":1,"method":"sampling/createMessage","params":{}}\n\n')
    await call.end()


async def _redirect(server: Shaped, call: Call, message: dict[str, Any]) -> None:
    await call.respond(307, b"", headers=[(b"location", b"http://127.0.0.1:1/mcp")])


async def _unauthorized(server: Shaped, call: Call, message: dict[str, Any]) -> None:
    await call.respond(401, b"", headers=[(b"www-authenticate", b'Bearer resource_metadata="http://169.254.169.254/"')])


async def _result_is_a_list(server: Shaped, call: Call, message: dict[str, Any]) -> None:
    await call.respond(200, _body(message, result=[1, 2]))


LIES: dict[str, Script] = {
    "wrong id": _wrong_id,
    "not json": _not_json,
    "duplicate keys": _duplicate_keys,
    "enormous": _enormous,
    "enormous event": _enormous_event,
    "endless events": _endless_events,
    "no answer": _no_answer,
    "question where none may be": _question_where_none_may_be,
    "redirect": _redirect,
    "unauthorized": _unauthorized,
    "result is a list": _result_is_a_list,
}


async def test_a_lying_server_is_refused_and_recorded() -> None:
    """R-B5: whatever it sends, the caller gets one error with `upstream_failed`, and the outcome says so."""
    async with shaped() as server, gateway(Server("s", url=server.url)) as running, Caller(running) as caller:
        for name, lie in LIES.items():
            server.script = lie
            answer = await caller.call("echo", text="a")
            assert code_of(answer) == "upstream_failed", name
            assert running.ledger.of("outcome")[-1].code == "upstream_failed", name
        server.script = Shaped().script
        assert "result" in await caller.call("echo", text="still works")


async def test_a_dead_server_is_refused_until_it_is_back() -> None:
    """R-B5: nothing hangs, and nothing needs a restart of ours."""
    async with gateway(Server("s", url="http://127.0.0.1:1/mcp")) as running, Caller(running) as caller:
        assert code_of(await caller.call("echo", text="a")) == "upstream_failed"
        async with shaped() as server:
            await running.register(Server("s", url=server.url))
            assert "result" in await caller.call("echo", text="a")


async def test_a_silent_server_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """R-B5: the wait for an answer is bounded."""
    monkeypatch.setattr(mcp_http, "PIECE_S", 0.3)

    async def silent(server: Shaped, call: Call, message: dict[str, Any]) -> None:
        await asyncio.sleep(3)

    async with shaped(script=silent) as server, gateway(Server("s", url=server.url)) as running, Caller(running) as caller:
        answer = await caller.call("echo", text="a")
        assert code_of(answer) == "upstream_failed"
        assert "no answer came" in answer["error"]["message"]


async def test_an_endless_list_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """R-B5: pages that never end, and lists of too many tools, are not taken."""
    monkeypatch.setattr(catalogue, "MAX_ITEMS", 50)
    async with (
        shaped(tools=[tool(f"t{n}") for n in range(60)]) as server,
        gateway(Server("s", url=server.url)) as running,
        Caller(running) as caller,
    ):
        assert code_of(await caller.ask("tools/list")) == "upstream_failed"
        assert running.registrar.registry.tools == {}


@pytest.mark.parametrize("tools", [[tool("a"), tool("a")], [{"name": "a"}], [{"name": 1, "inputSchema": {}}], [tool("x" * 200)]])
async def test_a_malformed_list_of_tools_is_refused(tools: list[dict[str, Any]]) -> None:
    """R-B5: a definition twice, without schema or name: none of the server's tools is used."""
    async with shaped(tools=tools) as server, gateway(Server("s", url=server.url)) as running, Caller(running) as caller:
        assert code_of(await caller.ask("tools/list")) == "upstream_failed"
        assert code_of(await caller.call("a")) == "upstream_failed"
        assert server.calls == []


async def test_one_dead_server_does_not_hide_the_others() -> None:
    """R-B5: the door to all lists what it can reach and names what it cannot."""
    async with (
        shaped() as server,
        gateway(Server("alive", url=server.url), Server("dead", url="http://127.0.0.1:1/mcp")) as running,
        Caller(running, "") as caller,
    ):
        listed = (await caller.ask("tools/list"))["result"]
        assert [item["name"] for item in listed["tools"]] == ["alive__echo"]
        assert listed["_meta"]["dev.ostiary/unreachable"][0].startswith("dead: ")


async def test_plain_text_beyond_this_machine_is_refused() -> None:
    """R-B5: a server declared with http:// elsewhere is not contacted."""
    async with gateway(Server("s", url="http://192.0.2.1/mcp")) as running, Caller(running) as caller:
        answer = await caller.call("echo", text="a")
        assert code_of(answer) == "upstream_failed"
        assert "plain text" in answer["error"]["message"]


async def test_the_client_leaves_and_the_server_hears_of_it() -> None:
    """R-B5: closing the connection cancels the call upstream; the outcome is recorded as cancelled."""
    left = asyncio.Event()

    async def waits(server: Shaped, call: Call, message: dict[str, Any]) -> None:
        await call.gone()
        left.set()

    async with shaped(script=waits) as server, gateway(Server("s", url=server.url)) as running, Caller(running) as caller:
        task = asyncio.create_task(caller.call("echo", text="a"))
        async with asyncio.timeout(5):
            while not server.calls:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
            task.cancel()
            await left.wait()
            while not running.ledger.of("outcome"):
                await asyncio.sleep(0.01)
        assert running.ledger.of("outcome")[-1].code == "cancelled"


async def test_revocation_stops_a_call_under_way_and_an_open_stream() -> None:
    """R-P6: what comes back after the session was revoked is not handed out, and a held stream ends within a second."""
    answered = asyncio.Event()

    async def waits(server: Shaped, call: Call, message: dict[str, Any]) -> Any:
        await answered.wait()
        return {"content": [{"type": "text", "text": "too late"}]}

    async with shaped(is_modern=False, script=waits) as server, gateway(Server("s", url=server.url)) as running, Caller(running) as caller:
        await caller.initialize()
        headers = {"authorization": f"Bearer {caller.token}", "mcp-session-id": caller.session, "accept": "text/event-stream"}

        async def follow() -> None:
            async with caller.http.stream("GET", caller.url, headers=headers) as response:
                async for _ in response.aiter_raw():
                    pass

        stream, call = asyncio.create_task(follow()), asyncio.create_task(caller.legacy_call("echo", text="a"))
        async with asyncio.timeout(5):
            while not server.calls:
                await asyncio.sleep(0.01)
        running.sessions.revoked.add(running.token)
        async with asyncio.timeout(1):
            await stream
        answered.set()
        answer = await call
        assert code_of(answer) == "revoked"
        assert "too late" not in str(answer)
        assert (await caller.legacy({"jsonrpc": "2.0", "id": 1, "method": "ping"})).status_code == 401


async def test_a_cancelled_call_of_an_older_version_is_cancelled_upstream() -> None:
    """R-B5: `notifications/cancelled` reaches the server under its own request id, and only for the caller's own call."""

    async def waits(server: Shaped, call: Call, message: dict[str, Any]) -> None:
        await asyncio.sleep(2)

    async with shaped(is_modern=False, script=waits) as server, gateway(Server("s", url=server.url)) as running:
        running.sessions.lend("t-bob", user="bob")
        async with Caller(running) as alice, Caller(running, token="t-bob") as bob:
            await alice.initialize()
            await bob.initialize()
            call = asyncio.create_task(alice.legacy_call("echo", text="a"))
            async with asyncio.timeout(5):
                while not server.calls:
                    await asyncio.sleep(0.01)
            cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}}
            await bob.legacy(cancel)
            await asyncio.sleep(0.1)
            assert not call.done()
            await alice.legacy(cancel)
            answer = await call
            assert code_of(answer) == "cancelled"
            async with asyncio.timeout(5):
                while not (told := [body for _, body in server.requests if body.get("method") == "notifications/cancelled"]):
                    await asyncio.sleep(0.01)
            upstream_id = next(body["id"] for _, body in server.requests if body.get("method") == "tools/call")
            assert told[0]["params"]["requestId"] == upstream_id


async def test_a_held_call_answers_at_once() -> None:
    """R-B4: −32004 with the approval; on 2026-07-28 a page to open, where the client can; nothing is called meanwhile."""
    async with shaped() as server, gateway(Server("s", url=server.url)) as running, Caller(running) as caller:
        running.policy.held.add("s/echo")
        held = await caller.call("echo", text="a")
        assert held["error"]["code"] == -32004
        assert held["error"]["data"]["approval"]["id"] == "a1"
        capabilities: dict[str, Any] = {"elicitation": {"url": {}}}
        asked = await caller.ask("tools/call", capabilities, name="echo", arguments={"text": "a"})
        question = asked["result"]["inputRequests"]["ostiary_approval"]
        assert question["params"]["mode"] == "url"
        assert question["params"]["url"].endswith("/a1")
        running.policy.held.clear()
        reply = {"ostiary_approval": {"action": "accept"}}
        params = {"name": "echo", "arguments": {"text": "a"}, "requestState": asked["result"]["requestState"], "inputResponses": reply}
        done = await caller.ask("tools/call", capabilities, **params)
        assert done["result"]["resultType"] == "complete"
        assert len(server.calls) == 1
        assert "inputResponses" not in server.calls[0]


async def test_no_receipt_no_call() -> None:
    """R-L1: a ledger that cannot write refuses the call."""
    async with shaped() as server, gateway(Server("s", url=server.url)) as running, Caller(running) as caller:
        assert "result" in await caller.call("echo", text="a")
        running.ledger.is_full = True
        assert code_of(await caller.call("echo", text="b")) == "unavailable"
        assert len(server.calls) == 1


async def test_events_of_a_call_are_controlled_too() -> None:
    """R-B5: a secret in a progress message is starred out like one in the answer."""

    async def tells(server: Shaped, call: Call, message: dict[str, Any]) -> None:
        token = message["params"]["_meta"]["progressToken"]
        event = {
            "jsonrpc": "2.0",
            "method": "notifications/progress",
            "params": {"progressToken": token, "progress": 1, "message": "the secret"},
        }
        await call.start(200, "text/event-stream")
        await call.push(b"data: " + json.dumps(event).encode() + b"\n\n")
        await call.push(b"data: " + _body(message, result={"content": [], "resultType": "complete"}) + b"\n\n")
        await call.end()

    async with shaped(script=tells) as server, gateway(Server("s", url=server.url)) as running, Caller(running) as caller:
        body = caller.modern("tools/call", name="echo", arguments={"text": "a"})
        body["params"]["_meta"]["progressToken"] = "mine"
        response = await caller.post(body, {"mcp-protocol-version": "2026-07-28", "mcp-method": "tools/call", "mcp-name": "echo"})
        assert '"progressToken":"mine"' in response.text
        assert "the ******" in response.text
        assert last_message(response)["result"]["resultType"] == "complete"
