"""What travels beside the arguments: capabilities, log levels, traces and references, which a hijacked agent could fill with anything."""

import asyncio
import json
from typing import Any

import pytest

from ostiary.core.registry import Server
from ostiary.protocols.wire import Call
from tests.support.mcp_shaped import Caller, Shaped, shaped
from tests.support.mcp_upstream import gateway

SECRET = "the-patients-name-is-Maria-Muster"
LOG_LEVEL = "io.modelcontextprotocol/logLevel"
FILLED = {
    "sampling": {"tools": {}, SECRET: SECRET},
    "elicitation": {"form": {"note": SECRET}, "url": {}},
    "roots": {"listChanged": SECRET},
    "experimental": {SECRET: {}},
}


async def test_what_a_client_says_it_can_do_carries_no_words_upstream() -> None:
    """R-B5: the handshake reaches the server before any action is decided, so it says yes or no to known things, nothing else."""
    async with shaped(is_modern=False) as server, gateway(Server("s", url=server.url)) as running, Caller(running) as caller:
        await caller.initialize(**FILLED)
        assert "result" in await caller.legacy_call("echo", text="a")
        assert SECRET not in json.dumps([body for _, body in server.requests])
        said = [body["params"]["capabilities"] for _, body in server.requests if body.get("method") == "initialize"]
        assert {"sampling": {"tools": {}}, "elicitation": {"form": {}, "url": {}}, "roots": {}} in said


async def test_capabilities_of_the_stateless_version_carry_no_words_upstream() -> None:
    """R-B5: the same where they come with each request."""
    async with shaped() as server, gateway(Server("s", url=server.url)) as running, Caller(running) as caller:
        answer = await caller.ask("tools/call", FILLED, name="echo", arguments={"text": "a"})
        assert "result" in answer
        assert SECRET not in json.dumps([body for _, body in server.requests])
        capabilities = server.calls[-1]["_meta"]["io.modelcontextprotocol/clientCapabilities"]
        assert capabilities == {"sampling": {"tools": {}}, "elicitation": {"form": {}, "url": {}}, "roots": {}}


@pytest.mark.parametrize("level", [SECRET, "DEBUG", "debug\n", ""])
async def test_a_log_level_that_is_none_does_not_travel(level: str) -> None:
    """R-B5: a log level is one of eight words."""
    async with shaped() as server, gateway(Server("s", url=server.url)) as running, Caller(running) as caller:
        body = caller.modern("tools/call", name="echo", arguments={"text": "a"})
        body["params"]["_meta"][LOG_LEVEL] = level
        await caller.post(body, {"mcp-protocol-version": "2026-07-28", "mcp-method": "tools/call", "mcp-name": "echo"})
        assert all(LOG_LEVEL not in call["_meta"] for call in server.calls)
        assert SECRET not in json.dumps([sent for _, sent in server.requests])


async def test_a_trace_begins_anew_at_the_gateway() -> None:
    """R-B5: the server gets a trace of ours, which is the decision's id; nothing the agent chose is in it."""
    async with shaped() as server, gateway(Server("s", url=server.url)) as running, Caller(running) as caller:
        body = caller.modern("tools/call", name="echo", arguments={"text": "a"})
        card = "4111111111111111"
        body["params"]["_meta"] |= {"traceparent": f"00-{card * 2}-{card}-01", "tracestate": f"a={SECRET}"}
        headers = {"mcp-protocol-version": "2026-07-28", "mcp-method": "tools/call", "mcp-name": "echo"}
        answer = await caller.post(body, headers)
        sent = json.dumps(server.calls)
        assert card not in sent
        assert SECRET not in sent
        assert server.calls[-1]["_meta"]["traceparent"].split("-")[1] == answer.headers["x-ostiary-decision"]


POLICIES = """
@id("anyone-completes") @because("completion is harmless") @redact("secret,pii")
permit (principal, action == Action::"complete", resource);
"""


@pytest.mark.parametrize("kind", ["prompt", "resource"])
async def test_what_was_redacted_in_a_reference_does_not_travel_in_it(kind: str) -> None:
    """R-B5: a completion's reference is sent as the controls left it, not as it came."""
    mail = "maria.muster@hospital.example.com"
    ref = {"type": "ref/prompt", "name": mail} if kind == "prompt" else {"type": "ref/resource", "uri": f"notes://{mail}"}
    async with shaped() as server, gateway(Server("s", url=server.url), policies=POLICIES) as running, Caller(running) as caller:
        running.sessions.lend("t-alice", ("prompt:s/*", "resource:s/*"))
        await caller.ask("completion/complete", ref=ref, argument={"name": "a", "value": "b"})
        sent = [body["params"] for _, body in server.requests if body["method"] == "completion/complete"]
        assert sent
        assert mail not in json.dumps(sent)
        assert sent[0]["ref"]["type"] == ref["type"]


async def _asks(server: Shaped, call: Call, message: dict[str, Any]) -> Any:
    """Put a question to the client on the call's own stream, and end once it is answered."""
    params = {"message": "Sure?", "requestedSchema": {"type": "object", "properties": {}}}
    await call.start(200, "text/event-stream")
    for each in (
        {"jsonrpc": "2.0", "id": "q1", "method": "elicitation/create", "params": params},
        {"jsonrpc": "2.0", "id": message["id"], "result": {"content": [{"type": "text", "text": "done"}]}},
    ):
        await call.push(b"data: " + json.dumps(each).encode() + b"\n\n")
        async with asyncio.timeout(10):
            while each["id"] == "q1" and not _replies(server):
                await asyncio.sleep(0.01)
    await call.end()


def _replies(server: Shaped) -> list[dict[str, Any]]:
    return [body for _, body in server.requests if body.get("id") == "q1"]


async def test_an_error_in_place_of_a_reply_carries_no_words_upstream() -> None:
    """R-B5: nobody decides about an error of the client, so the server learns that there was one, in words of ours."""
    async with shaped(script=_asks, is_modern=False) as server, gateway(Server("s", url=server.url)) as running, Caller(running) as caller:
        await caller.initialize(elicitation={})
        body = {"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {"name": "echo", "arguments": {"text": "a"}}}
        headers = {"authorization": f"Bearer {caller.token}", "accept": "application/json, text/event-stream"}
        headers |= {"content-type": "application/json", "mcp-session-id": caller.session, "mcp-protocol-version": "2025-11-25"}
        async with caller.http.stream("POST", caller.url, content=json.dumps(body), headers=headers) as answer:
            async for line in answer.aiter_lines():
                question = json.loads(line[5:]) if line.startswith("data:") and line[5:].strip() else {}
                if question.get("method") == "elicitation/create":
                    error = {"code": 4111_1111, "message": "the secret is xyzzy", "data": {"more": "xyzzy"}}
                    await caller.legacy({"jsonrpc": "2.0", "id": question["id"], "error": error})
        [reply] = _replies(server)
        assert "error" in reply
        assert "xyzzy" not in str(reply)
        assert "4111" not in str(reply)
