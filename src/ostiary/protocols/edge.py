"""What stands before every door: Host and Origin checks, load shedding, routing, and a last line against exceptions."""

import logging
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache

from ostiary.core.decision import Refusal, refusal_of, refuse
from ostiary.core.errors import InvalidAction
from ostiary.protocols.proxies import Proxies
from ostiary.protocols.wire import Call, ClientGone, Receive, Scope, Send

log = logging.getLogger("ostiary.edge")

Door = Callable[[Call], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MAX_IN_FLIGHT = 2048
"""Requests of one door at once: open streams of agents leave the control plane its own room."""
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(?::[0-9]{1,5})?\Z")
LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]", "::1"})


class Edge:
    """The ASGI application. `doors` are matched by the first path segment, the rest goes to the control plane.

    A browser page elsewhere must not reach us by rebinding its name to our address, so the Host must be one
    of ours, and an Origin, where there is one, must be ours or listed.
    """

    def __init__(
        self, doors: Mapping[str, Door], control: App, *, hosts: frozenset[str], origins: frozenset[str], proxies: Proxies | None = None
    ) -> None:
        self._doors = dict(doors)
        self._control = control
        self._hosts = hosts | LOOPBACK
        self._origins = origins
        self._proxies = proxies or Proxies(())
        self._in_flight: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        if self._proxies:
            self._proxies.place_client(scope)
        call = Call(scope, receive, send)
        name = call.path.split("/", 2)[1] if call.path.startswith("/") else ""
        name = name if name in self._doors else ""
        if self._in_flight[name] >= MAX_IN_FLIGHT:
            await _problem(call, refuse("unavailable", "too many requests are in flight", retry_after_s=1.0))
            return
        self._in_flight[name] += 1
        try:
            await self._serve(call, self._doors.get(name), scope, receive, send)
        except ClientGone:
            log.debug("the client went away")
        except Exception as error:
            if not isinstance(error, InvalidAction):
                log.exception("a request failed")
            if call.has_started:
                raise
            await _problem(call, refusal_of(error))
        finally:
            self._in_flight[name] -= 1

    async def _serve(self, call: Call, door: Door | None, scope: Scope, receive: Receive, send: Send) -> None:
        call.check_headers()
        if not call.path.startswith("/"):
            raise InvalidAction("the request target must be a path")
        refusal = self._wrong_host(call)
        if refusal is not None:
            await _problem(call, refusal)
            return
        if door is not None:
            await door(call)
        else:
            await self._control(scope, receive, send)

    def _wrong_host(self, call: Call) -> Refusal | None:
        host = call.headers.get("host", "")
        if _hostname(host) not in self._hosts:
            return Refusal("forbidden", 421, f"host `{host[:100]}` is not served here", remedy="add it to server.allowed_hosts")
        origin = call.headers.get("origin")
        if origin is None or origin in self._origins or origin == f"{call.scope['scheme']}://{host}":
            return None
        return Refusal("forbidden", 403, f"origin `{origin[:100]}` is not allowed", remedy="add it to server.allowed_origins")


@lru_cache(maxsize=256)
def _hostname(host: str) -> str:
    named = _HOST.match(host)
    return named[1].strip("[]").lower() if named else ""


async def _problem(call: Call, refusal: Refusal) -> None:
    headers = [(b"retry-after", b"%d" % max(1, round(refusal.retry_after_s)))] if refusal.retry_after_s else []
    await call.respond_json(refusal.status, refusal.problem(call.decision), headers, "application/problem+json")
