"""Anthropic's official client against the model server itself and through the gateway: one test body, two places."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from anthropic import Anthropic, AsyncAnthropic
from anthropic.types import ToolUseBlock

from tests.support.model_gateway import ModelGateway, Place, model_gateway

TOOLS: Any = [{"name": "pay", "input_schema": {"type": "object", "properties": {"to": {"type": "string"}}}}]


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


def client(place: Place, **rest: Any) -> Anthropic:
    return Anthropic(api_key=place.key, base_url=place.anthropic, max_retries=0, _strict_response_validation=True, **rest)


def ask(text: str, model: str = "claude", **rest: Any) -> dict[str, Any]:
    return {"model": model, "max_tokens": 100, "messages": [{"role": "user", "content": text}], **rest}


def test_answers_whole(place: Place) -> None:
    """R-B2: a message, the same direct and through us."""
    with client(place) as sdk:
        answer = sdk.messages.create(**ask("say: hello| world"))
    assert answer.content[0].text == "hello world"
    assert answer.usage.output_tokens == 7
    assert answer.model == "claude"


def test_streams(place: Place) -> None:
    """R-B2: text, stop reason and usage arrive as events."""
    with client(place) as sdk, sdk.messages.stream(**ask("say: hello| big| world")) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == "hello big world"
    assert final.stop_reason == "end_turn"
    assert final.usage.output_tokens == 7


def test_calls_tools(place: Place) -> None:
    """R-B2: tool calls are content, whole and streamed."""
    with client(place) as sdk:
        whole = sdk.messages.create(**ask('call: pay {"to":"bob","amount":5}', tools=TOOLS))
        with sdk.messages.stream(**ask('call: pay {"to":"bob","amount":5}', tools=TOOLS)) as stream:
            final = stream.get_final_message()
    for message in (whole, final):
        (block,) = list(message.content)
        assert isinstance(block, ToolUseBlock)
        assert block.input == {"to": "bob", "amount": 5}
        assert message.stop_reason == "tool_use"


def test_counts_tokens(place: Place) -> None:
    """R-B2: a token count is asked of the upstream like a generation."""
    with client(place) as sdk:
        counted = sdk.messages.count_tokens(model="claude", messages=[{"role": "user", "content": "say: x"}])
    assert counted.input_tokens == 42


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, anthropic.BadRequestError),
        (401, anthropic.AuthenticationError),
        (403, anthropic.PermissionDeniedError),
        (404, anthropic.NotFoundError),
        (413, anthropic.APIStatusError),
        (422, anthropic.UnprocessableEntityError),
        (429, anthropic.RateLimitError),
        (500, anthropic.InternalServerError),
        (529, anthropic.InternalServerError),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_upstream_errors_keep_their_class(place: Place, status: int, error: type[anthropic.APIStatusError], stream: bool) -> None:
    """R-B2: an upstream's failure is the same typed error through us."""
    with client(place) as sdk, pytest.raises(error) as caught:
        sdk.messages.create(**ask(f"status: {status}", stream=stream))
    assert caught.value.status_code == status


async def test_async_streams_in_parallel(place: Place) -> None:
    """R-B2: many streams at once do not mix."""
    async with AsyncAnthropic(api_key=place.key, base_url=place.anthropic, max_retries=0, _strict_response_validation=True) as sdk:

        async def one(n: int) -> str:
            async with sdk.messages.stream(**ask(f"say: a{n}|b{n}|c{n}")) as stream:
                return "".join([text async for text in stream.text_stream])

        assert await asyncio.gather(*map(one, range(40))) == [f"a{n}b{n}c{n}" for n in range(40)]


def test_leaving_a_stream_cancels_the_upstream(place: Place, gateway: ModelGateway) -> None:
    """R-B2: cancel of the client cancels upstream, and the outcome says so."""
    with client(place) as sdk:
        stream = sdk.messages.create(**ask("slow: 1000", stream=True))
        next(iter(stream))
        stream.close()
    assert gateway.upstream.left.wait(5)
    if place.name == "ostiary":
        assert gateway.outcome().code == "cancelled"


def test_the_model_list_holds_what_may_be_used(gateway: ModelGateway) -> None:
    """R-B2: a session sees only the models of this wire that it may use."""
    gateway.world.policy.denied.add("claude-mapped")
    with client(gateway.through) as sdk:
        assert [model.id for model in sdk.models.list()] == ["claude"]
        with pytest.raises(anthropic.NotFoundError):
            sdk.models.retrieve("claude-mapped")


def test_refusals_raise_typed_errors(gateway: ModelGateway) -> None:
    """R-P2: each refusal is Anthropic's typed error; a held one names its approval."""
    gateway.world.policy.denied.add("claude")
    gateway.world.policy.held.add("claude-mapped")
    with client(gateway.through) as sdk:
        with pytest.raises(anthropic.PermissionDeniedError) as denied:
            sdk.messages.create(**ask("say: x"))
        with pytest.raises(anthropic.PermissionDeniedError) as held:
            sdk.messages.create(**ask("say: x", model="claude-mapped"))
        with pytest.raises(anthropic.NotFoundError):
            sdk.messages.create(**ask("say: x", model="gpt"))
    stranger = Anthropic(api_key="wrong", base_url=gateway.through.anthropic, max_retries=0)
    with stranger, pytest.raises(anthropic.AuthenticationError):
        stranger.messages.create(**ask("say: x"))
    assert denied.value.body["error"]["type"] == "permission_error"  # type: ignore[index]
    assert denied.value.body["error"]["code"] == "forbidden"  # type: ignore[index]
    assert "approval `a1`" in held.value.body["error"]["message"]  # type: ignore[index]


def test_a_bearer_token_opens_the_door_too(gateway: ModelGateway) -> None:
    """R-B2: `auth_token` is sent as a bearer token."""
    with Anthropic(auth_token=gateway.through.key, base_url=gateway.through.anthropic, max_retries=0) as sdk:
        assert sdk.messages.create(**ask("say: hi")).content[0].text == "hi"


def test_what_travels_upstream_is_what_was_decided(gateway: ModelGateway) -> None:
    """R-K3: the credential is ours, the client's headers stay here, the model is mapped, the prompt is as controlled."""
    with client(gateway.through, default_headers={"x-private": "yes", "anthropic-beta": "mcp-client-2025-11-20"}) as sdk:
        answer = sdk.messages.create(**ask("say: my secret", model="claude-mapped"))
    (sent,) = gateway.upstream.requests
    assert sent["body"] == {"model": "vendor-claude-7", "max_tokens": 100, "messages": [{"role": "user", "content": "say: my ******"}]}
    assert set(sent["headers"]) == {
        *("host", "accept-encoding", "content-type", "user-agent", "x-api-key", "anthropic-version", "content-length")
    }
    assert sent["headers"]["x-api-key"] == gateway.direct.key
    assert sent["headers"]["anthropic-version"] == "2026-10-21"
    assert answer.model == "claude-mapped"


def test_a_revoked_session_loses_its_open_stream(gateway: ModelGateway) -> None:
    """R-S3: revocation cuts a stream whose upstream says nothing, in under a second, with an error event."""
    with client(gateway.through) as sdk:
        stream = iter(sdk.messages.create(**ask("silent:", stream=True)))
        next(stream)
        gateway.world.identity.revoked = True
        began = time.monotonic()
        with pytest.raises(anthropic.APIStatusError) as caught:
            list(stream)
    assert caught.value.body["error"]["code"] == "revoked"  # type: ignore[index]
    assert time.monotonic() - began < 5
    assert gateway.outcome().code == "revoked"
    assert gateway.upstream.left.wait(5)
