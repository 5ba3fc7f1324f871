"""`subscriptions/listen`: one stream of the changes a client of the stateless version asked to hear of."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from ostiary.boundaries.agent_api import Answered
from ostiary.core.action import Action
from ostiary.core.decision import Refusal, refuse
from ostiary.core.ids import new_id
from ostiary.core.pipeline import Passage
from ostiary.core.ports import Identity
from ostiary.core.subject import Session
from ostiary.protocols.mcp.exchange import Exchange
from ostiary.protocols.mcp.headers import META_SUBSCRIPTION
from ostiary.protocols.mcp.message import INVALID_PARAMS, RpcError, nothing_lent, refused, result
from ostiary.protocols.mcp.naming import joined_uri, split_uri
from ostiary.protocols.mcp.operations import Operations
from ostiary.protocols.mcp.upstream import Deaf, Offer

MAX_OPEN: Final = 1000
MAX_OPEN_OF_AGENT: Final = 250
"""Over all its sessions, so that no agent takes every place by opening more of them."""
MAX_OPEN_OF_ONE: Final = 16
MAX_WAITING: Final = 256
MAX_URIS: Final = 64
LOOK_S, ALIVE_S = 0.25, 15.0
_LISTS: Final[Mapping[str, str]] = {
    "toolsListChanged": "notifications/tools/list_changed",
    "promptsListChanged": "notifications/prompts/list_changed",
    "resourcesListChanged": "notifications/resources/list_changed",
}


class _Subscription:
    """One open stream and what still has to be written to it."""

    def __init__(self, exchange: Exchange, wanted: dict[str, Any]) -> None:
        self.exchange = exchange
        self.methods = frozenset(_LISTS[name] for name in _LISTS if wanted.get(name))
        self.waiting: asyncio.Queue[dict[str, Any]] = asyncio.Queue(MAX_WAITING)
        self.is_ended = False

    def put(self, method: str, params: Mapping[str, Any]) -> None:
        """Queue a notification; a client that does not read loses its stream, not our memory."""
        meta = {META_SUBSCRIPTION: self.exchange.message.id}
        try:
            self.waiting.put_nowait({"jsonrpc": "2.0", "method": method, "params": {**params, "_meta": meta}})
        except asyncio.QueueFull:
            self.is_ended = True


class Listening:
    """All open `subscriptions/listen` streams."""

    def __init__(self, operations: Operations, identity: Identity) -> None:
        self._operations = operations
        self._identity = identity
        self._open: set[_Subscription] = set()

    async def serve(self, exchange: Exchange) -> None:
        """Acknowledge, then write changes until either side leaves or the session no longer stands."""
        wanted = _wanted(exchange)
        if self._is_full(exchange.session):
            await self._refuse(exchange, refuse("rate_limited", "too many subscriptions are open"))
            return
        if exchange.server and not self._operations.touches(exchange.session, exchange.server):
            await self._refuse(exchange, nothing_lent(exchange.server))
            return
        subscription = _Subscription(exchange, wanted)
        self._open.add(subscription)
        owner = f"listen:{new_id()}"
        try:
            allowed = await self._subscribe(subscription, wanted.pop("resourceSubscriptions", []), owner)
            if isinstance(allowed, Refusal):
                await self._refuse(exchange, allowed)
                return
            if allowed:
                wanted["resourceSubscriptions"] = allowed
            subscription.put("notifications/subscriptions/acknowledged", {"notifications": wanted})
            await self._write(subscription)
        finally:
            subscription.is_ended = True
            self._open.discard(subscription)
            await self._operations.upstreams.release(owner)

    def _is_full(self, session: Session) -> bool:
        others = [other.exchange.session for other in self._open]
        mine = sum(other.id == session.id for other in others)
        of_agent = sum(other.subject.actor.id == session.subject.actor.id for other in others)
        return len(others) >= MAX_OPEN or mine >= MAX_OPEN_OF_ONE or of_agent >= MAX_OPEN_OF_AGENT

    def changed(self, server: str, method: str) -> None:
        """Tell those who asked for it that a list of a server changed."""
        for subscription in list(self._open):
            exchange = subscription.exchange
            concerns = exchange.server == server or (not exchange.server and self._operations.touches(exchange.session, server))
            if concerns and method in subscription.methods:
                subscription.put(method, {})

    def close(self) -> None:
        """End every stream."""
        for subscription in self._open:
            subscription.is_ended = True

    async def _write(self, subscription: _Subscription) -> None:
        exchange, quiet = subscription.exchange, 0.0
        gone = asyncio.get_running_loop().create_task(exchange.call.gone())
        try:
            while not (gone.done() or subscription.is_ended) and self._identity.standing(exchange.session, is_acting=False) is None:
                try:
                    async with asyncio.timeout(LOOK_S):
                        message = await subscription.waiting.get()
                except TimeoutError:
                    quiet += LOOK_S
                    if quiet >= ALIVE_S:
                        await exchange.call.push(b": alive\n\n")
                        quiet = 0.0
                    continue
                if self._identity.standing(exchange.session, is_acting=False) is None:
                    await exchange.reply.event(message)
        finally:
            gone.cancel()
        meta = {META_SUBSCRIPTION: exchange.message.id}
        await exchange.reply.final(result(exchange.message.id, {"resultType": "complete", "_meta": meta}))

    async def _subscribe(self, subscription: _Subscription, uris: list[str], owner: str) -> list[str] | Refusal:
        """Subscribe upstream to each resource the session may read; every one is decided and recorded as a read."""
        by_server: dict[str, list[str]] = {}
        exchange = subscription.exchange
        for uri in uris:
            server, plain = (exchange.server, uri) if exchange.server else split_uri(uri)
            self._operations.upstreams.server(server)
            passage = Passage(exchange.passage.credential, session=exchange.session)
            outcome = await self._operations.api.perform(passage, self._operations.api.read_resource(server, plain), _nothing)
            if isinstance(outcome, Refusal):
                return outcome
            by_server.setdefault(server, []).append(plain)
        for server, plain_uris in by_server.items():
            await self._follow(subscription, server, plain_uris, owner)
        return uris

    async def _follow(self, subscription: _Subscription, server: str, uris: list[str], owner: str) -> None:
        hearer = _Updates(subscription, server, frozenset(uris))
        shared = await self._operations.upstreams.shared(server)
        if shared.is_modern:
            params = {"notifications": {"resourceSubscriptions": uris}}
            self._operations.upstreams.spawn(_until_ended(shared.follow(params, hearer), subscription))
            return
        connection = await self._operations.upstreams.private(server, owner, subscription.exchange.session, offer=Offer(), outside=hearer)
        for uri in uris:
            await connection.request("resources/subscribe", {"uri": uri})
        await connection.listen()

    async def _refuse(self, exchange: Exchange, refusal: Refusal) -> None:
        refusal = await self._operations.api.pipeline.refuse(exchange.passage, refusal)
        await exchange.reply.final(refused(exchange.message.id, refusal, exchange.passage.id))


class _Updates(Deaf):
    """Hears updates of resources for one stream."""

    def __init__(self, subscription: _Subscription, server: str, uris: frozenset[str]) -> None:
        self._subscription, self._server, self._uris = subscription, server, uris

    async def message(self, message: dict[str, Any]) -> dict[str, Any] | None:
        """Hand on an update of a resource that was asked for."""
        uri = message["params"].get("uri")
        if message["method"] == "notifications/resources/updated" and uri in self._uris:
            shown = uri if self._subscription.exchange.server else joined_uri(self._server, uri)
            self._subscription.put("notifications/resources/updated", {"uri": shown})
        return await super().message(message)


def _wanted(exchange: Exchange) -> dict[str, Any]:
    given = exchange.message.params.get("notifications")
    if not isinstance(given, dict):
        raise RpcError(INVALID_PARAMS, "`notifications` must be an object", id=exchange.message.id)
    wanted: dict[str, Any] = {name: True for name in _LISTS if given.get(name) is True}
    uris = given.get("resourceSubscriptions", [])
    if not isinstance(uris, list) or len(uris) > MAX_URIS or not all(isinstance(uri, str) and uri for uri in uris):
        raise RpcError(INVALID_PARAMS, f"`resourceSubscriptions` must be a list of at most {MAX_URIS} addresses", id=exchange.message.id)
    if uris:
        wanted["resourceSubscriptions"] = list(dict.fromkeys(uris))
    return wanted


async def _nothing(action: Action) -> Answered:
    """A subscription reads nothing by itself."""
    del action
    return Answered({})


async def _until_ended(work: Any, subscription: _Subscription) -> None:
    """Run an upstream subscription as long as the client's stream is open."""
    task = asyncio.ensure_future(work)
    try:
        while not task.done() and not subscription.is_ended:
            await asyncio.wait({task}, timeout=LOOK_S)
        if task.done():
            task.result()
    finally:
        task.cancel()
        subscription.is_ended = True
