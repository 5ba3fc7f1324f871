"""A control plane of real parts in a folder of its own, spoken to over ASGI."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
from argon2 import PasswordHasher
from fastapi import FastAPI

from ostiary.api import Services, create_api
from ostiary.core.clock import Clock
from ostiary.core.registry import Agent, Group, Model, Registry, Server, User
from ostiary.core.subject import Status
from ostiary.governance.approvals import Approvals
from ostiary.governance.card_pins import CardPins
from ostiary.governance.lent_trust import LentTrust
from ostiary.governance.registrar import Registrar, RegistryChange
from ostiary.governance.secrets import SealedSecrets
from ostiary.governance.tool_pins import ToolPins
from ostiary.governance.tool_profiles import ToolProfiles
from ostiary.identity.backing import Backing
from ostiary.identity.control import ControlPlane
from ostiary.identity.directory import Directory
from ostiary.identity.keys import KeyRing
from ostiary.identity.record import IdentityRecord
from ostiary.identity.sessions import Sessions
from ostiary.identity.tokens import Signer
from ostiary.ledger.ledger import Ledger
from ostiary.ledger.vault import LedgerKeys
from ostiary.monitoring.crossings import Observed
from ostiary.monitoring.notices import Notices
from ostiary.policy.engine import PolicyEngine
from ostiary.policy.store import PolicyStore
from ostiary.provenance.engine import Provenance
from ostiary.provenance.keeping import FlowKeeper
from ostiary.provenance.profile import infer
from ostiary.provenance.reasons import reasons
from ostiary.settings import Settings, describe
from ostiary.storage.keyring import Keyring
from ostiary.storage.ledger_files import verify
from ostiary.storage.sqlite import SqliteStateStore
from ostiary.storage.sqlite_ledger import SqliteLedgerStore

ROLES = ("administrator", "security", "approver", "auditor", "owner")
PERMIT_OPENING = """
@id("anyone-opens-sessions") permit (principal, action == Action::"open_session", resource);
@id("payers-generate") permit (principal in Role::"payer", action == Action::"generate", resource);
"""


@dataclass
class Control:
    """The parts, the application and a key for each role."""

    services: Services
    api: FastAPI
    keys: dict[str, str] = field(default_factory=dict)

    def client(self, token: str | None = None, **headers: str) -> httpx2.AsyncClient:
        """A client with a role's key, a given token, or none."""
        authorization = {"authorization": f"Bearer {self.keys.get(token, token)}"} if token else {}
        return httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=self.api, raise_app_exceptions=False),
            base_url="http://127.0.0.1",
            headers={**authorization, **headers},
        )

    async def key(self, name: str, *roles: str) -> str:
        """Make an operator key for somebody."""
        issued = await self.services.keys.issue_operator_key(name, frozenset(roles), by="test")
        return issued.secret

    async def register(self, *values: Any) -> None:
        """Put things into the registry."""
        nouns = {User: "users", Agent: "agents", Model: "models", Server: "servers", Group: "groups"}
        await self.services.registrar.change([RegistryChange(nouns[type(v)], v.name, v) for v in values], by="test", why="test")

    @property
    def registry(self) -> Any:
        """The snapshot of now."""
        return self.services.registrar.registry


@asynccontextmanager
async def control(folder: Path, **settings: Any) -> AsyncIterator[Control]:
    """A control plane with nothing registered and one operator key a role (held by a person of the role's name)."""
    keyring = Keyring(folder / "keys")
    store = SqliteStateStore(folder / "state.db", keyring.derive("state"))
    ledger_keys = LedgerKeys(keyring.signing_key("ledger"), keyring.derive("ledger-kek"), keyring.derive("ledger-index"))
    clock = Clock()
    ledger = Ledger(SqliteLedgerStore(folder / "ledger"), ledger_keys, origin="test.local/ledger/1", node="n1", clock_ns=clock.now_ns)
    await ledger.start()
    registrar = Registrar(store, ledger, clock, "ostiary.local")
    backing, record = Backing(store, ledger, clock, registrar), IdentityRecord(ledger, clock)
    signer, keys = Signer(backing, record, "http://127.0.0.1:8470"), KeyRing(backing, record)
    await signer.start()
    await keys.start()
    engine = PolicyEngine(clock_ns=clock.now_ns)
    policies = PolicyStore(store, ledger, clock.now_ns, engine)
    policies.start(registrar.registry)
    registrar.subscribe(policies.refresh)
    directory = Directory(backing, record, signer, hasher=PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
    reader = ledger.reader()
    config = Settings.load(environ={}, overrides=settings)

    sessions = Sessions(backing, record, signer, keys, engine)
    provenance = Provenance(registrar)
    sessions.on_end(provenance.forget)
    approvals = Approvals(backing, url="http://127.0.0.1:8470/v1/approvals/{id}")
    flows = FlowKeeper(store, provenance, sessions.is_over)
    await flows.start()
    services = Services(
        settings=config,
        described=tuple(describe(environ={}, overrides=settings)),
        data=folder,
        clock=clock,
        registrar=registrar,
        ledger=ledger,
        settled=ledger.settled,
        is_recording=lambda: ledger.state.is_ok,
        reader=reader,
        verify=lambda: verify(folder),
        sessions=sessions,
        keys=keys,
        directory=directory,
        control=ControlPlane(keys, record, directory.person),
        policies=policies,
        engine=engine,
        approvals=approvals,
        trust=LentTrust(sessions, provenance, approvals, record, registry=registrar, keep=flows.flush),
        provenance=provenance,
        pins=ToolPins(registrar, lambda *_: (), infer),
        profiles=ToolProfiles(registrar, infer, reasons),
        cards=CardPins(registrar, lambda *_: ()),
        secrets=SealedSecrets(store, ledger, clock),
        notices=Notices(clock.now, lambda _: None),
        observed=Observed(reader, store),
        preview=_no_preview,
        connect=_no_servers,
        read_directories=_no_servers,
    )
    found = Control(services, create_api(services))
    for role in ROLES:
        found.keys[role] = await found.key(role, role)
    try:
        yield found
    finally:
        await flows.stop()
        await services.sessions.stop()
        reader.close()
        await ledger.close()
        directory.close()
        store.close()


async def _no_preview(_now: Registry, wanted: Registry) -> tuple[Registry, Mapping[str, str]]:
    """Nothing is dialled here: servers bring the tools a test registers."""
    return wanted, {}


async def _no_servers() -> Mapping[str, str]:
    return {}


def company() -> list[Any]:
    """People, a model, a server, and an agent of alice's and one of owner's that may run."""
    alice, owner = User("alice", roles=frozenset({"payer"})), User("owner", roles=frozenset({"payer"}))
    model = Model("gpt", "openai", "http://127.0.0.1:9001/v1")
    bots = [
        Agent(name, owner=who, purpose="pays", roles=frozenset({"payer"}), model="gpt", servers=("mail",))
        for name, who in (("alice-bot", "alice"), ("owner-bot", "owner"))
    ]
    return [alice, owner, model, Server("mail", "http://127.0.0.1:9002/mcp"), *(_running(bot) for bot in bots)]


def _running(agent: Agent) -> Agent:
    from dataclasses import replace

    return replace(agent, status=Status.ACTIVE, reviewed=agent.manifest)
