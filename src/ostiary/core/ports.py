"""What the pipeline needs from the world, as shapes. Pillars, storage and connectors fill them; `app` chooses."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from ostiary.core.action import Action, Origins
from ostiary.core.decision import Approval, Context, Decision, Refusal
from ostiary.core.entry import Entry, Receipt
from ostiary.core.quick import quick
from ostiary.core.registry import Registry
from ostiary.core.subject import Session

if TYPE_CHECKING:
    from ostiary.core.pipeline import Passage


@quick
@dataclass(frozen=True, slots=True)
class Credential:
    """What a caller presented, and where: nothing is believed yet."""

    token: str
    door: str
    """`mcp`, `openai`, `anthropic`, `control`, `token` …"""
    ip: str = "127.0.0.1"
    host: str = ""


class Identity(Protocol):
    """Pillar 1: turns credentials into sessions, and says at any moment whether one still stands."""

    async def authenticate(self, credential: Credential) -> Session | Refusal:
        """Return the session the credential opens. Records every failure and every first success."""
        ...

    def standing(self, session: Session, *, is_acting: bool = True) -> Refusal | None:
        """Return why the session may not act now (revoked, expired, isolated …), looked up every time.

        Asked for something it does, unless `is_acting` is off: who only waits, or looks after it, does not keep it from being idle.
        """
        ...

    def in_scope(self, session: Session, action: Action) -> Refusal | None:
        """Return why the session was not lent this action with these arguments."""
        ...

    def reaches(self, session: Session, action: Action) -> bool:
        """Say whether the session was lent this action with some arguments or other, for listings."""
        ...


class PolicyEngine(Protocol):
    """Pillar 2: pure. Never allows when anything was wrong with the evaluation."""

    def decide(self, session: Session, action: Action, origins: Origins, context: Context) -> Decision:
        """Decide for every link of the session's chain; all must be allowed."""
        ...

    def may_see(self, session: Session, action: Action) -> bool:
        """Say whether a call could be allowed or held, for listings: arguments and origins unknown."""
        ...


class ContentStream(Protocol):
    """Content controls over text that arrives in pieces; holds back a bounded tail, never the whole."""

    def feed(self, channel: str, text: str) -> str:
        """Take a piece of one channel (`content`, `tool:0`) and return what may be released now."""
        ...

    def finish(self, channel: str) -> str:
        """End a channel and return the tail."""
        ...

    @property
    def detected(self) -> frozenset[str]:
        """Classes found so far."""
        ...


class Controls(Protocol):
    """The content controls and limits, in the order they must run. Raising is refusing."""

    def look(self, value: Any) -> Any:
        """Read a large value, beside the event loop; what is returned stands in `passage.ahead` for `inspect` or `answer`."""
        ...

    def inspect(self, passage: "Passage") -> Refusal | None:
        """Run the always-on rules on the arguments and fill `passage.detected`, before the decision."""
        ...

    def shape(self, passage: "Passage") -> Refusal | None:
        """Carry out the decision's obligations on the arguments and take from rates and budgets."""
        ...

    def answer(self, passage: "Passage", content: Any) -> Any | Refusal:
        """Return the answer as the caller may see it."""
        ...

    def stream(self, passage: "Passage") -> ContentStream:
        """Return the controls for an answer that arrives in pieces."""
        ...

    def charge(self, passage: "Passage", content: Any) -> None:
        """Take what the action used from the session's budget, once it has ended; `content` None says that it never ran."""
        ...


class Provenance(Protocol):
    """Where values came from, and what labels content brings: the information flow of a session."""

    def trace(self, session: Session, action: Action) -> Origins:
        """Return the origin of each argument."""
        ...

    def absorb(self, passage: "Passage", content: Any) -> frozenset[str]:
        """Take an answer's values and labels onto the session; return the labels it brought."""
        ...


class Ledger(Protocol):
    """Pillar 4. Both raise LedgerUnavailable when the entry cannot be recorded."""

    async def append(self, entry: Entry) -> Receipt:
        """Record one entry, and return once it is durable."""
        ...

    async def post(self, entry: Entry) -> None:
        """Put one entry in line behind all earlier ones, and do not wait: for the outcome of what changed nothing."""
        ...


class Approvals(Protocol):
    """The inbox. An approval binds one digest, once, for a time."""

    def find(self, session: Session, digest: str) -> Approval | None:
        """Return the live, unused approval of exactly this action."""
        ...

    async def hold(self, passage: "Passage") -> Mapping[str, Any] | Refusal:
        """Open (or find again) the approval task for a held action: `{id, url, expires_at}`; or say why there is none."""
        ...

    async def consume(self, approval: Approval) -> bool:
        """Use it up, durably; False if another call was first."""
        ...


class Watch(Protocol):
    """Pillar 3: sees every finished passage. Must not block or fail the action."""

    def __call__(self, passage: "Passage", /) -> None:
        """Look at one passage."""
        ...


class RegistrySource(Protocol):
    """Whoever holds the current snapshot."""

    @property
    def registry(self) -> Registry:
        """The snapshot of now."""
        ...


@dataclass(frozen=True, slots=True)
class Change:
    """One write to the state store: `body` None deletes."""

    kind: str
    id: str
    body: bytes | None


class StateStore(Protocol):
    """Documents by kind and id, sealed at rest. All of it is read at start; only changes are written later."""

    def load(self, kind: str) -> dict[str, bytes]:
        """Return every document of a kind, by id."""
        ...

    async def write(self, changes: Sequence[Change]) -> None:
        """Make all changes durable, or none. Raises Unavailable."""
        ...


@quick
@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request to an upstream. `url` is absolute; header names are lower case."""

    method: str
    url: str
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = b""
    timeout_s: float = 60.0
    """Longest wait for the head, and then between two pieces of the body."""
    unsafe_plaintext: bool = False
    """Allow `http://` to a host beyond loopback, as the declaration said."""
    only_public: bool = False
    """Send nothing to an address that is not a public one, whatever the name leads to: for addresses a caller chose."""
    pinned_key: str = ""
    """SHA-256 (hex) of the public key that the upstream's certificate must have; empty for any."""


class HttpAnswer(Protocol):
    """An upstream's answer; the body is read or iterated exactly once."""

    peer_key: str
    """SHA-256 (hex) of the public key in the upstream's certificate; empty without TLS."""
    status: int
    headers: Mapping[str, str]
    """Lower-case names; repeated ones joined with `, `."""

    async def read(self, max_bytes: int) -> bytes:
        """Return the whole body. Raises UpstreamUnavailable past `max_bytes`."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """Iterate the body as it arrives, with back-pressure."""
        ...

    def close(self) -> None:
        """Give the connection up; cancels the upstream when the body is not finished."""
        ...


class HttpClient(Protocol):
    """Keeps connections to upstreams. Follows no redirect, uses no proxy, sends nothing it was not given."""

    async def send(self, request: HttpRequest) -> HttpAnswer:
        """Send and return once the head has arrived. Raises UpstreamUnavailable."""
        ...


class Secrets(Protocol):
    """Sealed credentials for upstreams."""

    def reveal(self, name: str) -> str:
        """Return a secret for use upstream. Raises InvalidConfig when it is not set."""
        ...


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything the pipeline is wired to."""

    identity: Identity
    policy: PolicyEngine
    controls: Controls
    provenance: Provenance
    ledger: Ledger
    approvals: Approvals
    clock_ns: Callable[[], int]
    """Nanoseconds since the epoch, by `core.clock.Clock`."""
    watch: Sequence[Watch] = field(default_factory=tuple)
