"""Attack: an agent makes up contexts and artifacts without end, until the gateway has no memory or no time left (R-K1, R-S1)."""

from pathlib import Path
from typing import Any

from ostiary.boundaries import tasks
from ostiary.protocols.a2a import streaming
from tests.support.a2a_raw import RawAgent, message, task
from tests.support.a2a_world import world
from tests.support.mcp_upstream import MemoryStore


def _update(number: int, **more: Any) -> dict[str, Any]:
    artifact = {"artifactId": f"a-{number}", "parts": [{"data": {"number": number}}]}
    return {"artifactUpdate": {"taskId": "task-1", "contextId": f"context-{number}", "artifact": artifact} | more}


async def test_artifacts_that_never_end_end_the_stream(tmp_path: Path) -> None:
    """R-S1: what is under way at once is bounded, also without any text; those that end are not counted."""
    ended = [_update(number, lastChunk=True) for number in range(streaming.MAX_OPEN * 2)]
    begun = [_update(number) for number in range(streaming.MAX_OPEN + 1)]
    agent = RawAgent(lambda _: [{"task": task(state="TASK_STATE_WORKING")}, *ended, *begun, {"task": task()}])
    async with world(tmp_path, planner=agent) as here:
        answer = await here.rpc("planner", "SendStreamingMessage", message())
        assert "artifacts at once" in answer.text
        assert "TASK_STATE_COMPLETED" not in answer.text


async def test_contexts_made_up_are_forgotten() -> None:
    """R-S1: a session knows so many contexts; the caller's own names stay with the agent's for as long as they are among them."""
    known = tasks.Tasks(MemoryStore(), lambda _: True)
    theirs = known.context_for("session", "planner", "mine")
    assert known.context_from("session", "planner", theirs) == "mine"
    for number in range(tasks.MAX_CONTEXTS * 3):
        assert known.context_from("session", "planner", f"made-up-{number}") == f"made-up-{number}"
    session = known._sessions["session"]
    assert len(session.contexts) == len(session.names) == tasks.MAX_CONTEXTS
    assert known.context_from("session", "planner", theirs) == theirs
