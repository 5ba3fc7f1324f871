"""The seven steps. Every action of every door goes through `Pipeline`, and every path ends in an answer.

    identify → trace → inspect → decide → control → record the intent → (the door executes) → settle

Each step has one shape: it takes the passage and returns None to go on, or a Refusal to stop. A step that
raises has refused. The door calls `identify`, then `admit`, executes, and calls `settle` exactly once.
"""

import asyncio
import hashlib
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from ostiary.core.action import Action, Boundary, Origins
from ostiary.core.beside import LARGE, aside, is_large
from ostiary.core.canonical import canonical, canonical_in_pieces
from ostiary.core.decision import Approval, Context, Decision, Effect, Refusal, refusal_of, refuse
from ostiary.core.entry import Entry, Family, Kind, Part, Receipt
from ostiary.core.errors import CODES
from ostiary.core.ids import new_id
from ostiary.core.ports import ContentStream, Credential, Ports
from ostiary.core.refusals import Refusals
from ostiary.core.spare import Spare
from ostiary.core.subject import Session

log = logging.getLogger("ostiary.pipeline")

_ALLOW, _DENY, _HOLD = Effect.ALLOW.value, Effect.DENY.value, Effect.HOLD.value
NOWHERE = Origins()
"""The origins of an action that was not traced yet."""


@dataclass(slots=True)
class Passage:
    """One action on its way through: what each step found, for the next step, the record and the wire."""

    credential: Credential
    id: str = field(default_factory=new_id)
    """The decision id: the id of the intent entry."""
    session: Session | None = None
    action: Action | None = None
    asked: Action | None = None
    """The action that was found to be in scope; what controls make of it must be so too."""
    size: int = 0
    origins: Origins = NOWHERE
    detected: frozenset[str] = frozenset()
    approval: Approval | None = None
    decision: Decision | None = None
    refusal: Refusal | None = None
    receipt: Receipt | None = None
    labels: frozenset[str] = frozenset()
    upstream_status: int = 0
    ahead: Any = None
    """What the controls found in a large value beside the event loop; theirs to read, and only for that same value."""
    cost: int = 0
    """Micro-units of the deployment's currency that a model call was charged."""
    described: "tuple[Session | None, Action | None, dict[str, Any]] | None" = None
    """The session and action that the last entry named, and how: an intent and its outcome name the same."""
    started_ns: int = field(default_factory=time.perf_counter_ns)
    upstream_ns: int = 0

    @property
    def acting(self) -> tuple[Session, Action]:
        """The identified session and the parsed action; only steps after both exist may ask."""
        if self.session is None or self.action is None:
            raise RuntimeError("the passage has no session or action yet")
        return self.session, self.action

    def upstream(self) -> "Away":
        """Time spent waiting for somebody else does not count as ours."""
        return Away(self)

    @property
    def overhead_ms(self) -> float:
        """The milliseconds we added so far."""
        return (time.perf_counter_ns() - self.started_ns - self.upstream_ns) / 1e6


class Away:
    """Measures how long a passage waits for its upstream."""

    __slots__ = ("_began", "_passage")

    def __init__(self, passage: Passage) -> None:
        self._passage = passage
        self._began = 0

    def __enter__(self) -> None:
        self._began = time.perf_counter_ns()

    def __exit__(self, *_: object) -> None:
        self._passage.upstream_ns += time.perf_counter_ns() - self._began


Step = Callable[[Passage], Awaitable[Refusal | None]]


class Pipeline:
    """The seven steps over the given ports."""

    def __init__(self, ports: Ports, refusals: Refusals | None = None) -> None:
        self._ports = ports
        self.refusals = refusals or Refusals(ports.ledger, ports.clock_ns)
        self._spare = Spare(ports.clock_ns)
        self._settling: set[asyncio.Future[Any]] = set()
        self._admission: tuple[Step, ...] = (
            self._stand,
            self._read_ahead,
            self._trace,
            self._inspect,
            self._decide,
            self._control,
            self._intend,
        )

    async def identify(self, passage: Passage) -> Refusal | None:
        """Step 1: fill `passage.session`. The identity pillar records failures itself."""
        try:
            found = await self._ports.identity.authenticate(passage.credential)
        except Exception as error:
            found = self._failed(error)
        if isinstance(found, Refusal):
            passage.refusal = found
            return found
        passage.session = found
        return None

    async def admit(self, passage: Passage) -> Refusal | None:
        """Steps 2 to 4: decide, control, and record the intent. None means the door may open, now and once."""
        for step in self._admission:
            try:
                refusal = await step(passage)
            except Exception as error:
                refusal = self._failed(error)
            if refusal is not None:
                return await self.refuse(passage, refusal)
        return None

    async def refuse(self, passage: Passage, refusal: Refusal) -> Refusal:
        """Record a refusal with the same detail as an allow, unless they flood; also for what a door finds wrong before `admit`."""
        passage.refusal = refusal
        if passage.session is not None:
            passage.session.state.denied += 1
        try:
            self._ports.controls.charge(passage, None)
            if passage.receipt is not None:
                await self._ports.ledger.append(self._outcome(passage, refusal.code, None))
            elif counted := self.refusals.counted(passage, refusal.code):
                passage.id = counted
            else:
                passage.receipt = await self._ports.ledger.append(self._intent(passage))
        except Exception as error:
            passage.refusal = refusal = self._failed(error)
        self._watch(passage)
        return refusal

    def check(self, passage: Passage) -> Refusal | None:
        """Ask again, for an open stream: does the session still stand? Call it before each piece is released."""
        session, _ = passage.acting
        return self._ports.identity.standing(session)

    def open_stream(self, passage: Passage) -> ContentStream:
        """Return the content controls for an answer that arrives in pieces."""
        return self._ports.controls.stream(passage)

    def release(self, passage: Passage, content: Any) -> Any | Refusal:
        """Control and label a piece that reaches the caller before the answer (progress, a question from upstream).

        Returns the piece as the caller may see it. It is not recorded by itself; `settle` still follows.
        """
        refusal = self.check(passage)
        if refusal is not None:
            return refusal
        try:
            shaped: Any | Refusal = self._ports.controls.answer(passage, content)
            if not isinstance(shaped, Refusal):
                passage.labels |= self._ports.provenance.absorb(passage, shaped)
        except Exception as error:
            shaped = self._failed(error)
        return shaped

    async def settle(self, passage: Passage, content: Any, *, code: str = "", part: Part | None = None) -> Any | Refusal:
        """Steps 5 to 7 for what the upstream answered: control it, label the session, record the outcome.

        Returns the content as the caller may see it, or the Refusal that replaces it. `code` says how the
        execution ended when not well; `part` replaces the recorded form of the content (streams).
        """
        if part is not None or not is_large(content):
            return await self._settle(passage, content, code, part)
        # Waits in the middle, so it goes on to the record even when the caller does not wait for it.
        settling = asyncio.ensure_future(self._settle_large(passage, content, code))
        self._settling.add(settling)
        settling.add_done_callback(self._settling.discard)
        return await asyncio.shield(settling)

    async def _settle_large(self, passage: Passage, content: Any, code: str) -> Any | Refusal:
        """Read a large answer beside the event loop first; meanwhile it counts as still upstream, for nobody was given any of it."""
        try:
            passage.ahead = await aside(self._ports.controls.look, content)
            fallen = None if passage.refusal is not None else self.check(passage)
        except Exception as error:
            fallen = self._failed(error)
        settled = await self._settle(passage, content, code, None, fallen, is_long=True)
        passage.ahead = None
        return settled

    async def _settle(
        self, passage: Passage, content: Any, code: str, part: Part | None, fallen: Refusal | None = None, *, is_long: bool = False
    ) -> Any | Refusal:
        shaped: Any | Refusal
        try:
            self._ports.controls.charge(passage, content)
            shaped = fallen or (self._ports.controls.answer(passage, content) if part is None else content)
            if not isinstance(shaped, Refusal):
                passage.labels |= self._ports.provenance.absorb(passage, shaped)
        except Exception as error:
            shaped = self._failed(error)
        if isinstance(shaped, Refusal):
            passage.refusal = shaped
            code = shaped.code
        try:
            if is_long and not isinstance(shaped, Refusal):
                part = Part("result", await aside(canonical_in_pieces, shaped))
            recorded = None if isinstance(shaped, Refusal) else part or Part("result", canonical(shaped))
            outcome = self._outcome(passage, code, recorded)
            if passage.action is not None and passage.action.is_read_only:
                await self._ports.ledger.post(outcome)
            else:
                await self._ports.ledger.append(outcome)
        except Exception as error:
            passage.refusal = shaped = self._failed(error)
        self._watch(passage)
        return shaped

    async def _stand(self, passage: Passage) -> Refusal | None:
        session, action = passage.acting
        passage.asked = action
        return self._ports.identity.standing(session) or self._ports.identity.in_scope(session, action)

    async def _read_ahead(self, passage: Passage) -> Refusal | None:
        """Read large arguments beside the event loop, so that the steps that follow, which wait for nothing, are short."""
        if passage.size <= LARGE:
            return None
        _, action = passage.acting
        await aside(action.prepare)
        passage.ahead = await aside(self._ports.controls.look, action.arguments)
        return await self._stand(passage)

    async def _trace(self, passage: Passage) -> Refusal | None:
        passage.origins = self._ports.provenance.trace(*passage.acting)
        return None

    async def _inspect(self, passage: Passage) -> Refusal | None:
        return self._ports.controls.inspect(passage)

    async def _decide(self, passage: Passage) -> Refusal | None:
        session, action = passage.acting
        passage.approval = self._ports.approvals.find(session, action.digest)
        context = Context(
            at=self._ports.clock_ns() / 1e9,
            size=passage.size,
            ip=passage.credential.ip,
            detected=passage.detected,
            approval=passage.approval,
        )
        passage.decision = decision = self._ports.policy.decide(session, action, passage.origins, context)
        if decision.effect is Effect.ALLOW:
            return None
        if decision.effect is Effect.HOLD:
            approval = await self._ports.approvals.hold(passage)
            return approval if isinstance(approval, Refusal) else self._refused(passage, decision, "held", approval=approval)
        return self._refused(passage, decision, decision.code or "not_granted")

    async def _control(self, passage: Passage) -> Refusal | None:
        refusal = self._ports.controls.shape(passage)
        if refusal is None and passage.action is not passage.asked:
            refusal = self._ports.identity.in_scope(*passage.acting)
        if refusal is not None or passage.approval is None:
            return refusal
        if await self._ports.approvals.consume(passage.approval):
            return None
        return refuse("held", "the approval was used already by another call")

    async def _intend(self, passage: Passage) -> Refusal | None:
        passage.ahead = None
        passage.receipt = await self._ports.ledger.append(self._intent(passage))
        session, _ = passage.acting
        return self._ports.identity.standing(session)

    def _refused(self, passage: Passage, decision: Decision, code: str, **rest: Any) -> Refusal:
        detail = "; ".join(decision.reasons) or CODES[code]
        origins = passage.origins
        arguments = tuple(
            {"argument": name, "origin": origins.arguments.get(name, "untrusted"), "seen_in": origins.sources.get(name, "")}
            for name in decision.arguments
        )
        return refuse(code, detail, policies=decision.policies, remedy=decision.remedy, arguments=arguments, **rest)

    def _intent(self, passage: Passage) -> Entry:
        action, decision, refusal = passage.action, passage.decision, passage.refusal
        effect = (_HOLD if refusal.code == "held" else _DENY) if refusal else _ALLOW
        return Entry(
            id=passage.id,
            family=_family(action),
            kind=Kind.INTENT,
            at_ns=self._ports.clock_ns(),
            digest=action.digest if action else "",
            decision=effect,
            code=refusal.code if refusal else "",
            policies=decision.policies if decision else (),
            policy_revision=decision.revision if decision else "",
            approval=_approval_id(passage),
            labels=tuple(sorted(passage.detected)),
            origins=passage.origins.arguments,
            shadow=decision.shadow if decision else "",
            shadow_policies=decision.shadow_policies if decision else (),
            parts=(self._arguments(passage, action),) if action and action.arguments else (),
            **_who_and_what(passage),
        )

    def _arguments(self, passage: Passage, action: Action) -> Part:
        encoded, agent = action.encoded_arguments, passage.session.subject.actor.name if passage.session is not None else ""
        if passage.refusal is None or self._spare.keeps(agent, len(encoded)):
            return Part("arguments", encoded)
        return Part("arguments_left_out", canonical({"bytes": len(encoded), "sha256": hashlib.sha256(encoded).hexdigest()}))

    def _outcome(self, passage: Passage, code: str, part: Part | None) -> Entry:
        elapsed = time.perf_counter_ns() - passage.started_ns
        return Entry(
            id=new_id(),
            family=_family(passage.action),
            kind=Kind.OUTCOME,
            at_ns=self._ports.clock_ns(),
            intent=passage.id,
            code=code,
            decision=_ALLOW,
            policies=passage.decision.policies if passage.decision else (),
            policy_revision=passage.decision.revision if passage.decision else "",
            labels=tuple(sorted(passage.labels)),
            upstream_status=passage.upstream_status,
            duration_us=elapsed // 1000,
            cost=passage.cost,
            parts=(part,) if part else (),
            **_who_and_what(passage),
        )

    def _failed(self, error: Exception) -> Refusal:
        refusal = refusal_of(error)
        if refusal.code == "unavailable":
            log.error("a step failed, so the action was refused", exc_info=error)
        return refusal

    def _watch(self, passage: Passage) -> None:
        for watch in self._ports.watch:
            try:
                watch(passage)
            except Exception:
                log.exception("a watcher failed")


def _family(action: Action | None) -> Family:
    if action is None:
        return Family.ACTION
    if action.boundary is Boundary.AGENT_MODEL:
        return Family.MODEL
    return Family.DATA if action.boundary is Boundary.MODEL_DATA else Family.ACTION


def _approval_id(passage: Passage) -> str:
    if passage.approval is not None:
        return passage.approval.id
    held = passage.refusal.approval if passage.refusal else None
    return str(held["id"]) if held else ""


def _who_and_what(passage: Passage) -> dict[str, Any]:
    """The fields an intent and its outcome share: who, for whom, in which session, doing what."""
    session, action = passage.session, passage.action
    known = passage.described
    if known is not None and known[0] is session and known[1] is action:
        return known[2]
    fields: dict[str, Any] = {}
    if session is not None:
        chain, actor = session.subject.chain, session.subject.actor
        fields |= {
            "actor": actor.id,
            "on_behalf_of": tuple(link.name if link.kind == "user" else link.id for link in chain[:-1]),
            "owner": actor.owner or "",
            "session": session.id,
        }
    if action is not None:
        fields |= {"boundary": action.boundary.value, "verb": action.verb, "action": action.name, "resource": str(action.resource)}
    passage.described = (session, action, fields)
    return fields
