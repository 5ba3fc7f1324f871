"""A gateway with an MCP door on a real socket, and MCP servers behind it: one we shape, one nobody here wrote."""

import asyncio
import os
import ssl
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx2

from ostiary.connectors.http import UpstreamHttp
from ostiary.connectors.mcp_http import McpDialler
from ostiary.controls.control_set import ControlSet
from ostiary.controls.tool_definition import findings
from ostiary.core.action import Action
from ostiary.core.clock import Clock
from ostiary.core.decision import Refusal, refuse
from ostiary.core.pipeline import Pipeline
from ostiary.core.ports import Credential, Ports
from ostiary.core.registry import Agent, Server, User
from ostiary.core.subject import Principal, PrincipalKind, Session, Status, Subject
from ostiary.governance.registrar import Registrar, RegistryChange
from ostiary.governance.tool_pins import ToolPins
from ostiary.identity.scopes import matches
from ostiary.policy.engine import PolicyEngine
from ostiary.policy.version import PolicyVersion
from ostiary.protocols.edge import Edge
from ostiary.protocols.mcp.door import McpDoor
from ostiary.protocols.wire import Call, Receive, Scope, Send
from ostiary.provenance.engine import Provenance
from ostiary.provenance.profile import infer
from tests.support.listening import listening
from tests.support.ports import FixedPolicy, FixedSecrets, ListLedger, NeverApproved, NoProvenance, PlainControls

SHARED = Path(os.environ.get("OSTIARY_SHARED", Path(__file__).parents[3] / "shared"))
VERSION, CAPABILITIES = "io.modelcontextprotocol/protocolVersion", "io.modelcontextprotocol/clientCapabilities"
ALL = ("tool:*/*", "resource:*/*", "prompt:*/*")


@dataclass
class Sessions:
    """An identity with several sessions, one a token; `revoked` tokens stop at once."""

    by_token: dict[str, Session] = field(default_factory=dict)
    revoked: set[str] = field(default_factory=set)

    def lend(self, token: str, scopes: Sequence[str] = ALL, user: str = "alice") -> Session:
        chain = (
            Principal(f"spiffe://test/user/{user}", PrincipalKind.USER, user),
            Principal("spiffe://test/agent/bot", PrincipalKind.AGENT, "bot", owner=user),
        )
        session = Session(f"session-of-{token}", Subject(chain), tuple(scopes), "testing", time.time(), time.time() + 3600)
        self.by_token[token] = session
        return session

    async def authenticate(self, credential: Credential) -> Session | Refusal:
        session = self.by_token.get(credential.token)
        if session is None:
            return refuse("no_session", "no session opens with this credential")
        return self.standing(session) or session

    def standing(self, session: Session, *, is_acting: bool = True) -> Refusal | None:
        revoked = any(self.by_token[token] is session for token in self.revoked)
        return refuse("revoked", "the session was revoked") if revoked else None

    def reaches(self, session: Session, action: Action) -> bool:
        return self.in_scope(session, action) is None

    def in_scope(self, session: Session, action: Action) -> Refusal | None:
        if any(matches(scope, action.scope) for scope in session.scopes):
            return None
        return refuse("out_of_scope", f"the session was not lent `{action.scope}`")


class MemoryStore:
    """A state store that forgets with the test."""

    def __init__(self) -> None:
        self.documents: dict[str, dict[str, bytes]] = {}

    def load(self, kind: str) -> dict[str, bytes]:
        return dict(self.documents.get(kind, {}))

    async def write(self, changes: Sequence[Any]) -> None:
        for change in changes:
            held = self.documents.setdefault(change.kind, {})
            if change.body is None:
                held.pop(change.id, None)
            else:
                held[change.id] = change.body


@dataclass
class Gateway:
    """The running door with everything a test may look at or turn."""

    url: str
    door: McpDoor
    registrar: Registrar
    pins: ToolPins
    sessions: Sessions
    policy: FixedPolicy
    ledger: ListLedger
    token: str = "t-alice"

    async def register(self, *servers: Server) -> None:
        await self.registrar.change([RegistryChange("servers", server.name, server) for server in servers], by="root", why="test")

    def mcp(self, server: str = "") -> str:
        return f"{self.url}/mcp/{server}" if server else f"{self.url}/mcp"

    def client(self, token: str | None = None) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(headers={"authorization": f"Bearer {token or self.token}"}, timeout=20, trust_env=False)


@asynccontextmanager
async def gateway(
    *servers: Server, credentials: Mapping[str, str] | None = None, find: Any = findings, policies: str = "", authority: Path | None = None
) -> AsyncIterator[Gateway]:
    """Run a gateway for the given servers; alice's session may do everything the policy allows.

    With `policies` (Cedar), the real policy engine, content controls and provenance stand in place of the plain ones.
    """
    sessions, policy, ledger, engine = Sessions(), FixedPolicy(), ListLedger(), PolicyEngine()
    sessions.lend("t-alice")
    registrar = Registrar(MemoryStore(), ledger, Clock(), "test")
    pins = ToolPins(registrar, find, infer)
    ports = Ports(sessions, policy, PlainControls(), NoProvenance(), ledger, NeverApproved(), time.time_ns)
    if policies:
        ports = replace(ports, policy=engine, controls=ControlSet(registrar, time.time_ns), provenance=Provenance(registrar))
    http = UpstreamHttp(tls=ssl.create_default_context(cafile=authority) if authority else None)
    secrets = FixedSecrets(dict(credentials or {}))
    dialler = McpDialler(http, secrets, lambda server: pin.key if (pin := registrar.registry.pin_of(server)) else "")
    door = McpDoor(Pipeline(ports), ports, registrar, pins, dialler, find)
    edge = Edge({"mcp": door, ".well-known": door.metadata}, _nothing, hosts=frozenset(), origins=frozenset())
    async with listening(edge) as address:
        running = Gateway(f"http://{address}", door, registrar, pins, sessions, policy, ledger)
        people = [
            RegistryChange("users", "alice", User("alice")),
            RegistryChange("agents", "bot", Agent("bot", "alice", "t", status=Status.ACTIVE)),
        ]
        await registrar.change(people, by="root")
        await running.register(*servers)
        if policies:
            await _decide_by(engine, running, policies)
        try:
            yield running
        finally:
            await door.close()
            await http.close()


async def _decide_by(engine: PolicyEngine, running: Gateway, policies: str) -> None:
    """Load policies once the servers' tools are known, and let the engine follow the registry from then on."""
    version = PolicyVersion({"test.cedar": policies})
    await running.door.connect()
    engine.load(running.registrar.registry, version)
    running.registrar.subscribe(lambda registry: engine.load(registry, version))


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    await Call(scope, receive, send).respond(404, b"")


@dataclass
class Process:
    """A server somebody else wrote, running."""

    url: str


@asynccontextmanager
async def everything_server() -> AsyncIterator[Process]:
    """Run the MCP project's own 'everything' server."""
    port = _free_port()
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "PYTHONPATH": str(SHARED / "targets/mcp-everything-server"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [sys.executable, "-m", "mcp_everything_server", "--port", str(port), "--log-level", "CRITICAL"]
    with tempfile.TemporaryFile() as output:
        process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=output, stderr=output, start_new_session=True)
        try:
            await _until_open(port)
            yield Process(f"http://127.0.0.1:{port}/mcp")
        finally:
            process.kill()
            await process.wait()


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def _until_open(port: int) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return
