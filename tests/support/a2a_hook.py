"""Where notifications arrive in tests."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ostiary.protocols.wire import Call


@dataclass(frozen=True)
class Received:
    """One notification."""

    path: str
    headers: dict[str, str]
    body: str


@dataclass
class Hook:
    """An ASGI application that takes whatever is posted to it, or answers `status`."""

    received: list[Received] = field(default_factory=list)
    status: int = 200
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        call = Call(scope, receive, send)
        body = await call.body()
        self.received.append(Received(call.path, dict(call.headers), body.decode()))
        self.changed.set()
        await call.respond(self.status, b"{}")

    async def until(self, wanted: Callable[[Received], bool], wait_s: float = 10.0) -> Received:
        """Wait for a notification and return it."""
        async with asyncio.timeout(wait_s):
            while True:
                found = next((each for each in self.received if wanted(each)), None)
                if found is not None:
                    return found
                self.changed.clear()
                await self.changed.wait()
