"""A real listener on a free port, for tests that speak to it over a socket."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from ostiary.protocols.listener import Bounds, Listener


@asynccontextmanager
async def listening(app: Any, bounds: Bounds | None = None, *, port: int = 0, tls: tuple[str, str] | None = None) -> AsyncIterator[str]:
    """Serve an ASGI application; yields `127.0.0.1:port`."""
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", port))
    listener = Listener(app, bounds or Bounds(drain_s=1), tls=tls)
    serving = asyncio.create_task(listener.serve_forever([bound]))
    while not listener.started:
        await asyncio.sleep(0.01)
    try:
        yield f"127.0.0.1:{bound.getsockname()[1]}"
    finally:
        listener.should_exit = True
        await serving


async def raw(address: str, request: bytes, *, wait_s: float = 5.0) -> bytes:
    """Send bytes as they are and return all that comes back until the server closes or falls silent."""
    host, _, port = address.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    answer = b""
    try:
        writer.write(request)
        async with asyncio.timeout(wait_s):
            while piece := await reader.read(65536):
                answer += piece
    except (TimeoutError, ConnectionError):
        pass
    finally:
        writer.close()
    return answer
