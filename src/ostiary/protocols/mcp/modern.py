"""MCP 2026-07-28: every request stands alone, closing its stream cancels it, and changes come on `subscriptions/listen`."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from ostiary import __version__
from ostiary.core.decision import Refusal, refusal_of, refuse
from ostiary.core.errors import OstiaryError
from ostiary.core.pipeline import Passage
from ostiary.core.ports import Identity
from ostiary.protocols.mcp.exchange import Exchange, ModernReply
from ostiary.protocols.mcp.headers import META_CAPABILITIES, check
from ostiary.protocols.mcp.listening import Listening
from ostiary.protocols.mcp.message import INVALID_REQUEST, MODERN_STATUS, VERSIONS, Message, RpcError, error, nothing_lent, refused, result
from ostiary.protocols.mcp.operations import Operations
from ostiary.protocols.wire import Call, passage_headers

WATCH_AFTER_S: Final = 0.02
"""A request still under way after this is watched for its client's leaving; quicker ones save the task."""
ALL_CAPABILITIES: Final[Mapping[str, Any]] = {
    "tools": {"listChanged": True},
    "resources": {"subscribe": True, "listChanged": True},
    "prompts": {"listChanged": True},
    "completions": {},
}
Operation = Callable[[Exchange], Awaitable[dict[str, Any]]]


class Modern:
    """Serves the stateless version."""

    def __init__(self, operations: Operations, identity: Identity) -> None:
        self._operations = operations
        self._listening = Listening(operations, identity)
        self._methods: Mapping[str, Operation] = {
            "server/discover": self._discover,
            "tools/list": operations.tools,
            "tools/call": operations.call_tool,
            "resources/list": operations.listing,
            "resources/templates/list": operations.listing,
            "resources/read": operations.read_resource,
            "prompts/list": operations.listing,
            "prompts/get": operations.get_prompt,
            "completion/complete": operations.complete,
        }

    async def post(self, call: Call, passage: Passage, server: str, message: Message) -> None:
        """Serve one message."""
        if message.reply is not None:
            raise RpcError(INVALID_REQUEST, "clients send no responses in this version", id=message.id)
        if not message.is_request:
            await call.respond(202, b"", headers=passage_headers(passage))
            return
        check(call, message)
        exchange = Exchange(call, passage, message, server, ModernReply(call, passage))
        exchange.capabilities = message.params["_meta"][META_CAPABILITIES]
        if message.method == "subscriptions/listen":
            await self._listening.serve(exchange)
            return
        await self._request(exchange)

    def changed(self, server: str, method: str) -> None:
        """Tell those who listen that a list changed."""
        self._listening.changed(server, method)

    def close(self) -> None:
        """End every open stream."""
        self._listening.close()

    async def _request(self, exchange: Exchange) -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        watching: list[asyncio.Task[None]] = []

        async def watch() -> None:
            await exchange.call.gone()
            exchange.is_given_up = True
            if task is not None:
                task.cancel()

        timer = loop.call_later(WATCH_AFTER_S, lambda: watching.append(loop.create_task(watch())))
        try:
            body = await self._answered(exchange)
        except asyncio.CancelledError:
            if not exchange.is_given_up or task is None:
                raise
            task.uncancel()
            return
        finally:
            timer.cancel()
            for watcher in watching:
                watcher.cancel()
        await exchange.reply.final(body, exchange.status)

    async def _answered(self, exchange: Exchange) -> dict[str, Any]:
        operation, message = self._methods.get(exchange.message.method), exchange.message
        pipeline, passage = self._operations.api.pipeline, exchange.passage
        if operation is None:
            exchange.status = 404
            refusal = await pipeline.refuse(passage, refuse("unknown_method", f"there is no method `{message.method[:64]}` here"))
            return refused(message.id, refusal, passage.id)
        try:
            return await operation(exchange)
        except RpcError as fault:
            exchange.status = MODERN_STATUS.get(fault.code, 200)
            refusal = await pipeline.refuse(passage, refuse("invalid_request", fault.message))
            return error(message.id, fault.code, fault.message, fault.data or refusal.problem(passage.id))
        except OstiaryError as failure:
            return refused(message.id, await pipeline.refuse(passage, refusal_of(failure)), passage.id)

    async def _discover(self, exchange: Exchange) -> dict[str, Any]:
        """`server/discover`: the versions we serve, and what the server of the path can do."""
        offered = await self._capabilities(exchange)
        if isinstance(offered, Refusal):
            refusal = await self._operations.api.pipeline.refuse(exchange.passage, offered)
            return refused(exchange.message.id, refusal, exchange.passage.id)
        answer = {
            "resultType": "complete",
            "supportedVersions": list(VERSIONS),
            "capabilities": offered,
            "ttlMs": 0,
            "cacheScope": "private",
            "_meta": {"io.modelcontextprotocol/serverInfo": {"name": exchange.server or "ostiary", "version": __version__}},
        }
        return result(exchange.message.id, answer)

    async def _capabilities(self, exchange: Exchange) -> Mapping[str, Any] | Refusal:
        if not exchange.server:
            return ALL_CAPABILITIES
        if not self._operations.touches(exchange.session, exchange.server):
            return nothing_lent(exchange.server)
        declared = (await self._operations.reach(exchange, exchange.server)).hello.capabilities
        carried = {name: dict(declared[name]) for name in ALL_CAPABILITIES if isinstance(declared.get(name), dict)}
        if "tools" in carried:
            carried["tools"] = {"listChanged": True}
        return carried
