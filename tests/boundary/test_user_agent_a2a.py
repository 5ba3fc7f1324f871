"""Agent → agent over A2A 1.0: real SDK clients and servers, with the gateway between them (R-B1, R-K1)."""

import asyncio
from pathlib import Path
from typing import Any

import jwt
import pytest
from a2a.client.card_resolver import A2ACardResolver
from a2a.server.agent_execution.context import RequestContext
from a2a.server.tasks import TaskUpdater
from a2a.types import (
    AuthenticationInfo,
    CancelTaskRequest,
    DeleteTaskPushNotificationConfigRequest,
    GetTaskPushNotificationConfigRequest,
    GetTaskRequest,
    ListTaskPushNotificationConfigsRequest,
    ListTasksRequest,
    Part,
    SubscribeToTaskRequest,
    TaskPushNotificationConfig,
    TaskState,
)
from a2a.utils.errors import A2AError, TaskNotFoundError
from a2a.utils.signing import create_signature_verifier

from ostiary.core.registry import Group, User
from tests.support.a2a_agent import Act, SdkAgent
from tests.support.a2a_hook import Hook
from tests.support.a2a_world import HTTP_JSON, JSONRPC, POLICY, answers, clerk, said, world
from tests.support.listening import listening

BOTH = pytest.mark.parametrize("binding", [JSONRPC, HTTP_JSON])
HELD = """
@id("ask-first") @because("plans need a look") @approval("planners")
forbid (principal, action == Action::"delegate", resource == Agent::"planner")
unless { context has approval && context.approval.group == "planners" };
"""


def slow(gate: asyncio.Event, *texts: str) -> Act:
    """An agent that works until the gate opens, a text at a time."""

    async def act(context: RequestContext, updater: TaskUpdater) -> None:
        await updater.start_work()
        for number, text in enumerate(texts):
            await updater.add_artifact(parts=[Part(text=text)], artifact_id="a", append=number > 0)
        await gate.wait()
        await updater.complete()

    return act


@BOTH
async def test_a_message_becomes_a_task_of_the_other_agent(binding: str, tmp_path: Path) -> None:
    """R-B1, R-K1: a real client delegates in either binding, reads the task it began, and the ledger holds both links."""
    agent = SdkAgent()
    async with world(tmp_path, planner=agent) as here:
        client = await here.client("planner", binding, streaming=False)
        [answer] = await answers(client, said("hello", "tck-artifact-text-1"))
        assert answer.task.status.state == TaskState.TASK_STATE_COMPLETED
        assert answer.task.artifacts[0].parts[0].text == "Generated text content"
        again = await client.get_task(GetTaskRequest(id=answer.task.id))
        assert again.artifacts == answer.task.artifacts
        listed = await client.list_tasks(ListTasksRequest(include_artifacts=True))
        assert [task.id for task in listed.tasks] == [answer.task.id]
        intent = next(row for row in here.entries(family="action") if row["kind"] == "intent" and row["resource"] == "Agent::planner")
        assert (intent["boundary"], intent["decision"]) == ("user_agent", "allow")
    tokens = [headers["authorization"] for headers in agent.headers if "authorization" in headers]
    assert tokens
    assert here.token not in " ".join(tokens)


@BOTH
async def test_a_stream_comes_event_by_event(binding: str, tmp_path: Path) -> None:
    """R-K1: task, status, chunks and the end, in order, while the agent still works."""
    gate = asyncio.Event()
    async with world(tmp_path, planner=SdkAgent(slow(gate, "one ", "two"))) as here:
        client = await here.client("planner", binding)
        kinds, texts = [], ""
        async for event in client.send_message(said("go", "m-1")):
            kinds.append(event.WhichOneof("payload"))
            if event.HasField("artifact_update"):
                texts += event.artifact_update.artifact.parts[0].text
                if texts == "one two":
                    gate.set()
        assert kinds[0] == "task"
        assert kinds[-1] == "status_update"
        assert texts == "one two"


@BOTH
async def test_a_task_is_followed_cancelled_and_continued(binding: str, tmp_path: Path) -> None:
    """R-K1: subscribing begins with the task, cancelling reaches the agent, a question is answered in the same task."""
    gate = asyncio.Event()
    async with world(tmp_path, planner=SdkAgent(slow(gate)), asker=SdkAgent()) as here:
        client = await here.client("planner", binding, streaming=False, polling=True)
        [answer] = await answers(client, said("go"))
        heard = []
        watcher = await here.client("planner", binding)
        async for event in watcher.subscribe(SubscribeToTaskRequest(id=answer.task.id)):
            heard.append(event.WhichOneof("payload"))
            if len(heard) == 1:
                cancelled = await client.cancel_task(CancelTaskRequest(id=answer.task.id))
                assert cancelled.status.state == TaskState.TASK_STATE_CANCELED
        assert heard[0] == "task"
        other = await here.client("asker", binding, streaming=False)
        [question] = await answers(other, said("book", "tck-input-required"))
        assert question.task.status.state == TaskState.TASK_STATE_INPUT_REQUIRED
        [done] = await answers(other, said("yes", "tck-complete-task", task_id=question.task.id))
        assert (done.task.id, done.task.status.state) == (question.task.id, TaskState.TASK_STATE_COMPLETED)


async def test_a_message_without_a_task_is_answered_and_leaves_no_session(tmp_path: Path) -> None:
    """R-P2: what was lent for an exchange that made no task ends with it."""
    async with world(tmp_path, planner=SdkAgent()) as here:
        client = await here.client("planner", streaming=False)
        [answer] = await answers(client, said("hello", "tck-message-response"))
        assert answer.message.parts[0].text == "Direct message response"
        assert here.gateway.services.sessions.list(agent="planner") == []


async def test_what_the_agent_gets_is_a_session_below_the_callers(tmp_path: Path) -> None:
    """R-P2: the agent's token opens a child of the caller's session, with the whole chain, and dies with it."""
    seen: dict[str, Any] = {}
    gate = asyncio.Event()
    async with world(tmp_path, planner=SdkAgent(slow(gate))) as here:
        lent = await here.lend(scopes=("agent:planner", "tool:mail/read"))
        client = await here.client("planner", token=lent.token, streaming=False, polling=True)
        await answers(client, said("go"))
        [child] = here.gateway.services.sessions.list(agent="planner")
        session = here.gateway.services.sessions.session(child.id)
        assert session is not None
        seen["chain"] = [link.name for link in session.subject.chain]
        assert seen["chain"] == ["alice", "bot", "planner"]
        assert session.depth == 1
        assert set(session.scopes) == {"agent:planner", "tool:mail/read"}
        await here.gateway.services.sessions.close(lent.session.id, by="alice")
        assert here.gateway.services.sessions.list(agent="planner") == []
        gate.set()


async def test_a_caller_lends_less_than_it_has(tmp_path: Path) -> None:
    """R-P2: what the header names, and of that only what the caller has."""
    gate = asyncio.Event()
    async with world(tmp_path, planner=SdkAgent(slow(gate))) as here:
        lent = await here.lend(scopes=("agent:planner", "tool:mail/*"))
        wanted = {
            "message": {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "go"}]},
            "configuration": {"returnImmediately": True},
        }
        answer = await here.rpc("planner", "SendMessage", wanted, lent.token, **{"x-ostiary-scopes": "tool:mail/read model:gpt-4o"})
        assert "result" in answer.json(), answer.text
        [child] = here.gateway.services.sessions.list(agent="planner")
        assert child.scopes == ("tool:mail/read",)
        nothing = await here.rpc("planner", "SendMessage", wanted, lent.token, **{"x-ostiary-scopes": "model:gpt-4o"})
        assert nothing.json()["error"]["data"][-1]["code"] == "out_of_scope"
        wrong = await here.rpc("planner", "SendMessage", wanted, lent.token, **{"x-ostiary-scopes": "everything"})
        assert wrong.json()["error"]["data"][-1]["code"] == "invalid_request"
        gate.set()


async def test_a_held_delegation_waits_for_a_person_and_its_task_does_not(tmp_path: Path) -> None:
    """R-P4: the same message goes through once approved; reading its task asks nobody again."""
    async with world(tmp_path, POLICY + HELD, planner=SdkAgent()) as here:
        await here.register(Group("planners"), User("carol", groups=frozenset({"planners"})))
        message = {"messageId": "tck-complete-task", "role": "ROLE_USER", "parts": [{"text": "plan"}]}
        held = await here.rpc("planner", "SendMessage", {"message": message})
        problem = held.json()["error"]["data"][-1]
        assert (held.json()["error"]["code"], problem["code"]) == (-32051, "held")
        await here.gateway.services.approvals.approve(problem["approval"]["id"], by="carol", reason="fine")
        through = await here.rpc("planner", "SendMessage", {"message": message})
        task = through.json()["result"]["task"]
        read = await here.rpc("planner", "GetTask", {"id": task["id"]})
        assert read.json()["result"]["status"]["state"] == "TASK_STATE_COMPLETED"


async def test_revoking_cuts_an_open_stream(tmp_path: Path) -> None:
    """R-P6: the caller hears why, at once, and the agent's session is gone."""
    gate = asyncio.Event()
    async with world(tmp_path, planner=SdkAgent(slow(gate, "one "))) as here:
        lent = await here.lend()
        async with here.http(lent.token) as http:
            body = {"message": {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "go"}]}}
            async with http.stream("POST", "/a2a/planner/message:stream", json=body) as answer:
                text = ""
                async for piece in answer.aiter_text():
                    text += piece
                    if "one" in text and "error" not in text:
                        await here.gateway.services.sessions.revoke(lent.session.id, by="root")
        assert '"REVOKED"' in text
        assert here.gateway.services.sessions.list(agent="planner") == []
        gate.set()


async def test_the_card_is_ours_and_a_stock_client_can_check_it(tmp_path: Path) -> None:
    """R-K1: our address, our security scheme, our signature, verified by the SDK with the published keys."""
    async with world(tmp_path, planner=SdkAgent()) as here, here.http() as http:
        card = await A2ACardResolver(http, f"{here.url}/a2a/planner").get_agent_card()
        assert {each.url for each in card.supported_interfaces} == {f"{here.url}/a2a/planner"}
        assert "github.com" not in str(card)
        keys = jwt.PyJWKSet.from_dict((await http.get("/.well-known/jwks.json")).json())
        create_signature_verifier(lambda kid, _: keys[kid or ""], ["EdDSA"])(card)
        card.description = "something else"
        with pytest.raises(Exception, match="No valid signature"):
            create_signature_verifier(lambda kid, _: keys[kid or ""], ["EdDSA"])(card)
        fresh = await http.get("/a2a/planner/.well-known/agent-card.json")
        unchanged = await http.get("/a2a/planner/.well-known/agent-card.json", headers={"if-none-match": fresh.headers["etag"]})
        assert unchanged.status_code == 304


async def test_refusals_are_errors_of_the_protocol(tmp_path: Path) -> None:
    """R-B1: no session, no scope, no policy, no such agent, no such version: each in the shape of its binding."""
    async with world(tmp_path, planner=SdkAgent()) as here:
        message = {"message": {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "x"}]}}
        async with here.http("nonsense") as http:
            rpc = await http.post("/a2a/planner", json={"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": message})
            rest = await http.post("/a2a/planner/message:send", json=message)
        assert (rpc.status_code, rest.status_code) == (401, 401)
        assert rpc.headers["www-authenticate"].startswith("Bearer")
        assert rest.json()["error"]["status"] == "UNAUTHENTICATED"
        narrow = (await here.lend(scopes=("tool:mail/read",))).token
        refused = (await here.rpc("planner", "SendMessage", message, narrow)).json()["error"]
        assert refused["data"][-1]["code"] == "out_of_scope"
        assert refused["data"][0]["reason"] == "OUT_OF_SCOPE"
        unknown = (await here.rpc("nobody", "SendMessage", message)).json()["error"]
        assert unknown["data"][-1]["code"] == "not_granted"
        old = await here.rpc("planner", "SendMessage", message, **{"a2a-version": "0.3"})
        assert old.json()["error"]["code"] == -32009
        await here.policy('@id("none") permit (principal, action == Action::"generate", resource);')
        denied = await here.rpc("planner", "SendMessage", message)
        assert denied.json()["error"]["data"][-1]["code"] == "not_granted"
        assert denied.headers["x-ostiary-decision"]


@BOTH
async def test_an_agent_that_speaks_one_binding_is_reached_in_it(binding: str, tmp_path: Path) -> None:
    """R-K1: the caller's binding and the agent's need not be the same."""
    async with world(tmp_path, planner=SdkAgent(bindings=(binding,))) as here:
        client = await here.client("planner", HTTP_JSON if binding == JSONRPC else JSONRPC)
        events = await answers(client, said("go", "tck-stream-artifact-chunked"))
        assert (
            "".join(each.artifact_update.artifact.parts[0].text for each in events if each.HasField("artifact_update")) == "chunk-1 chunk-2"
        )
        with pytest.raises(TaskNotFoundError):
            await client.get_task(GetTaskRequest(id="nothing"))


async def test_tasks_survive_a_restart_with_their_session(tmp_path: Path) -> None:
    """R-B1: after a restart the caller still reads its task."""
    agent = SdkAgent()
    async with world(tmp_path, planner=agent) as here:
        client = await here.client("planner", streaming=False)
        [answer] = await answers(client, said("hello", "tck-artifact-text"))
        token, task = here.token, answer.task.id
        place = here.gateway.services.registrar.registry.agents["planner"].a2a
    assert place is not None
    async with listening(agent) as address:
        agent.at(address)
        async with world(tmp_path) as here:
            await here.register(clerk("planner", place.__class__(f"http://{address}")))
            card = await here.rpc("planner", "GetTask", {"id": task}, token)
            assert card.json()["error"]["data"][-1]["code"] == "quarantined"
            found = here.gateway.services.cards.known("planner")
            await here.gateway.services.cards.accept("planner", found.digest, by="root", why="it moved")
            again = await here.rpc("planner", "GetTask", {"id": task}, token)
            assert again.json()["result"]["id"] == task


async def test_an_agents_own_error_is_told_in_its_words(tmp_path: Path) -> None:
    """R-K1: an error of the agent keeps its meaning."""

    async def fail(_: RequestContext, updater: TaskUpdater) -> None:
        raise A2AError("no such trip")

    async with world(tmp_path, planner=SdkAgent(fail)) as here:
        message = {"message": {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "x"}]}}
        answer = (await here.rpc("planner", "SendMessage", message)).json()
        assert "error" in answer or answer["result"]["task"]["status"]["state"] == "TASK_STATE_FAILED"


@BOTH
async def test_notifications_reach_the_caller_through_the_gateway(binding: str, tmp_path: Path) -> None:
    """R-K1: the agent tells the gateway, and the gateway the caller, with the caller's own credentials and nobody else's."""
    agent, hook = SdkAgent(pushes=True), Hook()
    async with listening(hook) as address, world(tmp_path, planner=(agent, {"push": (f"http://{address}/hooks/",)})) as here:
        client = await here.client("planner", binding, streaming=False)
        wanted = TaskPushNotificationConfig(
            url=f"http://{address}/hooks/mine", token="t-1", authentication=AuthenticationInfo(scheme="Bearer", credentials="mine")
        )
        request = said("go", "tck-artifact-text")
        request.configuration.task_push_notification_config.CopyFrom(wanted)
        [answer] = await answers(client, request)
        received = await hook.until(lambda each: "TASK_STATE_COMPLETED" in each.body)
        assert received.headers["authorization"] == "Bearer mine"
        assert received.headers["x-a2a-notification-token"] == "t-1"
        assert answer.task.id in received.body
        assert not any("mine" in value for headers in agent.headers for value in headers.values())


async def test_notification_configurations_are_kept_shown_and_deleted(tmp_path: Path) -> None:
    """R-K1: create, get, list and delete, each of the session's own task; credentials are not shown again."""
    gate, hook = asyncio.Event(), Hook()
    async with (
        listening(hook) as address,
        world(tmp_path, planner=(SdkAgent(slow(gate), pushes=True), {"push": (f"http://{address}",)})) as here,
    ):
        client = await here.client("planner", streaming=False, polling=True)
        [answer] = await answers(client, said("go"))
        task = answer.task.id
        config = TaskPushNotificationConfig(
            task_id=task, id="c-1", url=f"http://{address}/x", authentication=AuthenticationInfo(scheme="Bearer", credentials="mine")
        )
        made = await client.create_task_push_notification_config(config)
        assert (made.id, made.url, made.authentication.credentials) == ("c-1", f"http://{address}/x", "")
        one = await client.get_task_push_notification_config(GetTaskPushNotificationConfigRequest(task_id=task, id="c-1"))
        assert one == made
        await client.delete_task_push_notification_config(DeleteTaskPushNotificationConfigRequest(task_id=task, id="c-1"))
        listed = await client.list_task_push_notification_configs(ListTaskPushNotificationConfigsRequest(task_id=task))
        assert list(listed.configs) == []
        gate.set()


async def test_a_client_that_leaves_stops_the_stream_upstream(tmp_path: Path) -> None:
    """R-K1: the connection to the agent ends with the client's."""
    gate, left = asyncio.Event(), asyncio.Event()
    agent = SdkAgent(slow(gate, "one "))
    agent.on_disconnect = left.set
    async with world(tmp_path, planner=agent) as here:
        body = {"message": {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "go"}]}}
        async with here.http() as http, http.stream("POST", "/a2a/planner/message:stream", json=body) as answer:
            async for piece in answer.aiter_text():
                if "one" in piece:
                    break
        async with asyncio.timeout(5):
            await left.wait()
        gate.set()
