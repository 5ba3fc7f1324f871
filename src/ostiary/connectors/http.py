"""Reaches upstreams over HTTP/1.1: kept connections, bounded in every direction, nothing sent that was not given."""

import asyncio
import logging
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import urlsplit

from ostiary.connectors.http_connection import Answer, Connection
from ostiary.connectors.http_pool import Pool, PoolLimits
from ostiary.core.errors import UpstreamUnavailable
from ostiary.core.ports import HttpRequest

log = logging.getLogger("ostiary.http")

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+\Z")
_METHOD = re.compile(r"[A-Z]{1,20}\Z")
_USUAL_METHODS = frozenset({"GET", "POST", "DELETE"})
_TARGET = re.compile(r"[!-~]+\Z")
_HOST = re.compile(r"[0-9A-Za-z_.:-]+\Z")
OURS = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "keep-alive", "upgrade", "te", "trailer", "expect", "accept-encoding"}
    | {"proxy-authorization", "proxy-connection", "cookie"}
)
"""Request headers that only the client itself writes, or that never travel."""
_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Target:
    """Where a URL leads: what is dialled, and what stands in the request line and `Host`."""

    secure: bool
    host: str
    port: int
    authority: str
    path: str

    @property
    def origin(self) -> tuple[bool, str, int]:
        """What connections may be shared by."""
        return (self.secure, self.host, self.port)


@lru_cache(maxsize=1024)
def target_of(url: str) -> Target:
    """Split an absolute http(s) URL. Raises UpstreamUnavailable for what no request may be sent to."""
    if not _TARGET.match(url):
        raise UpstreamUnavailable("the upstream's URL holds a character that must be percent-encoded")
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        raise UpstreamUnavailable("the upstream's URL is not valid") from None
    if parts.scheme not in {"http", "https"} or not _HOST.match(host):
        raise UpstreamUnavailable("the upstream's URL must be `http://host…` or `https://host…`")
    if parts.username is not None or parts.password is not None:
        raise UpstreamUnavailable("the upstream's URL holds a user name or password: store it as a secret")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    secure = parts.scheme == "https"
    name = f"[{host}]" if ":" in host else host
    return Target(secure, host, port or (443 if secure else 80), f"{name}:{port}" if port else name, path)


def is_loopback(host: str) -> bool:
    """Say whether a host name or address can only be this machine."""
    if host in _LOOPBACK_NAMES:
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


class UpstreamHttp:
    """Implements `core.ports.HttpClient`. One per event loop; follows no redirect, knows no proxy and no cookies."""

    def __init__(self, limits: PoolLimits | None = None, *, connect_timeout_s: float = 10.0, tls: ssl.SSLContext | None = None) -> None:
        self._limits = limits or PoolLimits()
        self._connect_timeout_s = connect_timeout_s
        self._tls = tls
        self._pools: dict[tuple[bool, str, int], Pool] = {}
        self._sweeper: asyncio.TimerHandle | None = None

    async def send(self, request: HttpRequest) -> Answer:
        """Send and return once the head has arrived. Raises UpstreamUnavailable; cancelling closes the connection."""
        target = target_of(request.url)
        if not (target.secure or request.unsafe_plaintext or is_loopback(target.host)):
            raise UpstreamUnavailable(
                "the upstream is reached in plain text beyond this machine, so nothing was sent",
                remedy="use https://, or declare `unsafe_plaintext: true` if that is meant",
            )
        payload = encode_request(request, target)
        pool = self._pools.get(target.origin) or self._open_pool(target)
        connection = pool.take() or await pool.acquire()
        if connection.is_closed:  # died between the pool and here: nothing was sent, so another may try
            connection = await pool.acquire()
        if not (target.secure or request.unsafe_plaintext or connection.peer_is_loopback):
            connection.abort()
            raise UpstreamUnavailable("the upstream's name leads beyond this machine in plain text, so nothing was sent")
        if request.only_public and not connection.peer_is_public:
            connection.abort()
            raise UpstreamUnavailable("the address leads to a machine that is not public, so nothing was sent")
        if request.pinned_key and connection.peer_key != request.pinned_key:
            connection.abort()
            raise UpstreamUnavailable(
                "the upstream's certificate has another key than the one it is pinned to, so nothing was sent",
                remedy="find out why, then `ostiary server repin NAME`",
            )
        return await connection.exchange(request.method, payload, request.timeout_s)

    async def close(self) -> None:
        """Close every connection."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        for pool in self._pools.values():
            pool.close()
        self._pools.clear()
        await asyncio.sleep(0)

    def _open_pool(self, target: Target) -> Pool:
        async def connect(on_free: Callable[[Connection], None], on_lost: Callable[[Connection], None]) -> Connection:
            return await self._connect(target, on_free, on_lost)

        pool = self._pools[target.origin] = Pool(connect, self._limits)
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().call_later(self._limits.idle_s / 2, self._sweep)
        return pool

    def _sweep(self) -> None:
        for origin, pool in list(self._pools.items()):
            pool.expire()
            if pool.is_empty:
                del self._pools[origin]
        self._sweeper = asyncio.get_running_loop().call_later(self._limits.idle_s / 2, self._sweep) if self._pools else None

    async def _connect(self, target: Target, on_free: Callable[[Connection], None], on_lost: Callable[[Connection], None]) -> Connection:
        loop = asyncio.get_running_loop()
        tls = (self._tls or _default_tls()) if target.secure else None
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                _, connection = await loop.create_connection(
                    lambda: Connection(loop, on_free, on_lost),
                    target.host,
                    target.port,
                    ssl=tls,
                    server_hostname=target.host if tls else None,
                )
        except TimeoutError:
            raise UpstreamUnavailable(f"the upstream did not accept a connection within {self._connect_timeout_s:g} s") from None
        except ssl.SSLError as error:
            log.warning("TLS to %s failed: %s", target.authority, error)
            raise UpstreamUnavailable("no trusted TLS connection to the upstream could be made") from None
        except OSError as error:
            log.warning("connecting to %s failed: %s", target.authority, error)
            raise UpstreamUnavailable("the upstream could not be reached") from None
        return connection


def encode_request(request: HttpRequest, target: Target) -> bytes:
    """Return the bytes of a request. Raises UpstreamUnavailable for a header that could become two."""
    if request.method not in _USUAL_METHODS and (not _METHOD.match(request.method) or request.method == "CONNECT"):
        raise UpstreamUnavailable(f"method `{request.method[:20]}` cannot be sent")
    lines = [f"{request.method} {target.path} HTTP/1.1\r\nhost: {target.authority}\r\naccept-encoding: identity"]
    for name, value in request.headers:
        if not _may_be_sent(name):
            raise UpstreamUnavailable(f"header `{name[:40]!a}` cannot be sent upstream")
        lines.append(f"{name}: {value}")
    if request.body or request.method not in {"GET", "HEAD", "DELETE", "OPTIONS"}:
        lines.append(f"content-length: {len(request.body)}")
    head = "\r\n".join(lines)
    breaks = len(lines) + 1
    if head.count("\n") != breaks or head.count("\r") != breaks or "\0" in head:
        raise UpstreamUnavailable("a request header holds a line break, so nothing was sent")
    try:
        return b"%b\r\n\r\n%b" % (head.encode("latin-1"), request.body)
    except UnicodeEncodeError:
        raise UpstreamUnavailable("a request header holds a character that headers cannot carry") from None


@lru_cache(maxsize=1024)
def _may_be_sent(name: str) -> bool:
    return name not in OURS and _NAME.match(name) is not None


@lru_cache(maxsize=1)
def _default_tls() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context
