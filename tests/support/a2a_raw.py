"""An agent that may say anything: its card and its answers are bytes of the test's choosing."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ostiary.protocols.wire import Call

Answer = Callable[[dict[str, Any]], Any]


def raw_card(url: str, **changes: Any) -> dict[str, Any]:
    """Return an honest card, but for the changes."""
    return {
        "name": "Planner",
        "description": "Plans trips.",
        "version": "1",
        "supportedInterfaces": [{"url": url, "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}],
        "capabilities": {"streaming": True, "pushNotifications": True},
        "defaultInputModes": ["text/plain"],
        "defaultOutputModes": ["text/plain"],
        "skills": [{"id": "plan", "name": "Plan", "description": "Plans a trip.", "tags": ["trips"]}],
    } | changes


def task(name: str = "task-1", context: str = "context-1", state: str = "TASK_STATE_COMPLETED", **more: Any) -> dict[str, Any]:
    """Return a task as an agent would."""
    return {"id": name, "contextId": context, "status": {"state": state, "timestamp": "2026-01-01T00:00:00.000Z"}} | more


@dataclass
class RawAgent:
    """Serves its card, answers JSON-RPC with what `answer` returns, and remembers all it was sent."""

    answer: Answer = lambda request: {"task": task()}
    changes: dict[str, Any] = field(default_factory=dict)
    card: bytes | None = None
    extra: dict[str, bytes] = field(default_factory=dict)
    """Further paths it serves."""
    url: str = ""
    requests: list[tuple[dict[str, str], dict[str, Any]]] = field(default_factory=list)

    def at(self, address: str) -> None:
        self.url = f"http://{address}"

    async def close(self) -> None:
        """Nothing to close."""

    @property
    def sent(self) -> list[dict[str, Any]]:
        """The JSON-RPC requests it was sent."""
        return [body for _, body in self.requests]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        call = Call(scope, receive, send)
        if call.path == "/.well-known/agent-card.json":
            await call.respond(200, self.card if self.card is not None else json.dumps(raw_card(self.url, **self.changes)).encode())
        elif call.path in self.extra:
            await call.respond(200, self.extra[call.path])
        else:
            request = json.loads(await call.body())
            self.requests.append((dict(call.headers), request))
            await self._answer(call, request)

    async def _answer(self, call: Call, request: dict[str, Any]) -> None:
        said = self.answer(request)
        if isinstance(said, bytes):
            await call.respond(200, said)
        elif isinstance(said, list):
            await call.start(200, "text/event-stream")
            for event in said:
                await call.push(b"data: " + json.dumps({"jsonrpc": "2.0", "id": 1, "result": event}).encode() + b"\n\n")
            await call.end()
        else:
            await call.respond_json(200, {"jsonrpc": "2.0", "id": request["id"], "result": said})


def message(text: str = "plan", name: str = "m-1", **more: Any) -> dict[str, Any]:
    """Return the parameters of a message."""
    return {"message": {"messageId": name, "role": "ROLE_USER", "parts": [{"text": text}]} | more}
