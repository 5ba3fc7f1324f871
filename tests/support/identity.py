"""Identity over state, record, time and registry in memory: a test moves the clock, changes the registry, or starts again."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from argon2 import PasswordHasher

from ostiary.core.action import Action, Boundary, Resource
from ostiary.core.clock import Clock
from ostiary.core.decision import Refusal
from ostiary.core.entry import Entry, Receipt
from ostiary.core.errors import LedgerUnavailable, Unavailable
from ostiary.core.ports import Change, Credential, PolicyEngine
from ostiary.core.registry import Agent, Registry, User
from ostiary.core.subject import Limits, Session, Status
from ostiary.identity.backing import Backing
from ostiary.identity.control import ControlPlane
from ostiary.identity.credentials import Opened
from ostiary.identity.directory import Directory
from ostiary.identity.keys import KeyRing
from ostiary.identity.lending import Ask
from ostiary.identity.record import IdentityRecord
from ostiary.identity.sessions import Sessions
from ostiary.identity.tokens import Signer

ISSUER = "http://127.0.0.1:8470"


class MovedClock(Clock):
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.at_s = 1_800_000_000.0

    def now_ns(self) -> int:
        return round(self.at_s * 1e9)

    def now(self) -> float:
        return self.at_s


@dataclass
class Memory:
    """The state store, the ledger, the clock and the registry; the first two can be made to fail."""

    documents: dict[tuple[str, str], bytes] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    clock: MovedClock = field(default_factory=MovedClock)
    registry: Registry = field(default_factory=lambda: company(bot()))
    is_recording: bool = True
    is_storing: bool = True

    def load(self, kind: str) -> dict[str, bytes]:
        return {name: body for (which, name), body in self.documents.items() if which == kind}

    async def write(self, changes: Sequence[Change]) -> None:
        await asyncio.sleep(0)
        if not self.is_storing:
            raise Unavailable("disk full")
        for change in changes:
            if change.body is None:
                self.documents.pop((change.kind, change.id), None)
            else:
                self.documents[change.kind, change.id] = change.body

    async def append(self, entry: Entry) -> Receipt:
        await asyncio.sleep(0)
        if not self.is_recording:
            raise LedgerUnavailable("disk full")
        self.entries.append(entry)
        return Receipt(len(self.entries) - 1, b"")

    async def post(self, entry: Entry) -> None:
        await self.append(entry)


@dataclass
class Identity:
    """Pillar 1 over a memory, as the composition root wires it."""

    memory: Memory
    backing: Backing
    record: IdentityRecord
    signer: Signer
    keys: KeyRing
    sessions: Sessions
    directory: Directory
    control: ControlPlane

    async def opened(self, *scopes: str, **ask: Any) -> Opened:
        """Open a session that must open."""
        wanted = Ask(**{"agent": "bot", "user": "alice", "scopes": scopes or ("tool:mail/*",), "purpose": "read the mail", **ask})
        found = await self.sessions.open(wanted)
        assert not isinstance(found, Refusal), found
        return found

    async def refused(self, **ask: Any) -> Refusal:
        """Ask for a session that must be refused."""
        base: dict[str, Any] = {"agent": "bot", "user": "alice", "scopes": ("tool:mail/*",), "purpose": "read the mail"}
        found = await self.sessions.open(Ask(**{**base, **ask}))
        assert isinstance(found, Refusal), found
        return found

    async def lent_on(self, parent: Session, *scopes: str, **ask: Any) -> Opened:
        """Lend part of a session on; it must succeed."""
        wanted = Ask(**{"agent": "helper", "user": None, "scopes": scopes or ("tool:mail/read",), "purpose": "help", **ask})
        found = await self.sessions.delegate(parent, wanted)
        assert not isinstance(found, Refusal), found
        return found

    async def not_lent_on(self, parent: Session, *scopes: str, **ask: Any) -> Refusal:
        """Lend part of a session on; it must be refused."""
        wanted = Ask(**{"agent": "helper", "user": None, "scopes": scopes or ("tool:mail/read",), "purpose": "help", **ask})
        found = await self.sessions.delegate(parent, wanted)
        assert isinstance(found, Refusal), found
        return found

    def change(self, **agents: Agent) -> None:
        """Register other agents in place of those of now."""
        self.memory.registry = replace(self.memory.registry, agents=agents)

    async def stop(self) -> None:
        """Leave in good order."""
        await self.sessions.stop()
        self.record.close()
        self.directory.close()


def bot(**fields: Any) -> Agent:
    """An agent that may run."""
    made = Agent(**{"name": "bot", "owner": "alice", "purpose": "reads mail", "status": Status.ACTIVE, **fields})
    return replace(made, reviewed=made.manifest)


def company(*agents: Agent) -> Registry:
    """Three people and the given agents."""
    return Registry(users={name: User(name) for name in ("alice", "bob", "carol")}, agents={agent.name: agent for agent in agents})


async def identity(
    memory: Memory | None = None, *, dev: bool = False, limits: Limits | None = None, policy: PolicyEngine | None = None
) -> Identity:
    """Start identity, on an earlier memory as after a restart."""
    memory = memory or Memory()
    backing = Backing(memory, memory, memory.clock, memory)
    record = IdentityRecord(memory, memory.clock)
    signer, keys = Signer(backing, record, ISSUER), KeyRing(backing, record)
    await signer.start()
    await keys.start()
    hasher = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    directory = Directory(backing, record, signer, dev=dev, hasher=hasher)
    sessions = Sessions(backing, record, signer, keys, policy, defaults=limits)
    return Identity(memory, backing, record, signer, keys, sessions, directory, ControlPlane(keys, record, directory.person))


def crashed(memory: Memory) -> Memory:
    """What a later process finds when this one is killed now."""
    return Memory(dict(memory.documents), list(memory.entries), memory.clock, memory.registry)


def presented(token: str, door: str = "mcp", ip: str = "127.0.0.1") -> Credential:
    """A credential at a door."""
    return Credential(token, door, ip)


def calling(tool: str) -> Action:
    """The action of calling a tool."""
    return Action(Boundary.AGENT_API, "call_tool", tool, Resource("Tool", tool), f"tool:{tool}")
