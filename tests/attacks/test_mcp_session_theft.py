"""An MCP session id, a question or a call's state in the wrong hands opens nothing."""

import asyncio
from typing import Any

import pytest

from ostiary.core.registry import Server
from ostiary.protocols.wire import Call
from tests.support.mcp_shaped import Caller, Shaped, code_of, last_message, shaped
from tests.support.mcp_upstream import gateway


@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
async def test_a_stolen_session_id_is_refused_with_another_token(method: str) -> None:
    """R-P1: A's `Mcp-Session-Id` with B's token is unknown; with A's own token it works."""
    async with shaped(is_modern=False) as server, gateway(Server("s", url=server.url)) as running:
        running.sessions.lend("t-bob", user="bob")
        async with Caller(running) as alice, Caller(running, token="t-bob") as bob:
            await alice.initialize()
            headers = {"authorization": f"Bearer {bob.token}", "mcp-session-id": alice.session, "accept": "text/event-stream"}
            body = {"content-type": "application/json"}
            content = b'{"jsonrpc":"2.0","id":1,"method":"tools/list"}' if method == "POST" else None
            stolen = await bob.http.request(method, bob.url, headers=headers | (body if content else {}), content=content)
            assert stolen.status_code == 404
            assert stolen.json()["error"]["code"] == -32600
            assert "result" in await alice.legacy_call("echo", text="still mine")


async def test_a_stolen_session_id_works_at_no_other_path() -> None:
    """R-P1: the session of one server's door does not open another server's."""
    async with (
        shaped(is_modern=False) as server,
        gateway(Server("s", url=server.url), Server("other", url=server.url)) as running,
        Caller(running) as caller,
        Caller(running, "other") as other,
    ):
        await caller.initialize()
        other.session = caller.session
        assert (await other.legacy({"jsonrpc": "2.0", "id": 1, "method": "ping"})).status_code == 404


async def test_session_ids_cannot_be_guessed() -> None:
    """R-P1: 128 random bits each."""
    async with shaped(is_modern=False) as server, gateway(Server("s", url=server.url)) as running, Caller(running) as caller:
        seen = set()
        for _ in range(8):
            await caller.initialize()
            seen.add(caller.session)
        assert len(seen) == 8
        assert all(len(session) == 32 for session in seen)


async def _asks_first(server: Shaped, call: Call, message: dict[str, Any]) -> Any:
    if message["params"].get("requestState") == "half-way":
        return {"content": [{"type": "text", "text": "finished"}], "resultType": "complete"}
    question = {
        "method": "elicitation/create",
        "params": {"mode": "form", "message": "Sure?", "requestedSchema": {"type": "object", "properties": {}}},
    }
    return {"resultType": "input_required", "inputRequests": {"q": question}, "requestState": "half-way"}


async def test_a_stolen_request_state_is_refused() -> None:
    """R-P1: the state of A's interrupted call finishes nothing for B, and nothing for another tool or with one byte changed."""
    async with shaped(script=_asks_first) as server, gateway(Server("s", url=server.url)) as running:
        running.sessions.lend("t-bob", user="bob")
        server.tools.append({**server.tools[0], "name": "second"})
        async with Caller(running) as alice, Caller(running, token="t-bob") as bob:
            first = await alice.call("echo", text="a")
            state = first["result"]["requestState"]
            assert state != "half-way"
            for caller, name, brought in (
                (bob, "echo", state),
                (alice, "second", state),
                (alice, "echo", state + "x"),
                (alice, "echo", "half-way"),
            ):
                answer = await caller.ask("tools/call", name=name, arguments={"text": "a"}, requestState=brought)
                assert answer["error"]["code"] == -32602, name
            finished = await alice.ask("tools/call", name="echo", arguments={"text": "a"}, requestState=state)
            assert finished["result"]["content"][0]["text"] == "finished"


async def test_a_reply_to_another_sessions_question_is_refused() -> None:
    """R-P1: ids of questions are unguessable and belong to the session they were put in."""
    async with shaped(is_modern=False) as server, gateway(Server("s", url=server.url)) as running, Caller(running) as caller:
        await caller.initialize(elicitation={})
        for guess in ("ostiary-1", 1, "1"):
            response = await caller.legacy({"jsonrpc": "2.0", "id": guess, "result": {"action": "accept"}})
            assert response.status_code == 400


async def test_each_session_has_its_own_session_upstream() -> None:
    """R-B5: a stateful server sees one session a caller, so that what one leaves there is not the other's."""
    async with shaped(is_modern=False) as server, gateway(Server("s", url=server.url)) as running:
        running.sessions.lend("t-bob", user="bob")
        async with Caller(running) as alice, Caller(running, token="t-bob") as bob:
            for caller in (alice, bob):
                await caller.initialize()
                await caller.legacy_call("echo", text="a")
            used = [headers["mcp-session-id"] for headers, body in server.requests if body.get("method") == "tools/call"]
            assert len(set(used)) == 2
            await alice.call("echo", text="stateless")
            await bob.call("echo", text="stateless")
            used = [headers["mcp-session-id"] for headers, body in server.requests if body.get("method") == "tools/call"]
            assert len(set(used)) == 4


async def test_an_update_reaches_only_who_subscribed() -> None:
    """R-B5: A subscribes to a resource; B's stream stays silent."""
    async with shaped(is_modern=False) as server, gateway(Server("s", url=server.url)) as running:
        running.sessions.lend("t-bob", user="bob")
        async with Caller(running) as alice, Caller(running, token="t-bob") as bob:
            for caller in (alice, bob):
                await caller.initialize()
            subscribe = {"jsonrpc": "2.0", "id": 1, "method": "resources/subscribe", "params": {"uri": "file:///a"}}
            assert "result" in last_message(await alice.legacy(subscribe))
            await server.until_heard(2)
            own = next(session for session in server.streams if session == _session_that(server, "resources/subscribe"))
            server.streams[own].put_nowait({"jsonrpc": "2.0", "method": "notifications/resources/updated", "params": {"uri": "file:///a"}})
            heard = await _first_event(alice)
            assert b"file:///a" in heard
            assert await _first_event(bob, wait_s=0.5) == b""


def _session_that(server: Shaped, method: str) -> str:
    return next(headers["mcp-session-id"] for headers, body in server.requests if body.get("method") == method)


async def _first_event(caller: Caller, wait_s: float = 5.0) -> bytes:
    headers = {
        "authorization": f"Bearer {caller.token}",
        "mcp-session-id": caller.session,
        "accept": "text/event-stream",
        "last-event-id": "0-0",
    }
    try:
        async with asyncio.timeout(wait_s), caller.http.stream("GET", caller.url, headers=headers) as response:
            async for line in response.aiter_lines():
                if line.startswith("data: {"):
                    return line.encode()
    except TimeoutError:
        pass
    return b""


async def test_a_scope_that_was_not_lent_shows_and_opens_nothing() -> None:
    """R-P4: other servers and tools are neither listed nor told apart from ones that do not exist."""
    async with shaped() as server, gateway(Server("s", url=server.url)) as running:
        running.sessions.lend("t-none", ("tool:elsewhere/*",))
        async with Caller(running, token="t-none") as caller, Caller(running, "nowhere", token="t-none") as nowhere:
            known, unknown = await caller.call("echo", text="a"), await nowhere.call("echo", text="a")
            assert code_of(known) == code_of(unknown) == "out_of_scope"
            known_list, unknown_list = await caller.ask("tools/list"), await nowhere.ask("tools/list")
            assert code_of(known_list) == code_of(unknown_list) == "out_of_scope"
            assert known_list["error"]["message"].replace("`s`", "`nowhere`") == unknown_list["error"]["message"]
            assert server.calls == []
