"""User → agent and agent → agent: where a delegation is enforced, and what comes back of it is controlled (R-B1, R-K1)."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from ostiary.boundaries.flight import Flight, Stopped
from ostiary.core.action import Action, Boundary, Origins, Resource
from ostiary.core.canonical import canonical
from ostiary.core.decision import Context, Decision, Effect, Refusal, refusal_of, refuse
from ostiary.core.entry import Part
from ostiary.core.errors import OstiaryError
from ostiary.core.pipeline import Passage, Pipeline
from ostiary.core.ports import ContentStream, PolicyEngine, Ports, RegistrySource
from ostiary.core.registry import Agent
from ostiary.core.subject import Session, Status

log = logging.getLogger("ostiary.user_agent")

LAST_WORD_S: Final = 1.0
"""How long a client that does not read may keep us from telling it why its stream was cut."""
DELEGATE: Final = "delegate"


@dataclass(frozen=True, slots=True)
class Answered:
    """What the agent answered: the content, how it ended when not well, its HTTP status."""

    content: Any
    code: str = ""
    status: int = 200


@dataclass(frozen=True, slots=True)
class Lent:
    """The session that was lent to an agent for a task, and the token that opens it."""

    session: Session
    token: str


class Lending(Protocol):
    """Lends sessions on: identity's part of a delegation, after it was decided."""

    async def lend(self, parent: Session, agent: str, scopes: tuple[str, ...], /) -> Lent | Refusal:
        """Lend these scopes of the parent's on to an agent, to end with the parent. Raises Unavailable."""
        ...

    def rejoin(self, child: str, /) -> None:
        """Let the parent take on what the child has met, before anything of the child's comes back."""
        ...

    def known(self, child: str, /) -> Lent | None:
        """Return what was lent for a task before, with a token of it; None when nobody knows it any more."""
        ...

    async def close(self, child: str, /) -> None:
        """End what was lent for a task that is over."""
        ...


Execute = Callable[[Action], Awaitable[Answered]]
Push = Callable[[bytes], Awaitable[None]]


class Shaper(Protocol):
    """Turns events of an agent into what may reach the caller, piece by piece."""

    def rest(self, event: Any, /) -> Any:
        """Return an event without the text that arrives in pieces."""
        ...

    def released(self, event: Any, rest: Any, /) -> list[Any]:
        """Return the events to send now, for an event and its controlled rest."""
        ...

    def tails(self) -> list[Any]:
        """Return what was held back, at the end."""
        ...

    def encode(self, event: Any, /) -> bytes:
        """Return an event as the client reads it."""
        ...

    def failure(self, refusal: Refusal, /) -> bytes:
        """Return the event that tells the client why its stream ends here."""
        ...

    def summary(self) -> dict[str, Any]:
        """Return what was released, bounded, for the record."""
        ...


class Following:
    """The policy for what follows from a delegation: reading, cancelling, hearing of a task.

    It is decided as the delegation would be now, except that a person is not asked again for what they let begin.
    """

    def __init__(self, policy: PolicyEngine) -> None:
        self._policy = policy

    def decide(self, session: Session, action: Action, origins: Origins, context: Context) -> Decision:
        """Decide; what would be held is allowed."""
        decision = self._policy.decide(session, action, origins, context)
        return replace(decision, effect=Effect.ALLOW, code="", approvals=()) if decision.effect is Effect.HOLD else decision

    def may_see(self, session: Session, action: Action) -> bool:
        """Say whether the delegation could be allowed or held."""
        return self._policy.may_see(session, action)


class UserAgent:
    """The enforcement point: nothing reaches an agent except through `perform` and `open`, and nothing comes back past them."""

    def __init__(self, ports: Ports, source: RegistrySource, lending: Lending, pipeline: Pipeline | None = None) -> None:
        self.pipeline = pipeline or Pipeline(ports)
        self._following = Pipeline(replace(ports, policy=Following(ports.policy)), self.pipeline.refusals)
        self._identity = ports.identity
        self._policy = ports.policy
        self._source = source
        self.lending = lending

    def rejoin(self, *children: str) -> None:
        """Let a session take on what those met that it was lent on to: before any word of theirs comes back, errors too."""
        for child in filter(None, children):
            self.lending.rejoin(child)

    def delegate(self, session: Session, agent: str, arguments: Mapping[str, Any]) -> Action:
        """Return the action of sending an agent a message, lent as `agent:planner`; it says what is lent along, and for what."""
        whole = {"purpose": session.purpose, "scopes": list(session.scopes), **arguments}
        return Action(Boundary.USER_AGENT, DELEGATE, DELEGATE, Resource("Agent", agent), f"agent:{agent}", whole)

    def follow(self, session: Session, agent: str, verb: str, arguments: Mapping[str, Any], *, is_read_only: bool = True) -> Action:
        """Return the action of following up a delegation: to get its task, cancel it, hear of it."""
        return replace(self.delegate(session, agent, arguments), verb=verb, is_read_only=is_read_only)

    def sees(self, session: Session, agent: str) -> bool:
        """Say whether the session could delegate to an agent, or have that held; anything that fails is not seen."""
        action = self.delegate(session, agent, {})
        try:
            return self._identity.reaches(session, action) and self._policy.may_see(session, action)
        except Exception:
            return False

    def stands(self, session: Session) -> bool:
        """Say whether a session may still act; asking is no act of it."""
        return self._identity.standing(session, is_acting=False) is None

    def known(self, name: str) -> Agent | Refusal:
        """Return an agent that can be delegated to now, or why not; ask only for who may delegate to it."""
        agent = self._source.registry.agents.get(name)
        if agent is None or agent.a2a is None or agent.status in {Status.RETIRED, Status.DRAFT}:
            return refuse("not_found", f"there is no agent `{name[:64]}` to delegate to, or none you may see")
        if agent.status is not Status.ACTIVE:
            return refuse("isolated", f"agent `{name}` is {agent.status.value}", remedy="its owner or security restores it")
        return agent

    async def admit(self, passage: Passage, action: Action) -> Refusal | None:
        """Take an identified passage through the steps before anything happens."""
        passage.action = action
        pipeline = self.pipeline if action.verb == DELEGATE else self._following
        return await pipeline.admit(passage)

    async def lend(self, passage: Passage, agent: str) -> Lent | Refusal:
        """Lend the caller's session on to the agent, for a task whose delegation was admitted."""
        session, action = passage.acting
        return await self.lending.lend(session, agent, tuple(action.arguments["scopes"]))

    async def perform(self, passage: Passage, execute: Execute, flight: Flight) -> Any | Refusal:
        """Run `execute` for an admitted passage, and return the answer as the caller may see it."""
        _, action = passage.acting
        try:
            with flight.under_way(), passage.upstream():
                answered = await execute(action)
        except asyncio.CancelledError:
            await asyncio.shield(self.ended(passage, refuse("cancelled", "the gateway is stopping")))
            raise
        except Exception as error:
            return await self.ended(passage, refusal_from(error))
        passage.upstream_status = answered.status
        fallen = self.pipeline.check(passage)
        if fallen is not None:
            return await self.ended(passage, fallen)
        return await self.pipeline.settle(passage, answered.content, code=answered.code)

    async def told(self, passage: Passage, event: Any, deliver: Callable[[Any], Awaitable[int]]) -> Refusal | None:
        """Hand an admitted notification of an agent to `deliver` as its reader may see it; recorded once, however it ends."""
        shaped, refusal = self.pipeline.release(passage, event), None
        try:
            if isinstance(shaped, Refusal):
                refusal = shaped
            else:
                with passage.upstream():
                    passage.upstream_status = await deliver(shaped)
        except asyncio.CancelledError:
            refusal = refuse("cancelled", "the gateway is stopping")
            raise
        except Exception as error:
            refusal = refusal_from(error)
        finally:
            passage.refusal = refusal
            content = {"event": None if isinstance(shaped, Refusal) else shaped, "status": passage.upstream_status}
            code = refusal.code if refusal is not None else ""
            part = Part("result", canonical(content))
            await asyncio.shield(self.pipeline.settle(passage, content, code=code, part=part))
        return refusal

    def controls(self, passage: Passage) -> ContentStream:
        """Return the content controls for text of an answer that arrives in pieces."""
        return self.pipeline.open_stream(passage)

    async def relay(self, passage: Passage, events: AsyncIterator[Any], shaper: Shaper, flight: Flight, push: Push) -> bool:
        """Pass an agent's events on, one by one, and settle once, however it ends. Returns whether the client is still there."""
        refusal: Refusal | None = None
        try:
            refusal = await self._pump(passage, events, shaper, flight, push)
        except asyncio.CancelledError:
            await asyncio.shield(self._settle_stream(passage, shaper, refuse("cancelled", "the gateway is stopping")))
            raise
        except Exception as error:
            refusal = refusal_from(error)
        finally:
            await _closed(events)
        settled = await self._settle_stream(passage, shaper, refusal)
        if refusal is not None and refusal.code == "cancelled":
            return False
        return settled is None or await _last_word(push, shaper.failure(settled))

    async def ended(self, passage: Passage, refusal: Refusal) -> Refusal:
        """Settle an execution that brought no answer; the words of the refusal pass the controls like any answer."""
        passage.refusal = refusal
        settled = await self.pipeline.settle(passage, {"error": refusal.detail}, code=refusal.code)
        return settled if isinstance(settled, Refusal) else replace(refusal, detail=str(settled["error"]))

    async def _pump(self, passage: Passage, events: AsyncIterator[Any], shaper: Shaper, flight: Flight, push: Push) -> Refusal | None:
        loop = asyncio.get_running_loop()
        while True:
            with flight.under_way(), passage.upstream():
                event = await anext(events, None)
            if event is None:
                outgoing = shaper.tails()
            else:
                rest = self.pipeline.release(passage, shaper.rest(event))
                if isinstance(rest, Refusal):
                    return rest
                outgoing = shaper.released(event, rest)
            if outgoing:
                with flight.under_way():
                    flight.pushing_since = loop.time()
                    await push(b"".join(map(shaper.encode, outgoing)))
                    flight.pushing_since = None
            if event is None:
                return None

    async def _settle_stream(self, passage: Passage, shaper: Shaper, refusal: Refusal | None) -> Refusal | None:
        passage.refusal = refusal
        summary = shaper.summary()
        code = refusal.code if refusal is not None else ""
        settled = await self.pipeline.settle(passage, summary, code=code, part=Part("result", canonical(summary)))
        return settled if isinstance(settled, Refusal) else refusal


def refusal_from(error: Exception) -> Refusal:
    """Return the refusal that an exception during an execution amounts to."""
    if isinstance(error, Stopped):
        return error.refusal
    if not isinstance(error, OstiaryError):
        log.error("a delegation failed", exc_info=error)
    return refusal_of(error)


async def _closed(events: AsyncIterator[Any]) -> None:
    close = getattr(events, "aclose", None)
    if close is not None:
        await close()


async def _last_word(push: Push, event: bytes) -> bool:
    try:
        async with asyncio.timeout(LAST_WORD_S):
            await push(event)
    except TimeoutError:
        return False
    return True
