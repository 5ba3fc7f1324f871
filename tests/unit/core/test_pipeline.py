"""The seven steps: total, in order, closed on failure, and recorded before anything happens (R-P4, R-K3, R-G2)."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from ostiary.core.action import Action, Boundary, Origins, Resource
from ostiary.core.decision import Approval, ApprovalRule, Context, Decision, Effect, Refusal, refuse
from ostiary.core.entry import Entry, Kind, Receipt
from ostiary.core.errors import LedgerUnavailable
from ostiary.core.pipeline import Passage, Pipeline
from ostiary.core.ports import ContentStream, Credential, Ports
from ostiary.core.subject import Principal, PrincipalKind, Session, Subject

AGENT = Principal("spiffe://t/agent/bot", PrincipalKind.AGENT, "bot", owner="carol")
USER = Principal("spiffe://t/user/alice", PrincipalKind.USER, "alice")
PAY = Action(Boundary.AGENT_API, "call_tool", "pay/pay", Resource("Tool", "pay/pay"), "tool:pay/pay", {"amount": 5})


def session() -> Session:
    return Session("s1", Subject((USER, AGENT)), ("tool:*",), "pay", 0, 10)


@dataclass
class World:
    """One object that plays every port, so that a test can say which of them fails and see the order of calls."""

    fail: str = ""
    refuse_at: str = ""
    decision: Decision = field(default_factory=lambda: Decision(Effect.ALLOW, policies=("p",)))
    approval: Approval | None = None
    used: set[str] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    standing_refusals: list[Refusal | None] = field(default_factory=list)
    watched: list[Passage] = field(default_factory=list)

    def _called(self, name: str) -> Refusal | None:
        self.calls.append(name)
        if self.fail == name:
            raise RuntimeError("broken part")
        return refuse("forbidden", "no") if self.refuse_at == name else None

    async def authenticate(self, credential: Credential) -> Session | Refusal:
        return self._called("authenticate") or session()

    def standing(self, session: Session, *, is_acting: bool = True) -> Refusal | None:
        if self.standing_refusals:
            return self.standing_refusals.pop(0)
        return self._called("standing")

    def reaches(self, session: Session, action: Action) -> bool:
        return self.in_scope(session, action) is None

    def in_scope(self, session: Session, action: Action) -> Refusal | None:
        return self._called("in_scope")

    def decide(self, session: Session, action: Action, origins: Origins, context: Context) -> Decision:
        self._called("decide")
        return self.decision

    def may_see(self, session: Session, action: Action) -> bool:
        return True

    def look(self, value: Any) -> Any:
        self._called("look")
        return None

    def trace(self, session: Session, action: Action) -> Origins:
        self._called("trace")
        return Origins({"amount": "user"})

    def absorb(self, passage: Passage, content: Any) -> frozenset[str]:
        self._called("absorb")
        return frozenset({"pii"})

    def inspect(self, passage: Passage) -> Refusal | None:
        return self._called("inspect")

    def shape(self, passage: Passage) -> Refusal | None:
        return self._called("shape")

    def answer(self, passage: Passage, content: Any) -> Any | Refusal:
        return self._called("answer") or content

    def charge(self, passage: Passage, content: Any) -> None:
        """Nothing costs anything here."""

    def stream(self, passage: Passage) -> ContentStream:
        raise NotImplementedError

    async def append(self, entry: Entry) -> Receipt:
        if self.fail in ("append", f"append {entry.kind}"):
            raise LedgerUnavailable("disk full")
        self.calls.append(f"append {entry.kind}")
        self.entries.append(entry)
        return Receipt(len(self.entries) - 1, b"")

    async def post(self, entry: Entry) -> None:
        self.calls.append(f"post {entry.kind}")
        if self.fail == "post":
            raise LedgerUnavailable("disk full")
        self.entries.append(entry)

    def find(self, session: Session, digest: str) -> Approval | None:
        self._called("find")
        return self.approval

    async def hold(self, passage: Passage) -> Mapping[str, Any]:
        self._called("hold")
        return {"id": "a1", "url": "u", "expires_at": 1}

    async def consume(self, approval: Approval) -> bool:
        self._called("consume")
        await asyncio.sleep(0)
        fresh = approval.id not in self.used
        self.used.add(approval.id)
        return fresh


def pipeline(world: World) -> Pipeline:
    return Pipeline(Ports(world, world, world, world, world, world, lambda: 1_000_000_000, watch=[world.watched.append]))


@pytest.fixture
def world() -> World:
    return World()


async def passed(world: World) -> tuple[Passage, Refusal | None]:
    passage = Passage(Credential("t", "mcp"))
    line = pipeline(world)
    refusal = await line.identify(passage)
    if refusal is None:
        passage.action = PAY
        refusal = await line.admit(passage)
    return passage, refusal


async def test_the_order_of_an_allowed_action(world: World) -> None:
    passage, refusal = await passed(world)
    assert refusal is None
    assert await pipeline(world).settle(passage, {"ok": True}) == {"ok": True}
    assert [c for c in world.calls if c not in ("standing", "find")] == [
        "authenticate", "in_scope", "trace", "inspect", "decide", "shape", "append intent", "answer", "absorb", "append outcome",
    ]  # fmt: skip
    intent, outcome = world.entries
    assert (intent.kind, intent.id, intent.decision, intent.actor, intent.on_behalf_of, intent.owner) == (
        Kind.INTENT, passage.id, "allow", AGENT.id, ("alice",), "carol",
    )  # fmt: skip
    assert world.watched == [passage]
    assert (outcome.intent, outcome.labels, outcome.parts[0].content) == (intent.id, ("pii",), b'{"ok":true}')


@pytest.mark.parametrize("part", ["standing", "in_scope", "trace", "inspect", "decide", "shape", "find"])
async def test_a_part_that_breaks_refuses_and_is_recorded(world: World, part: str) -> None:
    """R-K3: fail closed, everywhere."""
    world.fail = part
    passage, refusal = await passed(world)
    assert refusal is not None
    assert (refusal.code, refusal.status) == ("unavailable", 503)
    assert "broken" not in refusal.detail
    assert passage.receipt is not None
    assert [entry.decision for entry in world.entries] == ["deny"]


async def test_identification_that_breaks_refuses(world: World) -> None:
    world.fail = "authenticate"
    passage, refusal = await passed(world)
    assert refusal is not None
    assert passage.session is None


class Cleaning(World):
    """Its controls change the arguments, and only what was asked at first is in scope."""

    def shape(self, passage: Passage) -> Refusal | None:
        passage.action = PAY.with_arguments({**PAY.arguments, "path": "/home/alice/../bob"})
        return None

    def in_scope(self, session: Session, action: Action) -> Refusal | None:
        return None if action is PAY else refuse("out_of_scope", "not lent")


async def test_what_controls_make_of_an_action_must_be_in_scope_too() -> None:
    """R-B1: cleaning `.<zero width>.` into `..` after the scope was asked opens nothing."""
    world = Cleaning()
    _, refusal = await passed(world)
    assert refusal is not None
    assert refusal.code == "out_of_scope"
    assert [entry.decision for entry in world.entries] == ["deny"]


@pytest.mark.parametrize("part", ["standing", "in_scope", "inspect", "shape"])
async def test_a_step_that_refuses_stops_the_rest(world: World, part: str) -> None:
    world.refuse_at = part
    _, refusal = await passed(world)
    assert refusal is not None
    assert refusal.code == "forbidden"
    assert [entry.decision for entry in world.entries] == ["deny"]


async def test_no_receipt_no_execution(world: World) -> None:
    """R-L2: when the intent cannot be made durable, the door stays shut."""
    world.fail = "append"
    passage, refusal = await passed(world)
    assert refusal is not None
    assert refusal.status == 503
    assert passage.receipt is None


async def test_an_outcome_that_cannot_be_recorded_is_not_returned(world: World) -> None:
    passage, _ = await passed(world)
    world.fail = "append outcome"
    answer = await pipeline(world).settle(passage, {"ok": True})
    assert isinstance(answer, Refusal)
    assert answer.code == "unavailable"


async def test_only_what_changed_something_waits_for_its_outcome(world: World) -> None:
    """R-L1: an effectful action's outcome is durable before its result is returned; a reader's stands in line, behind its durable intent."""
    line = pipeline(world)
    reading = Passage(Credential("t", "mcp"), session=session(), action=replace(PAY, is_read_only=True))
    assert await line.admit(reading) is None
    assert await line.settle(reading, {"ok": True}) == {"ok": True}
    paying = Passage(Credential("t", "mcp"), session=session(), action=PAY)
    assert await line.admit(paying) is None
    assert await line.settle(paying, {"ok": True}) == {"ok": True}
    assert [call for call in world.calls if " " in call] == ["append intent", "post outcome", "append intent", "append outcome"]


async def test_a_reader_whose_outcome_cannot_be_taken_gets_nothing(world: World) -> None:
    """R-L1: a ledger that takes no entry stops answers, too."""
    world.fail = "post"
    passage = Passage(Credential("t", "mcp"), session=session(), action=replace(PAY, is_read_only=True))
    assert await pipeline(world).admit(passage) is None
    answer = await pipeline(world).settle(passage, {"ok": True})
    assert isinstance(answer, Refusal)
    assert answer.code == "unavailable"


async def test_an_answer_that_is_refused_is_not_stored_in_clear_or_sealed(world: World) -> None:
    passage, _ = await passed(world)
    world.refuse_at = "answer"
    answer = await pipeline(world).settle(passage, {"secret": "x"})
    assert isinstance(answer, Refusal)
    assert world.entries[-1].code == "forbidden"
    assert world.entries[-1].parts == ()


async def test_revocation_between_decision_and_receipt_still_counts(world: World) -> None:
    """R-P6: the session is asked again after the intent is durable; the intent then gets its outcome."""
    world.standing_refusals = [None, refuse("revoked", "gone")]
    _, refusal = await passed(world)
    assert refusal is not None
    assert refusal.code == "revoked"
    assert [(e.kind, e.code) for e in world.entries] == [(Kind.INTENT, ""), (Kind.OUTCOME, "revoked")]


async def test_a_hold_answers_at_once_with_its_approval(world: World) -> None:
    """R-B4."""
    world.decision = Decision(Effect.HOLD, policies=("big",), reasons=("needs a yes",), approvals=(ApprovalRule("big", "finance"),))
    passage, refusal = await passed(world)
    assert refusal is not None
    assert (refusal.code, refusal.status) == ("held", 202)
    assert refusal.problem(passage.id)["approval"] == {"id": "a1", "url": "u", "expires_at": 1}
    assert (world.entries[0].decision, world.entries[0].approval) == ("hold", "a1")


async def test_one_approval_lets_one_of_two_racing_calls_through(world: World) -> None:
    world.approval = Approval("a1", "finance", frozenset({"carol"}), 1.0)
    outcomes = await asyncio.gather(passed(world), passed(world))
    assert sorted(refusal is None for _, refusal in outcomes) == [False, True]


async def test_a_failing_watcher_does_not_fail_the_action(world: World) -> None:
    def broken(_passage: Passage) -> None:
        raise RuntimeError("watcher")

    line = Pipeline(Ports(world, world, world, world, world, world, lambda: 0, watch=[broken]))
    passage = Passage(Credential("t", "mcp"), session=session(), action=PAY)
    assert await line.admit(passage) is None
    assert await line.settle(passage, {}) == {}


def test_the_digest_covers_everything_that_is_decided() -> None:
    changed = [
        PAY.with_arguments({"amount": 6}),
        Action(Boundary.MODEL_DATA, PAY.verb, PAY.name, PAY.resource, PAY.scope, PAY.arguments),
        Action(PAY.boundary, "x", PAY.name, PAY.resource, PAY.scope, PAY.arguments),
        Action(PAY.boundary, PAY.verb, "pay/refund", PAY.resource, PAY.scope, PAY.arguments),
        Action(PAY.boundary, PAY.verb, PAY.name, Resource("Tool", "pay/refund"), PAY.scope, PAY.arguments),
    ]
    assert len({action.digest for action in (PAY, *changed)}) == 6
    assert PAY.with_arguments({"amount": 5}).digest == PAY.digest
