"""Attack: push notifications that reach into the house, leak what they carry, or are forged (R-K1)."""

from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest

from ostiary.connectors.http import UpstreamHttp
from ostiary.core.errors import UpstreamUnavailable
from ostiary.core.ports import HttpRequest
from ostiary.protocols.a2a.addresses import is_named, place_of
from tests.support.a2a_hook import Hook
from tests.support.a2a_raw import RawAgent, message, task
from tests.support.a2a_world import world
from tests.support.listening import listening

PLACES = ("https://hooks.example.com/a2a/", "http://127.0.0.1:9020/in")
INSIDE = [
    "https://hooks.example.com/a2a/",
    "https://hooks.example.com/a2a/x?y=1",
    "https://hooks.example.com:443/a2a/x",
    "http://127.0.0.1:9020/in/x",
]
OUTSIDE = [
    "http://169.254.169.254/latest/meta-data/",
    "http://127.0.0.1:8470/v1/agents",
    "http://[::1]:9020/in/x",
    "http://hooks.example.com/a2a/x",
    "https://hooks.example.com:8443/a2a/x",
    "https://hooks.example.com/other",
    "https://hooks.example.com/a2a/../other",
    "https://hooks.example.com/a2a/%2e%2e/other",
    "https://hooks.example.com/a2a/%252e%252e/other",
    "https://hooks.example.com/a2a/..%2fother",
    "https://hooks.example.com/a2a\\x",
    "https://hooks.example.com@evil.example/a2a/",
    "https://user:pass@hooks.example.com/a2a/",
    "https://hooks.example.com.evil.example/a2a/",
    "https://evil.example/https://hooks.example.com/a2a/",
    "https://hooks.example.com/a2a/#@evil.example",
    "http://127.0.0.1:9020/inside",
    "http://127.1:9020/in/x",
    "http://2130706433:9020/in/x",
    "file:///etc/passwd",
    "gopher://hooks.example.com/a2a/",
    "https://hooks.example.com/a2a/\r\nX: y",
    "//hooks.example.com/a2a/x",
    "",
]


@pytest.mark.parametrize("url", OUTSIDE)
async def test_no_address_outside_the_declared_places(url: str, tmp_path: Path) -> None:
    """R-K1: only what an operator declared, compared part by part."""
    assert place_of(url, PLACES) == ""


@pytest.mark.parametrize("url", INSIDE)
async def test_the_declared_places_are_allowed(url: str) -> None:
    """R-K1: and all below them."""
    assert place_of(url, PLACES) != ""


async def test_a_name_that_leads_into_the_house_gets_nothing() -> None:
    """R-K1: what counts is the address the connection has, whatever the name server said before (DNS rebinding)."""
    hook, http = Hook(), UpstreamHttp()
    async with listening(hook) as address:
        request = HttpRequest("POST", f"http://{address}/x", body=b"{}")
        (await http.send(request)).close()
        assert len(hook.received) == 1
        guarded = HttpRequest("POST", f"http://localhost:{address.partition(':')[2]}/x", body=b"{}", only_public=True)
        with pytest.raises(UpstreamUnavailable, match="not public"):
            await http.send(guarded)
        assert len(hook.received) == 1
    await http.close()
    assert is_named("https://hooks.example.com/a2a/")
    assert not is_named("http://127.0.0.1:9020/")


@pytest.mark.parametrize("method", ["SendMessage", "SendStreamingMessage", "CreateTaskPushNotificationConfig"])
async def test_a_caller_cannot_name_a_place_of_its_own(method: str, tmp_path: Path) -> None:
    """R-K1: refused in each way of asking, and neither the place nor the agent hears of it."""
    inner, hook, agent = Hook(), Hook(), RawAgent(lambda request: {"task": task(state="TASK_STATE_WORKING")})
    async with AsyncExitStack() as stack:
        house, allowed = [await stack.enter_async_context(listening(each)) for each in (inner, hook)]
        here = await stack.enter_async_context(world(tmp_path, planner=(agent, {"push": (f"http://{allowed}/",)})))
        await here.rpc("planner", "SendMessage", message())
        asked = len(agent.requests)
        wanted = {"url": f"http://{house}/metadata"}
        params = (
            {"taskId": "task-1", **wanted}
            if method.startswith("Create")
            else message() | {"configuration": {"taskPushNotificationConfig": wanted}}
        )
        answer = await here.rpc("planner", method, params)
        assert answer.json()["error"]["data"][-1]["code"] == "forbidden", answer.text
        assert len(agent.requests) == asked
    assert inner.received == []


async def test_notifications_are_taken_only_from_the_agent_and_about_its_task(tmp_path: Path) -> None:
    """R-K1: with the secret it was given, for the task it was given for; the caller's credentials never reach it."""
    hook, agent = Hook(), RawAgent(lambda request: {"task": task(state="TASK_STATE_WORKING")} if request["method"] == "SendMessage" else {})
    async with listening(hook) as address, world(tmp_path, planner=(agent, {"push": (f"http://{address}/",)})) as here:
        wanted = {
            "url": f"http://{address}/mine",
            "token": "callers-token",
            "authentication": {"scheme": "Bearer", "credentials": "callers-own"},
        }
        await here.rpc("planner", "SendMessage", message() | {"configuration": {"taskPushNotificationConfig": wanted}})
        asked = agent.sent[0]["params"]["configuration"]["taskPushNotificationConfig"]
        assert asked["url"].startswith(f"{here.url}/a2a/planner/push/")
        assert "callers" not in str(agent.requests)
        event = {"task": task(artifacts=[{"artifactId": "a", "parts": [{"text": "done"}]}])}
        async with httpx.AsyncClient(trust_env=False) as http:
            forged = await http.post(asked["url"], json=event, headers={"authorization": "Bearer guess"})
            bare = await http.post(asked["url"], json=event)
            other = await http.post(asked["url"], json={"task": task("another")}, headers={"authorization": f"Bearer {asked['token']}"})
            broken = await http.post(asked["url"], content=b'{"task":1,"task":2}', headers={"authorization": f"Bearer {asked['token']}"})
            assert [each.status_code for each in (forged, bare, other, broken)] == [404, 404, 400, 400]
            honest = await http.post(asked["url"], json=event, headers={"authorization": f"Bearer {asked['token']}"})
            assert honest.status_code == 200
        received = await hook.until(lambda each: "done" in each.body)
        assert received.headers["authorization"] == "Bearer callers-own"
        assert len(hook.received) == 1
        recorded = [row for row in here.entries(family="action") if row["action"] == "delegate" and row["kind"] == "intent"]
        assert len(recorded) >= 2


async def test_an_ended_session_hears_nothing_more(tmp_path: Path) -> None:
    """R-P6: whoever's session is over is told nothing, though the agent still knows the address."""
    hook, agent = Hook(), RawAgent(lambda request: {"task": task(state="TASK_STATE_WORKING")} if request["method"] == "SendMessage" else {})
    async with listening(hook) as address, world(tmp_path, planner=(agent, {"push": (f"http://{address}/",)})) as here:
        lent = await here.lend()
        wanted = {"configuration": {"taskPushNotificationConfig": {"url": f"http://{address}/mine"}}}
        await here.rpc("planner", "SendMessage", message() | wanted, lent.token)
        asked = agent.sent[0]["params"]["configuration"]["taskPushNotificationConfig"]
        await here.gateway.services.sessions.revoke(lent.session.id, by="root")
        async with httpx.AsyncClient(trust_env=False) as http:
            late = await http.post(asked["url"], json={"task": task()}, headers={"authorization": f"Bearer {asked['token']}"})
        assert late.status_code in {404, 410}
    assert hook.received == []
