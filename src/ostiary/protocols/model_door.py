"""What the model wires share: one request from credential to answer. Each wire brings its paths, shapes and errors."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, Self

from ostiary.boundaries.agent_model import AgentModel, Dialect, Translator
from ostiary.boundaries.flight import Flight
from ostiary.core.action import Action
from ostiary.core.beside import beside
from ostiary.core.decision import Refusal, refusal_of, refuse
from ostiary.core.errors import InvalidAction
from ostiary.core.pipeline import Passage
from ostiary.core.ports import ContentStream
from ostiary.core.registry import Model
from ostiary.core.strict_json import parse_object
from ostiary.core.subject import Session
from ostiary.protocols.crowd import Crowd
from ostiary.protocols.wire import MAX_BODY, Call, Header, encode, passage_headers

MaySee = Callable[[Session, Action], bool]
WATCH_AFTER_S = 0.05
"""How long a call is under way before its client is watched for leaving; most are over by then."""
RETRY_IS_POINTLESS = frozenset({"budget_spent", "held"})


class Wire(Protocol):
    """One provider's wire: what it calls things and how it says no."""

    name: str
    provider: str

    def dialect(self, headers: Mapping[str, str], /) -> Dialect:
        """Return how its upstreams are spoken to for a client that sent `headers`. Raises InvalidAction."""
        ...

    def check(self, verb: str, body: dict[str, Any], /) -> None:
        """Check a request's fields. Raises InvalidAction."""
        ...

    def error(self, refusal: Refusal, decision: str) -> dict[str, Any]:
        """Return the error body of a refusal."""
        ...

    def model(self, model: Model) -> dict[str, Any]:
        """Return a model as this wire lists it."""
        ...

    def listing(self, models: list[dict[str, Any]]) -> dict[str, Any]:
        """Return the list of models."""
        ...

    def translator(self, model: Model, controls: ContentStream, decision: str) -> Translator:
        """Return the translator for one stream."""
        ...


class Presence:
    """Stops a flight when its client goes away."""

    def __init__(self, call: Call, flight: Flight) -> None:
        self._call = call
        self._flight = flight
        self._watch: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> Self:
        self._timer = asyncio.get_running_loop().call_later(WATCH_AFTER_S, self._start)
        return self

    def __exit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._watch is not None:
            self._watch.cancel()

    def _start(self) -> None:
        self._watch = asyncio.get_running_loop().create_task(self._call.gone())
        self._watch.add_done_callback(self._gone)

    def _gone(self, watch: asyncio.Task[None]) -> None:
        if not watch.cancelled():
            watch.exception()
            self._flight.stop(refuse("cancelled", "the client went away before the answer was complete"))


class ModelDoor:
    """Serves one model wire: its generations, its models, and nothing else."""

    def __init__(self, models: AgentModel, wire: Wire, may_see: MaySee, verbs: dict[str, str]) -> None:
        self._models = models
        self._crowd = Crowd()
        self._wire = wire
        self._may_see = may_see
        self._verbs = verbs
        """The POST paths below `/v1/`, with the verb each stands for."""
        self._prefix = f"/{wire.name}/v1/"

    async def __call__(self, call: Call) -> None:
        """Serve one request."""
        passage = Passage(call.credential(self._wire.name))
        refusal = await self._models.pipeline.identify(passage)
        if refusal is not None:
            await self._refuse(call, passage, refusal)
            return
        with self._crowd.entered(passage.session) as crowded:
            if crowded is not None:
                await self._refuse(call, passage, await self._models.pipeline.refuse(passage, crowded))
                return
            await self._route(call, passage)

    async def _route(self, call: Call, passage: Passage) -> None:
        path = call.path.removeprefix(self._prefix) if call.path.startswith(self._prefix) else ""
        verb = self._verbs.get(path)
        if verb is not None and call.method == "POST":
            await self._generate(call, passage, verb)
        elif (path == "models" or path.startswith("models/")) and call.method == "GET":
            await self._list(call, passage, path.removeprefix("models").removeprefix("/"))
        else:
            served = ", ".join(f"POST {path}" for path in self._verbs)
            remedy = f"below {self._prefix} there are {served}, GET models, GET models/{{name}}"
            missing = Refusal("unknown_method", 404, f"`{call.method} {call.path[:100]}` is not served here", remedy=remedy)
            passage.action = self._models.action("unknown", "unknown_method", {"method": call.method, "path": call.path[:500]})
            await self._refuse(call, passage, await self._models.pipeline.refuse(passage, missing))

    async def _generate(self, call: Call, passage: Passage, verb: str) -> None:
        passage.action = self._models.action("unknown", verb)
        try:
            body = await call.body(MAX_BODY)
            arguments = await beside(len(body), parse_object, body, max_bytes=MAX_BODY)
            passage.action = self._models.action(str(arguments.get("model"))[:128], verb, arguments)
            self._wire.check(verb, arguments)
            dialect = self._wire.dialect(call.headers)
        except InvalidAction as error:
            await self._refuse(call, passage, await self._models.pipeline.refuse(passage, refusal_of(error)))
            return
        model = await self._models.admit(passage, self._wire.provider, arguments, len(body))
        if isinstance(model, Refusal):
            await self._refuse(call, passage, model)
            return
        flight = Flight(self._models.pipeline, passage)
        with Presence(call, flight):
            if passage.acting[1].arguments.get("stream") is True:
                await self._stream(call, passage, model, dialect, flight)
                return
            answer = await self._models.complete(passage, model, dialect, flight, verb)
        if isinstance(answer, Refusal):
            await self._refuse(call, passage, answer)
        else:
            await call.respond_json(200, answer, passage_headers(passage))

    async def _stream(self, call: Call, passage: Passage, model: Model, dialect: Dialect, flight: Flight) -> None:
        opened = await self._models.open(passage, model, dialect, flight)
        if isinstance(opened, Refusal):
            await self._refuse(call, passage, opened)
            return
        translator = self._wire.translator(model, opened.controls, passage.id)
        await call.start(200, "text/event-stream; charset=utf-8", passage_headers(passage))
        if await self._models.relay(passage, opened.answer, translator, flight, call.push):
            await call.end()

    async def _list(self, call: Call, passage: Passage, name: str) -> None:
        session = passage.session
        passage.action = self._models.action(name or "*", "list")
        refusal = self._models.pipeline.check(passage)
        if session is None or refusal is not None:
            await self._refuse(call, passage, refusal or refuse("no_session", "there is no session"))
            return
        visible = [
            self._wire.model(model)
            for model in self._models.models(self._wire.provider)
            if self._may_see(session, self._models.action(model.name)) and (not name or model.name == name)
        ]
        if not name:
            await call.respond_json(200, self._wire.listing(visible), passage_headers(passage))
        elif visible:
            await call.respond_json(200, visible[0], passage_headers(passage))
        else:
            await self._refuse(call, passage, _no_model(name, self._prefix))

    async def _refuse(self, call: Call, passage: Passage, refusal: Refusal) -> None:
        headers = [*passage_headers(passage), *_refusal_headers(refusal)]
        status = {202: 403, 499: 503}.get(refusal.status, refusal.status)
        await call.respond(status, encode(self._wire.error(refusal, passage.id)), headers=headers)


def _no_model(name: str, prefix: str) -> Refusal:
    return refuse("not_found", f"no model `{name[:100]}` that this session may use", remedy=f"GET {prefix}models lists those it may")


def _refusal_headers(refusal: Refusal) -> Iterable[Header]:
    if refusal.status == 401 and refusal.code != "upstream_failed":
        yield (b"www-authenticate", b"Bearer")
    if refusal.retry_after_s is not None:
        yield (b"retry-after", b"%d" % max(1, round(refusal.retry_after_s)))
    if refusal.code in RETRY_IS_POINTLESS:
        yield (b"x-should-retry", b"false")


def spoken(refusal: Refusal) -> str:
    """Return a refusal as the one sentence most clients show."""
    text = refusal.detail
    if refusal.approval is not None:
        text += f"; approval `{refusal.approval['id']}` at {refusal.approval.get('url', '')}"
    return f"{text}; to do: {refusal.remedy}" if refusal.remedy else text


def members(refusal: Refusal, decision: str) -> dict[str, Any]:
    """Return what a refusal says beyond the wire's own error members."""
    extra: dict[str, Any] = {"code": refusal.code, "decision": decision, "policies": list(refusal.policies), "remedy": refusal.remedy}
    if refusal.approval is not None:
        extra["approval"] = dict(refusal.approval)
    if refusal.arguments:
        extra["arguments"] = [dict(each) for each in refusal.arguments]
    return extra
