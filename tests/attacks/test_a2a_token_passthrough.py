"""Attack: credentials of the caller, or of the gateway, that travel on to where they do not belong (R-P1, R-P2)."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.a2a_raw import RawAgent, message, task
from tests.support.a2a_world import world


def echo(request: dict[str, Any]) -> dict[str, Any]:
    """Give back all that was said."""
    return {"task": task(state="TASK_STATE_WORKING", history=[request["params"]["message"]] if request["method"] == "SendMessage" else [])}


@pytest.mark.parametrize("path", ["", "/message:send"])
async def test_the_agent_gets_nothing_the_caller_presented(path: str, tmp_path: Path) -> None:
    """R-P2: neither token nor cookie nor any other header of the caller's: only a session of the agent's own."""
    agent = RawAgent(echo)
    async with world(tmp_path, planner=(agent, {"credential": "planner"})) as here:
        await here.gateway.services.secrets.set("planner", "gateway-secret", by="root")
        extra = {
            "cookie": "c=1",
            "x-api-key": here.token,
            "x-forwarded-for": "10.0.0.1",
            "a2a-extensions": "https://evil.example/x",
            "x-evil": "1",
        }
        async with here.http(**extra) as http:
            body = message() if path else {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": message()}
            answer = await http.post(f"/a2a/planner{path}", json=body)
        assert answer.status_code == 200, answer.text
        headers, sent = agent.requests[0]
        assert here.token not in json.dumps([headers, sent])
        assert headers.keys() <= {
            "host",
            "accept",
            "accept-encoding",
            "a2a-version",
            "user-agent",
            "content-type",
            "content-length",
            "authorization",
            "x-api-key",
        }
        assert headers["x-api-key"] == "gateway-secret"
        child = headers["authorization"].removeprefix("Bearer ")
        assert "gateway-secret" not in answer.text
        assert child not in answer.text
        assert child not in str(here.entries())
        whose = await here.gateway.services.sessions.authenticate(_presented(child))
        assert getattr(whose, "subject").actor.name == "planner"  # noqa: B009 - a refusal has none


def _presented(token: str) -> Any:
    from ostiary.core.ports import Credential

    return Credential(token, "a2a")


async def test_a_token_in_a_message_is_stopped(tmp_path: Path) -> None:
    """R-H3: an agent under an attacker's control cannot hand its own token on as text, in any part of a message."""
    agent = RawAgent(echo)
    async with world(tmp_path, planner=agent) as here:
        for smuggled in (
            message(here.token),
            message("x", metadata={"t": here.token}),
            message("x", extensions=[here.token]),
            {**message("x"), "metadata": {"t": [here.token]}},
            {"message": {"messageId": "m", "role": "ROLE_USER", "parts": [{"data": {"deep": {"t": here.token}}}]}},
        ):
            answer = await here.rpc("planner", "SendMessage", smuggled)
            assert answer.json()["error"]["data"][-1]["code"] == "content_rejected", answer.text
        assert agent.sent == []
