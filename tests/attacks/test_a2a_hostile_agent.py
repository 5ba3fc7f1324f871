"""Attack: an agent that never ends, floods, breaks off, speaks of other tasks, or hides what must not pass in pieces (R-K1, R-H3)."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.a2a_raw import RawAgent, message, task
from tests.support.a2a_world import World, world

HALF = {"taskId": "task-1", "contextId": "context-1"}
BEGUN = {"task": task(state="TASK_STATE_WORKING")}
ENDED = {"statusUpdate": {**HALF, "status": {"state": "TASK_STATE_COMPLETED"}}}
REDACTING = '@id("all") @redact("secret,pii") permit (principal, action == Action::"delegate", resource);'
KEY = "AKIAIOSFODNN7EXAMPLQ"


def piece(text: str, name: str = "a", **more: Any) -> dict[str, Any]:
    return {"artifactUpdate": {**HALF, "artifact": {"artifactId": name, "parts": [{"text": text}]}, **more}}


async def events(here: World, path: str = "/message:stream") -> AsyncIterator[dict[str, Any]]:
    """Read a stream to its end."""
    async with here.http() as http, http.stream("POST", f"/a2a/planner{path}", json=message()) as answer:
        async for line in answer.aiter_lines():
            if line.startswith("data: "):
                yield json.loads(line.removeprefix("data: "))


@pytest.mark.parametrize("cut", [1, 5, 10, 19])
async def test_what_is_cut_in_pieces_is_found_whole(cut: int, tmp_path: Path) -> None:
    """R-H3: a secret in two chunks is taken out, wherever it is cut, and the text around it still comes."""
    said = [
        BEGUN,
        piece(f"key: {KEY[:cut]}"),
        piece(f"{KEY[cut:]} and more", append=True),
        piece(" end", append=True, lastChunk=True),
        ENDED,
    ]
    async with world(tmp_path, REDACTING, planner=RawAgent(lambda _: said)) as here:
        got = [event async for event in events(here)]
    text = "".join(part["text"] for event in got if "artifactUpdate" in event for part in event["artifactUpdate"]["artifact"]["parts"])
    assert KEY not in text
    assert text.startswith("key: ")
    assert text.endswith(" and more end")
    assert "statusUpdate" in got[-1]


async def test_the_tail_of_an_artifact_comes_before_the_end(tmp_path: Path) -> None:
    """R-K1: agents that never mark a last chunk lose nothing."""
    async with world(tmp_path, REDACTING, planner=RawAgent(lambda _: [BEGUN, piece("tail+49 170"), ENDED])) as here:
        got = [event async for event in events(here)]
    assert (
        "".join(part["text"] for event in got if "artifactUpdate" in event for part in event["artifactUpdate"]["artifact"]["parts"])
        == "tail+49 170"
    )
    assert "statusUpdate" in got[-1]


@pytest.mark.parametrize(
    "said",
    [
        [BEGUN, {"statusUpdate": {**HALF, "taskId": "another", "status": {"state": "TASK_STATE_COMPLETED"}}}],
        [BEGUN, piece("x" * (1024 * 1024 + 1))],
        [BEGUN, {"task": task(), "message": {}}],
        [BEGUN, {"nothing": {}}],
        [BEGUN, *(piece("x", f"artifact-{number}") for number in range(200)), ENDED],
    ],
    ids=["another task", "an endless event", "two things", "nothing", "many artifacts"],
)
async def test_a_lie_in_the_stream_ends_it_with_a_reason(said: list[dict[str, Any]], tmp_path: Path) -> None:
    """R-K1: the caller is told, and the outcome says how it ended."""
    policy = REDACTING if len(said) > 100 else '@id("all") permit (principal, action, resource);'
    async with world(tmp_path, policy, planner=RawAgent(lambda _: said)) as here:
        got = [event async for event in events(here)]
        assert "error" in got[-1]
        outcome = next(row for row in here.entries(family="action") if row["kind"] == "outcome")
        assert outcome["code"] in {"upstream_failed", "unavailable"}


async def test_a_stream_that_breaks_off_says_no_more_than_came(tmp_path: Path) -> None:
    """R-K1: a task that did not end has not ended; its caller can still read it."""
    said = [BEGUN, piece("half", lastChunk=True)]
    async with world(
        tmp_path, planner=RawAgent(lambda request: said if request["method"] == "SendStreamingMessage" else BEGUN["task"])
    ) as here:
        got = [event async for event in events(here)]
        assert [next(iter(event)) for event in got] == ["task", "artifactUpdate"]
        assert (await here.rpc("planner", "GetTask", {"id": "task-1"})).json()["result"]["status"]["state"] == "TASK_STATE_WORKING"


async def test_a_list_says_why_an_agent_cannot_be_asked(tmp_path: Path) -> None:
    """R-K1: the agent's failure is told as its failure."""
    agent = RawAgent(lambda request: BEGUN if request["method"] == "SendMessage" else b"junk")
    async with world(tmp_path, planner=agent) as here:
        await here.rpc("planner", "SendMessage", message())
        error = (await here.rpc("planner", "ListTasks", {})).json()["error"]
        assert (error["code"], error["data"][-1]["code"]) == (-32603, "upstream_failed")


async def test_nothing_follows_the_end(tmp_path: Path) -> None:
    """R-K1: a task that is over says nothing more, however long the agent keeps the stream."""
    async with world(tmp_path, planner=RawAgent(lambda _: [BEGUN, ENDED, piece("after the end")])) as here:
        got = [event async for event in events(here)]
        assert "statusUpdate" in got[-1]
        assert "after the end" not in str(got)


async def test_whatever_goes_wrong_is_recorded_once(tmp_path: Path) -> None:
    """R-H1: every intent that was allowed has exactly one outcome, whichever way it ended."""
    agent = RawAgent(lambda _: b"junk")
    async with world(tmp_path, planner=(agent, {"push": ("http://127.0.0.1:9/",)})) as here:
        bad = {"url": "http://127.0.0.1:9/x", "token": "a\r\nb"}
        for method in ("SendMessage", "SendStreamingMessage"):
            await here.rpc("planner", method, message())
            await here.rpc("planner", method, message() | {"configuration": {"taskPushNotificationConfig": bad}})
        rows = here.entries(family="action")
        allowed = [row["id"] for row in rows if row["kind"] == "intent" and row["decision"] == "allow"]
        outcomes = [row["intent"] for row in rows if row["kind"] == "outcome"]
        assert sorted(allowed) == sorted(outcomes)
        assert len(allowed) == 2


async def test_revoking_a_session_stops_what_its_agents_work_on(tmp_path: Path) -> None:
    """R-P6: the agent is told, once, and only about tasks that have not ended."""
    agent = RawAgent(lambda request: BEGUN if request["method"] == "SendMessage" else BEGUN["task"])
    async with world(tmp_path, planner=agent) as here:
        lent = await here.lend()
        await here.rpc("planner", "SendMessage", message(), lent.token)
        await here.gateway.services.sessions.revoke(lent.session.id, by="root")
        async with asyncio.timeout(5):
            while len(agent.sent) < 2:
                await asyncio.sleep(0.01)
        assert [(each["method"], each["params"]) for each in agent.sent[1:]] == [("CancelTask", {"id": "task-1"})]
