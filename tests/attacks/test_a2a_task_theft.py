"""Attack: one session goes after the tasks, contexts and notifications of another at the same agent (R-B1)."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.a2a_raw import RawAgent, message, task
from tests.support.a2a_world import world


def victim(request: dict[str, Any]) -> Any:
    """An agent that serves every task to everybody: alone, it protects nobody."""
    if request["method"] == "ListTasks":
        return {"tasks": [task("secret-task")], "nextPageToken": "", "pageSize": 50, "totalSize": 1}
    if request["method"] == "SendMessage":
        return {"task": task("secret-task", request["params"]["message"].get("contextId", "theirs"), "TASK_STATE_WORKING")}
    return task("secret-task", state="TASK_STATE_WORKING", artifacts=[{"artifactId": "a", "parts": [{"text": "the plan"}]}])


ATTEMPTS = [
    ("GetTask", {"id": "secret-task"}),
    ("CancelTask", {"id": "secret-task"}),
    ("SubscribeToTask", {"id": "secret-task"}),
    ("SendMessage", message(taskId="secret-task")),
    ("SendStreamingMessage", message(taskId="secret-task")),
    ("SendMessage", message(referenceTaskIds=["secret-task"])),
    ("CreateTaskPushNotificationConfig", {"taskId": "secret-task", "url": "http://127.0.0.1:9/x"}),
    ("GetTaskPushNotificationConfig", {"taskId": "secret-task", "id": "c"}),
    ("ListTaskPushNotificationConfigs", {"taskId": "secret-task"}),
    ("DeleteTaskPushNotificationConfig", {"taskId": "secret-task", "id": "c"}),
]


@pytest.mark.parametrize(("method", "params"), ATTEMPTS, ids=[f"{method}-{number}" for number, (method, _) in enumerate(ATTEMPTS)])
async def test_a_task_of_another_session_is_none(method: str, params: dict[str, Any], tmp_path: Path) -> None:
    """R-B1: not even its existence is told, and the agent is not asked; the thief with the agent's own address would have it."""
    agent = RawAgent(victim)
    async with world(tmp_path, planner=(agent, {"push": ("http://127.0.0.1:9/",)})) as here:
        mine = await here.rpc("planner", "SendMessage", message())
        assert mine.json()["result"]["task"]["id"] == "secret-task"
        thief = (await here.lend()).token
        asked = len(agent.requests)
        stolen = await here.rpc("planner", method, params, thief)
        never = await here.rpc("planner", method, _renamed(params), thief)
        assert stolen.json()["error"]["code"] == -32001
        assert _plain(stolen) == _plain(never)
        assert len(agent.requests) == asked
        async with httpx.AsyncClient(trust_env=False) as direct:
            body = {"jsonrpc": "2.0", "id": 1, "method": "GetTask", "params": {"id": "secret-task"}}
            alone = await direct.post(agent.url, json=body)
            assert "the plan" in alone.text


def _renamed(params: dict[str, Any]) -> dict[str, Any]:
    return {
        key: "no-such-task"
        if value == "secret-task"
        else ["no-such-task"]
        if value == ["secret-task"]
        else _renamed(value)
        if isinstance(value, dict)
        else value
        for key, value in params.items()
    }


def _plain(answer: httpx.Response) -> dict[str, Any]:
    error: dict[str, Any] = answer.json()["error"]
    return {"code": error["code"], "message": error["message"]}


async def test_a_list_holds_only_the_sessions_own(tmp_path: Path) -> None:
    """R-B1: what the agent itself would list is never asked for."""
    agent = RawAgent(victim)
    async with world(tmp_path, planner=agent) as here:
        await here.rpc("planner", "SendMessage", message())
        thief = (await here.lend()).token
        listed = (await here.rpc("planner", "ListTasks", {}, thief)).json()["result"]
        assert (listed["tasks"], listed["totalSize"]) == ([], 0)
        own = (await here.rpc("planner", "ListTasks", {})).json()["result"]
        assert [each["id"] for each in own["tasks"]] == ["secret-task"]
        assert "ListTasks" not in {each["method"] for each in agent.sent}


async def test_a_context_of_another_session_is_another_context(tmp_path: Path) -> None:
    """R-B1: agents remember by context, so the same name said by two sessions must be two contexts for the agent."""
    agent = RawAgent(victim)
    async with world(tmp_path, planner=agent) as here:
        first = await here.rpc("planner", "SendMessage", message(contextId="trip"))
        thief = (await here.lend()).token
        await here.rpc("planner", "SendMessage", message(contextId="trip"), thief)
        names = [each["params"]["message"]["contextId"] for each in agent.sent if each["method"] == "SendMessage"]
        assert len(set(names)) == 2
        assert "trip" not in names
        assert first.json()["result"]["task"]["contextId"] == "trip"


async def test_an_answer_about_another_task_is_no_answer(tmp_path: Path) -> None:
    """R-K1: an agent cannot put one task in the place of another."""
    answers = iter([{"task": task("mine", state="TASK_STATE_WORKING")}, task("other")])
    agent = RawAgent(lambda _: next(answers))
    async with world(tmp_path, planner=agent) as here:
        await here.rpc("planner", "SendMessage", message())
        swapped = (await here.rpc("planner", "GetTask", {"id": "mine"})).json()
        assert swapped["error"]["data"][-1]["code"] == "upstream_failed"
