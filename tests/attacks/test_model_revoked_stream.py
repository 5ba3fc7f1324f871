"""A session is revoked while its stream is open: flowing, silent, or behind a client that does not read."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import openai
import pytest

from ostiary.connectors.http import UpstreamHttp
from ostiary.core.ports import HttpRequest
from tests.support.model_gateway import ModelGateway, model_gateway


@pytest.fixture(scope="module")
def running() -> Iterator[ModelGateway]:
    with model_gateway() as gateway:
        yield gateway


@pytest.fixture
def gateway(running: ModelGateway) -> ModelGateway:
    running.reset()
    return running


@pytest.mark.parametrize("prompt", ["slow: 1000", "silent:", "flood:"])
def test_an_open_stream_is_cut(gateway: ModelGateway, prompt: str) -> None:
    """R-S3: the client gets an error event, the upstream is dropped, the outcome says revoked."""
    messages: Any = [{"role": "user", "content": prompt}]
    with openai.OpenAI(api_key=gateway.through.key, base_url=gateway.through.openai, max_retries=0) as sdk:
        stream = iter(sdk.chat.completions.create(model="gpt", messages=messages, stream=True))
        next(stream)
        gateway.world.identity.revoked = True
        with pytest.raises(openai.APIError) as caught:
            for _ in stream:
                pass
    assert caught.value.code == "revoked"
    assert gateway.outcome().code == "revoked"
    assert gateway.upstream.left.wait(5)


@contextmanager
def deaf_client(gateway: ModelGateway) -> Iterator[None]:
    """A client that asks for an endless stream and reads twenty bytes of it."""
    host, _, port = gateway.through.url.removeprefix("http://").partition(":")
    body = b'{"model":"gpt","stream":true,"messages":[{"role":"user","content":"flood:"}]}'
    head = f"POST /openai/v1/chat/completions HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {gateway.through.key}\r\n"
    with socket.create_connection((host, int(port))) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.sendall(head.encode() + b"content-length: %d\r\n\r\n" % len(body) + body)
        assert b"200" in client.recv(20)
        yield


def test_a_client_that_does_not_read_does_not_outlive_its_session(gateway: ModelGateway) -> None:
    """R-S3: back-pressure does not put revocation off."""
    with deaf_client(gateway):
        time.sleep(0.3)
        gateway.world.identity.revoked = True
        assert gateway.upstream.left.wait(5)
        assert gateway.outcome().code == "revoked"


def test_a_client_that_does_not_read_is_given_up(gateway: ModelGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """Issue 3 section 9: no wait without an end, also for the client."""
    monkeypatch.setattr("ostiary.boundaries.flight.STALLED_S", 0.3)
    with deaf_client(gateway):
        assert gateway.upstream.left.wait(5)
        assert gateway.outcome().code == "cancelled"


def test_a_whole_answer_is_not_given_to_a_revoked_session(gateway: ModelGateway) -> None:
    """R-S3: an answer that is under way when the session ends is not handed over."""
    messages: Any = [{"role": "user", "content": "slow: 200"}]

    def revoke() -> None:
        while not gateway.upstream.requests:
            time.sleep(0.01)
        gateway.world.identity.revoked = True

    revoking = threading.Thread(target=revoke)
    revoking.start()
    sdk = openai.OpenAI(api_key=gateway.through.key, base_url=gateway.through.openai, max_retries=0)
    with sdk, pytest.raises(openai.AuthenticationError) as caught:
        sdk.chat.completions.create(model="gpt", messages=messages)
    revoking.join()
    assert caught.value.code == "revoked"
    assert gateway.upstream.left.wait(5)


async def test_five_hundred_open_streams_end_together(gateway: ModelGateway) -> None:
    """R-S3: revocation reaches every open stream, however many there are; none of them ends as if it were complete."""
    http = UpstreamHttp()
    body = b'{"model":"gpt","stream":true,"messages":[{"role":"user","content":"silent:"}]}'
    headers = (("authorization", f"Bearer {gateway.through.key}"), ("content-type", "application/json"))
    request = HttpRequest("POST", f"{gateway.through.openai}/chat/completions", headers, body, timeout_s=30.0)
    answers = await asyncio.gather(*(http.send(request) for _ in range(500)))
    assert {answer.status for answer in answers} == {200}
    gateway.world.identity.revoked = True
    bodies = await asyncio.gather(*(answer.read(100_000) for answer in answers))
    assert all(b'"code":"revoked"' in body and b"[DONE]" not in body for body in bodies)
    assert [outcome.code for outcome in gateway.world.ledger.of("outcome")] == ["revoked"] * 500
    await http.close()
