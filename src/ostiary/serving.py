"""Running a gateway as a process: where it listens, when it is ready, how it leaves."""

import asyncio
import contextlib
import ctypes
import gc
import json
import logging
import signal
import socket
from collections.abc import Callable, Mapping
from pathlib import Path

from ostiary.api import Services
from ostiary.app import Gateway, open_gateway
from ostiary.core.entry import Entry, Family, Kind
from ostiary.core.errors import InvalidConfig, Unavailable
from ostiary.core.ids import new_id
from ostiary.protocols.listener import Bounds, Listener
from ostiary.protocols.mcp.door import McpDoor
from ostiary.settings import Described, Settings, describe, is_loopback
from ostiary.storage.development_ca import issue

log = logging.getLogger("ostiary")

GATEWAY_FILE = "gateway.json"
M_TRIM_THRESHOLD, M_ARENA_MAX = -1, -8
"""mallopt(3)."""


async def serve(
    settings: Settings,
    data: Path,
    *,
    described: tuple[Described, ...] = (),
    development_tls: bool = False,
    ready: Callable[[str, Gateway], None] | None = None,
) -> None:
    """Run the gateway in the foreground until SIGTERM or SIGINT, then drain, seal and leave.

    `ready` is called with the address once requests are served. Raises InvalidConfig, and Unavailable when the
    address cannot be listened on.
    """
    _bound_memory()
    server = settings.server
    tls = _server_tls(settings, data, development=development_tls)
    bound = _bind(server.host, server.port)
    scheme = "https" if tls else "http"
    url = server.public_url or f"{scheme}://{_for_url(server.host)}:{bound.getsockname()[1]}"
    with contextlib.closing(bound):
        async with open_gateway(settings, data, url=url, described=described) as gateway:
            listener = Listener(gateway.edge, _bounds(settings), tls=tls)
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, _stop, listener)
            await _record(gateway.services, "start", url)
            connecting = loop.create_task(_connect(gateway.mcp))
            serving = loop.create_task(listener.serve_forever([bound]))
            while not (listener.started or serving.done()):  # noqa: ASYNC110 - uvicorn offers no event for it
                await asyncio.sleep(0.01)
            here = url if tls else f"http://{_for_url(server.host)}:{bound.getsockname()[1]}"
            _write_address(data, here, _trusted(data, tls, development=development_tls))
            _settle_memory()
            if ready is not None:
                ready(url, gateway)
            await serving
            connecting.cancel()
            await _record(gateway.services, "stop", url)
    (data / GATEWAY_FILE).unlink(missing_ok=True)


def load(config: Path | None, overrides: Mapping[str, object]) -> tuple[Settings, tuple[Described, ...]]:
    """Return the settings with where each came from. Raises InvalidConfig."""
    return Settings.load(config, overrides=overrides), tuple(describe(config, overrides=overrides))


def _bound_memory() -> None:
    """Let few threads keep memory pools of their own, and give back what is free: glibc's defaults are for bigger machines."""
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(M_ARENA_MAX, 2)
        library.mallopt(M_TRIM_THRESHOLD, 256 * 1024)


def _settle_memory() -> None:
    """Leave what was made for good out of every later search for garbage, and search less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 20, 20)
    with contextlib.suppress(OSError, AttributeError):  # what compiling the detectors took goes back, where the C library can
        ctypes.CDLL(None).malloc_trim(0)


def _stop(listener: Listener) -> None:
    log.info("stopping: no new requests, open ones may end")
    listener.should_exit = True


async def _connect(mcp: McpDoor) -> None:
    for server, why in (await mcp.connect()).items():
        log.warning("server `%s` could not be looked at: %s", server, why)


async def _record(services: Services, verb: str, url: str) -> None:
    """A gateway that starts and stops is part of the record: a gap in it needs an explanation."""
    entry = Entry(new_id(), Family.CHANGE, Kind.EVENT, services.clock.now_ns(), verb=verb, action=f"{verb}_gateway", resource=url)
    await services.ledger.append(entry)


def _bounds(settings: Settings) -> Bounds:
    server = settings.server
    return Bounds(server.max_header_bytes, server.head_timeout_s, server.keep_alive_s, server.max_connections, server.drain_s)


def _server_tls(settings: Settings, data: Path, *, development: bool) -> tuple[str, str] | None:
    server = settings.server
    if server.tls_cert:
        for path in (server.tls_cert, server.tls_key):
            if not Path(path).is_file():
                raise InvalidConfig(f"`{path}` is not a file", remedy="give PEM files with --tls-cert and --tls-key")
        return server.tls_cert, server.tls_key
    if development:
        hosts = [*dict.fromkeys([server.host, *server.allowed_hosts, "localhost", "127.0.0.1"])]
        certificate, key, _ = issue(data / "tls", [host for host in hosts if host not in {"0.0.0.0", "::"}])  # noqa: S104
        return str(certificate), str(key)
    if not is_loopback(server.host):
        raise InvalidConfig(
            f"listening on `{server.host}`, beyond this machine, needs TLS",
            remedy="give --tls-cert and --tls-key, or --tls-dev for a development certificate",
        )
    return None


def _bind(host: str, port: int) -> socket.socket:
    address = host.strip("[]")
    bound = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((address, port))
    except OSError as error:
        bound.close()
        raise Unavailable(
            f"cannot listen on {host}:{port}: {error.strerror}", remedy="stop what uses the port, or choose another with --port"
        ) from None
    return bound


def _for_url(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def _trusted(data: Path, tls: tuple[str, str] | None, *, development: bool) -> str:
    """Return the file of what the command line on this machine may trust beside the system's authorities."""
    if tls is None:
        return ""
    return str((data / "tls" / "ca.pem" if development else Path(tls[0])).resolve())


def _write_address(data: Path, url: str, trusted: str) -> None:
    """Tell the command line on this machine where the gateway is."""
    address = {"url": url, **({"ca": trusted} if trusted else {})}
    draft = data / f"{GATEWAY_FILE}.new"
    draft.write_text(json.dumps(address) + "\n")
    draft.replace(data / GATEWAY_FILE)
