"""Attack: a message that two parsers read differently, so that the agent gets what policy never saw (R-B1, R-H3)."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support.a2a_raw import RawAgent, message
from tests.support.a2a_world import world

HEAD = b'{"jsonrpc":"2.0","id":1,"method":"SendMessage","params":{"message":{"messageId":"m","role":"ROLE_USER",'
REFUSED: dict[str, bytes] = {
    "a key twice": HEAD + b'"parts":[{"text":"good"}],"parts":[{"text":"evil"}]}}}',
    "two spellings": HEAD + b'"parts":[{"text":"x"}],"taskId":"a","task_id":"b"}}}',
    "two contents": HEAD + b'"parts":[{"text":"good","url":"https://evil.example"}]}}}',
    "no content": HEAD + b'"parts":[{"metadata":{}}]}}}',
    "not base64": HEAD + b'"parts":[{"raw":"%%%"}]}}}',
    "a lone surrogate": HEAD + b'"parts":[{"text":"\\ud800"}]}}}',
    "an endless number": HEAD + b'"parts":[{"data":1e999}]}}}',
    "too deep": HEAD + b'"parts":[{"data":' + b"[" * 200 + b"]" * 200 + b"}]}}}",
    "the agent's role": HEAD.replace(b"ROLE_USER", b"ROLE_AGENT") + b'"parts":[{"text":"x"}]}}}',
    "an id with a line break": HEAD.replace(b'"m"', b'"m\\r\\nX-Evil: 1"') + b'"parts":[{"text":"x"}]}}}',
    "a batch": b"[" + HEAD + b'"parts":[{"text":"x"}]}}}]',
    "members beside it": HEAD + b'"parts":[{"text":"x"}]}},"extra":1}',
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED)
async def test_what_can_be_read_in_two_ways_is_refused(body: bytes, tmp_path: Path) -> None:
    """R-H3: an error of the protocol, and nothing reaches the agent."""
    agent = RawAgent()
    async with world(tmp_path, planner=agent) as here, here.http() as http:
        answer = await http.post("/a2a/planner", content=body, headers={"content-type": "application/json"})
        assert answer.json()["error"]["code"] in {-32700, -32600, -32602}, answer.text
        assert agent.sent == []


async def test_what_nobody_knows_does_not_travel(tmp_path: Path) -> None:
    """R-B1: unknown fields are ignored as the specification wants, and dropped, at every level."""
    agent = RawAgent()
    async with world(tmp_path, planner=agent) as here:
        sent: dict[str, Any] = message("plan", Parts=[{"text": "evil"}], smuggled={"text": "evil"})
        sent["message"]["parts"][0]["Text"] = "evil"
        sent |= {"tenant": "evil", "Message": {"text": "evil"}, "configuration": {"evil": True, "blocking": "evil"}}
        answer = await here.rpc("planner", "SendMessage", sent)
        assert "result" in answer.json(), answer.text
        assert "evil" not in json.dumps(agent.sent)
        assert agent.sent[0]["params"] == {"message": {"messageId": "m-1", "role": "ROLE_USER", "parts": [{"text": "plan"}]}}


async def test_the_two_bindings_read_the_same(tmp_path: Path) -> None:
    """R-K1: the path, the query and the body cannot contradict each other."""
    agent = RawAgent()
    async with world(tmp_path, planner=agent) as here, here.http() as http:
        twice = await http.get("/a2a/planner/tasks?pageSize=1&pageSize=2")
        other = await http.get("/a2a/planner/tasks/a?id=b")
        spelled = await http.get("/a2a/planner/tasks?pageSize=1&page_size=2")
        body = await http.post("/a2a/planner/tasks/a:cancel", json={"id": "b"})
        assert [each.status_code for each in (twice, other, spelled, body)] == [400, 400, 400, 400]
        assert agent.sent == []


def _say(answer: bytes, _: dict[str, Any]) -> bytes:
    return answer


async def test_an_agents_answer_is_read_as_strictly(tmp_path: Path) -> None:
    """R-H3: a key twice, a wrong id, a wrong shape or no JSON from the agent reaches nobody."""
    lies = [
        b'{"jsonrpc":"2.0","id":1,"result":{"message":{"messageId":"a","role":"ROLE_AGENT","parts":[{"text":"good"}],"parts":[{"text":"evil"}]}}}',
        b'{"jsonrpc":"2.0","id":2,"result":{"message":{"messageId":"a","role":"ROLE_AGENT","parts":[{"text":"evil"}]}}}',
        b'{"jsonrpc":"2.0","id":1,"result":{"task":{"id":["evil"],"status":{"state":"TASK_STATE_COMPLETED"}}}}',
        b'{"jsonrpc":"2.0","id":1,"result":"evil"}',
        b"evil",
    ]
    for number, lie in enumerate(lies):
        agent = RawAgent(partial(_say, lie))
        async with world(tmp_path / str(number), planner=agent) as here:
            answer = await here.rpc("planner", "SendMessage", message())
            assert answer.json()["error"]["data"][-1]["code"] == "upstream_failed"
            assert "evil" not in answer.text
