"""Speaking to an agent over either binding: our credential, our session token, nothing of the client's own headers."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

import msgspec

from ostiary.core.beside import beside
from ostiary.core.errors import InvalidAction, InvalidConfig, Unavailable, UpstreamUnavailable
from ostiary.core.ports import HttpAnswer, HttpClient, HttpRequest, Secrets
from ostiary.core.registry import A2a, Agent
from ostiary.core.strict_json import parse_object
from ostiary.protocols.a2a import errors
from ostiary.protocols.a2a.cards import MAX_CARD, MAX_KEYS, WELL_KNOWN, Interface
from ostiary.protocols.a2a.errors import FAULTS, INTERNAL, REASONS, Fault
from ostiary.protocols.a2a.request import VERSION
from ostiary.protocols.sse import SseReader

MAX_ANSWER: Final = 4 * 1024 * 1024
ANSWER_S: Final = 600.0
"""Longest wait for the head of an answer, and between two pieces of a stream."""
LOOK_S: Final = 10.0
MAX_WORDS: Final = 500

encode = msgspec.json.Encoder().encode


class RemoteError(Exception):
    """The agent answered with an error of the protocol."""

    def __init__(self, fault: Fault, message: str) -> None:
        super().__init__(message)
        self.fault = fault
        self.message = message[:MAX_WORDS]


@dataclass(frozen=True, slots=True)
class Ask:
    """One request to an agent. `token` opens the session that was lent to it; `extensions` are those the client declared."""

    agent: Agent
    interface: Interface
    method: str
    params: Mapping[str, Any]
    token: str = ""
    extensions: str = ""


class Upstream:
    """Sends requests to agents and reads their answers strictly."""

    def __init__(self, http: HttpClient, secrets: Secrets) -> None:
        self._http = http
        self._secrets = secrets

    async def card(self, a2a: A2a) -> bytes:
        """Fetch the bytes of an agent's card. Raises UpstreamUnavailable."""
        return await self._get(a2a, f"{a2a.url}/{WELL_KNOWN}", MAX_CARD, is_theirs=True)

    async def keys(self, a2a: A2a, url: str) -> bytes:
        """Fetch the bytes of the key set an agent's card is signed with. Raises UpstreamUnavailable."""
        return await self._get(a2a, url, MAX_KEYS, is_theirs=False)

    async def ask(self, ask: Ask) -> Any:
        """Return the result of an operation. Raises RemoteError, UpstreamUnavailable."""
        answer = await self._send(ask, "application/json")
        try:
            body = await answer.read(MAX_ANSWER)
            return await beside(len(body), _result, ask, answer.status, body)
        finally:
            answer.close()

    async def follow(self, ask: Ask) -> AsyncGenerator[Any, None]:
        """Yield the events of a streaming operation as they come. Raises RemoteError, UpstreamUnavailable."""
        answer = await self._send(ask, "text/event-stream")
        try:
            if answer.headers.get("content-type", "").partition(";")[0].strip().lower() != "text/event-stream":
                _result(ask, answer.status, await answer.read(MAX_ANSWER))
                raise UpstreamUnavailable(f"agent `{ask.agent.name}` answered {answer.status} without the stream it was asked for")
            reader = SseReader()
            async for piece in answer.chunks():
                for name, data in reader.feed(piece):
                    yield await beside(len(data), _result, ask, 400 if name == "error" else 200, data)
        finally:
            answer.close()

    async def _get(self, a2a: A2a, url: str, max_bytes: int, *, is_theirs: bool) -> bytes:
        headers = [("accept", "application/json"), *(self._credential(a2a) if is_theirs else ())]
        answer = await self._http.send(HttpRequest("GET", url, headers, timeout_s=LOOK_S, unsafe_plaintext=a2a.unsafe_plaintext))
        try:
            if answer.status != 200:
                raise UpstreamUnavailable(f"`{url[:200]}` answered {answer.status} where an agent's card or keys were due")
            return await answer.read(max_bytes)
        finally:
            answer.close()

    async def _send(self, ask: Ask, accept: str) -> HttpAnswer:
        a2a = ask.agent.a2a
        if a2a is None:
            raise UpstreamUnavailable(f"agent `{ask.agent.name}` cannot be delegated to")
        params = dict(ask.params) | ({"tenant": ask.interface.tenant} if ask.interface.tenant else {})
        method, url, body = _rpc(ask, params) if ask.interface.binding == "JSONRPC" else _rest(ask, params)
        headers = [("accept", accept), ("a2a-version", VERSION), ("user-agent", "ostiary"), *self._credential(a2a)]
        if body:
            headers.append(("content-type", "application/json"))
        if ask.token:
            headers.append(("authorization", f"Bearer {ask.token}"))
        if ask.extensions:
            headers.append(("a2a-extensions", ask.extensions))
        return await self._http.send(HttpRequest(method, url, headers, body, ANSWER_S, a2a.unsafe_plaintext))

    def _credential(self, a2a: A2a) -> list[tuple[str, str]]:
        if not a2a.credential:
            return []
        try:
            return [("x-api-key", self._secrets.reveal(a2a.credential))]
        except InvalidConfig:
            raise Unavailable(
                "the gateway's credential for this agent is not set", remedy="an operator sets it with `ostiary secret set`"
            ) from None


def _rpc(ask: Ask, params: Mapping[str, Any]) -> tuple[str, str, bytes]:
    return "POST", ask.interface.url, encode({"jsonrpc": "2.0", "id": 1, "method": ask.method, "params": params})


_REST: Final[Mapping[str, tuple[str, str]]] = {
    "SendMessage": ("POST", "/message:send"),
    "SendStreamingMessage": ("POST", "/message:stream"),
    "GetTask": ("GET", "/tasks/{id}"),
    "CancelTask": ("POST", "/tasks/{id}:cancel"),
    "SubscribeToTask": ("GET", "/tasks/{id}:subscribe"),
    "CreateTaskPushNotificationConfig": ("POST", "/tasks/{taskId}/pushNotificationConfigs"),
    "DeleteTaskPushNotificationConfig": ("DELETE", "/tasks/{taskId}/pushNotificationConfigs/{id}"),
}


def _rest(ask: Ask, params: Mapping[str, Any]) -> tuple[str, str, bytes]:
    """Return the HTTP+JSON form of a request: what the path names is left out of the rest (section 11.5)."""
    method, template = _REST[ask.method]
    named = [name for name in ("id", "taskId") if f"{{{name}}}" in template]
    path = template.format(**{name: quote(str(params[name]), safe="") for name in named})
    rest = {name: value for name, value in params.items() if name not in named}
    url = ask.interface.url.rstrip("/") + path
    if method == "POST":
        return method, url, encode(rest)
    return method, url + (f"?{urlencode(rest)}" if rest else ""), b""


def _result(ask: Ask, status: int, body: bytes) -> Any:
    """Return what an answer or event holds, read strictly. Raises RemoteError, UpstreamUnavailable."""
    name = ask.agent.name
    if ask.interface.binding != "JSONRPC" and 200 <= status < 300 and not body.strip():
        return {}
    try:
        value = parse_object(body, max_bytes=MAX_ANSWER)
    except InvalidAction as error:
        raise UpstreamUnavailable(f"agent `{name}` answered {status} with what cannot be read: {error.detail}"[:500]) from None
    failure = value.get("error")
    if isinstance(failure, dict):
        raise _remote(failure)
    if ask.interface.binding == "JSONRPC":
        if value.get("jsonrpc") != "2.0" or value.get("id") != 1 or "result" not in value:
            raise UpstreamUnavailable(f"agent `{name}` answered {status} with something that was not asked")
        return value["result"]
    if not 200 <= status < 300:
        raise UpstreamUnavailable(f"agent `{name}` answered {status} without saying why")
    return value


def _remote(error: Mapping[str, Any]) -> RemoteError:
    """Return an agent's error in our own terms: one the protocol names keeps its meaning, any other is the agent's failure."""
    code, message = error.get("code"), error.get("message")
    fault = FAULTS.get(code) if isinstance(code, int) else None
    if fault is None:
        details = error.get("details")
        reasons = [each.get("reason") for each in details if isinstance(each, dict)] if isinstance(details, list) else []
        fault = next((REASONS[reason] for reason in reasons if isinstance(reason, str) and reason in REASONS), None)
    if fault is None and code in {400, 404, 422}:
        fault = errors.INVALID_PARAMS
    return RemoteError(fault or INTERNAL, message if isinstance(message, str) else "the agent failed")
