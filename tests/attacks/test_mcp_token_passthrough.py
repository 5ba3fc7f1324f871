"""Token passthrough: the caller's token stays on this side, the server's credential on the other."""

import logging
from typing import Any

import pytest

from ostiary.core.registry import Server
from ostiary.protocols.wire import Call
from tests.support.mcp_shaped import Caller, Shaped, shaped
from tests.support.mcp_upstream import gateway

CREDENTIAL = "upstream-credential-4711"


async def _reflect(server: Shaped, call: Call, message: dict[str, Any]) -> Any:
    names = sorted(name for name in call.headers if name != "authorization")
    return {"content": [{"type": "text", "text": f"{names} {message['params'].get('_meta')}"}], "resultType": "complete"}


@pytest.mark.parametrize("is_modern", [True, False])
async def test_the_callers_token_never_travels_upstream(is_modern: bool) -> None:
    """R-B5: no header and no member of a request to the server holds the caller's token or anything the caller smuggles."""
    async with (
        shaped(is_modern=is_modern, script=_reflect) as server,
        gateway(Server("s", url=server.url, credential="s"), credentials={"s": CREDENTIAL}) as running,
        Caller(running) as caller,
    ):
        body = caller.modern("tools/call", name="echo", arguments={"text": "a"})
        body["params"]["_meta"] |= {"com.example/smuggled": "exfil-via-meta", "traceparent": "00-1-2-01"}
        body["params"]["smuggled"] = "exfil-via-params"
        headers = {
            "mcp-protocol-version": "2026-07-28",
            "mcp-method": "tools/call",
            "mcp-name": "echo",
            "cookie": "a=b",
            "x-smuggled": "exfil-via-header",
        }
        answer = await caller.post(body, headers)
        assert "result" in answer.json()
        sent = str(server.requests)
        assert running.token not in sent
        assert "exfil-via" not in sent
        assert "cookie" not in sent
        assert all(headers["authorization"] == f"Bearer {CREDENTIAL}" for headers, _ in server.requests)


async def test_the_credential_is_in_no_answer_log_or_entry(caplog: pytest.LogCaptureFixture) -> None:
    """R-B5: what the gateway says and keeps never holds it, not even when the server fails."""

    async def fails(server: Shaped, call: Call, message: dict[str, Any]) -> Any:
        await call.respond(500, b"boom")

    with caplog.at_level(logging.DEBUG):
        async with (
            shaped(script=fails) as server,
            gateway(Server("s", url=server.url, credential="s"), credentials={"s": CREDENTIAL}) as running,
            Caller(running) as caller,
        ):
            answer = await caller.call("echo", text="a")
            assert answer["error"]["data"]["code"] == "upstream_failed"
            assert CREDENTIAL not in str(answer)
            assert CREDENTIAL not in str(running.ledger.entries)
    assert CREDENTIAL not in caplog.text
    assert running.token not in caplog.text


async def test_a_missing_credential_refuses() -> None:
    """R-B5: no secret, no call; never one without it."""
    async with shaped() as server, gateway(Server("s", url=server.url, credential="absent")) as running, Caller(running) as caller:
        answer = await caller.call("echo", text="a")
        assert answer["error"]["code"] == -32003
        assert server.requests == []


@pytest.mark.parametrize("token", ["", "wrong", "t-alice2", "T-ALICE"])
async def test_without_a_session_there_is_only_a_challenge(token: str) -> None:
    """R-P1: 401 with the metadata's address (RFC 9728), before a byte of the body is read as a message."""
    async with shaped() as server, gateway(Server("s", url=server.url)) as running, Caller(running) as caller:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        answer = await caller.http.post(caller.url, content=b"{not json", headers=headers)
        assert answer.status_code == 401
        assert f'resource_metadata="{running.url}/.well-known/oauth-protected-resource/mcp/s"' in answer.headers["www-authenticate"]
        assert ("invalid_token" in answer.headers["www-authenticate"]) == bool(token)
        metadata = (await caller.http.get(f"{running.url}/.well-known/oauth-protected-resource/mcp/s")).json()
        assert metadata["resource"] == caller.url
        assert metadata["authorization_servers"] == [running.url]
        assert server.requests == []
