"""The composition root: the only module that chooses parts. Read `open_gateway` from top to bottom to see what Ostiary is made of."""

import asyncio
import contextlib
import datetime as dt
import json
import logging
import platform
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from fastapi import FastAPI

from ostiary.api import Services, create_api
from ostiary.boundaries.agent_model import AgentModel
from ostiary.connectors.http import UpstreamHttp
from ostiary.connectors.http_pool import PoolLimits
from ostiary.connectors.mcp_http import McpDialler
from ostiary.controls.control_set import ControlOptions, ControlSet
from ostiary.controls.tool_definition import findings
from ostiary.core.clock import Clock
from ostiary.core.entry import Entry, Family, Kind
from ostiary.core.errors import InvalidConfig, Unavailable
from ostiary.core.ids import new_id
from ostiary.core.pipeline import Pipeline
from ostiary.core.ports import Ports
from ostiary.governance.approvals import Approvals
from ostiary.governance.registrar import Registrar
from ostiary.governance.secrets import SealedSecrets
from ostiary.governance.tool_pins import ToolPins
from ostiary.identity.backing import Backing
from ostiary.identity.control import BOOTSTRAP, ControlPlane
from ostiary.identity.directory import Directory
from ostiary.identity.keys import KeyRing
from ostiary.identity.record import IdentityRecord
from ostiary.identity.sessions import Sessions
from ostiary.identity.tokens import Signer
from ostiary.ledger import Ledger, LedgerKeys, Pace
from ostiary.monitoring.metrics import CONTENT_TYPE, Metrics
from ostiary.policy.engine import PolicyEngine
from ostiary.policy.store import PolicyStore
from ostiary.protocols.anthropic.door import AnthropicDoor
from ostiary.protocols.edge import Door, Edge
from ostiary.protocols.listener import Bounds, Listener
from ostiary.protocols.mcp.door import METADATA, McpDoor
from ostiary.protocols.mcp.preview import Preview
from ostiary.protocols.oauth import OAuthDoor
from ostiary.protocols.openai.door import OpenAiDoor
from ostiary.protocols.wire import Call
from ostiary.provenance.engine import Provenance
from ostiary.provenance.profile import infer
from ostiary.settings import Described, Settings, describe, is_loopback
from ostiary.storage.development_ca import issue
from ostiary.storage.keyring import Keyring
from ostiary.storage.ledger_files import verify
from ostiary.storage.sqlite import SqliteStateStore
from ostiary.storage.sqlite_ledger import SqliteLedgerStore

log = logging.getLogger("ostiary")

OPERATOR_KEY = "operator.key"
GATEWAY_FILE = "gateway.json"


@dataclass(frozen=True, slots=True)
class Gateway:
    """Everything wired. `edge` is the ASGI application; the rest is for the control plane and for tests."""

    edge: Edge
    services: Services
    pipeline: Pipeline
    mcp: McpDoor
    metrics: Metrics
    is_first_run: bool


@asynccontextmanager
async def open_gateway(
    settings: Settings, data: Path, *, url: str = "http://127.0.0.1:8470", described: tuple[Described, ...] = ()
) -> AsyncIterator[Gateway]:
    """Open a gateway on a data directory, and close it in the reverse order.

    Raises InvalidConfig for what the operator must change, LedgerUnavailable, Corrupt when the record contradicts itself.
    """
    async with AsyncExitStack() as closing:
        keyring = Keyring(data / "keys")
        store = SqliteStateStore(data / "state.db", keyring.derive("state"))
        closing.callback(store.close)
        clock = Clock()
        ledger = _ledger(settings, data, keyring, clock)
        await ledger.start()
        closing.push_async_callback(ledger.close)
        reader = ledger.reader()
        closing.callback(reader.close)
        clock.start_after(_newest_ns(reader.tail(ledger.size - 2, limit=1)))

        registrar = Registrar(store, ledger, clock, settings.identity.trust_domain)
        secrets = SealedSecrets(store, ledger, clock)
        engine = PolicyEngine(clock_ns=clock.now_ns)
        policies = PolicyStore(store, ledger, clock.now_ns, engine)
        policies.start(registrar.registry)
        registrar.subscribe(policies.refresh)

        backing = Backing(store, ledger, clock, registrar)
        record = IdentityRecord(ledger, clock)
        closing.push_async_callback(record.flush)
        signer = Signer(backing, record, settings.identity.issuer or url)
        await signer.start()
        keys = KeyRing(backing, record)
        await keys.start()
        sessions = Sessions(backing, record, signer, keys, engine)
        closing.push_async_callback(sessions.stop)
        directory = Directory(backing, record, signer, dev=settings.identity.dev_sign_in)
        closing.callback(directory.close)
        control = ControlPlane(keys, record)
        is_first_run = await control.bootstrap(data / OPERATOR_KEY)

        approvals = Approvals(
            backing,
            url=settings.policy.approval_url or f"{url}/v1/approvals/{{id}}",
            stewards=frozenset({BOOTSTRAP}) if settings.policy.operator_approves else frozenset(),
        )
        http = UpstreamHttp(
            PoolLimits(connections=settings.upstream.max_connections),
            connect_timeout_s=settings.upstream.connect_timeout_s,
            tls=_upstream_tls(settings),
        )
        closing.push_async_callback(http.close)
        metrics = _metrics(ledger)
        ports = Ports(
            identity=sessions,
            policy=engine,
            controls=ControlSet(registrar, clock.now_ns, _control_options(settings)),
            provenance=Provenance(registrar),
            ledger=sessions.guard(ledger),
            approvals=approvals,
            clock_ns=clock.now_ns,
            watch=[metrics],
        )
        pipeline = Pipeline(ports)
        pins = ToolPins(registrar, findings, infer)
        dialler = McpDialler(http, secrets)
        mcp = McpDoor(pipeline, ports, registrar, pins, dialler, findings, base_url=settings.server.public_url)
        closing.push_async_callback(mcp.close)
        models = AgentModel(pipeline, registrar, http, secrets)
        oauth = OAuthDoor(sessions, directory, signer, keys, record)

        services = Services(
            settings=settings,
            described=described,
            data=data,
            clock=clock,
            registrar=registrar,
            ledger=ledger,
            is_recording=lambda: ledger.state.is_ok,
            reader=reader,
            verify=lambda: verify(data),
            sessions=sessions,
            keys=keys,
            directory=directory,
            control=control,
            policies=policies,
            engine=engine,
            approvals=approvals,
            pins=pins,
            secrets=secrets,
            preview=Preview(dialler, mcp.catalogue, findings, infer),
            connect=mcp.connect,
        )
        edge = Edge(
            {
                "mcp": mcp,
                "openai": OpenAiDoor(models, engine.may_see),
                "anthropic": AnthropicDoor(models, engine.may_see),
                "oauth": oauth,
                ".well-known": _well_known(mcp, oauth),
                "health": _health(ledger),
                "metrics": _metrics_page(metrics),
            },
            _control_plane(services),
            hosts=frozenset(settings.server.allowed_hosts) | {settings.server.host},
            origins=frozenset(settings.server.allowed_origins),
        )
        yield Gateway(edge, services, pipeline, mcp, metrics, is_first_run)


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
            _write_address(data, url, tls is not None and development_tls)
            if ready is not None:
                ready(url, gateway)
            await serving
            connecting.cancel()
            await _record(gateway.services, "stop", url)
    (data / GATEWAY_FILE).unlink(missing_ok=True)


def load(config: Path | None, overrides: Mapping[str, object]) -> tuple[Settings, tuple[Described, ...]]:
    """Return the settings with where each came from. Raises InvalidConfig."""
    return Settings.load(config, overrides=overrides), tuple(describe(config, overrides=overrides))


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


def _ledger(settings: Settings, data: Path, keyring: Keyring, clock: Clock) -> Ledger:
    keys = LedgerKeys(keyring.signing_key("ledger"), keyring.derive("ledger/kek"), keyring.derive("ledger/index"))
    pace = Pace(seal_s=settings.ledger.checkpoint_s, heartbeat_s=settings.ledger.heartbeat_s, watermark=settings.ledger.min_free_bytes)
    origin = settings.ledger.origin or _origin(data)
    return Ledger(SqliteLedgerStore(data / "ledger"), keys, origin=origin, node=platform.node(), pace=pace, clock_ns=clock.now_ns)


def _origin(data: Path) -> str:
    """Return the ledger's name, made once: the same data on another machine is still the same ledger."""
    path = data / "ledger.origin"
    if not path.exists():
        path.write_text(f"{platform.node() or 'localhost'}/ledger/{new_id()[-12:]}\n")
    return path.read_text().strip()


def _newest_ns(rows: list[dict[str, object]]) -> int:
    return max((round(dt.datetime.fromisoformat(str(row["at"])).timestamp() * 1e9) for row in rows), default=0)


def _control_options(settings: Settings) -> ControlOptions:
    limits = settings.limits
    return ControlOptions(
        principal_rate=limits.principal_rate, session_rate=limits.session_rate, max_answer_bytes=settings.upstream.max_answer_bytes
    )


def _upstream_tls(settings: Settings) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if settings.upstream.ca_file:
        context.load_verify_locations(settings.upstream.ca_file)
    return context


def _metrics(ledger: Ledger) -> Metrics:
    metrics = Metrics()
    metrics.gauge("ostiary_ledger_entries", "Durable entries in the ledger", lambda: ledger.size)
    metrics.gauge("ostiary_ledger_index_lag", "Durable entries the search index does not have yet", lambda: ledger.index_lag)
    metrics.gauge("ostiary_ledger_ok", "1 while the ledger accepts entries", lambda: ledger.state.is_ok)
    return metrics


def _control_plane(services: Services) -> FastAPI:
    return create_api(services)


def _well_known(mcp: McpDoor, oauth: OAuthDoor) -> Door:
    async def door(call: Call) -> None:
        await (mcp.metadata(call) if call.path.startswith(METADATA) else oauth(call))

    return door


def _health(ledger: Ledger) -> Door:
    async def door(call: Call) -> None:
        if call.path == "/health/live":
            await call.respond_json(200, {"status": "alive"})
        elif call.path == "/health/ready":
            state = ledger.state
            await call.respond_json(200 if state.is_ok else 503, {"status": "ready" if state.is_ok else "refusing", "reason": state.reason})
        else:
            await call.respond_json(404, {"status": "no such path"})

    return door


def _metrics_page(metrics: Metrics) -> Door:
    async def door(call: Call) -> None:
        await call.respond(200, metrics.render(), CONTENT_TYPE)

    return door


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


def _write_address(data: Path, url: str, is_development: bool) -> None:
    """Tell the command line on this machine where the gateway is."""
    address = {"url": url, **({"ca": str(data / "tls" / "ca.pem")} if is_development else {})}
    draft = data / f"{GATEWAY_FILE}.new"
    draft.write_text(json.dumps(address) + "\n")
    draft.replace(data / GATEWAY_FILE)
