"""The composition root: the only module that chooses parts. Read `open_gateway` from top to bottom to see what Ostiary is made of."""

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
from ostiary.core.decision import refuse
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
        metrics = _metrics(base.ledger)
        judge = _judge(base, settings, metrics)
        people = await _identity(closing, settings, base.backing, judge.engine, url)
        is_first_run = await people.control.bootstrap(data / OPERATOR_KEY)
        approvals = _approvals(closing, base, settings, people.sessions, url)
        people.sessions.on_end(judge.controls.drop)
        provenance, flows = await _information_flow(closing, base.store, base.registrar, people.sessions)
        ports = Ports(
            identity=people.sessions,
            policy=judge.engine,
            controls=judge.controls,
            provenance=provenance,
            ledger=people.sessions.guard(base.ledger),
            approvals=approvals,
            clock_ns=base.clock.now_ns,
            watch=[metrics],
        )
        pipeline = Pipeline(ports)
        closing.push_async_callback(pipeline.refusals.close)
        http = UpstreamHttp(_pool(settings), connect_timeout_s=settings.upstream.connect_timeout_s, tls=_upstream_tls(settings))
        closing.push_async_callback(http.close)
        tools = _tools(closing, base, settings, pipeline, ports, http, provenance)
        cards = CardPins(base.registrar, findings)
        a2a = _a2a(closing, base, settings, people, ports, http, cards, url)
        observed = Observed(base.reader, base.store)
        closing.push_async_callback(observed.stop)
        observed.start()
        services = Services(
            settings=settings,
            described=described,
            data=data,
            clock=base.clock,
            registrar=base.registrar,
            ledger=base.ledger,
            settled=base.ledger.settled,
            is_recording=lambda: base.ledger.state.is_ok,
            reader=base.reader,
            verify=lambda: verify(data),
            sessions=people.sessions,
            keys=people.keys,
            directory=people.directory,
            control=people.control,
            policies=judge.policies,
            engine=judge.engine,
            approvals=approvals,
            trust=LentTrust(people.sessions, provenance, approvals, people.record, registry=base.registrar, keep=flows.flush),
            provenance=provenance,
            pins=tools.pins,
            profiles=ToolProfiles(base.registrar, infer, reasons),
            cards=cards,
            secrets=base.secrets,
            notices=judge.notices,
            observed=observed,
            preview=Preview(tools.dialler, tools.door.catalogue, findings, infer),
            connect=tools.door.connect,
            read_directories=tools.directories.refresh,
        )
        oauth = OAuthDoor(people.sessions, people.directory, people.signer, people.keys, people.record)
        doors: dict[str, Door] = {
            **_model_doors(base, people, judge, pipeline, http),
            "mcp": tools.door,
            "a2a": a2a,
            "oauth": oauth,
            ".well-known": _well_known(tools.door, oauth),
            "health": _health(base.ledger),
            "metrics": _metrics_page(metrics),
        }
        yield Gateway(_edge(settings, doors, services), services, pipeline, tools.door, a2a, metrics, is_first_run)


@dataclass(frozen=True, slots=True)
class _Base:
    """What everything else stands on: sealed state, the ledger, the time, who and what is registered."""

    store: SqliteStateStore
    ledger: Ledger
    reader: LedgerReader
    clock: Clock
    registrar: Registrar
    secrets: SealedSecrets

    @property
    def backing(self) -> Backing:
        """What identity and approvals need of it."""
        return Backing(self.store, self.ledger, self.clock, self.registrar)


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
    clock.start_after(reader.newest_ns())
    registrar = Registrar(store, ledger, clock, settings.identity.trust_domain)
    return _Base(store, ledger, reader, clock, registrar, SealedSecrets(store, ledger, clock))


@dataclass(frozen=True, slots=True)
class _Judge:
    """Pillar 2 with what carries its decisions out."""

    controls: ControlSet
    notices: Notices
    engine: PolicyEngine
    policies: PolicyStore


def _judge(base: _Base, settings: Settings, metrics: Metrics) -> _Judge:
    clock = base.clock
    notices = Notices(clock.now, metrics.notice)
    controls = ControlSet(base.registrar, clock.now_ns, _control_options(settings), notify=notices)
    engine = PolicyEngine(Means(controls.obligations, controls.classes, controls.detectable), clock_ns=clock.now_ns)
    policies = PolicyStore(base.store, base.ledger, clock.now_ns, engine)
    policies.start(base.registrar.registry)
    base.registrar.subscribe(policies.refresh)
    return _Judge(controls, notices, engine, policies)


@dataclass(frozen=True, slots=True)
class _Tools:
    """The door to tool servers, and what is kept of them."""

    pins: ToolPins
    dialler: McpDialler
    door: McpDoor
    directories: DirectoryReader


def _tools(  # noqa: PLR0917 - each part once, in the order it was made
    closing: AsyncExitStack,
    base: _Base,
    settings: Settings,
    pipeline: Pipeline,
    ports: Ports,
    http: UpstreamHttp,
    provenance: Provenance,
) -> _Tools:
    registrar = base.registrar
    pins = ToolPins(registrar, findings, infer)
    dialler = McpDialler(http, base.secrets, lambda server: pin.key if (pin := registrar.registry.pin_of(server)) else "")
    door = McpDoor(pipeline, ports, registrar, pins, dialler, findings, base_url=settings.server.public_url)
    closing.push_async_callback(door.close)
    registrar.subscribe(door.upstreams.forget_undeclared)
    directories = DirectoryReader(door, registrar, provenance, base.ledger, base.clock)
    closing.push_async_callback(directories.close)
    registrar.subscribe(directories.start())
    return _Tools(pins, dialler, door, directories)


def _model_doors(base: _Base, people: "_People", judge: _Judge, pipeline: Pipeline, http: UpstreamHttp) -> dict[str, Door]:
    """Wire the doors to models, one a wire."""
    models = AgentModel(pipeline, base.registrar, http, base.secrets)

    def may_see(session: Session, action: Action) -> bool:
        return people.sessions.in_scope(session, action) is None and judge.engine.may_see(session, action)

    return {"openai": OpenAiDoor(models, may_see), "anthropic": AnthropicDoor(models, may_see)}


def _edge(settings: Settings, doors: dict[str, Door], services: Services) -> Edge:
    server, public = settings.server, urlsplit(settings.server.public_url)
    hosts = frozenset({server.host, *filter(None, [public.hostname]), *server.allowed_hosts})
    origins = frozenset({*([f"{public.scheme}://{public.netloc}"] if public.netloc else []), *server.allowed_origins})
    return Edge(doors, create_api(services), hosts=hosts, origins=origins, proxies=Proxies(server.trusted_proxies))


def _a2a(  # noqa: PLR0917 - each part once, in the order it was made
    closing: AsyncExitStack,
    base: _Base,
    settings: Settings,
    people: "_People",
    ports: Ports,
    http: UpstreamHttp,
    cards: CardPins,
    url: str,
) -> A2aDoor:
    """Wire the door to other agents."""
    sessions = people.sessions
    enforcement = UserAgent(ports, base.registrar, SessionLending(sessions))
    tasks = Tasks(base.store, sessions.is_open)
    upstream = AgentUpstream(http, base.secrets)
    pushes = Pushes(enforcement, tasks, upstream, http, lambda name: sessions.session(name) if sessions.is_open(name) else None)
    operations = Operations(enforcement, tasks, AgentCards(upstream, cards), upstream, pushes)
    sessions.on_end(operations.forget)
    door = A2aDoor(operations, people.signer.sign_detached, base_url=settings.server.public_url, own_url=url)
    closing.push_async_callback(door.close)
    return door


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


def _approvals(closing: AsyncExitStack, base: _Base, settings: Settings, sessions: Sessions, url: str) -> Approvals:
    """Return the inbox; what waited for sessions that are over is taken back, now and whenever one ends."""
    inbox = Approvals(base.backing, url=_approval_url(settings, url), stewards=_stewards(settings), is_over=sessions.is_over)
    closing.push_async_callback(inbox.stop)
    sessions.on_end(inbox.withdraw)
    inbox.withdraw()
    return inbox


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
    metrics.gauge("ostiary_ledger_unknown", "Actions whose outcome is unknown since the last start", lambda: ledger.unknown)
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
            missing = refuse("not_found", f"there is no `{call.path[:100]}` here", remedy="there are /health/live and /health/ready")
            await call.respond_json(404, missing.problem(call.decision), content_type="application/problem+json")

    return door


def _metrics_page(metrics: Metrics) -> Door:
    async def door(call: Call) -> None:
        await call.respond(200, metrics.render(), CONTENT_TYPE)

    return door
