"""One request of a client on its way: who asks, for which agent, in which binding, and how the answer is written."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ostiary.boundaries.flight import Flight
from ostiary.boundaries.tasks import TaskRecord
from ostiary.boundaries.user_agent import Lent
from ostiary.core.decision import Refusal
from ostiary.core.pipeline import Passage
from ostiary.core.registry import Agent, Card
from ostiary.core.subject import Session
from ostiary.protocols.a2a.cards import Interface
from ostiary.protocols.a2a.errors import A2aError, Fault, details_of, http_error, of_refusal, rpc_error
from ostiary.protocols.a2a.request import Request
from ostiary.protocols.a2a.upstream import Ask
from ostiary.protocols.sse import data_event
from ostiary.protocols.wire import Call, Header, passage_headers

EVENT_STREAM: Final = "text/event-stream"
JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class Remote:
    """The agent a request goes to, as it was found: its accepted card, and how it is spoken to."""

    agent: Agent
    card: Card
    interface: Interface

    @property
    def streams(self) -> bool:
        """Say whether the agent can stream."""
        return bool(self.card.definition["capabilities"].get("streaming"))

    @property
    def pushes(self) -> bool:
        """Say whether the agent can notify, and its callers may be notified somewhere."""
        return bool(self.card.definition["capabilities"].get("pushNotifications") and self.agent.a2a is not None and self.agent.a2a.push)

    def extensions(self, asked: str) -> str:
        """Return which of the extensions a client declares the agent has."""
        known = {each.get("uri") for each in self.card.definition["capabilities"].get("extensions", [])}
        return ", ".join(uri for uri in (part.strip() for part in asked.split(",")) if uri in known)

    def required(self) -> set[str]:
        """Return the extensions the agent demands."""
        return {
            each["uri"] for each in self.card.definition["capabilities"].get("extensions", []) if each.get("required") and each.get("uri")
        }


@dataclass(slots=True)
class Exchange:
    """What the operations work on."""

    call: Call
    passage: Passage
    agent: str
    request: Request
    flight: Flight
    base: str
    """Where agents reach this gateway."""
    remote: Remote | None = None
    lent: Lent | None = field(default=None, repr=False)
    record: TaskRecord | None = None
    """The task it turned out to be about."""

    @property
    def session(self) -> Session:
        """The lent session; identified before any exchange is made."""
        if self.passage.session is None:
            raise RuntimeError("an exchange needs an identified passage")
        return self.passage.session

    @property
    def to(self) -> Remote:
        """The agent, once it was found."""
        if self.remote is None:
            raise RuntimeError("the agent of this exchange was not looked up")
        return self.remote

    def ask(self, method: str, params: Mapping[str, Any]) -> Ask:
        """Return a request to the agent, with the token of what was lent to it for this task."""
        remote = self.to
        token = self.lent.token if self.lent is not None else ""
        extensions = remote.extensions(self.call.headers.get("a2a-extensions", ""))
        return Ask(remote.agent, remote.interface, method, params, token, extensions)

    async def answer(self, result: Any) -> None:
        """Send a whole answer."""
        body = {"jsonrpc": "2.0", "id": self.request.id, "result": result} if self.request.is_rpc else result
        await self.call.respond_json(200, body, passage_headers(self.passage))

    async def start(self) -> None:
        """Begin a stream."""
        await self.call.start(200, EVENT_STREAM, [(b"x-accel-buffering", b"no"), *passage_headers(self.passage)])

    def event(self, value: Any) -> bytes:
        """Return one event of the stream."""
        return data_event({"jsonrpc": "2.0", "id": self.request.id, "result": value} if self.request.is_rpc else value)

    def failure(self, refusal: Refusal) -> bytes:
        """Return the event that ends a stream for a reason."""
        fault = of_refusal(refusal)
        details = details_of(fault, (), refusal, self.passage.id)
        if self.request.is_rpc:
            return data_event(rpc_error(self.request.id, fault, spoken(refusal), details))
        return data_event(http_error(fault.http, fault, spoken(refusal), details))


def spoken(refusal: Refusal) -> str:
    """Return a refusal as the one sentence most clients show."""
    text = refusal.detail
    if refusal.approval is not None:
        text += f"; approval `{refusal.approval['id']}` at {refusal.approval.get('url', '')}"
    return f"{text}; to do: {refusal.remedy}" if refusal.remedy else text


async def respond_refusal(
    call: Call, passage: Passage, refusal: Refusal, *, is_rpc: bool, identifier: Any = None, more: tuple[Header, ...] = ()
) -> None:
    """Answer a refusal in the error shape of the binding; JSON-RPC carries all but missing sessions and overload in a 200."""
    fault = of_refusal(refusal)
    details = details_of(fault, (), refusal, passage.id)
    headers = [*passage_headers(passage), *more]
    if refusal.retry_after_s is not None:
        headers.append((b"retry-after", b"%d" % max(1, round(refusal.retry_after_s))))
    if is_rpc:
        status = fault.http if fault.http in {401, 413, 429, 503} else 200
        await call.respond_json(status, rpc_error(identifier, fault, spoken(refusal), details), headers)
    else:
        await call.respond_json(fault.http, http_error(fault.http, fault, spoken(refusal), details), headers)


async def respond_error(call: Call, passage: Passage, error: A2aError, *, is_rpc: bool, identifier: Any = None) -> None:
    """Answer an error that the protocol has a name for."""
    await respond_fault(call, passage, error.fault, error.message, error.details, is_rpc=is_rpc, identifier=identifier, http=error.http)


async def respond_fault(
    call: Call,
    passage: Passage,
    fault: Fault,
    message: str,
    more: tuple[Mapping[str, Any], ...] = (),
    *,
    is_rpc: bool,
    identifier: Any = None,
    http: int = 0,
) -> None:
    """Answer with a fault and its details."""
    details = details_of(fault, more, None, passage.id)
    http = http or fault.http
    if is_rpc:
        status = http if http in {413, 415} else 200
        await call.respond_json(status, rpc_error(identifier, fault, message, details), passage_headers(passage))
    else:
        await call.respond_json(http, http_error(http, fault, message, details), passage_headers(passage))
