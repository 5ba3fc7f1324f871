"""Whatever is posted, the door answers in its own shape, and only what was decided reaches a server."""

import asyncio
import json
import time
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ostiary.core.clock import Clock
from ostiary.core.pipeline import Pipeline
from ostiary.core.ports import Ports
from ostiary.core.registry import Server
from ostiary.governance.registrar import Registrar, RegistryChange
from ostiary.governance.tool_pins import ToolPins
from ostiary.protocols.mcp.door import McpDoor
from ostiary.protocols.mcp.upstream import Hello, Listener, Offer
from ostiary.protocols.wire import Call
from ostiary.provenance.profile import infer
from tests.support.mcp_shaped import tool
from tests.support.mcp_upstream import CAPABILITIES, VERSION, MemoryStore, Sessions
from tests.support.ports import FixedPolicy, ListLedger, NeverApproved, NoProvenance, PlainControls

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "arguments", "uri", "_meta", "Name", "text", "id"]), inner, max_size=3)
    ),
    max_leaves=8,
)
METHODS = st.sampled_from(
    [
        "tools/call",
        "tools/list",
        "resources/read",
        "prompts/get",
        "prompts/list",
        "completion/complete",
        "server/discover",
        "initialize",
        "ping",
        "resources/subscribe",
        "logging/setLevel",
        "notifications/cancelled",
        "notifications/x",
        "x",
        "",
    ]
)
META = {VERSION: "2026-07-28", CAPABILITIES: {}}
MESSAGES = st.fixed_dictionaries(
    {
        "jsonrpc": st.sampled_from(["2.0", "1.0", 2]),
        "method": METHODS,
        "params": JSON | st.fixed_dictionaries({"_meta": st.just(META) | JSON, "name": JSON, "arguments": JSON, "uri": JSON, "ref": JSON}),
    },
    optional={"id": JSON, "result": JSON, "error": JSON},
)
VERSIONS = st.sampled_from(["2026-07-28", "2025-11-25", "2025-06-18", "", "x"])


class Straight:
    """A connection that answers at once and keeps what it was asked."""

    is_open = True
    is_shared = False
    peer_key = ""

    def __init__(self, asked: list[tuple[str, dict[str, Any]]], *, is_modern: bool) -> None:
        self.is_modern, self._asked = is_modern, asked
        self.hello = Hello(
            "2026-07-28" if is_modern else "2025-11-25", {"tools": {}, "prompts": {}, "resources": {}, "completions": {}}, {}
        )

    async def request(self, method: str, params: dict[str, Any], listener: Listener | None = None, headers: Any = ()) -> dict[str, Any]:
        self._asked.append((method, params))
        members = {"tools/list": "tools", "prompts/list": "prompts", "resources/list": "resources"}
        return {"result": {members[method]: [tool("echo")] if method == "tools/list" else []} if method in members else {"content": []}}

    async def notify(self, method: str, params: dict[str, Any]) -> None: ...

    async def listen(self) -> None: ...

    async def follow(self, params: dict[str, Any], listener: Listener) -> None: ...

    async def close(self) -> None: ...


class Bench:
    """A door without sockets."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.policy, self.ledger, sessions = FixedPolicy(), ListLedger(), Sessions()
        sessions.lend("t")
        self.registrar = Registrar(MemoryStore(), self.ledger, Clock(), "test")
        pins = ToolPins(self.registrar, lambda *_: (), infer)
        ports = Ports(sessions, self.policy, PlainControls(), NoProvenance(), self.ledger, NeverApproved(), time.time_ns)
        self.door = McpDoor(Pipeline(ports), ports, self.registrar, pins, self._dial, lambda *_: ())

    async def _dial(self, server: Server, *, modern: bool | None, offer: Offer, outside: Listener) -> Straight:
        return Straight(self.asked, is_modern=modern is not False)

    async def post(self, body: bytes, headers: dict[str, str]) -> tuple[int, Any]:
        given = {"authorization": "Bearer t", "content-type": "application/json"} | {
            name: value for name, value in headers.items() if value
        }
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        raw = [(name.encode(), value.encode("latin-1", "replace")) for name, value in given.items()]
        scope = {"type": "http", "method": "POST", "path": "/mcp/s", "headers": raw, "scheme": "http", "client": ("127.0.0.1", 1)}
        await self.door(Call(scope, receive, send))
        return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(MESSAGES, VERSIONS, st.booleans())
def test_every_message_gets_an_answer_of_the_wire(message: dict[str, Any], version: str, honest_headers: bool) -> None:
    """R-B5: a status of the wire, a JSON-RPC body, and every tool call that reached the server was decided first."""

    async def attempt() -> tuple[int, Any, Bench]:
        bench = Bench()
        await bench.registrar.change([RegistryChange("servers", "s", Server("s", url="http://127.0.0.1/"))], by="root")
        params = message["params"] if isinstance(message["params"], dict) else {}
        name = params.get("name", params.get("uri"))
        mirrored = {
            "mcp-method": message["method"],
            "mcp-name": name if isinstance(name, str) and name.isascii() and name.isprintable() else "",
        }
        status, body = await bench.post(
            json.dumps(message).encode(), {"mcp-protocol-version": version} | (mirrored if honest_headers else {})
        )
        await bench.door.close()
        return status, body, bench

    status, body, bench = asyncio.run(attempt())
    assert status in {200, 202, 400, 404}, (status, body)
    if status != 202:
        answer = json.loads(body)
        assert answer["jsonrpc"] == "2.0"
        assert ("error" in answer) != ("result" in answer)
        assert "Traceback" not in str(answer)
        if "error" in answer and isinstance(answer["error"].get("data"), dict):
            assert answer["error"]["data"].get("code") != "unavailable"
    calls = [params for method, params in bench.asked if method == "tools/call"]
    decided = [action for action in bench.policy.decided if action.verb == "call_tool"]
    assert [call["arguments"] for call in calls] == [action.arguments for action in decided][: len(calls)]
    assert len(calls) <= len(decided)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_every_body_gets_an_answer_of_the_wire(body: bytes) -> None:
    """R-B5: bytes that are no message are refused with 400."""

    async def attempt() -> tuple[int, Any]:
        bench = Bench()
        return await bench.post(body, {})

    status, raw = asyncio.run(attempt())
    assert status == 400
    assert json.loads(raw)["error"]["code"] in {-32700, -32600, -32602}
