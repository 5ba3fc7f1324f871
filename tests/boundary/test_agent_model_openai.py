"""OpenAI's official client against the model server itself and through the gateway: one test body, two places."""

import asyncio
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from tests.support.model_gateway import ModelGateway, Place, model_gateway

TOOLS: Any = [{"type": "function", "function": {"name": "pay", "parameters": {"type": "object", "properties": {"to": {"type": "string"}}}}}]


@pytest.fixture(scope="module")
def running() -> Iterator[ModelGateway]:
    with model_gateway() as gateway:
        yield gateway


@pytest.fixture
def gateway(running: ModelGateway) -> ModelGateway:
    running.reset()
    return running


@pytest.fixture(params=["direct", "ostiary"])
def place(request: pytest.FixtureRequest, gateway: ModelGateway) -> Place:
    return gateway.place(request.param)


def client(place: Place, **rest: Any) -> OpenAI:
    return OpenAI(api_key=place.key, base_url=place.openai, max_retries=0, _strict_response_validation=True, **rest)


def aclient(place: Place) -> AsyncOpenAI:
    return AsyncOpenAI(api_key=place.key, base_url=place.openai, max_retries=0, _strict_response_validation=True)


def ask(text: str, model: str = "gpt", **rest: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": text}], **rest}


def test_answers_whole(place: Place) -> None:
    """R-B2: a chat completion, the same direct and through us."""
    with client(place) as sdk:
        answer = sdk.chat.completions.create(**ask("say: hello| world"))
    assert answer.choices[0].message.content == "hello world"
    assert answer.model == "gpt"
    assert answer.usage is not None
    assert answer.usage.total_tokens == 12


def test_streams_with_usage(place: Place) -> None:
    """R-B2: pieces, finish reason, usage."""
    with client(place) as sdk:
        chunks = list(sdk.chat.completions.create(**ask("say: hello| big| world", stream=True, stream_options={"include_usage": True})))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    finishes = [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices]
    assert text == "hello big world"
    assert finishes[-1] == "stop"
    assert finishes.count("stop") == 1
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 12


def test_calls_tools(place: Place) -> None:
    """R-B2: tool calls are content, whole and streamed."""
    with client(place) as sdk:
        whole = sdk.chat.completions.create(**ask('call: pay {"to":"bob","amount":5}', tools=TOOLS))
        with sdk.chat.completions.stream(**ask('call: pay {"to":"bob","amount":5}', tools=TOOLS)) as stream:
            done = [event for event in stream if event.type == "tool_calls.function.arguments.done"]
            final = stream.get_final_completion()
    assert whole.choices[0].message.tool_calls is not None
    assert whole.choices[0].message.tool_calls[0].function.arguments == '{"to":"bob","amount":5}'
    assert [event.arguments for event in done] == ['{"to":"bob","amount":5}']
    assert final.choices[0].finish_reason == "tool_calls"
    assert final.choices[0].message.tool_calls is not None
    assert final.choices[0].message.tool_calls[0].function.name == "pay"


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (403, openai.PermissionDeniedError),
        (404, openai.NotFoundError),
        (409, openai.ConflictError),
        (422, openai.UnprocessableEntityError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_upstream_errors_keep_their_class(place: Place, status: int, error: type[openai.APIStatusError], stream: bool) -> None:
    """R-B2: an upstream's failure is the same typed error through us."""
    with client(place) as sdk, pytest.raises(error) as caught:
        sdk.chat.completions.create(**ask(f"status: {status}", stream=stream))
    assert caught.value.status_code == status
    if status == 429:
        assert caught.value.response.headers["retry-after"] == "1"


async def test_async_streams_in_parallel(place: Place) -> None:
    """R-B2: many streams at once do not mix."""
    async with aclient(place) as sdk:

        async def one(n: int) -> str:
            stream = await sdk.chat.completions.create(**ask(f"say: a{n}|b{n}|c{n}", stream=True))
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])

        assert await asyncio.gather(*map(one, range(40))) == [f"a{n}b{n}c{n}" for n in range(40)]


def test_leaving_a_stream_cancels_the_upstream(place: Place, gateway: ModelGateway) -> None:
    """R-B2: cancel of the client cancels upstream."""
    with client(place) as sdk:
        stream = sdk.chat.completions.create(**ask("slow: 1000", stream=True))
        next(iter(stream))
        stream.close()
    assert gateway.upstream.left.wait(5)
    if place.name == "ostiary":
        outcome = gateway.outcome()
        assert outcome.code == "cancelled"
        assert [part.name for part in outcome.parts] == ["completion"]


async def test_leaving_a_whole_answer_cancels_the_upstream(place: Place, gateway: ModelGateway) -> None:
    """R-B2: the client also cancels an answer that is not streamed."""
    async with aclient(place) as sdk:
        asking = asyncio.ensure_future(sdk.chat.completions.create(**ask("slow: 1000")))
        while not gateway.upstream.requests:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    assert await asyncio.to_thread(gateway.upstream.left.wait, 5)
    if place.name == "ostiary":
        assert gateway.outcome().code == "cancelled"


def test_the_model_list_holds_what_may_be_used(gateway: ModelGateway) -> None:
    """R-B2: a session sees only the models of this wire that it may use."""
    gateway.world.policy.denied.add("mapped")
    with client(gateway.through) as sdk:
        names = {model.id for model in sdk.models.list()}
        assert "gpt" in names
        assert names.isdisjoint({"mapped", "claude", "claude-mapped"})
        assert sdk.models.retrieve("gpt").id == "gpt"
        for hidden in ("mapped", "claude", "none"):
            with pytest.raises(openai.NotFoundError):
                sdk.models.retrieve(hidden)


def test_refusals_raise_typed_errors(gateway: ModelGateway) -> None:
    """R-P2: each refusal is OpenAI's typed error, with our code, decision and remedy."""
    gateway.world.policy.denied.add("mapped")
    gateway.world.policy.held.add("dead")
    with (
        OpenAI(api_key="wrong", base_url=gateway.through.openai, max_retries=0) as stranger,
        pytest.raises(openai.AuthenticationError) as no,
    ):
        stranger.chat.completions.create(**ask("say: x"))
    assert no.value.code == "no_session"
    with client(gateway.through) as sdk:
        with pytest.raises(openai.PermissionDeniedError) as denied:
            sdk.chat.completions.create(**ask("say: x", model="mapped"))
        with pytest.raises(openai.PermissionDeniedError) as held:
            sdk.chat.completions.create(**ask("say: x", model="dead"))
        with pytest.raises(openai.NotFoundError) as missing:
            sdk.chat.completions.create(**ask("say: x", model="none"))
        with pytest.raises(openai.NotFoundError) as elsewhere:
            sdk.chat.completions.create(**ask("say: x", model="claude"))
        with pytest.raises(openai.UnprocessableEntityError) as rejected:
            sdk.chat.completions.create(**ask("say: forbidden"))
    assert denied.value.code == "forbidden"
    assert denied.value.body["policies"] == ["no-such-model"]  # type: ignore[index]
    assert denied.value.body["decision"] == denied.value.response.headers["x-ostiary-decision"]  # type: ignore[index]
    assert held.value.code == "held"
    assert held.value.body["approval"]["id"] == "a1"  # type: ignore[index]
    assert missing.value.code == elsewhere.value.code == "not_found"
    assert rejected.value.code == "content_rejected"
    assert not gateway.upstream.requests


def test_what_travels_upstream_is_what_was_decided(gateway: ModelGateway) -> None:
    """R-K3: the credential is ours, the client's headers stay here, a redacted prompt goes out redacted, the model is mapped."""
    with client(gateway.through, default_headers={"x-private": "yes", "cookie": "a=b", "openai-organization": "org"}) as sdk:
        answer = sdk.chat.completions.with_raw_response.create(**ask("say: my secret", model="mapped"))
    (sent,) = gateway.upstream.requests
    assert sent["body"] == {"model": "vendor-gpt-7", "messages": [{"role": "user", "content": "say: my ******"}]}
    assert set(sent["headers"]) == {"host", "accept-encoding", "content-type", "user-agent", "authorization", "content-length"}
    assert gateway.through.key not in sent["raw"].decode() + str(sent["headers"])
    assert answer.parse().model == "mapped"
    assert float(answer.headers["x-ostiary-overhead-ms"]) > 0
    assert "x-upstream-detail" not in answer.headers


def test_each_call_leaves_an_intent_and_an_outcome(gateway: ModelGateway) -> None:
    """R-L4: the intent holds the whole prompt, the outcome the whole completion, streamed or not."""
    with client(gateway.through) as sdk:
        sdk.chat.completions.create(**ask("say: one"))
        list(sdk.chat.completions.create(**ask("say: t|w|o", stream=True)))
    intents, outcomes = gateway.world.ledger.of("intent"), gateway.world.ledger.of("outcome")
    assert [outcome.intent for outcome in outcomes] == [intent.id for intent in intents]
    assert [entry.family for entry in intents + outcomes] == ["model"] * 4
    assert b"say: one" in intents[0].parts[0].content
    assert b'"one"' in outcomes[0].parts[0].content
    assert b'"two"' in outcomes[1].parts[0].content
    assert [outcome.upstream_status for outcome in outcomes] == [200, 200]


def test_unknown_paths_answer_in_their_shape(gateway: ModelGateway) -> None:
    """R-B2: what is not served says so as OpenAI would."""
    with client(gateway.through) as sdk:
        with pytest.raises(openai.NotFoundError) as caught:
            sdk.embeddings.create(model="gpt", input="x")
        with pytest.raises(openai.NotFoundError):
            sdk.files.list()
    assert caught.value.code == "unknown_method"
    assert "POST chat/completions" in caught.value.body["remedy"]  # type: ignore[index]
    assert b"/openai/v1/embeddings" in gateway.world.ledger.entries[0].parts[0].content
