"""Who acts, on behalf of whom, and what was lent to them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class PrincipalKind(StrEnum):
    """The kinds of principal the registry knows."""

    USER = "user"
    AGENT = "agent"
    PROCESS = "process"
    MODEL = "model"


class Status(StrEnum):
    """Whether a principal may act now. Only `ACTIVE` may."""

    DRAFT = "draft"
    ACTIVE = "active"
    ISOLATED = "isolated"
    RETIRED = "retired"


class Integrity(StrEnum):
    """Whether only trusted content has entered a session."""

    TRUSTED = "trusted"
    UNTRUSTED = "untrusted"


@dataclass(frozen=True, slots=True)
class Principal:
    """A registered user, agent, process or model. `id` is SPIFFE-shaped, `name` the registry's."""

    id: str
    kind: PrincipalKind
    name: str
    status: Status = Status.ACTIVE
    owner: str | None = None
    """The registered user who answers for it, by name."""
    roles: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Subject:
    """The acting agent with its chain: the lending user first, the acting agent last."""

    chain: tuple[Principal, ...]

    @property
    def actor(self) -> Principal:
        """The principal that acts."""
        return self.chain[-1]

    @property
    def user(self) -> Principal | None:
        """The lending user; None in an autonomous session."""
        first = self.chain[0]
        return first if first.kind is PrincipalKind.USER else None

    @property
    def owners(self) -> frozenset[str]:
        """Who answers for an agent of the chain, by name."""
        return frozenset(link.owner for link in self.chain if link.owner)


@dataclass(frozen=True, slots=True)
class Authentication:
    """How a credential was verified."""

    method: str
    """`session_token`, `agent_key`, `operator_key`, `password`, `dev` …"""
    at: float
    bound: bool = False
    mfa: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """What a session may use up; None is no limit. Spend is in micro-units of the deployment's currency."""

    actions: int | None = None
    spend: int | None = None
    rows: int | None = None
    """Rows of tables that answers may bring."""
    bytes: int | None = None
    """Bytes that answers may bring."""
    approvals: int | None = None
    """Actions it may put before people."""


COUNTED = (("actions", "actions"), ("spend", "spent"), ("rows", "rows"), ("bytes", "bytes"), ("approvals", "approvals"))
"""What is limited, with what counts it in the state."""


@dataclass(slots=True)
class SessionState:
    """What has happened in a session so far; changed only on the event loop, only upwards."""

    integrity: Integrity = Integrity.TRUSTED
    labels: frozenset[str] = frozenset()
    actions: int = 0
    denied: int = 0
    spent: int = 0
    answers: int = 0
    """Answers whose values entered: what is kept of them beside the session is whole only when it counts as many."""
    rows: int = 0
    bytes: int = 0
    approvals: int = 0
    """Rows and bytes that answers brought, counted where a limit stands, and actions that were put before people."""

    def join(self, other: "SessionState") -> None:
        """Take on what another session has met: labels only grow, integrity only falls."""
        self.labels |= other.labels
        if other.integrity is Integrity.UNTRUSTED:
            self.integrity = Integrity.UNTRUSTED


@dataclass(frozen=True, slots=True, eq=False)
class Session:
    """What a user lent to an agent: never more than either has. `state` is the only part that moves."""

    id: str
    subject: Subject
    scopes: tuple[str, ...]
    purpose: str
    opened_at: float
    expires_at: float
    limits: Limits = Limits()
    authentication: Authentication = Authentication("session_token", 0.0)
    depth: int = 0
    """How often it was lent on: 0 when a user, or an autonomous agent itself, opened it."""
    state: SessionState = field(default_factory=SessionState)
    roles: frozenset[str] | None = None
    """Which roles of the principals count; None is all they have."""
    above: tuple["Session", ...] = ()
    """The sessions it was lent from, the nearest first: what it uses counts against each of them."""

    @property
    def line(self) -> tuple["Session", ...]:
        """The session itself, then those it was lent from."""
        return (self, *self.above)
