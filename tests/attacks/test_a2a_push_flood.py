"""Attack: an agent notifies without end somebody who never answers, until nobody else is told anything (R-K1, R-S1)."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from ostiary.protocols.a2a import push
from ostiary.protocols.wire import Call
from tests.support.a2a_hook import Hook
from tests.support.a2a_raw import RawAgent, message, task
from tests.support.a2a_world import World, world
from tests.support.listening import listening


def _working(request: dict[str, Any]) -> Any:
    return {"task": task(state="TASK_STATE_WORKING")} if request["method"] == "SendMessage" else {}


async def _asked(here: World, agent: RawAgent, name: str, url: str, token: str) -> dict[str, Any]:
    """Ask an agent to notify; return what it is told to call."""
    wanted = {"configuration": {"taskPushNotificationConfig": {"url": url}}}
    await here.rpc(name, "SendMessage", message() | wanted, token)
    found: dict[str, Any] = agent.sent[-1]["params"]["configuration"]["taskPushNotificationConfig"]
    return found


async def test_one_agents_notifications_leave_room_for_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """R-S1: past its share an agent is told to come back; another's notification arrives; and nothing is kept of what is done."""
    monkeypatch.setattr(push, "MAX_PENDING_OF_ONE", 2)
    release, hook, greedy, modest = asyncio.Event(), Hook(), RawAgent(_working), RawAgent(_working)

    async def never(scope: Any, receive: Any, send: Any) -> None:
        await release.wait()
        await Call(scope, receive, send).respond(200, b"{}")

    async with AsyncExitStack() as closing:
        slow, quick = await closing.enter_async_context(listening(never)), await closing.enter_async_context(listening(hook))
        places = {"push": (f"http://{slow}/", f"http://{quick}/")}
        here = await closing.enter_async_context(world(tmp_path, greedy=(greedy, places), modest=(modest, places)))
        lent = await here.lend()
        event = {"task": task(state="TASK_STATE_WORKING")}
        flood = await _asked(here, greedy, "greedy", f"http://{slow}/x", lent.token)
        wanted = await _asked(here, modest, "modest", f"http://{quick}/x", lent.token)
        async with httpx.AsyncClient(trust_env=False) as http:
            told = [await http.post(flood["url"], json=event, headers={"authorization": f"Bearer {flood['token']}"}) for _ in range(4)]
            assert [each.status_code for each in told] == [200, 200, 503, 503]
            other = await http.post(wanted["url"], json=event, headers={"authorization": f"Bearer {wanted['token']}"})
            assert other.status_code == 200
        await hook.until(lambda each: "task-1" in each.body)
        release.set()
        pushes = here.gateway.a2a._operations.pushes
        async with asyncio.timeout(10):
            while pushes._deliveries:
                await asyncio.sleep(0.01)
        assert len(pushes._locks) == 0
