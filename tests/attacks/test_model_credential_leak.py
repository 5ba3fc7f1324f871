"""A client fishes for the gateway's own credential, or its token ends up at the provider."""

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.support.model_gateway import ModelGateway, model_gateway
from tests.support.model_upstream import KEY


@pytest.fixture(scope="module")
def running() -> Iterator[ModelGateway]:
    with model_gateway() as gateway:
        yield gateway


@pytest.fixture
def gateway(running: ModelGateway) -> ModelGateway:
    running.reset()
    return running


def ask(gateway: ModelGateway, prompt: str, model: str = "gpt", **headers: str) -> httpx2.Response:
    body = {"model": model, "messages": [{"role": "user", "content": prompt}]}
    sent = {"authorization": f"Bearer {gateway.through.key}", **headers}
    return httpx2.post(f"{gateway.through.openai}/chat/completions", json=body, headers=sent)


def everything(answer: httpx2.Response, gateway: ModelGateway) -> str:
    recorded: Any = [part.content for entry in gateway.world.ledger.entries for part in entry.parts]
    return f"{answer.text}{answer.headers}{recorded}"


def test_an_upstream_that_quotes_the_key_is_not_quoted(gateway: ModelGateway) -> None:
    """R-K3: the words of a 400 are passed on without the credential; it is not in the record either."""
    answer = ask(gateway, f"status: 400 bad key {KEY[:0]}" + KEY)
    assert answer.status_code == 400
    assert "bad key [credential]" in answer.json()["error"]["message"]
    assert KEY not in answer.text


def test_an_upstream_that_refuses_our_key_says_nothing_of_it(gateway: ModelGateway) -> None:
    """R-K3: a stale credential is a 401 without the upstream's words."""
    answer = ask(gateway, "say: x", model="wrong-key")
    assert answer.status_code == 401
    assert "sk-stale" not in everything(answer, gateway)
    assert answer.json()["error"]["code"] == "upstream_failed"
    assert "x-upstream-detail" not in answer.headers


def test_a_missing_secret_refuses_before_anything_is_sent(gateway: ModelGateway) -> None:
    """R-K3: no call without the declared credential."""
    answer = ask(gateway, "say: x", model="keyless")
    assert answer.status_code == 503
    assert "unset" not in answer.text
    assert not gateway.upstream.requests


@pytest.mark.parametrize(
    "header", ["authorization2", "x-api-key", "api-key", "cookie", "x-forwarded-for", "openai-project", "anthropic-beta"]
)
def test_no_client_header_travels(gateway: ModelGateway, header: str) -> None:
    """R-K3: whatever the client sends stays here."""
    assert ask(gateway, "say: x", **{header: "travelled"}).status_code == 200
    assert "travelled" not in str(gateway.upstream.requests[0]["headers"])
    assert gateway.through.key not in str(gateway.upstream.requests)


def test_a_token_in_the_wrong_place_opens_nothing(gateway: ModelGateway) -> None:
    """R-P1: neither a query, nor basic credentials, nor two different headers."""
    url = f"{gateway.through.openai}/chat/completions"
    body = {"model": "gpt", "messages": [{"role": "user", "content": "say: x"}]}
    token = gateway.through.key
    assert httpx2.post(f"{url}?api_key={token}", json=body).status_code == 401
    assert httpx2.post(url, json=body, headers={"authorization": f"Basic {token}"}).status_code == 401
    assert httpx2.post(url, json=body, headers={"authorization": token}).status_code == 401
    assert not gateway.upstream.requests
