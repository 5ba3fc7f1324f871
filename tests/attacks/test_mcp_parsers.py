"""Two parsers, two readings: what is decided is what is sent, and headers say what the body says."""

import json
from typing import Any

import pytest

from ostiary.core.registry import Server
from tests.support.listening import raw
from tests.support.mcp_shaped import MODERN, Caller, shaped, tool
from tests.support.mcp_upstream import CAPABILITIES, VERSION, gateway

META = json.dumps({VERSION: MODERN, CAPABILITIES: {}})
HEADERS = {"mcp-protocol-version": MODERN, "mcp-method": "tools/call", "mcp-name": "echo"}
PARAMS = '"params":{"name":"echo","arguments":{"text":"a"},"_meta":' + META + "}"

MALFORMED: dict[str, bytes] = {
    "not json": b"{",
    "empty": b"",
    "invalid utf-8": b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"ech\xff"}}',
    "byte-order mark": b"\xef\xbb\xbf{}",
    "duplicate method": f'{{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call",{PARAMS}}}'.encode(),
    "duplicate argument": f'{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"echo","arguments":{{"text":"a","text":"b"}},"_meta":{META}}}}}'.encode(),
    "Params beside params": f'{{"jsonrpc":"2.0","id":1,"method":"tools/call","Params":{{"name":"evil"}},{PARAMS}}}'.encode(),
    "Name beside name": f'{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"Name":"evil","name":"echo","arguments":{{}},"_meta":{META}}}}}'.encode(),
    "big integer": f'{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"echo","arguments":{{"n":99999999999999999999}},"_meta":{META}}}}}'.encode(),
    "NaN": f'{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"echo","arguments":{{"n":NaN}},"_meta":{META}}}}}'.encode(),
    "too deep": (
        '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"n":'
        + "[" * 200
        + "]" * 200
        + f'}},"_meta":{META}}}}}'
    ).encode(),
    "batch": f'[{{"jsonrpc":"2.0","id":1,"method":"tools/call",{PARAMS}}}]'.encode(),
    "no version": f'{{"id":1,"method":"tools/call",{PARAMS}}}'.encode(),
    "id is null": f'{{"jsonrpc":"2.0","id":null,"method":"tools/call",{PARAMS}}}'.encode(),
    "id is true": f'{{"jsonrpc":"2.0","id":true,"method":"tools/call",{PARAMS}}}'.encode(),
    "id is a float": f'{{"jsonrpc":"2.0","id":1.5,"method":"tools/call",{PARAMS}}}'.encode(),
    "params is a list": b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":["echo"]}',
    "call and response": f'{{"jsonrpc":"2.0","id":1,"result":{{}},"method":"tools/call",{PARAMS}}}'.encode(),
    "arguments is a list": f'{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"echo","arguments":[1],"_meta":{META}}}}}'.encode(),
    "name is an object": f'{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":{{}},"arguments":{{}},"_meta":{META}}}}}'.encode(),
}


async def test_every_malformed_message_is_refused_and_recorded() -> None:
    """R-B5: each gets a JSON-RPC error of its own with HTTP 400, and nothing reaches the server."""
    async with shaped() as server, gateway(Server("s", url=server.url)) as running, Caller(running) as caller:
        for name, body in MALFORMED.items():
            before = len(running.ledger.of("intent"))
            answer = await caller.post(body, HEADERS)
            assert answer.status_code == 400, name
            assert answer.json()["error"]["code"] in {-32700, -32600, -32602, -32020}, name
            assert "x-ostiary-decision" in answer.headers
            assert len(running.ledger.of("intent")) == before + 1, name
        assert server.calls == []


async def test_well_formed_messages_still_pass() -> None:
    """R-B5: the honest form of the same message is called."""
    async with shaped() as server, gateway(Server("s", url=server.url)) as running, Caller(running) as caller:
        answer = await caller.post(f'{{"jsonrpc":"2.0","id":1,"method":"tools/call",{PARAMS}}}'.encode(), HEADERS)
        assert answer.status_code == 200
        assert server.calls[0]["arguments"] == {"text": "a"}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"mcp-name": "other"}, -32020),
        ({"mcp-name": None}, -32020),
        ({"mcp-name": "=?base64?b3RoZXI=?="}, -32020),
        ({"mcp-name": "=?base64?ZWNobw?="}, -32020),
        ({"mcp-method": "tools/list"}, -32020),
        ({"mcp-method": None}, -32020),
        ({"mcp-method": "Tools/Call"}, -32020),
        ({"mcp-protocol-version": None}, -32020),
        ({"mcp-protocol-version": "2025-11-25"}, -32020),
    ],
)
async def test_headers_that_differ_from_the_body_are_refused(change: dict[str, str | None], code: int) -> None:
    """R-B5: a load balancer that reads headers and a server that reads bodies must not see two calls."""
    async with shaped() as server, gateway(Server("s", url=server.url)) as running, Caller(running) as caller:
        headers = {name: value for name, value in (HEADERS | change).items() if value is not None}
        answer = await caller.post(caller.modern("tools/call", name="echo", arguments={"text": "a"}), headers)
        assert answer.status_code == 400
        assert answer.json()["error"]["code"] == code
        assert server.calls == []


async def test_a_header_that_stands_twice_is_refused() -> None:
    """R-B5: the first and the last reader would disagree."""
    async with shaped() as server, gateway(Server("s", url=server.url)) as running, Caller(running) as caller:
        body = json.dumps(caller.modern("tools/call", name="echo", arguments={"text": "a"})).encode()
        headers = [
            ("authorization", f"Bearer {caller.token}"),
            ("content-type", "application/json"),
            *HEADERS.items(),
            ("mcp-name", "echo"),
        ]
        answer = await caller.http.post(caller.url, content=body, headers=headers)
        assert answer.json()["error"]["code"] == -32020
        assert server.calls == []


async def test_mirrored_arguments_must_equal_the_body() -> None:
    """R-B5: `x-mcp-header` arguments: missing, different or smuggled headers are refused, right ones are sent on."""
    region = tool("echo", region={"type": "string", "x-mcp-header": "Region"})
    async with shaped(tools=[region]) as server, gateway(Server("s", url=server.url)) as running, Caller(running) as caller:
        body = caller.modern("tools/call", name="echo", arguments={"region": "eu"})
        for wrong in ({}, {"mcp-param-region": "us"}, {"mcp-param-region": "=?base64?!!!?="}):
            assert (await caller.post(body, HEADERS | wrong)).json()["error"]["code"] == -32020
        absent = caller.modern("tools/call", name="echo", arguments={})
        assert (await caller.post(absent, HEADERS | {"mcp-param-region": "eu"})).json()["error"]["code"] == -32020
        assert "result" in (await caller.post(body, HEADERS | {"mcp-param-region": "eu"})).json()
        assert server.requests[-1][0]["mcp-param-region"] == "eu"


@pytest.mark.parametrize(
    "method", ["tools/execute", "Tools/call", "tasks/get", "initialize", "logging/setLevel", "sampling/createMessage", "x" * 128]
)
async def test_an_unknown_method_is_denied(method: str) -> None:
    """R-B5: what the door does not know it does not forward."""
    async with shaped() as server, gateway(Server("s", url=server.url)) as running, Caller(running) as caller:
        answer = await caller.post(caller.modern(method), {"mcp-protocol-version": MODERN, "mcp-method": method})
        assert answer.status_code == 404
        error = answer.json()["error"]
        assert (error["code"], error["data"]["code"]) == (-32601, "unknown_method")
        assert server.requests == []
        assert running.ledger.of("intent")[-1].code == "unknown_method"


async def test_controls_change_what_is_sent() -> None:
    """R-B5: the server gets the arguments as the controls left them, made anew from values."""
    async with shaped() as server, gateway(Server("s", url=server.url)) as running, Caller(running) as caller:
        answer: dict[str, Any] = await caller.call("echo", text="my secret")
        assert server.calls[0]["arguments"] == {"text": "my ******"}
        assert "secret" not in str(answer)


async def test_an_oversized_body_is_refused() -> None:
    """R-B5: 413 before it is read."""
    async with shaped() as server, gateway(Server("s", url=server.url)) as running:
        address = running.url.removeprefix("http://")
        head = f"POST /mcp/s HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {running.token}\r\nContent-Type: application/json\r\n"
        answer = await raw(address, f"{head}Content-Length: 5000000\r\n\r\n".encode(), wait_s=1.0)
        assert answer.startswith(b"HTTP/1.1 413")
        assert b'"too_large"' in answer
        assert server.requests == []
