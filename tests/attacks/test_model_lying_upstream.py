"""A model server lies, breaks off, or never ends: the client must see an error, never a normal end."""

from collections.abc import Iterator
from typing import Any

import anthropic
import httpx2
import openai
import pytest

from tests.support.model_gateway import ModelGateway, model_gateway

LIES = ["lie-type:", "lie-json:", "endless:", "redirect:", "gzip:", "break:"]


@pytest.fixture(scope="module")
def running() -> Iterator[ModelGateway]:
    with model_gateway() as gateway:
        yield gateway


@pytest.fixture
def gateway(running: ModelGateway) -> ModelGateway:
    running.reset()
    return running


def openai_text(gateway: ModelGateway, prompt: str, *, stream: bool) -> str:
    with openai.OpenAI(api_key=gateway.through.key, base_url=gateway.through.openai, max_retries=0) as sdk:
        messages: Any = [{"role": "user", "content": prompt}]
        if stream:
            chunks = sdk.chat.completions.create(model="gpt", messages=messages, stream=True)
            return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        return sdk.chat.completions.create(model="gpt", messages=messages).choices[0].message.content or ""


def anthropic_text(gateway: ModelGateway, prompt: str, *, stream: bool) -> str:
    with anthropic.Anthropic(api_key=gateway.through.key, base_url=gateway.through.anthropic, max_retries=0) as sdk:
        messages: Any = [{"role": "user", "content": prompt}]
        if stream:
            with sdk.messages.stream(model="claude", max_tokens=9, messages=messages) as events:
                return "".join(events.text_stream)
        return str(sdk.messages.create(model="claude", max_tokens=9, messages=messages).content)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("lie", LIES)
def test_openai_clients_see_an_error(gateway: ModelGateway, lie: str, stream: bool) -> None:
    """Issue 3 section 9: lying upstreams, on the OpenAI wire."""
    with pytest.raises(openai.APIError) as caught:
        openai_text(gateway, lie, stream=stream)
    assert caught.value.code == "upstream_failed"
    assert gateway.outcome().code == "upstream_failed"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("lie", LIES)
def test_anthropic_clients_see_an_error(gateway: ModelGateway, lie: str, stream: bool) -> None:
    """Issue 3 section 9: lying upstreams, on the Anthropic wire."""
    with pytest.raises(anthropic.APIStatusError) as caught:
        anthropic_text(gateway, lie, stream=stream)
    assert caught.value.body["error"]["code"] == "upstream_failed"  # type: ignore[index]
    assert gateway.outcome().code == "upstream_failed"


def test_a_stream_without_its_end_is_an_error(gateway: ModelGateway) -> None:
    """Issue 3 section 9: truncation that HTTP does not show; the client gets what came, then an error."""
    with pytest.raises(openai.APIError):
        openai_text(gateway, "no-done:", stream=True)
    with pytest.raises(anthropic.APIStatusError):
        anthropic_text(gateway, "no-done:", stream=True)
    assert [outcome.code for outcome in gateway.world.ledger.of("outcome")] == ["upstream_failed"] * 2


def test_a_dead_upstream_is_a_502(gateway: ModelGateway) -> None:
    """Issue 3 section 9: dead upstreams; internal addresses are not told."""
    body = {"model": "dead", "messages": [{"role": "user", "content": "x"}]}
    headers = {"authorization": f"Bearer {gateway.through.key}"}
    answer = httpx2.post(f"{gateway.through.openai}/chat/completions", json=body, headers=headers)
    assert answer.status_code == 502
    assert answer.json()["error"]["code"] == "upstream_failed"
    assert "127.0.0.1:9" not in answer.text


def test_a_plain_text_model_beyond_this_machine_gets_nothing(gateway: ModelGateway) -> None:
    """Issue 3 section 9: refused unless declared."""
    body = {"model": "plain", "messages": [{"role": "user", "content": "x"}]}
    headers = {"authorization": f"Bearer {gateway.through.key}"}
    answer = httpx2.post(f"{gateway.through.openai}/chat/completions", json=body, headers=headers)
    assert answer.status_code == 502
    assert "unsafe_plaintext" in answer.json()["error"]["remedy"]
