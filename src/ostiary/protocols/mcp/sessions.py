"""MCP sessions of the older versions: bound to one lent session, with their streams, questions and calls under way."""

import asyncio
import logging
import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any, Final

from ostiary.core.errors import OstiaryError
from ostiary.core.subject import Session
from ostiary.protocols.mcp.message import Id
from ostiary.protocols.mcp.questions import relayed
from ostiary.protocols.mcp.upstream import Listener
from ostiary.protocols.wire import encode

log = logging.getLogger("ostiary.mcp.sessions")

MAX_SESSIONS: Final = 10_000
MAX_PER_OWNER: Final = 32
IDLE_S: Final = 3600.0
SWEEP_S: Final = 30.0
MAX_OUTLETS: Final = 16
MAX_FOLLOWERS: Final = 8
"""Streams a client may hold open with GET."""
MAX_KEPT: Final = 256
MAX_KEPT_BYTES: Final = 256 * 1024
QUESTION_S: Final = 240.0
RETRY_MS: Final = 1000


class Outlet:
    """One SSE stream to a client. Keeps its newest events, so that it can be resumed with `Last-Event-ID`."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.is_done = False
        self.fresh = asyncio.Event()
        self._events: deque[tuple[int, bytes]] = deque()
        self._size = 0
        self._last = 0

    @property
    def last(self) -> int:
        """The place of the newest event."""
        return self._last

    def put(self, message: Mapping[str, Any]) -> bytes:
        """Take a message; return it as an event."""
        return self._keep(b"event: message\ndata: " + encode(message) + b"\n\n")

    def prime(self, retry_ms: int) -> bytes:
        """Return the empty event with which a client can come back."""
        return self._keep(b"retry: %d\ndata: \n\n" % retry_ms)

    def after(self, last: int) -> list[tuple[int, bytes]]:
        """Return the events kept after one."""
        return [event for event in self._events if event[0] > last]

    def finish(self) -> None:
        """No more will come."""
        self.is_done = True
        self.fresh.set()

    def _keep(self, event: bytes) -> bytes:
        self._last += 1
        event = b"id: %d-%d\n%b" % (self.number, self._last, event)
        self._events.append((self._last, event))
        self._size += len(event)
        while len(self._events) > 1 and (len(self._events) > MAX_KEPT or self._size > MAX_KEPT_BYTES):
            self._size -= len(self._events.popleft()[1])
        self.fresh.set()
        return event


class ClientSession:
    """What `initialize` began."""

    def __init__(
        self, session: Session, server: str, version: str, capabilities: Mapping[str, Any], hear: Callable[["ClientSession", str], Listener]
    ) -> None:
        self.id = secrets.token_hex(16)
        self.session = session
        self.server = server
        """The server of the path; empty on the door to all."""
        self.version = version
        self.capabilities = capabilities
        self.log_level = ""
        self.hear = partial(hear, self)
        self.outside: dict[str, Listener] = {}
        self.servers: set[str] = set()
        """Where it has had a connection of its own."""
        self.standing = Outlet(0)
        """What belongs to no call: updates, list changes."""
        self.followers = 0
        self.holder: object = None
        """Who reads `standing` now; the newest wins."""
        self.under_way: dict[Id, asyncio.Task[Any]] = {}
        self.used_at = time.monotonic()
        self.followed: dict[tuple[str, str], asyncio.Task[None]] = {}
        """Subscriptions held at servers of the stateless version, by server and address."""
        self._outlets: OrderedDict[int, Outlet] = OrderedDict()
        self._questions: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._count = 0

    @property
    def offer(self) -> dict[str, Any]:
        """What we may say upstream that this client can do: only what we relay."""
        return relayed(self.capabilities)

    def outside_of(self, server: str) -> Listener:
        """Return the listener for what a server sends this client outside its calls."""
        return self.outside[server] if server in self.outside else self.outside.setdefault(server, self.hear(server))

    def open_outlet(self) -> Outlet:
        """Begin a stream for one call."""
        self._count += 1
        outlet = self._outlets[self._count] = Outlet(self._count)
        while len(self._outlets) > MAX_OUTLETS:
            self._outlets.popitem(last=False)[1].finish()
        return outlet

    def outlet_of(self, event_id: str) -> tuple[Outlet, int] | None:
        """Return the stream an event belongs to, and its place there."""
        number, _, place = event_id.partition("-")
        if not (number.isdigit() and place.isdigit() and len(event_id) < 32):
            return None
        outlet = self.standing if int(number) == 0 else self._outlets.get(int(number))
        return (outlet, int(place)) if outlet is not None else None

    async def ask(self, put: Any, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Put a question to the client through `put` and return its reply. Raises TimeoutError."""
        identifier = f"ostiary-{secrets.token_hex(8)}"
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._questions[identifier] = future
        try:
            await put({"jsonrpc": "2.0", "id": identifier, "method": method, "params": params})
            async with asyncio.timeout(QUESTION_S):
                return await future
        finally:
            self._questions.pop(identifier, None)

    def answered(self, identifier: Id | None, reply: dict[str, Any]) -> bool:
        """Take the client's reply to a question; False when none such is open."""
        future = self._questions.get(identifier) if isinstance(identifier, str) else None
        if future is None or future.done():
            return False
        future.set_result(reply)
        return True

    def follow(self, server: str, uri: str, work: Coroutine[Any, Any, None]) -> None:
        """Hold a subscription at a server of the stateless version until it is given up."""
        earlier = self.followed.pop((server, uri), None)
        if earlier is not None:
            earlier.cancel()
        task = self.followed[server, uri] = asyncio.get_running_loop().create_task(_followed(work))
        task.add_done_callback(lambda done: self.followed.get((server, uri)) is done and self.followed.pop((server, uri)))

    def end(self) -> None:
        """Stop all that waits."""
        for task in list(self.under_way.values()):
            task.cancel()
        for task in self.followed.values():
            task.cancel()
        for future in self._questions.values():
            future.cancel()
        for outlet in (self.standing, *self._outlets.values()):
            outlet.finish()


async def _followed(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except OstiaryError as failure:
        log.info("a subscription ended: %s", failure.detail)


class ClientSessions:
    """All of them. A session id opens nothing without the token it was given to."""

    def __init__(self) -> None:
        self._sessions: OrderedDict[str, ClientSession] = OrderedDict()

    def add(self, session: ClientSession) -> list[ClientSession]:
        """Take a session in; return those that had to make room."""
        self._sessions[session.id] = session
        mine = [other for other in self._sessions.values() if other.session.id == session.session.id]
        crowded = mine[: len(mine) - MAX_PER_OWNER] if len(mine) > MAX_PER_OWNER else []
        if len(self._sessions) > MAX_SESSIONS and not crowded:
            crowded = [next(iter(self._sessions.values()))]
        for other in crowded:
            self.remove(other)
        return crowded

    def find(self, identifier: str, session: Session, server: str) -> ClientSession | None:
        """Return the session of that id if it belongs to this lent session and path."""
        found = self._sessions.get(identifier)
        if found is None or found.session.id != session.id or found.server != server:
            return None
        self._sessions.move_to_end(identifier)
        found.used_at = time.monotonic()
        return found

    def stale(self, stands: Callable[[Session], bool]) -> list[ClientSession]:
        """Take out and return those that are idle, or whose lent session no longer stands."""
        old = time.monotonic() - IDLE_S
        found = [other for other in self._sessions.values() if other.used_at < old or not stands(other.session)]
        for other in found:
            self.remove(other)
        return found

    def remove(self, session: ClientSession) -> None:
        """End a session."""
        self._sessions.pop(session.id, None)
        session.end()

    def all(self) -> list[ClientSession]:
        """Return all sessions."""
        return list(self._sessions.values())
