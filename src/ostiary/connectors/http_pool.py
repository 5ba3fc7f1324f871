"""Keeps connections to one origin: capped, reused newest first, with bounded waiting for a free one."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from ostiary.connectors.http_connection import Connection
from ostiary.core.errors import UpstreamUnavailable

Connect = Callable[[Callable[[Connection], None], Callable[[Connection], None]], Awaitable[Connection]]


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """What one origin may take up. An open stream holds its connection, so the cap bounds streams too."""

    connections: int = 640
    waiting: int = 1024
    wait_s: float = 10.0
    idle_s: float = 30.0


class Pool:
    """The connections to one origin."""

    def __init__(self, connect: Connect, limits: PoolLimits) -> None:
        self._connect = connect
        self._limits = limits
        self._idle: list[Connection] = []
        self._open = 0
        self._waiters: deque[asyncio.Future[Connection | None]] = deque()
        self._loop = asyncio.get_running_loop()
        self._all: set[Connection] = set()

    @property
    def is_empty(self) -> bool:
        """Say whether nothing is open or wanted."""
        return not self._open and not self._waiters

    def take(self) -> Connection | None:
        """Return an idle connection, if there is one that still stands."""
        now = self._loop.time()
        while self._idle:
            connection = self._idle.pop()
            if now - connection.free_since > connection.keeps_s:
                connection.close()
            elif not connection.is_closed:
                return connection
        return None

    async def acquire(self) -> Connection:
        """Return a connection: idle, new, or the next to be free. Raises UpstreamUnavailable."""
        until = self._loop.time() + self._limits.wait_s
        while True:
            connection = self.take()
            if connection is not None:
                return connection
            if self._open < self._limits.connections:
                return await self._dial()
            handed = await self._wait(until)
            if handed is not None and not handed.is_closed:
                return handed

    def expire(self) -> None:
        """Close what has been idle too long."""
        before = self._loop.time() - self._limits.idle_s
        for connection in [idle for idle in self._idle if idle.free_since < before]:
            self._idle.remove(connection)
            connection.close()

    def close(self) -> None:
        """Close everything, and wake those who wait: they fail."""
        self._limits = PoolLimits(connections=0, waiting=0)
        for connection in list(self._all):
            connection.abort()
        self._idle.clear()
        while self._waiters:
            self._wake(None)

    async def _dial(self) -> Connection:
        self._open += 1
        try:
            connection = await self._connect(self._freed, self._lost)
        except BaseException:
            self._open -= 1
            self._wake(None)
            raise
        self._all.add(connection)
        if connection.is_closed:
            self._lost(connection)
        return connection

    async def _wait(self, until: float) -> Connection | None:
        if len(self._waiters) >= self._limits.waiting:
            raise UpstreamUnavailable("too many calls wait for a connection to the upstream", status=503)
        waiter: asyncio.Future[Connection | None] = self._loop.create_future()
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout_at(until):
                return await waiter
        except BaseException as error:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
            if waiter.done() and not waiter.cancelled():
                self._pass_on(waiter.result())
            if isinstance(error, TimeoutError):
                raise UpstreamUnavailable("no connection to the upstream came free in time", status=503) from None
            raise

    def _pass_on(self, connection: Connection | None) -> None:
        if connection is None or connection.is_closed:
            self._wake(None)
        else:
            self._freed(connection)

    def _freed(self, connection: Connection) -> None:
        if not self._wake(connection):
            self._idle.append(connection)

    def _lost(self, connection: Connection) -> None:
        if connection not in self._all:
            return
        self._all.discard(connection)
        self._open -= 1
        if connection in self._idle:
            self._idle.remove(connection)
        self._wake(None)

    def _wake(self, connection: Connection | None) -> bool:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return True
        return False
