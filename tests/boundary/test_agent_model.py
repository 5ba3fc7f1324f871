"""What the enforcement point promises whichever wire is spoken: no receipt, no call; and one outcome for every intent."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest

from ostiary.boundaries.agent_model import AgentModel
from ostiary.boundaries.flight import Flight
from ostiary.core.decision import Refusal
from ostiary.core.errors import LedgerUnavailable, UpstreamUnavailable
from ostiary.core.pipeline import Passage
from ostiary.core.ports import Credential, HttpRequest
from ostiary.core.registry import Model, Registry
from ostiary.protocols.openai.door import OpenAiDialect, error_body
from ostiary.protocols.openai.stream import ChunkTranslator
from tests.support.model_gateway import ModelGateway, model_gateway
from tests.support.ports import TOKEN, FixedRegistry, FixedSecrets, World

ASKED: dict[str, Any] = {"model": "gpt", "messages": [{"role": "user", "content": "say: x"}]}
CHUNK = b'data: {"choices": [{"index": 0, "delta": {"content": "%b"}, "finish_reason": %b}]}\n\n'


@dataclass
class MemoryAnswer:
    """An upstream's answer held in memory; `error` ends it."""

    pieces: list[bytes]
    content_type: str = "application/json"
    status: int = 200
    peer_key: str = ""
    error: Exception | None = None
    closed: bool = False
    headers: Mapping[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.headers = {"content-type": self.content_type}

    async def read(self, max_bytes: int) -> bytes:
        return b"".join(self.pieces)

    async def chunks(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            yield piece
        if self.error:
            raise self.error

    def close(self) -> None:
        self.closed = True


@dataclass
class MemoryHttp:
    """An upstream in memory."""

    answer: MemoryAnswer
    sent: list[HttpRequest] = field(default_factory=list)

    async def send(self, request: HttpRequest) -> MemoryAnswer:
        self.sent.append(request)
        return self.answer


async def ask(world: World, answer: MemoryAnswer, *, stream: bool = False) -> tuple[Any, list[bytes], MemoryHttp]:
    """One call through the enforcement point; returns its result, what was pushed, and the upstream."""
    http, pushed = MemoryHttp(answer), []
    model = Model("gpt", "openai", "http://127.0.0.1/v1")
    models = AgentModel(world.pipeline(), FixedRegistry(Registry(models={"gpt": model})), http, FixedSecrets())
    passage = Passage(Credential(TOKEN, "openai"))
    assert await models.pipeline.identify(passage) is None
    admitted = await models.admit(passage, "openai", ASKED, 10)
    if isinstance(admitted, Refusal):
        return admitted, [], http
    flight, dialect = Flight(models.pipeline, passage), OpenAiDialect()
    if not stream:
        return await models.complete(passage, admitted, dialect, flight), [], http
    opened = await models.open(passage, admitted, dialect, flight)
    if isinstance(opened, Refusal):
        return opened, [], http

    async def push(piece: bytes) -> None:
        pushed.append(piece)

    translator = ChunkTranslator(model, opened.controls, lambda refusal: error_body(refusal, passage.id))
    await models.relay(passage, opened.answer, translator, flight, push)
    return None, pushed, http


async def test_no_receipt_no_call() -> None:
    """R-L2: a ledger that cannot write refuses before anything is sent."""
    world = World()
    world.ledger.is_full = True
    refused, _, http = await ask(world, MemoryAnswer([b"{}"]))
    assert refused.code == "unavailable"
    assert not http.sent


async def test_an_answer_whose_outcome_cannot_be_recorded_is_not_given() -> None:
    """R-L2: the caller gets the failure instead of the answer."""
    world = World()
    body = b'{"choices": [{"index": 0, "message": {"role": "assistant", "content": "x"}}]}'
    append = world.ledger.append

    async def once(entry: Any) -> Any:
        if entry.kind == "outcome":
            raise LedgerUnavailable("full")
        return await append(entry)

    world.ledger.append = once  # type: ignore[method-assign]
    refused, _, _ = await ask(world, MemoryAnswer([body]))
    assert isinstance(refused, Refusal)
    assert refused.code == "unavailable"


async def test_a_stream_whose_outcome_cannot_be_recorded_does_not_end_well() -> None:
    """R-L2: the end event comes only after the outcome is durable."""
    world = World()
    append = world.ledger.append

    async def once(entry: Any) -> Any:
        if entry.kind == "outcome":
            raise LedgerUnavailable("full")
        return await append(entry)

    world.ledger.append = once  # type: ignore[method-assign]
    whole = MemoryAnswer([CHUNK % (b"x", b'"stop"'), b"data: [DONE]\n\n"], "text/event-stream")
    _, pushed, _ = await ask(world, whole, stream=True)
    assert b"[DONE]" not in b"".join(pushed)
    assert b'"unavailable"' in pushed[-1]


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (MemoryAnswer([CHUNK % (b"x", b'"stop"'), b"data: [DONE]\n\n"], "text/event-stream"), ""),
        (MemoryAnswer([CHUNK % (b"x", b"null")], "text/event-stream"), "upstream_failed"),
        (MemoryAnswer([CHUNK % (b"x", b"null")], "text/event-stream", error=UpstreamUnavailable("gone")), "upstream_failed"),
        (MemoryAnswer([CHUNK % (b"now forbidden", b"null")], "text/event-stream"), "content_rejected"),
        (MemoryAnswer([CHUNK % (b"x", b"null")], "text/event-stream", error=ValueError("ours")), "unavailable"),
        (MemoryAnswer([b"{}"]), "upstream_failed"),
        (MemoryAnswer([b"{}"], status=500), "upstream_failed"),
    ],
)
async def test_each_stream_is_settled_once(answer: MemoryAnswer, code: str) -> None:
    """R-L4: one outcome however a stream ends, and the upstream is let go."""
    world = World()
    _, pushed, _ = await ask(world, answer, stream=True)
    (outcome,) = world.ledger.of("outcome")
    assert outcome.code == code
    assert answer.closed
    assert (b"[DONE]" in b"".join(pushed)) == (code == "")


COMPLETION = b'{"choices": [{"index": 0, "message": {"role": "assistant", "content": "x"}}]}'


@pytest.mark.parametrize("content_type", ["text/html", "text/plain", "text/event-stream", "", "application/jsonp"])
async def test_a_wrong_content_type_is_a_lie(content_type: str) -> None:
    """Issue 3 section 9: what is not labelled as an answer is none, however well it reads."""
    refused, _, _ = await ask(World(), MemoryAnswer([COMPLETION], content_type))
    assert refused.code == "upstream_failed"
    whole = [CHUNK % (b"x", b'"stop"'), b"data: [DONE]\n\n"]
    refused, pushed, _ = await ask(World(), MemoryAnswer(whole, "application/json"), stream=True)
    assert refused.code == "upstream_failed"
    assert not pushed


async def test_an_answer_that_meets_a_revoked_session_is_not_given() -> None:
    """R-S3: the session is asked for once more when the answer is there."""
    world = World()

    class Revoking(MemoryAnswer):
        async def read(self, max_bytes: int) -> bytes:
            world.identity.revoked = True
            return COMPLETION

    refused, _, _ = await ask(world, Revoking([]))
    assert refused.code == "revoked"
    (outcome,) = world.ledger.of("outcome")
    assert outcome.code == "revoked"


async def test_not_one_piece_passes_after_revocation() -> None:
    """R-S3: the session is asked for before each piece, not only now and then."""
    world = World()

    class Revoking(MemoryAnswer):
        async def chunks(self) -> AsyncIterator[bytes]:
            yield CHUNK % (b"before", b"null")
            world.identity.revoked = True
            yield CHUNK % (b"after", b"null")

    _, pushed, _ = await ask(world, Revoking([], "text/event-stream"), stream=True)
    assert b"before" in pushed[0]
    assert b"after" not in b"".join(pushed)
    assert b'"revoked"' in pushed[-1]


async def test_shutting_down_in_mid_stream_is_recorded() -> None:
    """Issue 3 section 9: SIGTERM in mid-stream loses no outcome."""
    world = World()
    waiting = asyncio.Event()

    class Endless(MemoryAnswer):
        async def chunks(self) -> AsyncIterator[bytes]:
            yield CHUNK % (b"so far", b"null")
            waiting.set()
            await asyncio.sleep(60)

    answer = Endless([], "text/event-stream")
    asking = asyncio.ensure_future(ask(world, answer, stream=True))
    await waiting.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    (outcome,) = world.ledger.of("outcome")
    assert outcome.code == "cancelled"
    assert b"so far" in outcome.parts[0].content
    assert answer.closed


@pytest.fixture(scope="module")
def gateway() -> Iterator[ModelGateway]:
    with model_gateway() as running:
        yield running


def test_redacted_words_are_not_spelt_out_in_token_lists(gateway: ModelGateway) -> None:
    """Issue 3 section 6: what a control took out of the text is not left in `logprobs`."""
    world = World()
    tokens = b'{"content": [{"token": "sec", "logprob": 0, "top_logprobs": []}, {"token": "ret", "logprob": 0, "top_logprobs": []}]}'
    body = b'{"choices": [{"index": 0, "message": {"role": "assistant", "content": "%b"}, "logprobs": %b}]}'
    kept, _, _ = asyncio.run(ask(world, MemoryAnswer([body % (b"harmless", tokens)])))
    redacted, _, _ = asyncio.run(ask(world, MemoryAnswer([body % (b"secret", tokens)])))
    assert kept["choices"][0]["logprobs"]["content"][0]["token"] == "sec"
    assert redacted["choices"][0]["logprobs"] is None


def test_every_answer_carries_its_decision(gateway: ModelGateway) -> None:
    """R-P2: allowed, refused, streamed, unknown: each names its decision and what we added."""
    url, headers = gateway.through.openai, {"authorization": f"Bearer {gateway.through.key}"}
    answers = [
        httpx2.post(f"{url}/chat/completions", json=ASKED, headers=headers),
        httpx2.post(f"{url}/chat/completions", json={**ASKED, "stream": True}, headers=headers),
        httpx2.post(f"{url}/chat/completions", json={}, headers=headers),
        httpx2.post(f"{url}/chat/completions", json=ASKED),
        httpx2.get(f"{url}/models", headers=headers),
        httpx2.get(f"{url}/nothing", headers=headers),
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 400, 401, 200, 404]
    decisions = {answer.headers["x-ostiary-decision"] for answer in answers}
    assert len(decisions) == 6
    assert all(float(answer.headers["x-ostiary-overhead-ms"]) >= 0 for answer in answers)
    recorded = {entry.id for entry in gateway.world.ledger.of("intent")}
    assert {answer.headers["x-ostiary-decision"] for answer in answers[:3]} <= recorded


def test_asking_for_a_model_one_may_not_know_tells_nothing(gateway: ModelGateway) -> None:
    """R-P2: a hidden model and one that does not exist are refused alike."""
    gateway.reset()
    gateway.world.policy.denied |= {"mapped", "no-such"}
    url, headers = f"{gateway.through.openai}/chat/completions", {"authorization": f"Bearer {gateway.through.key}"}
    hidden, missing = (httpx2.post(url, json={**ASKED, "model": name}, headers=headers).json()["error"] for name in ("mapped", "no-such"))
    assert hidden | {"decision": ""} == missing | {"decision": ""}
