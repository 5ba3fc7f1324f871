"""Where agents reach models: decides, sends what was decided, and lets back only what may pass. Knows no wire format."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import msgspec

from ostiary.boundaries.flight import Flight, Stopped
from ostiary.core.action import Action, Boundary, Resource
from ostiary.core.canonical import canonical
from ostiary.core.decision import Refusal, refusal_of, refuse
from ostiary.core.entry import Part
from ostiary.core.errors import InvalidConfig, OstiaryError, Unavailable, UpstreamUnavailable
from ostiary.core.pipeline import Passage, Pipeline
from ostiary.core.ports import ContentStream, HttpAnswer, HttpClient, HttpRequest, RegistrySource, Secrets
from ostiary.core.registry import Model

log = logging.getLogger("ostiary.agent_model")

MAX_ANSWER = 4 * 1024 * 1024
"""Bytes of an answer that is not streamed."""
MAX_ERROR = 64 * 1024
ANSWER_TIMEOUT_S = 600.0
"""Longest wait for the head of an answer, and between two pieces."""
SLICE = 8 * 1024
"""Bytes of a stream worked on before the event loop gets its turn."""
LAST_WORD_S = 1.0
"""How long a client that does not read may keep us from telling it why its stream was cut."""
NAMES = "GET …/v1/models lists the models that this session may use"
Push = Callable[[bytes], Awaitable[None]]


class Translator(Protocol):
    """Turns an upstream's stream into the client's, releasing only what the content controls let go."""

    is_complete: bool
    """True once the upstream has ended its answer in good order."""

    def feed(self, data: bytes) -> bytes:
        """Take bytes off the upstream and return events for the client. Raises UpstreamUnavailable when it lies."""
        ...

    def ending(self) -> bytes:
        """Return the events that end a complete stream."""
        ...

    def failure(self, refusal: Refusal) -> bytes:
        """Return the event that tells the client why its stream ends here."""
        ...

    def completion(self) -> dict[str, Any]:
        """Return what was released, bounded, for the record."""
        ...


class Dialect(Protocol):
    """How one provider's upstreams are spoken to."""

    @property
    def provider(self) -> str:
        """What models of this dialect are declared as."""
        ...

    def endpoint(self, model: Model, verb: str, /) -> str:
        """Return the URL for a verb."""
        ...

    def headers(self, secret: str) -> Sequence[tuple[str, str]]:
        """Return the headers that carry the gateway's own credential, and those the wire demands."""
        ...

    def accept(self, verb: str, answer: Any, /) -> dict[str, Any]:
        """Return the answer of a verb. Raises UpstreamUnavailable when it is not one."""
        ...

    def reconcile(self, answered: dict[str, Any], shaped: dict[str, Any], model: Model) -> dict[str, Any]:
        """Return the controlled answer without what would tell what the controls took out."""
        ...

    def error_message(self, body: Any) -> str:
        """Return the upstream's own words in an error body, or nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Opened:
    """A stream the upstream has begun, with the content controls it must pass."""

    answer: HttpAnswer
    controls: ContentStream


class AgentModel:
    """The policy enforcement point from agents to models."""

    def __init__(self, pipeline: Pipeline, source: RegistrySource, http: HttpClient, secrets: Secrets) -> None:
        self.pipeline = pipeline
        self._source = source
        self._http = http
        self._secrets = secrets

    def action(self, name: str, verb: str = "generate", arguments: Mapping[str, Any] | None = None) -> Action:
        """Return the action of asking the model `name`. An answer is words: whatever they bring about is an action of its own."""
        return Action(Boundary.AGENT_MODEL, verb, verb, Resource("Model", name), f"model:{name}", arguments or {}, is_read_only=True)

    def models(self, provider: str) -> list[Model]:
        """Return the registered models of one provider, by name."""
        return [model for _, model in sorted(self._source.registry.models.items()) if model.provider == provider]

    async def admit(self, passage: Passage, provider: str, arguments: Mapping[str, Any], size: int) -> Model | Refusal:
        """Take a parsed request through the pipeline.

        A model that does not exist is found missing only after the decision, so that asking tells nothing to those
        who may not know.
        """
        name = str(arguments["model"])
        model = self._source.registry.models.get(name)
        passage.action = self.action(name, "generate", arguments)
        passage.size = size
        refusal = await self.pipeline.admit(passage)
        if refusal is not None:
            remedy = f"{refusal.remedy}; {NAMES}" if refusal.remedy else NAMES
            return replace(refusal, remedy=remedy) if refusal.code == "not_granted" else refusal
        if model is None or model.provider != provider:
            elsewhere = f"; it is served by the {model.provider} door" if model else ""
            missing = refuse("not_found", f"no model `{name[:100]}` at this door{elsewhere}", remedy=NAMES)
            return await self._ended(passage, missing)
        return model

    async def complete(self, passage: Passage, model: Model, dialect: Dialect, flight: Flight, verb: str = "generate") -> Any | Refusal:
        """Ask for a whole answer and return it as the caller may see it."""
        answer: HttpAnswer | None = None
        try:
            with flight.under_way(), passage.upstream():
                answer = await self._send(passage, model, dialect, verb)
                if answer.status != 200:
                    raise Stopped(await self._upstream_refusal(model, dialect, answer))
                body = await answer.read(MAX_ANSWER)
            _expect(answer, "application/json")
            content = dialect.accept(verb, _decode(body))
        except asyncio.CancelledError:
            await self._abandoned(passage)
            raise
        except Exception as error:
            return await self._ended(passage, _refusal(error))
        finally:
            if answer is not None:
                answer.close()
        refusal = self.pipeline.check(passage)
        if refusal is not None:
            return await self._ended(passage, refusal)
        shaped = await self.pipeline.settle(passage, content)
        return shaped if isinstance(shaped, Refusal) else dialect.reconcile(content, shaped, model)

    async def open(self, passage: Passage, model: Model, dialect: Dialect, flight: Flight) -> Opened | Refusal:
        """Ask for a streamed answer; `relay` must follow when one comes."""
        answer: HttpAnswer | None = None
        try:
            controls = self.pipeline.open_stream(passage)
            with flight.under_way(), passage.upstream():
                answer = await self._send(passage, model, dialect, "generate")
                if answer.status != 200:
                    raise Stopped(await self._upstream_refusal(model, dialect, answer))
            _expect(answer, "text/event-stream")
            return Opened(answer, controls)
        except asyncio.CancelledError:
            if answer is not None:
                answer.close()
            await self._abandoned(passage)
            raise
        except Exception as error:
            if answer is not None:
                answer.close()
            return await self._ended(passage, _refusal(error))

    async def relay(self, passage: Passage, answer: HttpAnswer, translator: Translator, flight: Flight, push: Push) -> bool:
        """Pass a stream on, piece by piece, and settle it once, however it ends. Returns whether the client is still there."""
        refusal: Refusal | None = None
        try:
            with flight.under_way():
                refusal = await self._pump(passage, answer, translator, flight, push)
        except asyncio.CancelledError:
            answer.close()
            await self._abandoned(passage, translator.completion())
            raise
        except Exception as error:
            refusal = _refusal(error)
        if refusal is not None:
            answer.close()
        settled = await self._settle_stream(passage, translator, refusal)
        if refusal is not None and refusal.code == "cancelled":
            return False
        is_read = await _last_word(push, translator.failure(settled) if settled is not None else translator.ending())
        await _drain(answer)
        return is_read

    async def _pump(self, passage: Passage, answer: HttpAnswer, translator: Translator, flight: Flight, push: Push) -> Refusal | None:
        async for data in answer.chunks():
            for start in range(0, len(data), SLICE):
                if start:
                    await asyncio.sleep(0)
                refusal = self.pipeline.check(passage)
                if refusal is not None:
                    return refusal
                events = translator.feed(data[start : start + SLICE])
                if events:
                    flight.pushing_since = asyncio.get_running_loop().time()
                    await push(events)
                    flight.pushing_since = None
                if translator.is_complete:
                    return None
        return refuse("upstream_failed", "the model's upstream broke off before its answer was complete")

    async def _settle_stream(self, passage: Passage, translator: Translator, refusal: Refusal | None) -> Refusal | None:
        passage.refusal = refusal
        completion = translator.completion()
        code = refusal.code if refusal is not None else ""
        settled = await self.pipeline.settle(passage, completion, code=code, part=Part("completion", canonical(completion)))
        return settled if isinstance(settled, Refusal) else refusal

    async def _send(self, passage: Passage, model: Model, dialect: Dialect, verb: str) -> HttpAnswer:
        _, action = passage.acting
        secret = self._credential(model)
        body = action.encoded_arguments
        if model.upstream_name and model.upstream_name != model.name:
            body = msgspec.json.encode({**action.arguments, "model": model.upstream_name})
        headers = (("content-type", "application/json"), ("user-agent", "ostiary"), *dialect.headers(secret))
        request = HttpRequest(
            "POST", dialect.endpoint(model, verb), headers, body, timeout_s=ANSWER_TIMEOUT_S, unsafe_plaintext=model.unsafe_plaintext
        )
        answer = await self._http.send(request)
        passage.upstream_status = answer.status
        return answer

    def _credential(self, model: Model) -> str:
        if not model.credential:
            return ""
        try:
            return self._secrets.reveal(model.credential)
        except InvalidConfig as error:
            log.warning("model `%s` cannot be reached as declared: %s", model.name, error.detail)
            raise Unavailable(
                "the gateway's credential for this model is not set", remedy="an operator sets it with `ostiary secret set`"
            ) from None

    async def _upstream_refusal(self, model: Model, dialect: Dialect, answer: HttpAnswer) -> Refusal:
        """Turn an upstream's error into ours: its class and, where the caller can use them, its words."""
        status = answer.status if 400 <= answer.status < 600 else 502
        detail = f"the model's upstream answered {answer.status}"
        if status in {401, 403}:
            detail += ": the gateway's own credential for it was refused"
        elif status in {400, 404, 409, 413, 422, 429} and answer.headers.get("content-type", "").startswith("application/json"):
            words = dialect.error_message(_decode(await answer.read(MAX_ERROR)))
            secret = self._credential(model)
            words = words.replace(secret, "[credential]") if secret else words
            detail += f": {words[:500]}" if words else ""
        answer.close()
        retry = answer.headers.get("retry-after", "")
        retry_after_s = min(float(retry), 3600.0) if retry.isascii() and retry.isdigit() and len(retry) < 6 else None
        return Refusal("upstream_failed", status, detail, retry_after_s=retry_after_s)

    async def _ended(self, passage: Passage, refusal: Refusal) -> Refusal:
        """Settle an execution that brought no answer; the words of the refusal pass the controls like any answer."""
        passage.refusal = refusal
        content = {"error": {"status": refusal.status, "message": refusal.detail}}
        settled = await self.pipeline.settle(passage, content, code=refusal.code)
        if isinstance(settled, Refusal):
            return settled
        return Refusal(
            refusal.code,
            refusal.status,
            str(settled["error"]["message"]),
            policies=refusal.policies,
            remedy=refusal.remedy,
            retry_after_s=refusal.retry_after_s,
        )

    async def _abandoned(self, passage: Passage, completion: dict[str, Any] | None = None) -> None:
        """Record that our own task was cancelled (shutting down), whatever else is cancelled meanwhile."""
        content = completion or {}
        part = Part("completion", canonical(content))
        await asyncio.shield(self.pipeline.settle(passage, content, code="cancelled", part=part))


def _refusal(error: Exception) -> Refusal:
    if isinstance(error, Stopped):
        return error.refusal
    refusal = refusal_of(error)
    if not isinstance(error, OstiaryError):
        log.error("a model call failed", exc_info=error)
    return refusal


def _expect(answer: HttpAnswer, media_type: str) -> None:
    found = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if found != media_type:
        raise UpstreamUnavailable(f"the model's upstream answered `{found[:60]}` where {media_type} was due")


def _decode(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise UpstreamUnavailable("the model's upstream answered what is not JSON") from None


async def _last_word(push: Push, events: bytes) -> bool:
    try:
        async with asyncio.timeout(LAST_WORD_S):
            await push(events)
    except TimeoutError:
        return False
    return True


async def _drain(answer: HttpAnswer) -> None:
    """Let the connection be used again, if the upstream ends its body as it should."""
    try:
        async with asyncio.timeout(LAST_WORD_S):
            async for _ in answer.chunks():
                break
    except (TimeoutError, UpstreamUnavailable):
        pass
    finally:
        answer.close()
