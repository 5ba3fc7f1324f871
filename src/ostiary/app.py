"""The composition root: the only module that chooses parts. Read `open_gateway` from top to bottom to see what Ostiary is made of."""

import datetime as dt
import logging
import platform
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ostiary.api import Services, create_api
from ostiary.boundaries.agent_model import AgentModel
from ostiary.boundaries.lending import SessionLending
from ostiary.boundaries.tasks import Tasks
from ostiary.boundaries.user_agent import UserAgent
from ostiary.connectors.http import UpstreamHttp
from ostiary.connectors.http_pool import PoolLimits
from ostiary.connectors.mcp_http import McpDialler
from ostiary.controls.control_set import ControlOptions, ControlSet
from ostiary.controls.tool_definition import findings
from ostiary.core.action import Action
from ostiary.core.clock import Clock
from ostiary.core.errors import CheckpointMismatch, Corrupt
from ostiary.core.ids import new_id
from ostiary.core.pipeline import Pipeline
from ostiary.core.ports import Change, Ports
from ostiary.core.subject import Limits, Session
from ostiary.governance.approvals import Approvals
from ostiary.governance.card_pins import CardPins
from ostiary.governance.lent_trust import LentTrust
from ostiary.governance.registrar import Registrar
from ostiary.governance.secrets import SealedSecrets
from ostiary.governance.tool_pins import ToolPins
from ostiary.governance.tool_profiles import ToolProfiles
from ostiary.identity.backing import Backing
from ostiary.identity.control import BOOTSTRAP, ControlPlane
from ostiary.identity.directory import Directory
from ostiary.identity.keys import KeyRing
from ostiary.identity.record import IdentityRecord
from ostiary.identity.sessions import Sessions
from ostiary.identity.tokens import Signer
from ostiary.ledger import Ledger, LedgerKeys, Pace
from ostiary.ledger.reader import LedgerReader
from ostiary.monitoring.crossings import Observed
from ostiary.monitoring.metrics import CONTENT_TYPE, Metrics
from ostiary.monitoring.notices import Notices
from ostiary.policy.engine import PolicyEngine
from ostiary.policy.obligations import Means
from ostiary.policy.store import PolicyStore
from ostiary.protocols.a2a.catalogue import Catalogue as AgentCards
from ostiary.protocols.a2a.door import A2aDoor
from ostiary.protocols.a2a.operations import Operations
from ostiary.protocols.a2a.push import Pushes
from ostiary.protocols.a2a.upstream import Upstream as AgentUpstream
from ostiary.protocols.anthropic.door import AnthropicDoor
from ostiary.protocols.edge import Door, Edge
from ostiary.protocols.mcp.directories import DirectoryReader
from ostiary.protocols.mcp.door import METADATA, McpDoor
from ostiary.protocols.mcp.preview import Preview
from ostiary.protocols.oauth import OAuthDoor
from ostiary.protocols.openai.door import OpenAiDoor
from ostiary.protocols.proxies import Proxies
from ostiary.protocols.wire import Call
from ostiary.provenance.engine import Provenance
from ostiary.provenance.keeping import FlowKeeper
from ostiary.provenance.profile import infer
from ostiary.provenance.reasons import reasons
from ostiary.settings import Described, Settings
from ostiary.storage.keyring import Keyring
from ostiary.storage.ledger_files import ledger_size, verify
from ostiary.storage.sqlite import SqliteStateStore
from ostiary.storage.sqlite_ledger import SqliteLedgerStore

log = logging.getLogger("ostiary")

OPERATOR_KEY = "operator.key"
MICRO = 1_000_000
SIZE_KIND = "ledger/size"


@dataclass(frozen=True, slots=True)
class Gateway:
    """Everything wired. `edge` is the ASGI application; the rest is for the control plane and for tests."""

    edge: Edge
    services: Services
    pipeline: Pipeline
    mcp: McpDoor
    a2a: A2aDoor
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
        base = await _foundation(closing, settings, data)
        ledger, clock = base.ledger, base.clock
        registrar = Registrar(base.store, ledger, clock, settings.identity.trust_domain)
        secrets = SealedSecrets(base.store, ledger, clock)
        metrics = _metrics(ledger)
        observed = Observed(base.reader, base.store)
        closing.push_async_callback(observed.stop)
        observed.start()
        notices = Notices(clock.now, metrics.notice)
        controls = ControlSet(registrar, clock.now_ns, _control_options(settings), notify=notices)
        engine = PolicyEngine(Means(controls.obligations, controls.classes), clock_ns=clock.now_ns)
        policies = PolicyStore(base.store, ledger, clock.now_ns, engine)
        policies.start(registrar.registry)
        registrar.subscribe(policies.refresh)
        people = await _identity(closing, settings, Backing(base.store, ledger, clock, registrar), engine, url)
        is_first_run = await people.control.bootstrap(data / OPERATOR_KEY)
        approvals = Approvals(people.backing, url=_approval_url(settings, url), stewards=_stewards(settings))
        http = UpstreamHttp(_pool(settings), connect_timeout_s=settings.upstream.connect_timeout_s, tls=_upstream_tls(settings))
        closing.push_async_callback(http.close)
        people.sessions.on_end(controls.drop)
        provenance, flows = await _information_flow(closing, base.store, registrar, people.sessions)
        ports = Ports(
            identity=people.sessions,
            policy=engine,
            controls=controls,
            provenance=provenance,
            ledger=people.sessions.guard(ledger),
            approvals=approvals,
            clock_ns=clock.now_ns,
            watch=[metrics],
        )
        pipeline = Pipeline(ports)
        pins, cards = ToolPins(registrar, findings, infer), CardPins(registrar, findings)
        dialler = McpDialler(http, secrets, lambda server: pin.key if (pin := registrar.registry.pin_of(server)) else "")
        mcp = McpDoor(pipeline, ports, registrar, pins, dialler, findings, base_url=settings.server.public_url)
        closing.push_async_callback(mcp.close)
        registrar.subscribe(mcp.upstreams.forget_undeclared)
        reader = DirectoryReader(mcp, registrar, provenance, ledger, clock)
        closing.push_async_callback(reader.close)
        registrar.subscribe(reader.start())
        services = Services(
            settings=settings,
            described=described,
            data=data,
            clock=clock,
            registrar=registrar,
            ledger=ledger,
            is_recording=lambda: ledger.state.is_ok,
            reader=base.reader,
            verify=lambda: verify(data),
            sessions=people.sessions,
            keys=people.keys,
            directory=people.directory,
            control=people.control,
            policies=policies,
            engine=engine,
            approvals=approvals,
            trust=LentTrust(people.sessions, provenance, approvals, people.record, registry=registrar, keep=flows.flush),
            provenance=provenance,
            pins=pins,
            profiles=ToolProfiles(registrar, infer, reasons),
            cards=cards,
            secrets=secrets,
            notices=notices,
            observed=observed,
            preview=Preview(dialler, mcp.catalogue, findings, infer),
            connect=mcp.connect,
            read_directories=reader.refresh,
        )
        a2a = _a2a(base, settings, people, ports, registrar, http, secrets, cards, url)
        closing.push_async_callback(a2a.close)
        oauth = OAuthDoor(people.sessions, people.directory, people.signer, people.keys, people.record)
        models = AgentModel(pipeline, registrar, http, secrets)

        def may_see(session: Session, action: Action) -> bool:
            return people.sessions.in_scope(session, action) is None and engine.may_see(session, action)

        doors: dict[str, Door] = {
            "mcp": mcp,
            "openai": OpenAiDoor(models, may_see),
            "anthropic": AnthropicDoor(models, may_see),
            "a2a": a2a,
            "oauth": oauth,
            ".well-known": _well_known(mcp, oauth),
            "health": _health(ledger),
            "metrics": _metrics_page(metrics),
        }
        server = settings.server
        public = urlsplit(server.public_url)
        hosts = frozenset({server.host, *filter(None, [public.hostname]), *server.allowed_hosts})
        origins = frozenset({*([f"{public.scheme}://{public.netloc}"] if public.netloc else []), *server.allowed_origins})
        edge = Edge(doors, create_api(services), hosts=hosts, origins=origins, proxies=Proxies(server.trusted_proxies))
        yield Gateway(edge, services, pipeline, mcp, a2a, metrics, is_first_run)


@dataclass(frozen=True, slots=True)
class _Base:
    """What everything else stands on: sealed state, the ledger, the time."""

    store: SqliteStateStore
    ledger: Ledger
    reader: LedgerReader
    clock: Clock


async def _foundation(closing: AsyncExitStack, settings: Settings, data: Path) -> _Base:
    keyring = Keyring(data / "keys", (data / "state.db", data / "ledger" / "ledger.db"))
    keys = LedgerKeys(keyring.signing_key("ledger"), keyring.derive("ledger/kek"), keyring.derive("ledger/index"))
    store = SqliteStateStore(data / "state.db", keyring.derive("state"))
    closing.callback(store.close)
    clock = Clock()
    _check_size(store, data)
    ledger = _ledger(settings, data, keys, clock)
    await ledger.start()
    closing.push_async_callback(ledger.close)
    closing.push_async_callback(_remember_size, store, ledger)
    await _remember_size(store, ledger)
    reader = ledger.reader()
    closing.callback(reader.close)
    clock.start_after(_newest_ns(reader.tail(ledger.size - 2, limit=1)))
    return _Base(store, ledger, reader, clock)


def _a2a(  # noqa: PLR0917 - each part once, in the order it was made
    base: _Base,
    settings: Settings,
    people: "_People",
    ports: Ports,
    registrar: Registrar,
    http: UpstreamHttp,
    secrets: SealedSecrets,
    cards: CardPins,
    url: str,
) -> A2aDoor:
    """Wire the door to other agents."""
    sessions = people.sessions
    enforcement = UserAgent(ports, registrar, SessionLending(sessions))
    tasks = Tasks(base.store, sessions.is_open)
    upstream = AgentUpstream(http, secrets)
    pushes = Pushes(enforcement, tasks, upstream, http, lambda name: sessions.session(name) if sessions.is_open(name) else None)
    operations = Operations(enforcement, tasks, AgentCards(upstream, cards), upstream, pushes)
    sessions.on_end(operations.forget)
    return A2aDoor(operations, people.signer.sign_detached, base_url=settings.server.public_url, own_url=url)


def _check_size(store: SqliteStateStore, data: Path) -> None:
    """Refuse a ledger that is older than the state beside it: cut, restored from a backup, or begun anew. Raises CheckpointMismatch.

    It only looks: what was put there by mistake stays as it is.
    """
    size = ledger_size(data / "ledger")
    known = int(store.load(SIZE_KIND).get("entries", b"-1"))
    if known < 0 < size:
        raise CheckpointMismatch(
            f"the ledger in `{data / 'ledger'}` has {size} entries, and `{data / 'state.db'}` is new or empty",
            remedy="restore the whole data folder from one backup",
        )
    if size < known:
        raise CheckpointMismatch(
            f"the ledger in `{data / 'ledger'}` has {size} entries, and this gateway has written at least {known}",
            remedy="restore the whole data folder from one backup",
        )


async def _remember_size(store: SqliteStateStore, ledger: Ledger) -> None:
    await store.write([Change(SIZE_KIND, "entries", b"%d" % ledger.size)])


@dataclass(frozen=True, slots=True)
class _People:
    """Pillar 1, wired."""

    backing: Backing
    record: IdentityRecord
    signer: Signer
    keys: KeyRing
    sessions: Sessions
    directory: Directory
    control: ControlPlane


async def _identity(closing: AsyncExitStack, settings: Settings, backing: Backing, engine: PolicyEngine, url: str) -> _People:
    record = IdentityRecord(backing.ledger, backing.clock)
    closing.push_async_callback(record.flush)
    signer = Signer(backing, record, settings.identity.issuer or url)
    await signer.start()
    keys = KeyRing(backing, record)
    await keys.start()
    sessions = Sessions(
        backing, record, signer, keys, engine, defaults=_session_limits(settings), deepest=settings.identity.delegation_depth
    )
    closing.push_async_callback(sessions.stop)
    directory = Directory(backing, record, signer, dev=settings.identity.dev_sign_in)
    closing.callback(directory.close)
    return _People(backing, record, signer, keys, sessions, directory, ControlPlane(keys, record, directory.person))


async def _information_flow(
    closing: AsyncExitStack, store: SqliteStateStore, registrar: Registrar, sessions: Sessions
) -> tuple[Provenance, FlowKeeper]:
    provenance = Provenance(registrar)
    sessions.on_end(provenance.forget)
    sessions.on_delegate(provenance.inherit)
    flows = FlowKeeper(store, provenance, sessions.is_over)
    await flows.start()
    closing.push_async_callback(flows.stop)
    return provenance, flows


def _session_limits(settings: Settings) -> Limits:
    limits = settings.limits
    return Limits(limits.session_actions or None, round(limits.session_spend * MICRO) or None)


def _approval_url(settings: Settings, url: str) -> str:
    return settings.policy.approval_url or f"{url}/v1/approvals/{{id}}"


def _stewards(settings: Settings) -> frozenset[str]:
    return frozenset({BOOTSTRAP}) if settings.policy.operator_approves else frozenset()


def _pool(settings: Settings) -> PoolLimits:
    return PoolLimits(connections=settings.upstream.max_connections)


def _ledger(settings: Settings, data: Path, keys: LedgerKeys, clock: Clock) -> Ledger:
    pace = Pace(seal_s=settings.ledger.checkpoint_s, heartbeat_s=settings.ledger.heartbeat_s, watermark=settings.ledger.min_free_bytes)
    origin = settings.ledger.origin or _origin(data)
    return Ledger(SqliteLedgerStore(data / "ledger"), keys, origin=origin, node=platform.node(), pace=pace, clock_ns=clock.now_ns)


def _origin(data: Path) -> str:
    """Return the ledger's name, made once: the same data on another machine is still the same ledger."""
    path = data / "ledger.origin"
    if not path.exists():
        if (data / "ledger" / "ledger.db").exists():
            raise Corrupt(f"`{path}` is gone, and the ledger beside it needs it", remedy="restore it from the backup of this data folder")
        path.write_text(f"{platform.node() or 'localhost'}/ledger/{new_id()[-12:]}\n")
    return path.read_text().strip()


def _newest_ns(rows: list[dict[str, object]]) -> int:
    return max((round(dt.datetime.fromisoformat(str(row["at"])).timestamp() * 1e9) for row in rows), default=0)


def _control_options(settings: Settings) -> ControlOptions:
    limits, content = settings.limits, settings.content
    return ControlOptions(
        hosts=frozenset(content.picture_hosts),
        canaries=tuple(content.canaries),
        secret_rules=Path(content.secret_rules) if content.secret_rules else None,
        principal_rate=limits.principal_rate,
        session_rate=limits.session_rate,
        max_answer_bytes=settings.upstream.max_answer_bytes,
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
