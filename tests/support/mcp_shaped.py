"""An MCP server that does what a test wants: honest, changing, lying or hostile; and remembers what it was sent."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import httpx2

from ostiary.protocols.wire import Call, Receive, Scope, Send
from tests.support.listening import listening
from tests.support.mcp_upstream import CAPABILITIES, VERSION, Gateway

Script = Callable[["Shaped", Call, dict[str, Any]], Awaitable[Any]]
MODERN = "2026-07-28"


def tool(name: str, description: str = "Says something back.", **properties: Any) -> dict[str, Any]:
    """A tool's definition."""
    fields = properties or {"text": {"type": "string"}}
    return {"name": name, "description": description, "inputSchema": {"type": "object", "properties": fields}}


async def echo(server: "Shaped", call: Call, message: dict[str, Any]) -> Any:
    """Answer with the arguments."""
    return {"content": [{"type": "text", "text": json.dumps(message["params"].get("arguments", {}))}], "resultType": "complete"}


@dataclass
class Shaped:
    """The server; `script` answers `tools/call` (returning a result, or None when it has answered itself)."""

    tools: list[dict[str, Any]] = field(default_factory=lambda: [tool("echo")])
    script: Script = echo
    is_modern: bool = True
    prompts: list[dict[str, Any]] = field(default_factory=list)
    resources: list[dict[str, Any]] = field(default_factory=list)
    requests: list[tuple[dict[str, str], dict[str, Any]]] = field(default_factory=list)
    sessions: list[str] = field(default_factory=list)
    streams: dict[str, asyncio.Queue[dict[str, Any]]] = field(default_factory=dict)
    url: str = ""
    version: str = "1"

    @property
    def calls(self) -> list[dict[str, Any]]:
        """The parameters of each tool call that arrived."""
        return [body["params"] for _, body in self.requests if body.get("method") == "tools/call"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = Call(scope, receive, send)
        if call.method == "GET":
            await self._stream(call)
            return
        if call.method == "DELETE":
            await call.respond(200, b"")
            return
        message = json.loads(await call.body(64 * 1024 * 1024))
        self.requests.append((call.headers, message))
        if "id" not in message or "method" not in message:
            await call.respond(202, b"")
            return
        result = await self._answer(call, message)
        if result is not None:
            await call.respond_json(200, {"jsonrpc": "2.0", "id": message["id"], **result})

    @property
    def _info(self) -> dict[str, str]:
        return {"name": "shaped", "version": self.version}

    async def _answer(self, call: Call, message: dict[str, Any]) -> dict[str, Any] | None:
        method = message["method"]
        offered = {"tools": {"listChanged": True}, "prompts": {}, "resources": {"subscribe": True}}
        lists = {
            "tools/list": ("tools", self.tools),
            "prompts/list": ("prompts", self.prompts),
            "resources/list": ("resources", self.resources),
        }
        if method == "server/discover" and self.is_modern:
            return {
                "result": {
                    "supportedVersions": [MODERN],
                    "capabilities": offered,
                    "resultType": "complete",
                    "ttlMs": 0,
                    "cacheScope": "public",
                }
            }
        if method == "initialize" and not self.is_modern:
            self.sessions.append(f"upstream-{len(self.sessions)}")
            info = {"protocolVersion": "2025-11-25", "capabilities": offered, "serverInfo": self._info}
            body = {"jsonrpc": "2.0", "id": message["id"], "result": info}
            await call.respond_json(200, body, [(b"mcp-session-id", self.sessions[-1].encode())])
            return None
        if method in lists:
            name, items = lists[method]
            return {"result": {name: items, "resultType": "complete", "_meta": {"io.modelcontextprotocol/serverInfo": self._info}}}
        if method == "tools/call":
            result = await self.script(self, call, message)
            return None if result is None else {"result": result}
        if method in {"resources/subscribe", "resources/unsubscribe"} and not self.is_modern:
            return {"result": {}}
        if method == "resources/read":
            return {"result": {"contents": [{"uri": message["params"]["uri"], "text": "read"}], "resultType": "complete"}}
        if method == "subscriptions/listen" and self.is_modern:
            await self._stream(call)
            return None
        return {"error": {"code": -32601, "message": "unknown method"}}

    async def _stream(self, call: Call) -> None:
        key = call.headers.get("mcp-session-id", f"stream-{len(self.streams)}")
        queue = self.streams[key] = asyncio.Queue()
        await call.start(200, "text/event-stream")
        gone = asyncio.ensure_future(call.gone())
        try:
            while not gone.done():
                waiting = asyncio.ensure_future(queue.get())
                await asyncio.wait({waiting, gone}, return_when=asyncio.FIRST_COMPLETED)
                if waiting.done():
                    await call.push(b"data: " + json.dumps(waiting.result()).encode() + b"\n\n")
                else:
                    waiting.cancel()
        finally:
            gone.cancel()

    async def tell(self, method: str, **params: Any) -> None:
        """Send a notification to every open stream."""
        for queue in self.streams.values():
            queue.put_nowait({"jsonrpc": "2.0", "method": method, "params": params})

    async def until_heard(self, streams: int = 1) -> None:
        """Wait until somebody listens."""
        async with asyncio.timeout(5):
            while len(self.streams) < streams:
                await asyncio.sleep(0.01)


@asynccontextmanager
async def shaped(**options: Any) -> AsyncIterator[Shaped]:
    """Run a shaped server on a socket."""
    server = Shaped(**options)
    async with listening(server) as address:
        server.url = f"http://{address}/mcp"
        yield server


class Caller:
    """A client written by hand, that sends exactly what a test says."""

    def __init__(self, running: Gateway, server: str = "s", token: str | None = None) -> None:
        self.url = running.mcp(server)
        self.token = token or running.token
        self.http = httpx2.AsyncClient(timeout=20, trust_env=False)
        self.session = ""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.aclose()

    async def post(self, body: dict[str, Any] | bytes, headers: dict[str, str] | None = None) -> httpx2.Response:
        """Post anything."""
        given = {
            "authorization": f"Bearer {self.token}",
            "content-type": "application/json",
            "accept": "application/json, text/event-stream",
        }
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.http.post(self.url, content=raw, headers=given | (headers or {}))

    def modern(self, method: str, capabilities: dict[str, Any] | None = None, **params: Any) -> dict[str, Any]:
        """A request of the stateless version."""
        meta = {VERSION: MODERN, CAPABILITIES: capabilities or {}}
        return {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": meta}}

    async def ask(self, method: str, capabilities: dict[str, Any] | None = None, **params: Any) -> dict[str, Any]:
        """Ask in the stateless version; return the message that answers."""
        headers = {"mcp-protocol-version": MODERN, "mcp-method": method}
        name = params.get("name", params.get("uri"))
        response = await self.post(self.modern(method, capabilities, **params), headers | ({"mcp-name": name} if name else {}))
        return last_message(response)

    async def call(self, name: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool."""
        return await self.ask("tools/call", name=name, arguments=arguments)

    async def names(self) -> set[str]:
        """The tools this caller is shown."""
        return {item["name"] for item in (await self.ask("tools/list"))["result"]["tools"]}

    async def initialize(self, **capabilities: Any) -> None:
        """Begin a session of the older version."""
        params = {"protocolVersion": "2025-11-25", "capabilities": capabilities, "clientInfo": {"name": "t", "version": "1"}}
        response = await self.post({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params})
        assert response.status_code == 200, response.text
        self.session = response.headers["mcp-session-id"]
        await self.legacy({"jsonrpc": "2.0", "method": "notifications/initialized"})

    async def legacy(self, body: dict[str, Any]) -> httpx2.Response:
        """Post within the session."""
        return await self.post(body, {"mcp-session-id": self.session, "mcp-protocol-version": "2025-11-25"})

    async def legacy_call(self, name: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool within the session."""
        params = {"name": name, "arguments": arguments}
        return last_message(await self.legacy({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params}))


def last_message(response: httpx2.Response) -> dict[str, Any]:
    """The last message of a JSON or SSE answer."""
    if response.headers.get("content-type", "").startswith("text/event-stream"):
        data = [line[5:] for line in response.text.splitlines() if line.startswith("data:") and line[5:].strip()]
        message: dict[str, Any] = json.loads(data[-1])
        return message
    whole: dict[str, Any] = response.json()
    return whole


def code_of(message: dict[str, Any]) -> str:
    """Our code in an answer: of an error, or of a result that is one."""
    problem = message["error"].get("data", {}) if "error" in message else message["result"].get("_meta", {}).get("dev.ostiary/problem", {})
    return str(problem.get("code", ""))
