"""Small honest ports for tests that need a pipeline but are about something else."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ostiary.core.action import Action, Origins
from ostiary.core.decision import Approval, ApprovalRule, Context, Decision, Effect, Refusal, refuse
from ostiary.core.entry import Entry, Receipt
from ostiary.core.errors import InvalidConfig, LedgerUnavailable
from ostiary.core.pipeline import Passage, Pipeline
from ostiary.core.ports import Credential, Ports
from ostiary.core.registry import Registry
from ostiary.core.subject import Principal, PrincipalKind, Session, Subject

TOKEN = "session-token"


@dataclass
class OneSession:
    """An identity with one session, opened by `TOKEN`; `revoked` ends it."""

    revoked: bool = False
    scopes: tuple[str, ...] = ("model:*",)
    session: Session = field(init=False)

    def __post_init__(self) -> None:
        user = Principal("spiffe://test/user/alice", PrincipalKind.USER, "alice")
        agent = Principal("spiffe://test/agent/bot", PrincipalKind.AGENT, "bot", owner="alice")
        self.session = Session("s1", Subject((user, agent)), self.scopes, "testing", time.time(), time.time() + 3600)

    async def authenticate(self, credential: Credential) -> Session | Refusal:
        if credential.token != TOKEN:
            return refuse("no_session", "no session opens with this credential")
        return self.standing(self.session) or self.session

    def standing(self, session: Session, *, is_acting: bool = True) -> Refusal | None:
        return refuse("revoked", "the session was revoked") if self.revoked else None

    def reaches(self, session: Session, action: Action) -> bool:
        return self.in_scope(session, action) is None

    def in_scope(self, session: Session, action: Action) -> Refusal | None:
        kind = action.scope.partition(":")[0]
        if action.scope in session.scopes or f"{kind}:*" in session.scopes:
            return None
        return refuse("out_of_scope", f"the session was not lent `{action.scope}`")


@dataclass
class FixedPolicy:
    """A policy that allows all but the resources in `denied` and `held`."""

    denied: set[str] = field(default_factory=set)
    held: set[str] = field(default_factory=set)
    decided: list[Action] = field(default_factory=list)

    def decide(self, session: Session, action: Action, origins: Origins, context: Context) -> Decision:
        self.decided.append(action)
        if action.resource.id in self.denied:
            return Decision(Effect.DENY, "forbidden", ("no-such-model",), ("this model is not for this agent",))
        if action.resource.id in self.held and context.approval is None:
            return Decision(Effect.HOLD, policies=("ask-first",), approvals=(ApprovalRule("ask-first", "security"),))
        return Decision(Effect.ALLOW, policies=("allow",))

    def may_see(self, session: Session, action: Action) -> bool:
        return action.resource.id not in self.denied


@dataclass
class PlainStream:
    """The stream controls of `PlainControls`: `forbidden` refuses, `secret` is starred out, in however many pieces it comes."""

    held_back: dict[str, str] = field(default_factory=dict)
    found: set[str] = field(default_factory=set)

    def feed(self, channel: str, text: str) -> str:
        text = self._clean(self.held_back.pop(channel, "") + text)
        keep = next((n for n in range(5, 0, -1) if text.endswith("secret"[:n])), 0)
        self.held_back[channel] = text[len(text) - keep :]
        return text[: len(text) - keep]

    def finish(self, channel: str) -> str:
        return self.held_back.pop(channel, "")

    def _clean(self, text: str) -> str:
        if "forbidden" in text:
            error = InvalidConfig("the text was refused", code="content_rejected", status=422)
            raise error
        if "secret" in text:
            self.found.add("secret")
        return text.replace("secret", "******")

    @property
    def detected(self) -> frozenset[str]:
        return frozenset(self.found)


class PlainControls:
    """Controls that star out the word `secret` and refuse the word `forbidden`, in prompts, answers and streams."""

    def look(self, value: Any) -> Any:
        """Nothing is looked at ahead of time."""

    def inspect(self, passage: Passage) -> Refusal | None:
        _, action = passage.acting
        return refuse("content_rejected", "the text was refused") if b"forbidden" in action.encoded_arguments else None

    def shape(self, passage: Passage) -> Refusal | None:
        _, action = passage.acting
        if b"secret" in action.encoded_arguments:
            passage.action = action.with_arguments(_starred(action.arguments))
        return None

    def answer(self, passage: Passage, content: Any) -> Any | Refusal:
        return _starred(content)

    def charge(self, passage: Passage, content: Any) -> None:
        """Nothing costs anything here."""

    def stream(self, passage: Passage) -> PlainStream:
        return PlainStream()


def _starred(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("secret", "******")
    if isinstance(value, dict):
        return {key: _starred(item) for key, item in value.items()}
    return [_starred(item) for item in value] if isinstance(value, list) else value


class NoProvenance:
    """Knows no origins and brings no labels."""

    def trace(self, session: Session, action: Action) -> Origins:
        return Origins()

    def absorb(self, passage: Passage, content: Any) -> frozenset[str]:
        return frozenset()


@dataclass
class ListLedger:
    """Keeps entries in memory; refuses while `is_full`."""

    entries: list[Entry] = field(default_factory=list)
    is_full: bool = False

    async def append(self, entry: Entry) -> Receipt:
        if self.is_full:
            raise LedgerUnavailable("the ledger cannot write")
        self.entries.append(entry)
        return Receipt(len(self.entries) - 1, b"")

    async def post(self, entry: Entry) -> None:
        await self.append(entry)

    def of(self, kind: str) -> list[Entry]:
        return [entry for entry in self.entries if entry.kind == kind]


class NeverApproved:
    """An inbox nobody looks into."""

    def find(self, session: Session, digest: str) -> Approval | None:
        return None

    async def hold(self, passage: Passage) -> Mapping[str, Any]:
        return {"id": "a1", "url": "http://127.0.0.1:8470/console/approvals/a1", "expires_at": 4102444800}

    async def consume(self, approval: Approval) -> bool:
        return False


@dataclass
class FixedSecrets:
    """Secrets by name."""

    values: dict[str, str] = field(default_factory=dict)

    def reveal(self, name: str) -> str:
        if name not in self.values:
            raise InvalidConfig(f"secret `{name}` is not set")
        return self.values[name]


@dataclass
class FixedRegistry:
    """A registry that a test may swap."""

    registry: Registry


@dataclass
class World:
    """One of each port, and the pipeline over them."""

    identity: OneSession = field(default_factory=OneSession)
    policy: FixedPolicy = field(default_factory=FixedPolicy)
    ledger: ListLedger = field(default_factory=ListLedger)
    controls: Any = field(default_factory=PlainControls)
    clock_ns: Callable[[], int] = time.time_ns

    def pipeline(self) -> Pipeline:
        return Pipeline(Ports(self.identity, self.policy, self.controls, NoProvenance(), self.ledger, NeverApproved(), self.clock_ns))
