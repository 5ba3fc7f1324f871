"""MCP 2025-06-18 and 2025-11-25: sessions, streams the server speaks on first, cancellation by notification."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from ostiary import __version__
from ostiary.core.decision import Refusal, refusal_of, refuse
from ostiary.core.errors import OstiaryError
from ostiary.core.pipeline import Passage
from ostiary.core.ports import Identity
from ostiary.protocols.mcp.exchange import EVENT_STREAM, STREAM_HEADERS, Exchange, LegacyReply
from ostiary.protocols.mcp.headers import LEVELS
from ostiary.protocols.mcp.message import INVALID_PARAMS, INVALID_REQUEST, LEGACY, Message, RpcError, error, nothing_lent, refused, result
from ostiary.protocols.mcp.naming import joined_uri
from ostiary.protocols.mcp.operations import Operations
from ostiary.protocols.mcp.sessions import MAX_FOLLOWERS, SWEEP_S, ClientSession, ClientSessions, Outlet
from ostiary.protocols.mcp.upstream import Listener
from ostiary.protocols.wire import Call, passage_headers

log = logging.getLogger("ostiary.mcp.legacy")

LOOK_S: Final = 0.25
"""How often an open stream asks whether its session still stands."""
ALIVE_S: Final = 15.0
ALL_CAPABILITIES: Final[Mapping[str, Any]] = {
    "tools": {"listChanged": True},
    "resources": {"subscribe": True, "listChanged": True},
    "prompts": {"listChanged": True},
    "completions": {},
    "logging": {},
}
Operation = Callable[[Exchange], Awaitable[dict[str, Any]]]


class Legacy:
    """Serves the versions that begin with `initialize`."""

    def __init__(self, operations: Operations, identity: Identity) -> None:
        self._operations = operations
        self._identity = identity
        self._sessions = ClientSessions()
        self._swept_at = 0.0
        self._methods: Mapping[str, Operation] = {
            "ping": self._ping,
            "tools/list": operations.tools,
            "tools/call": operations.call_tool,
            "resources/list": operations.listing,
            "resources/templates/list": operations.listing,
            "resources/read": operations.read_resource,
            "resources/subscribe": self._subscribe,
            "resources/unsubscribe": self._unsubscribe,
            "prompts/list": operations.listing,
            "prompts/get": operations.get_prompt,
            "completion/complete": operations.complete,
            "logging/setLevel": self._set_level,
        }

    async def post(self, call: Call, passage: Passage, server: str, message: Message) -> None:
        """Serve one message."""
        if message.method == "initialize" and message.is_request:
            await self._initialize(call, passage, server, message)
            return
        client = self._client(call, passage, server, message)
        if message.reply is not None:
            if not client.answered(message.id, message.reply):
                raise RpcError(INVALID_REQUEST, "no such question is open", id=message.id)
            await call.respond(202, b"", headers=passage_headers(passage))
        elif not message.is_request:
            await self._notified(client, message)
            await call.respond(202, b"", headers=passage_headers(passage))
        else:
            await self._request(call, passage, client, message)

    async def aside(self, call: Call, passage: Passage, server: str) -> None:
        """Serve GET, the stream a server speaks on first or a resumed one, and DELETE, the end of a session."""
        client = self._client(call, passage, server, Message(None, call.method, {}))
        if call.method == "DELETE":
            await self._end(client)
            await call.respond(204, b"", headers=passage_headers(passage))
            return
        if EVENT_STREAM not in call.headers.get("accept", ""):
            await call.respond(406, b"", headers=passage_headers(passage))
            return
        last = call.headers.get("last-event-id", "")
        found = client.outlet_of(last) if last else (client.standing, client.standing.last)
        if found is None:
            raise RpcError(INVALID_REQUEST, "`Last-Event-ID` names no event of this session", status=404)
        if client.followers >= MAX_FOLLOWERS:
            raise RpcError(INVALID_REQUEST, "too many streams of this session are open", status=429)
        client.followers += 1
        try:
            await self._follow(call, passage, client, *found)
        finally:
            client.followers -= 1

    async def changed(self, server: str, method: str) -> None:
        """Tell every session that may know that a list changed."""
        for client in self._sessions.all():
            if client.server == server or (not client.server and self._operations.touches(client.session, server)):
                client.standing.put({"jsonrpc": "2.0", "method": method})

    async def close(self) -> None:
        """End every session."""
        for client in self._sessions.all():
            await self._end(client)

    async def _initialize(self, call: Call, passage: Passage, server: str, message: Message) -> None:
        params = message.params
        wanted, capabilities, info = params.get("protocolVersion"), params.get("capabilities"), params.get("clientInfo")
        if not isinstance(wanted, str) or not isinstance(capabilities, dict) or not isinstance(info, dict):
            raise RpcError(INVALID_PARAMS, "`initialize` needs protocolVersion, capabilities and clientInfo", status=200, id=message.id)
        if passage.session is None:
            raise RuntimeError("an unidentified passage came this far")
        version = wanted if wanted in LEGACY else LEGACY[0]
        client = ClientSession(passage.session, server, version, capabilities, self._outside)
        offered = await self._capabilities(client, server)
        if isinstance(offered, Refusal):
            refusal = await self._operations.api.pipeline.refuse(passage, offered)
            await call.respond_json(200, refused(message.id, refusal, passage.id), passage_headers(passage))
            return
        for crowded in self._sessions.add(client):
            await self._end(crowded)
        await self._sweep()
        name = server or "ostiary"
        answer = {"protocolVersion": version, "capabilities": offered, "serverInfo": {"name": name, "version": __version__}}
        headers = [(b"mcp-session-id", client.id.encode()), *passage_headers(passage)]
        await call.respond_json(200, result(message.id, answer), headers)

    async def _sweep(self) -> None:
        """End what nobody uses or may use, now and then."""
        now = time.monotonic()
        if now - self._swept_at > SWEEP_S:
            self._swept_at = now
            for stale in self._sessions.stale(lambda session: self._identity.standing(session, is_acting=False) is None):
                await self._end(stale)

    async def _capabilities(self, client: ClientSession, server: str) -> Mapping[str, Any] | Refusal:
        """Return what the door to a server carries; learned from the server, in the client's own session there."""
        if not server:
            return ALL_CAPABILITIES
        if not self._operations.touches(client.session, server):
            return nothing_lent(server)
        try:
            declared = (await self._operations.connection(server, client.session, client)).hello.capabilities
        except OstiaryError as failure:
            return refusal_of(failure)
        carried = {name: dict(declared[name]) for name in ALL_CAPABILITIES if isinstance(declared.get(name), dict)}
        if "tools" in carried:
            carried["tools"] = {"listChanged": True}
        return carried

    async def _request(self, call: Call, passage: Passage, client: ClientSession, message: Message) -> None:
        exchange = Exchange(call, passage, message, client.server, LegacyReply(call, passage, client), client)
        exchange.capabilities = client.capabilities
        task, key = asyncio.current_task(), message.id
        if task is None or key is None or key in client.under_way:
            raise RpcError(INVALID_REQUEST, "a request with this id is under way", status=200, id=key)
        client.under_way[key] = task
        try:
            body = await self._answered(exchange)
        except asyncio.CancelledError:
            if client.under_way.get(key) is task:
                raise
            task.uncancel()
            body = refused(key, refuse("cancelled", "the client cancelled the request"), passage.id)
        finally:
            if client.under_way.get(key) is task:
                del client.under_way[key]
        await exchange.reply.final(body)

    async def _answered(self, exchange: Exchange) -> dict[str, Any]:
        operation, message = self._methods.get(exchange.message.method), exchange.message
        pipeline, passage = self._operations.api.pipeline, exchange.passage
        if operation is None:
            refusal = await pipeline.refuse(passage, refuse("unknown_method", f"there is no method `{message.method[:64]}` here"))
            return refused(message.id, refusal, passage.id)
        try:
            return await operation(exchange)
        except RpcError as fault:
            refusal = await pipeline.refuse(passage, refuse("invalid_request", fault.message))
            return error(message.id, fault.code, fault.message, fault.data or refusal.problem(passage.id))
        except OstiaryError as failure:
            return refused(message.id, await pipeline.refuse(passage, refusal_of(failure)), passage.id)

    async def _ping(self, exchange: Exchange) -> dict[str, Any]:
        return result(exchange.message.id, {})

    async def _set_level(self, exchange: Exchange) -> dict[str, Any]:
        """Remember the level, and set it at the server of the path, in the client's own session there."""
        level = exchange.message.params.get("level")
        if level not in LEVELS or exchange.client is None:
            raise RpcError(INVALID_PARAMS, f"`level` must be one of {', '.join(sorted(LEVELS))}", status=200)
        exchange.client.log_level = level
        for server in [exchange.server] if exchange.server else sorted(exchange.client.servers):
            connection = await self._operations.reach(exchange, server)
            if not connection.is_modern and "logging" in connection.hello.capabilities:
                await connection.request("logging/setLevel", {"level": level})
        return result(exchange.message.id, {})

    async def _subscribe(self, exchange: Exchange) -> dict[str, Any]:
        """Subscribe in the client's own session; at a server of the stateless version, hold a stream for it."""
        client = exchange.client
        if client is None:
            raise RuntimeError("a subscription of the older versions needs a session")
        body = await self._operations.subscribe(exchange)
        if "error" in body:
            return body
        for server in list(client.servers):
            await (await self._operations.reach(exchange, server)).listen()
        return result(exchange.message.id, {})

    async def _unsubscribe(self, exchange: Exchange) -> dict[str, Any]:
        return await self._operations.unsubscribe(exchange)

    async def _notified(self, client: ClientSession, message: Message) -> None:
        if message.method == "notifications/cancelled":
            key = message.params.get("requestId")
            task = client.under_way.pop(key, None) if isinstance(key, str | int) else None
            if task is not None:
                task.cancel()
        elif message.method == "notifications/roots/list_changed":
            for server in client.servers:
                connection = await self._operations.connection(server, client.session, client, is_stateful=True)
                await connection.notify(message.method, {})

    def _client(self, call: Call, passage: Passage, server: str, message: Message) -> ClientSession:
        identifier = call.headers.get("mcp-session-id", "")
        if not identifier:
            raise RpcError(INVALID_REQUEST, "`Mcp-Session-Id` is missing: begin with `initialize`", id=message.id)
        client = self._sessions.find(identifier, passage.session, server) if passage.session is not None else None
        if client is None:
            raise RpcError(INVALID_REQUEST, "there is no such session: begin with `initialize`", status=404, id=message.id)
        version = call.headers.get("mcp-protocol-version", client.version)
        if version != client.version:
            text = f"header `MCP-Protocol-Version` is `{version}`, the session speaks `{client.version}`"
            raise RpcError(INVALID_REQUEST, text, id=message.id)
        return client

    async def _end(self, client: ClientSession) -> None:
        self._sessions.remove(client)
        await self._operations.upstreams.release(client.id)

    def _outside(self, client: ClientSession, server: str) -> Listener:
        return _Outside(self._operations, client, server)

    async def _follow(self, call: Call, passage: Passage, client: ClientSession, outlet: Outlet, last: int) -> None:
        """Write an outlet's events as they come, while the client is there and its session stands."""
        headers = [*STREAM_HEADERS, *passage_headers(passage), (b"mcp-session-id", client.id.encode())]
        await call.start(200, EVENT_STREAM, headers)
        await call.push(b": open\n\n")
        gone = asyncio.get_running_loop().create_task(call.gone())
        client.holder = holder = object() if outlet is client.standing else client.holder
        if outlet is client.standing:
            await self._hear(client)
        try:
            await self._write(call, client, outlet, last, gone=gone, holder=holder)
        finally:
            gone.cancel()
        if not gone.done() or gone.cancelled():
            await call.end()

    async def _write(
        self, call: Call, client: ClientSession, outlet: Outlet, last: int, *, gone: asyncio.Task[None], holder: object
    ) -> None:
        quiet = 0.0
        while not gone.done() and self._identity.standing(client.session, is_acting=False) is None:
            if outlet is client.standing and client.holder is not holder:
                return
            outlet.fresh.clear()
            for place, event in outlet.after(last):
                await call.push(event)
                last, quiet = place, 0.0
                if self._identity.standing(client.session, is_acting=False) is not None:
                    return
            if outlet.is_done:
                return
            try:
                async with asyncio.timeout(LOOK_S):
                    await outlet.fresh.wait()
            except TimeoutError:
                quiet += LOOK_S
            if quiet >= ALIVE_S:
                await call.push(b": alive\n\n")
                quiet = 0.0

    async def _hear(self, client: ClientSession) -> None:
        """Begin to hear what servers send this client outside its calls."""
        for server in list(client.servers):
            try:
                await (await self._operations.connection(server, client.session, client)).listen()
            except OstiaryError as failure:
                log.info("server %s is not heard: %s", server, failure.detail)


class _Outside:
    """What a server sends one client outside its calls: updates of what it subscribed to, and list changes."""

    def __init__(self, operations: Operations, client: ClientSession, server: str) -> None:
        self._operations, self._client, self._server = operations, client, server

    async def message(self, message: dict[str, Any]) -> dict[str, Any] | None:
        """Take one."""
        method, params = message["method"], message["params"]
        if "id" in message:
            return {"result": {}} if method == "ping" else {"error": {"code": -32601, "message": "questions belong to calls"}}
        if method.endswith("/list_changed") and self._operations.upstreams.on_change is not None:
            await self._operations.upstreams.on_change(self._server, method)
        elif method == "notifications/resources/updated" and isinstance(params.get("uri"), str):
            uri = params["uri"]
            if self._operations.api.release_update(self._client.session, self._server, uri):
                shown = uri if self._client.server else joined_uri(self._server, uri)
                self._client.standing.put({"jsonrpc": "2.0", "method": method, "params": {"uri": shown}})
        return None

    async def paused(self, retry_ms: int) -> None:
        """No call waits here."""

    def opened(self) -> None:
        """No call waits here."""
