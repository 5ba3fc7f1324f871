"""Attack: a sub-agent reads what is confidential, and its words come back another way than as the answer to a message (R-H3, R-K1).

If the caller's session does not take on what the sub-agent met, the caller holds the data without the label and may send it out.
"""

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from ostiary.core.subject import Session
from tests.support.a2a_hook import Hook
from tests.support.a2a_raw import RawAgent, message, task
from tests.support.a2a_world import World, world
from tests.support.listening import listening

ARTIFACTS = [{"artifactId": "a", "parts": [{"text": "the patient's diagnosis"}]}]


def _working(request: dict[str, Any]) -> Any:
    """Begin a task, and have its result ready when somebody asks for it."""
    return {"task": task(state="TASK_STATE_WORKING")} if request["method"] == "SendMessage" else task(artifacts=ARTIFACTS)


def _child_meets(here: World, label: str) -> None:
    for view in here.gateway.services.sessions.list(agent="planner"):
        child = here.gateway.services.sessions.session(view.id)
        assert child is not None
        child.state.labels |= {label}


def _labels(session: Session) -> frozenset[str]:
    return session.state.labels


async def test_a_listed_task_brings_its_labels(tmp_path: Path) -> None:
    """R-H3: a list of tasks with their artifacts is an answer of the agents that worked on them."""
    async with world(tmp_path, planner=RawAgent(_working)) as here:
        lent = await here.lend()
        await here.rpc("planner", "SendMessage", message(), lent.token)
        assert _labels(lent.session) == frozenset()
        _child_meets(here, "phi")
        listed = await here.rpc("planner", "ListTasks", {"includeArtifacts": True}, lent.token)
        assert "diagnosis" in listed.text
        assert _labels(lent.session) == {"phi"}


async def test_a_task_that_goes_on_under_another_session_brings_the_labels_of_both(tmp_path: Path) -> None:
    """R-H3, R-P2: a message that lends less ends what was lent before; what the agent met until then is its caller's, too."""

    def answer(request: dict[str, Any]) -> Any:
        return {"task": task(state="TASK_STATE_WORKING")} if request["method"] == "SendMessage" else task(artifacts=ARTIFACTS)

    agent = RawAgent(answer)
    async with world(tmp_path, planner=agent) as here:
        lent = await here.lend(scopes=("agent:*", "tool:mail/*"))
        await here.rpc("planner", "SendMessage", message(), lent.token)
        _child_meets(here, "phi")
        less = {"x-ostiary-scopes": "tool:mail/read"}
        await here.rpc("planner", "SendMessage", message(name="m-2", taskId="task-1"), lent.token, **less)
        assert _labels(lent.session) == {"phi"}
        [child] = here.gateway.services.sessions.list(agent="planner")
        assert child.scopes == ("tool:mail/read",)
        tokens = [headers["authorization"] for headers, _ in agent.requests]
        assert len(set(tokens)) == 2
        _child_meets(here, "secret")
        await here.rpc("planner", "GetTask", {"id": "task-1"}, lent.token)
        assert _labels(lent.session) == {"phi", "secret"}


async def test_an_agent_cannot_hang_a_new_session_on_an_old_task(tmp_path: Path) -> None:
    """R-H3: a new message answered with the task of an older one: what was lent for either is heard, and one session is left."""
    async with world(tmp_path, planner=RawAgent(_working)) as here:
        lent = await here.lend()
        await here.rpc("planner", "SendMessage", message(), lent.token)
        _child_meets(here, "phi")
        await here.rpc("planner", "SendMessage", message(name="m-2"), lent.token)
        assert len(here.gateway.services.sessions.list(agent="planner")) == 1
        _child_meets(here, "secret")
        await here.rpc("planner", "ListTasks", {}, lent.token)
        assert _labels(lent.session) == {"phi", "secret"}


@pytest.mark.parametrize("method", ["SendMessage", "SendStreamingMessage"])
async def test_an_error_of_the_agent_brings_its_labels(tmp_path: Path, method: str) -> None:
    """R-H3: an agent that puts what it read into an error message has answered."""
    here: World

    def fails(_: dict[str, Any]) -> Any:
        _child_meets(here, "phi")
        return b'{"jsonrpc":"2.0","id":1,"error":{"code":-32004,"message":"the patient\'s diagnosis"}}'

    async with world(tmp_path, planner=RawAgent(fails)) as here:
        lent = await here.lend()
        answer = await here.rpc("planner", method, message(), lent.token)
        assert "diagnosis" in answer.text
        assert _labels(lent.session) == {"phi"}


async def test_a_notification_brings_its_labels(tmp_path: Path) -> None:
    """R-H3: what is pushed to the caller is heard by its session, and policy decides about the push knowing so."""
    hook, agent = Hook(), RawAgent(_working)
    policy = """
    @id("clerks-delegate") permit (principal in Role::"clerk", action == Action::"delegate", resource);
    @id("secrets-are-not-pushed") forbid (principal, action == Action::"delegate", resource)
    when { context.session.labels.contains("secret") };
    """
    async with AsyncExitStack() as closing:
        address = await closing.enter_async_context(listening(hook))
        here = await closing.enter_async_context(world(tmp_path, policy, planner=(agent, {"push": (f"http://{address}/",)})))
        lent = await here.lend()
        wanted = {"configuration": {"taskPushNotificationConfig": {"url": f"http://{address}/mine"}}}
        await here.rpc("planner", "SendMessage", message() | wanted, lent.token)
        asked = agent.sent[0]["params"]["configuration"]["taskPushNotificationConfig"]
        event = {"task": task(artifacts=ARTIFACTS, state="TASK_STATE_WORKING")}
        async with httpx.AsyncClient(trust_env=False, headers={"authorization": f"Bearer {asked['token']}"}) as http:
            _child_meets(here, "phi")
            assert (await http.post(asked["url"], json=event)).status_code == 200
            assert _labels(lent.session) == {"phi"}
            await hook.until(lambda each: "diagnosis" in each.body)
            _child_meets(here, "secret")
            assert (await http.post(asked["url"], json=event)).status_code == 403
        assert len(hook.received) == 1


async def test_a_message_that_fails_does_not_end_what_was_lent_for_its_task(tmp_path: Path) -> None:
    """R-B1: the agent still works on the task; one refused word about it must not take its session away."""

    def answer(request: dict[str, Any]) -> Any:
        if "taskId" in request["params"]["message"]:
            return b'{"jsonrpc":"2.0","id":1,"error":{"code":-32004,"message":"busy"}}'
        return {"task": task(state="TASK_STATE_WORKING")}

    async with world(tmp_path, planner=RawAgent(answer)) as here:
        lent = await here.lend()
        await here.rpc("planner", "SendMessage", message(), lent.token)
        [child] = here.gateway.services.sessions.list(agent="planner")
        await here.rpc("planner", "SendMessage", message(name="m-2", taskId="task-1"), lent.token)
        assert here.gateway.services.sessions.is_open(child.id)
