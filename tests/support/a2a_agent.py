"""Agents of the Python A2A SDK: the kit's system under test, brought to a2a-sdk 1.3, and others a test shapes."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
from a2a.server.agent_execution.agent_executor import AgentExecutor
from a2a.server.agent_execution.context import RequestContext
from a2a.server.events.event_queue import EventQueue
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes, create_rest_routes
from a2a.server.tasks import BasePushNotificationSender, InMemoryPushNotificationConfigStore, InMemoryTaskStore, TaskUpdater
from a2a.types import AgentCapabilities, AgentCard, AgentInterface, AgentProvider, AgentSkill, Part, Task, TaskState, TaskStatus
from a2a.utils.errors import A2AError
from google.protobuf import json_format
from google.protobuf.struct_pb2 import Value
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

Act = Callable[[RequestContext, TaskUpdater], Awaitable[None]]


class Executor(AgentExecutor):
    """Runs a function of the test as a task."""

    def __init__(self, act: Act) -> None:
        self._act = act

    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        assert context.task_id is not None
        assert context.context_id is not None
        updater = TaskUpdater(event_queue, context.task_id, context.context_id)
        if context.current_task is None and not _is_plain(context):
            await event_queue.enqueue_event(
                Task(
                    id=context.task_id,
                    context_id=context.context_id,
                    status=TaskStatus(state=TaskState.TASK_STATE_SUBMITTED),
                    history=[context.message] if context.message else [],
                )
            )
        await self._act(context, updater)

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        assert context.task_id is not None
        assert context.context_id is not None
        await TaskUpdater(event_queue, context.task_id, context.context_id).cancel()


def _is_plain(context: RequestContext) -> bool:
    """Say whether the answer is to be a message without a task."""
    return context.message is not None and context.message.message_id.startswith("tck-message-response")


async def kit(context: RequestContext, updater: TaskUpdater) -> None:
    """Do what the compatibility kit asks for by the beginning of a message's id."""
    message = context.message
    name = message.message_id if message is not None else ""
    work = next((each for prefix, each in _KIT if name.startswith(prefix)), None)
    if work is not None:
        await work(updater)
    else:
        await updater.complete(updater.new_agent_message([Part(text=f"Unhandled messageId prefix: {name}")]))


def _work(*parts: Part, starts: bool = True) -> Callable[[TaskUpdater], Awaitable[None]]:
    async def work(updater: TaskUpdater) -> None:
        if starts:
            await updater.start_work()
        if parts:
            await updater.add_artifact(parts=list(parts))
        await updater.complete()

    return work


async def _chunks(updater: TaskUpdater) -> None:
    await updater.start_work()
    await updater.add_artifact(parts=[Part(text="chunk-1 ")], artifact_id="chunked", append=False)
    await updater.add_artifact(parts=[Part(text="chunk-2")], artifact_id="chunked", append=True, last_chunk=True)
    await updater.complete()


async def _long(updater: TaskUpdater) -> None:
    await updater.start_work()
    await asyncio.sleep(4)
    await updater.complete()


async def _message(updater: TaskUpdater) -> None:
    await updater.event_queue.enqueue_event(updater.new_agent_message([Part(text="Direct message response")]))


async def _hello(updater: TaskUpdater) -> None:
    await updater.complete(updater.new_agent_message([Part(text="Hello from TCK")]))


async def _reject(_: TaskUpdater) -> None:
    raise A2AError("rejected")


_FILE = Part(raw=b"tck", media_type="text/plain", filename="output.txt")
_DATA = Part(data=json_format.Parse('{"key": "value", "count": 42}', Value()))
_KIT: tuple[tuple[str, Callable[[TaskUpdater], Awaitable[None]]], ...] = (
    ("tck-stream-artifact-chunked", _chunks),
    ("test-resubscribe-message-id", _long),
    ("tck-stream-artifact-text", _work(Part(text="Streamed text content"))),
    ("tck-stream-artifact-file", _work(_FILE)),
    ("tck-stream-ordering-001", _work(Part(text="Ordered output"))),
    (
        "tck-artifact-file-url",
        _work(Part(url="https://example.com/output.txt", media_type="text/plain", filename="output.txt"), starts=False),
    ),
    ("tck-message-response", _message),
    ("tck-input-required", lambda updater: updater.requires_input()),
    ("tck-complete-task", _hello),
    ("tck-artifact-text", _work(Part(text="Generated text content"), starts=False)),
    ("tck-artifact-file", _work(_FILE, starts=False)),
    ("tck-artifact-data", _work(_DATA, starts=False)),
    ("tck-reject-task", _reject),
    ("tck-stream-001", _work(Part(text="Stream hello from TCK"))),
    ("tck-stream-002", _work()),
    ("tck-stream-003", _work(Part(text="Stream task lifecycle"))),
)


def card(url: str, *, pushes: bool = False, bindings: tuple[str, ...] = ("JSONRPC", "HTTP+JSON"), **changes: Any) -> AgentCard:
    """Return the card of an agent at `url`."""
    fields: dict[str, Any] = {
        "name": "A2A Python SDK System Under Test (SUT)",
        "description": "System Under Test for A2A TCK conformance",
        "version": "1.0.0",
        "provider": AgentProvider(organization="A2A Project", url="https://github.com/a2aproject"),
        "supported_interfaces": [AgentInterface(url=url, protocol_binding=each, protocol_version="1.0") for each in bindings],
        "capabilities": AgentCapabilities(streaming=True, push_notifications=pushes),
        "default_input_modes": ["text"],
        "default_output_modes": ["text"],
        "skills": [AgentSkill(id="tck", name="TCK Conformance", description="Handles TCK conformance test messages", tags=["tck"])],
    }
    return AgentCard(**(fields | changes))


@dataclass
class SdkAgent:
    """An ASGI application that is an agent; remembers what reached it."""

    act: Act = kit
    pushes: bool = False
    bindings: tuple[str, ...] = ("JSONRPC", "HTTP+JSON")
    card: AgentCard | None = None
    headers: list[dict[str, str]] = field(default_factory=list)
    app: Any = None
    store: InMemoryTaskStore = field(default_factory=InMemoryTaskStore)
    on_disconnect: Callable[[], None] | None = None
    http: httpx.AsyncClient | None = None

    def at(self, address: str) -> None:
        """Build the application for the address it is served at."""
        url = f"http://{address}"
        shown = self.card or card(url, pushes=self.pushes, bindings=self.bindings)
        configs = InMemoryPushNotificationConfigStore() if self.pushes else None
        self.http = httpx.AsyncClient(trust_env=False)
        sender = BasePushNotificationSender(self.http, configs) if configs is not None else None
        handler = DefaultRequestHandler(
            agent_executor=Executor(self.act), task_store=self.store, agent_card=shown, push_config_store=configs, push_sender=sender
        )
        routes = [
            *create_agent_card_routes(shown),
            *create_jsonrpc_routes(handler, rpc_url="/"),
            *create_rest_routes(handler),
        ]
        self.app = Starlette(routes=routes)

    async def close(self) -> None:
        """Close what it sends notifications with."""
        if self.http is not None:
            await self.http.aclose()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self.app is None:
            await Response(status_code=503)(scope, receive, send)
            return
        if scope["type"] == "http":
            self.headers.append(dict(Request(scope).headers))

        async def heard() -> Any:
            message = await receive()
            if message["type"] == "http.disconnect" and self.on_disconnect is not None:
                self.on_disconnect()
            return message

        await self.app(scope, heard, send)
