"""Agent → agent over A2A 1.0: real SDK clients and servers, with the gateway between them (R-B1, R-K1)."""

from pathlib import Path

import pytest
from a2a.types import GetTaskRequest, TaskState

from tests.support.a2a_agent import SdkAgent
from tests.support.a2a_world import HTTP_JSON, JSONRPC, answers, said, world


@pytest.mark.parametrize("binding", [JSONRPC, HTTP_JSON])
async def test_a_message_becomes_a_task_of_the_other_agent(binding: str, tmp_path: Path) -> None:
    """R-B1, R-K1: a real client delegates in either binding, and reads the task it began."""
    agent = SdkAgent()
    async with world(tmp_path, planner=agent) as here:
        client = await here.client("planner", binding, streaming=False)
        [answer] = await answers(client, said("hello", "tck-artifact-text-1"))
        assert answer.task.status.state == TaskState.TASK_STATE_COMPLETED
        assert answer.task.artifacts[0].parts[0].text == "Generated text content"
        again = await client.get_task(GetTaskRequest(id=answer.task.id))
        assert again.artifacts == answer.task.artifacts
    tokens = [headers["authorization"] for headers in agent.headers if "authorization" in headers]
    assert tokens
    assert here.token not in " ".join(tokens)
