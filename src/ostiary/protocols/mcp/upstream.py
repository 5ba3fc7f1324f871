"""The other side of the MCP door: what a connection to a server is, and which one a caller's request takes."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ostiary.core.errors import NotFound, UpstreamUnavailable
from ostiary.core.ports import RegistrySource
from ostiary.core.quick import quick
from ostiary.core.registry import Registry, Server
from ostiary.core.subject import Session

log = logging.getLogger("ostiary.mcp.upstream")

MAX_PRIVATE = 4096
IDLE_S = 900.0
"""A private connection that was not asked for so long is closed."""
MAX_PRIVATE_PROCESSES = 32
"""Children started for single sessions, over all servers."""
MAX_PROCESSES_OF_ONE = 4
"""Of them, for one lent session."""
FIRST_BACKOFF_S, MAX_BACKOFF_S = 0.1, 10.0


class WrongEra(UpstreamUnavailable):
    """The server speaks MCP, but not the kind of version asked for."""


class SessionLost(UpstreamUnavailable):
    """The server no longer knows our session; the request was not executed and may be sent anew."""


class Listener(Protocol):
    """Who hears what a server sends before, or beside, its answer."""

    async def message(self, message: dict[str, Any]) -> dict[str, Any] | None:
        """Take a notification (returns None) or a request (returns `{"result": …}` or `{"error": …}`)."""
        ...

    async def paused(self, retry_ms: int) -> None:
        """The server closed the stream and wants to be asked again later (SSE polling)."""
        ...

    def opened(self) -> None:
        """The server answers with a stream."""
        ...


class Deaf:
    """Hears nothing and answers no request."""

    async def message(self, message: dict[str, Any]) -> dict[str, Any] | None:
        """Refuse requests but `ping`, drop notifications."""
        if message.get("method") == "ping" and "id" in message:
            return {"result": {}}
        return {"error": {"code": -32601, "message": "not supported here"}} if "id" in message else None

    async def paused(self, retry_ms: int) -> None:
        """Nothing to do."""

    def opened(self) -> None:
        """Nothing to do."""


@quick
@dataclass(frozen=True, slots=True)
class Offer:
    """What we say we can do when connecting with `initialize`."""

    version: str = "2025-11-25"
    capabilities: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hello:
    """What a server said of itself."""

    version: str
    capabilities: Mapping[str, Any]
    info: Mapping[str, Any]

    @property
    def software(self) -> str:
        """What the server calls itself, name and version."""
        return " ".join(str(self.info[part])[:128] for part in ("name", "version") if isinstance(self.info.get(part), str))


class Connection(Protocol):
    """One connection to one server, negotiated. Bounded in size and time; raises UpstreamUnavailable."""

    hello: Hello
    peer_key: str
    """SHA-256 (hex) of the public key in the server's certificate; empty without one."""
    is_modern: bool
    is_shared: bool
    """True when several callers use it: what cannot be told to belong to one call is then handed to none."""

    @property
    def is_open(self) -> bool:
        """Say whether requests may be sent."""
        ...

    async def request(
        self, method: str, params: dict[str, Any], listener: Listener | None = None, headers: Sequence[tuple[str, str]] = ()
    ) -> dict[str, Any]:
        """Send a request and return `{"result": …}` or `{"error": …}`. Cancelling cancels it upstream."""
        ...

    async def notify(self, method: str, params: dict[str, Any]) -> None:
        """Send a notification."""
        ...

    async def listen(self) -> None:
        """Begin to hear what the server sends outside requests; it goes to the listener given on dialling."""
        ...

    async def follow(self, params: dict[str, Any], listener: Listener) -> None:
        """Hold a `subscriptions/listen` of the stateless version until the server ends it; cancel to leave."""
        ...

    async def close(self) -> None:
        """End it, and whatever it started."""
        ...


class Dial(Protocol):
    """Opens connections; `app` chooses how. `modern` None takes the newest version both speak."""

    async def __call__(self, server: Server, *, modern: bool | None, offer: Offer, outside: Listener) -> Connection:
        """Return a negotiated connection. Raises WrongEra, UpstreamUnavailable."""
        ...


@dataclass(slots=True)
class _Failure:
    until: float = 0.0
    pause_s: float = FIRST_BACKOFF_S


class Upstreams:
    """Keeps one shared connection a server, and private ones where a session's state lives upstream.

    A private connection belongs to its owner key alone and is never handed to another.
    """

    def __init__(
        self, dial: Dial, source: RegistrySource, on_change: Callable[[str, str], Coroutine[Any, Any, None]] | None = None
    ) -> None:
        self._dial = dial
        self._source = source
        self._shared: dict[str, Connection] = {}
        self._private: OrderedDict[tuple[str, str], Connection] = OrderedDict()
        self._used_at: dict[tuple[str, str], float] = {}
        self._holders: dict[tuple[str, str], tuple[str, str]] = {}
        """Agent and lent session of each private connection, open or being opened."""
        self._locks: dict[tuple[str, str], asyncio.Lock] = {}
        self._failures: dict[tuple[str, str], _Failure] = {}
        self._declared: dict[str, Server] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.on_change = on_change
        """Called with (server, notification method) when a shared connection hears that a list changed."""

    def server(self, name: str) -> Server:
        """Return a registered server. Raises NotFound."""
        server = self._source.registry.servers.get(name)
        if server is None:
            raise NotFound(f"there is no server `{name}`, or none you may see")
        return server

    async def shared(self, name: str) -> Connection:
        """Return the connection that requests without state share, in the newest version the server speaks."""
        connection = self._shared.get(name)
        if connection is not None and connection.is_open and self._declared.get(name) is self._source.registry.servers.get(name):
            return connection
        async with self._locks.setdefault((name, ""), asyncio.Lock()):
            server = self.server(name)
            connection = self._shared.get(name)
            if connection is not None and connection.is_open and self._declared.get(name) is server:
                return connection
            if connection is not None:
                await self._drop_server(name)
            connection = await self._open(name, "", modern=None, offer=Offer(), outside=_Changes(self, name))
            await self._still(name, server, connection)
            connection.is_shared = True
            self._shared[name], self._declared[name] = connection, server
            if _announces_changes(connection.hello):
                self.spawn(connection.listen())
            return connection

    async def private(
        self, name: str, owner: str, session: Session, *, offer: Offer, outside: Listener, prefers_modern: bool = False
    ) -> Connection:
        """Return the owner's own connection, opened with `initialize` where the server knows it and nothing newer is preferred.

        `session` is the lent session the owner belongs to: what it and its agent have open is counted together, from before it is opened.
        """
        key = (name, owner)
        connection = self._private.get(key)
        if connection is not None and connection.is_open and self._declared.get(name) is self._source.registry.servers.get(name):
            self._private.move_to_end(key)
            self._used_at[key] = asyncio.get_running_loop().time()
            return connection
        await self._sweep()
        newest = await self.shared(name)
        async with self._locks.setdefault(key, asyncio.Lock()):
            connection = self._private.get(key)
            if connection is not None and connection.is_open:
                return connection
            self._check_room(key, session)
            self._holders[key] = (session.subject.actor.name, session.id)
            server = self.server(name)
            try:
                modern = prefers_modern and newest.is_modern
                connection = await self._open_either(name, owner, modern=modern, offer=offer, outside=outside)
                await self._still(name, server, connection)
            except BaseException:
                self._holders.pop(key, None)
                raise
            self._private[key], self._used_at[key] = connection, asyncio.get_running_loop().time()
            return connection

    def has_private(self, name: str, owner: str) -> bool:
        """Say whether the owner has a connection of its own."""
        return (name, owner) in self._private

    async def release(self, owner: str) -> None:
        """Close everything that belongs to an owner."""
        for key in [key for key in self._private if key[1] == owner]:
            await self._end(key)

    async def _end(self, key: tuple[str, str]) -> None:
        self._locks.pop(key, None)
        self._used_at.pop(key, None)
        self._failures.pop(key, None)
        self._holders.pop(key, None)
        await self._private.pop(key).close()

    async def _sweep(self) -> None:
        """Close private connections that nobody used for long; the least recently used stand first."""
        old = asyncio.get_running_loop().time() - IDLE_S
        while self._private and self._used_at.get(next(iter(self._private)), 0.0) < old:
            await self._end(next(iter(self._private)))

    async def close(self) -> None:
        """Close every connection."""
        for task in list(self._tasks):
            task.cancel()
        connections = [*self._shared.values(), *self._private.values()]
        self._shared.clear()
        self._private.clear()
        for connection in connections:
            await connection.close()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something beside the requests; its failure is logged, not raised."""
        task = asyncio.get_running_loop().create_task(_quietly(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _open(self, name: str, owner: str, *, modern: bool | None, offer: Offer, outside: Listener) -> Connection:
        server, now = self.server(name), asyncio.get_running_loop().time()
        failure = self._failures.setdefault((name, owner), _Failure())
        if server.command and failure.until > now:
            raise UpstreamUnavailable(f"server `{name}` failed a moment ago and is left alone for {failure.until - now:.1f} s")
        try:
            connection = await self._dial(server, modern=modern, offer=offer, outside=outside)
        except WrongEra:
            raise
        except Exception:
            failure.until, failure.pause_s = now + failure.pause_s, min(MAX_BACKOFF_S, failure.pause_s * 2)
            raise
        self._failures.pop((name, owner), None)
        return connection

    async def _open_either(self, name: str, owner: str, *, modern: bool, offer: Offer, outside: Listener) -> Connection:
        try:
            return await self._open(name, owner, modern=modern, offer=offer, outside=outside)
        except WrongEra:
            return await self._open(name, owner, modern=True, offer=offer, outside=outside)

    async def _still(self, name: str, server: Server, connection: Connection) -> None:
        """Close a connection that was opened while its server was retired or declared anew. Raises UpstreamUnavailable."""
        if self._source.registry.servers.get(name) is not server:
            await connection.close()
            raise UpstreamUnavailable(f"server `{name}` was changed a moment ago; try again")

    def _check_room(self, key: tuple[str, str], session: Session) -> None:
        """Leave room for others: one agent holds half of all connections and processes at most, over all its sessions."""
        agent, held = session.subject.actor.name, {each: holder for each, holder in self._holders.items() if each != key}
        if len(held) >= MAX_PRIVATE or sum(holder[0] == agent for holder in held.values()) >= MAX_PRIVATE // 2:
            raise UpstreamUnavailable("too many connections are open for single sessions")
        if not self.server(key[0]).command:
            return
        processes = [holder for (name, _), holder in held.items() if name in self._declared and self._declared[name].command]
        of_agent = [holder for holder in processes if holder[0] == agent]
        if (
            len(processes) >= MAX_PRIVATE_PROCESSES
            or len(of_agent) >= MAX_PRIVATE_PROCESSES // 2
            or sum(holder[1] == session.id for holder in of_agent) >= MAX_PROCESSES_OF_ONE
        ):
            raise UpstreamUnavailable("too many processes run for single sessions: end one with DELETE")

    async def _drop_server(self, name: str) -> None:
        """The server died or is declared otherwise now: nothing opened before may be used."""
        connections = [self._shared.pop(name)] if name in self._shared else []
        if self._declared.get(name) is not self._source.registry.servers.get(name):
            keys = [key for key in self._private if key[0] == name]
            connections += [self._private.pop(key) for key in keys]
            for key in keys:
                self._holders.pop(key, None)
        for connection in connections:
            await connection.close()

    def forget_undeclared(self, registry: Registry) -> None:
        """Close what leads to servers that are no longer registered as they were."""
        changed = [name for name, server in self._declared.items() if registry.servers.get(name) is not server]
        for name in changed:
            self._failures.pop((name, ""), None)
            self.spawn(self._drop_server(name))


class _Changes(Deaf):
    """Hears list changes on a shared connection."""

    def __init__(self, upstreams: Upstreams, server: str) -> None:
        self._upstreams, self._server = upstreams, server

    async def message(self, message: dict[str, Any]) -> dict[str, Any] | None:
        method = message.get("method", "")
        if "id" not in message and method.endswith("/list_changed") and self._upstreams.on_change is not None:
            await self._upstreams.on_change(self._server, method)
        return await super().message(message)


def _announces_changes(hello: Hello) -> bool:
    return any(isinstance(offered, Mapping) and offered.get("listChanged") for offered in hello.capabilities.values())


async def _quietly(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except Exception as error:
        log.warning("work beside the requests failed: %s", error)
