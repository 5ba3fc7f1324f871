"""A request that the policy reads one way and a laxer parser upstream another, or that makes the provider act for us."""

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.support.model_gateway import ModelGateway, model_gateway

USER = [{"role": "user", "content": "say: x"}]
CHAT = {"model": "gpt", "messages": USER}
MESSAGES = {"model": "claude", "max_tokens": 9, "messages": USER}


@pytest.fixture(scope="module")
def running() -> Iterator[ModelGateway]:
    with model_gateway() as gateway:
        yield gateway


@pytest.fixture
def gateway(running: ModelGateway) -> ModelGateway:
    running.reset()
    return running


def post(gateway: ModelGateway, wire: str, body: bytes) -> httpx2.Response:
    url = f"{gateway.through.openai}/chat/completions" if wire == "openai" else f"{gateway.through.anthropic}/v1/messages"
    headers = {"authorization": f"Bearer {gateway.through.key}", "content-type": "application/json"}
    return httpx2.post(url, content=body, headers=headers)


def refused(gateway: ModelGateway, wire: str, body: bytes | dict[str, Any], code: str, status: int) -> None:
    answer = post(gateway, wire, body if isinstance(body, bytes) else json.dumps(body).encode())
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text
    assert not gateway.upstream.requests
    (entry,) = gateway.world.ledger.entries
    assert (entry.decision, entry.code, entry.boundary, entry.verb) == ("deny", code, "agent_model", "generate")


@pytest.mark.parametrize(
    "body",
    [
        {**CHAT, "Model": "dead"},
        {**CHAT, "MESSAGES": USER},
        {**CHAT, "model ": "dead"},
        {**CHAT, "mo\u0064e\u200bl": "dead"},
        {**CHAT, "models": ["a", "b"]},
        {**CHAT, "api_base": "http://evil.example"},
        {**CHAT, "api_key": "x"},
        {**CHAT, "extra_body": {}},
        {**CHAT, "fallbacks": ["x"]},
        {**CHAT, "messages": [{"role": "user", "content": "x", "Content": "y"}]},
        {**CHAT, "messages": [{"role": "user", "content": "x", "\u0441ontent": "y"}]},
        {**CHAT, "messages": [{"role": "user", "content": [{"type": "text", "text": "x", "Text": "y"}]}]},
        {**CHAT, "tools": [{"type": "function", "function": {"name": "a", "Name": "b"}}]},
        {**CHAT, "model": 7},
        {**CHAT, "model": ["gpt"]},
        {**CHAT, "model": None},
        {**CHAT, "messages": "say: x"},
        {**CHAT, "messages": []},
        {**CHAT, "messages": ["x"]},
        {**CHAT, "messages": [{"role": "user", "content": 5}]},
        {**CHAT, "messages": [{"content": "x"}]},
        {**CHAT, "stream": "true"},
        {**CHAT, "n": True},
        {**CHAT, "temperature": "1"},
        {**CHAT, "modalities": ["text", "audio"], "audio": {}},
        {"messages": USER},
        {"model": "gpt"},
        b"[]",
        b"",
        b"{",
        b'"x"',
        b'{"model":"gpt","model":"dead","messages":[]}',
        b'{"model":"gpt","messages":[{"role":"user","content":"a","content":"b"}]}',
        b'{"model":"gpt","temperature":NaN,"messages":[]}',
        b'{"model":"gpt","seed":99999999999999999999999,"messages":[]}',
        b'{"model":"\xff","messages":[]}',
        b'\xef\xbb\xbf{"model":"gpt","messages":[]}',
        b'{"model":"gpt","messages":' + b"[" * 500 + b"]" * 500 + b"}",
    ],
    ids=lambda body: str(body)[:60],
)
def test_chat_requests_that_two_parsers_could_read_differently(gateway: ModelGateway, body: Any) -> None:
    """Issue 3 section 2: refused, recorded, nothing sent."""
    refused(gateway, "openai", body, "invalid_request", 400)


@pytest.mark.parametrize(
    "body",
    [
        {**MESSAGES, "Model": "x"},
        {**MESSAGES, "mcp_servers": [{"type": "url", "url": "https://evil.example", "name": "x"}]},
        {**MESSAGES, "fallbacks": []},
        {**MESSAGES, "betas": ["x"]},
        {**MESSAGES, "System": "x"},
        {**MESSAGES, "system": 5},
        {**MESSAGES, "messages": [{"role": "user", "content": [{"type": "text", "text": "a", "TEXT": "b"}]}]},
        {**MESSAGES, "messages": [{"role": "user", "content": None}]},
        {"model": "claude", "messages": USER},
    ],
    ids=str,
)
def test_messages_requests_that_two_parsers_could_read_differently(gateway: ModelGateway, body: Any) -> None:
    """Issue 3 section 2: the same on the Anthropic wire."""
    refused(gateway, "anthropic", body, "invalid_request", 400)


@pytest.mark.parametrize(
    ("wire", "body"),
    [
        ("openai", {**CHAT, "web_search_options": {}}),
        ("openai", {**CHAT, "tools": [{"type": "web_search"}]}),
        ("openai", {**CHAT, "tools": [{"type": "mcp", "server_url": "https://evil.example"}]}),
        ("openai", {**CHAT, "tools": [{}]}),
        ("anthropic", {**MESSAGES, "tools": [{"type": "web_search_20260318", "name": "web_search"}]}),
        ("anthropic", {**MESSAGES, "tools": [{"type": "web_fetch_20260318", "name": "web_fetch"}]}),
        ("anthropic", {**MESSAGES, "tools": [{"type": "code_execution_20260521", "name": "code_execution"}]}),
        ("anthropic", {**MESSAGES, "tools": [{"type": "mcp_toolset", "mcp_server_name": "x"}]}),
        ("anthropic", {**MESSAGES, "container": "c"}),
    ],
    ids=str,
)
def test_the_provider_does_not_act_for_the_agent(gateway: ModelGateway, wire: str, body: Any) -> None:
    """R-B2: tools the provider would run reach the world where nothing is decided or recorded."""
    refused(gateway, wire, body, "not_granted", 403)


def test_a_body_over_the_limit_is_refused(gateway: ModelGateway) -> None:
    """Issue 3 section 9: huge bodies."""
    body = {**CHAT, "messages": [{"role": "user", "content": "x" * 5_000_000}]}
    refused(gateway, "openai", body, "too_large", 413)


def test_a_huge_field_name_costs_nothing(gateway: ModelGateway) -> None:
    """Issue 3 section 9: the nearest name is not looked for at any price; a client waits less than the test's limit."""
    refused(gateway, "openai", {**CHAT, "m" * 3_000_000: 1}, "invalid_request", 400)


@pytest.mark.parametrize(
    "body",
    [
        {**CHAT, "messages": USER * 5000},
        {**CHAT, "messages": [{"role": "user", "content": [{"type": "text", "text": "x"}] * 5000}]},
        {**CHAT, "tools": [{"type": "function"}] * 5000},
    ],
    ids=["messages", "parts", "tools"],
)
def test_lists_have_an_end(gateway: ModelGateway, body: Any) -> None:
    """Issue 3 section 9: every loop is bounded."""
    refused(gateway, "openai", body, "too_large", 413)


def test_an_unknown_api_version_is_refused(gateway: ModelGateway) -> None:
    """Issue 3 section 2: a version whose fields we do not know cannot be decided on."""
    headers = {"x-api-key": gateway.through.key, "anthropic-version": "2099-01-01"}
    answer = httpx2.post(f"{gateway.through.anthropic}/v1/messages", json=MESSAGES, headers=headers)
    assert answer.status_code == 400
    assert not gateway.upstream.requests
