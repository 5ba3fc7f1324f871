"""Reaches MCP servers over streamable HTTP: JSON and SSE answers, sessions, resumed streams, everything bounded."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from ostiary.connectors.mcp_hello import discovered, initialize, with_meta
from ostiary.connectors.mcp_stdio import McpStdio
from ostiary.core.beside import beside
from ostiary.core.errors import InvalidAction, UpstreamUnavailable
from ostiary.core.ports import HttpAnswer, HttpClient, HttpRequest, Secrets
from ostiary.core.registry import Server
from ostiary.core.strict_json import parse
from ostiary.protocols.mcp.events import EventReader
from ostiary.protocols.mcp.headers import NAMED, encode
from ostiary.protocols.mcp.message import MODERN, Message, RpcError, of
from ostiary.protocols.mcp.upstream import Connection, Deaf, Hello, Listener, Offer, SessionLost, WrongEra

log = logging.getLogger("ostiary.mcp.http")

MAX_ANSWER = 8 * 1024 * 1024
MAX_RESUMES = 20
MAX_QUESTIONS = 16
PIECE_S, CALL_S, LISTEN_S = 60.0, 300.0, 3600.0

_encode = msgspec.json.Encoder().encode


class McpDialler:
    """Opens connections to servers as declared: over HTTP where there is a URL, else by starting the command."""

    def __init__(self, http: HttpClient, secrets: Secrets, pinned: Callable[[Server], str] = lambda _: "") -> None:
        self._http = http
        self._secrets = secrets
        self._pinned = pinned

    async def __call__(self, server: Server, *, modern: bool | None, offer: Offer, outside: Listener) -> Connection:
        """Return a negotiated connection. Raises WrongEra, UpstreamUnavailable."""
        if server.command:
            secret = self._secrets.reveal(server.credential) if server.credential else ""
            return await McpStdio.start(server, secret, modern=modern, offer=offer, outside=outside)
        connection = McpHttp(server, self._http, self._secrets, outside, self._pinned)
        await connection.negotiate(modern=modern, offer=offer)
        return connection


class McpHttp:
    """One connection to one server over streamable HTTP."""

    def __init__(self, server: Server, http: HttpClient, secrets: Secrets, outside: Listener, pinned: Callable[[Server], str]) -> None:
        self.hello = Hello("", {}, {})
        self.is_modern = False
        self.is_shared = False
        self.peer_key = ""
        self._pinned = pinned
        self._server = server
        self._http = http
        self._secrets = secrets
        self._outside = outside
        self._session = ""
        self._last_id = 0
        self._is_open = True
        self._hearing: asyncio.Task[None] | None = None

    async def negotiate(self, *, modern: bool | None, offer: Offer) -> None:
        """Say hello: `server/discover` for the stateless version, `initialize` for the others. Raises WrongEra, UpstreamUnavailable."""
        if modern is not False:
            try:
                await self._discover()
                return
            except WrongEra:
                if modern:
                    raise
        await initialize(self, self._server.name, offer)

    @property
    def is_open(self) -> bool:
        """Say whether requests may be sent."""
        return self._is_open

    async def request(
        self, method: str, params: dict[str, Any], listener: Listener | None = None, headers: Sequence[tuple[str, str]] = ()
    ) -> dict[str, Any]:
        """Send a request and return `{"result": …}` or `{"error": …}`."""
        identifier = self._next_id()
        body = self._body(identifier, method, params)
        try:
            return await self._exchange(identifier, method, body, listener or Deaf(), headers, stream_s=CALL_S)
        except TimeoutError:
            self._forget(identifier)
            raise UpstreamUnavailable(f"server `{self._server.name}` did not finish `{method}` within {CALL_S:.0f} s") from None
        except asyncio.CancelledError:
            self._forget(identifier)
            raise

    async def notify(self, method: str, params: dict[str, Any]) -> None:
        """Send a notification; the stateless version knows none."""
        if not self.is_modern:
            await self._post_aside({"jsonrpc": "2.0", "method": method, "params": params})

    async def listen(self) -> None:
        """Keep a stream open for what the server sends outside requests."""
        if self._hearing is None and self._is_open:
            self._hearing = asyncio.get_running_loop().create_task(self._hear())

    async def follow(self, params: dict[str, Any], listener: Listener) -> None:
        """Hold a `subscriptions/listen` until the server ends it; cancel to leave."""
        identifier = self._next_id()
        body = self._body(identifier, "subscriptions/listen", params)
        reply = await self._exchange(identifier, "subscriptions/listen", body, listener, (), stream_s=None)
        if "error" in reply:
            raise UpstreamUnavailable("the server offers no subscriptions")

    async def close(self) -> None:
        """Stop listening and end the session upstream."""
        was_open, self._is_open = self._is_open, False
        if self._hearing is not None:
            self._hearing.cancel()
        if was_open and self._session:
            try:
                async with asyncio.timeout(5):
                    answer = await self._http.send(self._made("DELETE", b"", (), 5.0))
                    answer.close()
            except (UpstreamUnavailable, TimeoutError):
                log.debug("server %s did not take the end of its session", self._server.name)

    async def _discover(self) -> None:
        self.is_modern, self.hello = True, Hello(MODERN, {}, {})
        try:
            hello = discovered((await self.request("server/discover", {})).get("result"))
            if hello is None:
                raise WrongEra(f"server `{self._server.name}` does not speak {MODERN}")
        except WrongEra:
            self.is_modern, self.hello = False, Hello("", {}, {})
            raise
        self.hello = hello

    async def _exchange(
        self,
        identifier: int,
        method: str,
        body: dict[str, Any],
        listener: Listener,
        headers: Sequence[tuple[str, str]],
        *,
        stream_s: float | None,
    ) -> dict[str, Any]:
        """Send one request and read its answer: a whole one is bounded by the client, a stream by `stream_s` in all."""
        mirrored = [*headers, *self._mirrored(method, body["params"])] if self.is_modern else []
        answer = await self._http.send(self._made("POST", _encode(body), mirrored, LISTEN_S if method.endswith("listen") else PIECE_S))
        self.peer_key = answer.peer_key
        try:
            kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
            if method == "initialize" and answer.status == 200:
                self._session = _session_of(answer)
            if answer.status == 404 and self._session and method != "initialize":
                self._is_open = False
                raise SessionLost(f"server `{self._server.name}` forgot the session")
            if method in {"server/discover", "initialize"} and 400 <= answer.status < 500:
                return await self._unsure(identifier, answer)
            if kind == "application/json":
                raw = await answer.read(MAX_ANSWER)
                return await beside(len(raw), self._reply, identifier, raw)
            if answer.status == 200 and kind == "text/event-stream":
                if not self.is_modern:
                    listener.opened()
                async with asyncio.timeout(stream_s):
                    return await self._stream(identifier, answer, listener)
            raise UpstreamUnavailable(f"server `{self._server.name}` answered {answer.status} with `{kind[:64]}`")
        finally:
            answer.close()

    async def _unsure(self, identifier: int, answer: HttpAnswer) -> dict[str, Any]:
        """Read a refused beginning: whatever is no refusal of our credential says that the server is of the other kind."""
        if answer.status in {401, 403}:
            raise UpstreamUnavailable(f"server `{self._server.name}` does not accept our credential ({answer.status})")
        raw = await answer.read(65536)
        try:
            return await beside(len(raw), self._reply, identifier, raw)
        except UpstreamUnavailable:
            raise WrongEra(f"server `{self._server.name}` answered {answer.status} to the beginning of MCP") from None

    def _reply(self, identifier: int, raw: bytes) -> dict[str, Any]:
        message = self._message(raw)
        if message.reply is None or (message.id != identifier and not (message.id is None and "error" in message.reply)):
            raise UpstreamUnavailable(f"server `{self._server.name}` answered something that was not asked")
        return message.reply

    def _message(self, raw: bytes) -> Message:
        try:
            return of(parse(raw, max_bytes=MAX_ANSWER), len(raw))
        except (InvalidAction, RpcError) as error:
            raise UpstreamUnavailable(f"server `{self._server.name}` sent no valid message: {error}") from None

    async def _stream(self, identifier: int, answer: HttpAnswer, listener: Listener) -> dict[str, Any]:
        """Follow an SSE answer to its response, across closed and resumed streams where the version has them."""
        questions: set[asyncio.Task[None]] = set()
        reader = EventReader()
        try:
            for _ in range(MAX_RESUMES):
                reply = await self._follow_body(identifier, answer, reader, listener, questions)
                if reply is not None:
                    return reply
                if self.is_modern or not reader.last_id:
                    break
                answer.close()
                await listener.paused(reader.retry_ms)
                await asyncio.sleep(min(reader.retry_ms, 10_000) / 1000)
                answer = await self._resume(reader.last_id)
                reader.restart()
            raise UpstreamUnavailable(f"server `{self._server.name}` ended its stream without an answer")
        finally:
            answer.close()
            for task in questions:
                task.cancel()

    async def _follow_body(
        self, identifier: int, answer: HttpAnswer, reader: EventReader, listener: Listener, questions: set[asyncio.Task[None]]
    ) -> dict[str, Any] | None:
        async for piece in answer.chunks():
            for data in reader.feed(piece):
                message = await beside(len(data), self._message, data)
                if message.reply is None:
                    await self._hand(message, listener, questions)
                elif message.id == identifier:
                    return message.reply
                else:
                    raise UpstreamUnavailable(f"server `{self._server.name}` answered something that was not asked")
        return None

    async def _resume(self, last_id: str) -> HttpAnswer:
        answer = await self._http.send(self._made("GET", b"", [("last-event-id", last_id)], PIECE_S))
        if answer.status != 200 or not answer.headers.get("content-type", "").startswith("text/event-stream"):
            answer.close()
            raise UpstreamUnavailable(f"server `{self._server.name}` did not resume its stream")
        return answer

    async def _hand(self, message: Message, listener: Listener, questions: set[asyncio.Task[None]]) -> None:
        """Hand on a notification at once and a question beside the stream, so that progress still flows."""
        body = {"jsonrpc": "2.0", "method": message.method, "params": message.params}
        if message.id is None:
            await listener.message(body)
            return
        if self.is_modern or len(questions) >= MAX_QUESTIONS:
            raise UpstreamUnavailable(f"server `{self._server.name}` asked more than it may")
        task = asyncio.get_running_loop().create_task(self._ask(body | {"id": message.id}, listener))
        questions.add(task)
        task.add_done_callback(questions.discard)

    async def _ask(self, question: dict[str, Any], listener: Listener) -> None:
        try:
            reply = await listener.message(question) or {"error": {"code": -32601, "message": "not supported"}}
        except Exception:
            log.exception("a question from server %s could not be put", self._server.name)
            reply = {"error": {"code": -32603, "message": "the question could not be put"}}
        await self._post_aside({"jsonrpc": "2.0", "id": question["id"], **reply})

    async def _post_aside(self, body: dict[str, Any]) -> None:
        answer = await self._http.send(self._made("POST", _encode(body), (), 10.0))
        status = answer.status
        answer.close() if status == 202 and answer.headers.get("content-length") not in {"0", None} else await answer.read(65536)
        if status >= 400:
            log.warning("server %s answered %d to a message that wants no answer", self._server.name, status)

    async def _hear(self) -> None:
        """Hold the stream for list changes, updates and questions; open it again while the connection stands."""
        pause = 0.2
        while self._is_open:
            try:
                if self.is_modern:
                    await self.follow({"notifications": _LIST_CHANGES}, self._outside)
                elif not await self._hear_legacy():
                    return
                pause = 0.2
            except UpstreamUnavailable as error:
                log.debug("listening to %s failed: %s", self._server.name, error)
                pause = min(30.0, pause * 2)
            await asyncio.sleep(pause)

    async def _hear_legacy(self) -> bool:
        answer = await self._http.send(self._made("GET", b"", (), LISTEN_S))
        try:
            if answer.status != 200 or not answer.headers.get("content-type", "").startswith("text/event-stream"):
                return False
            await self._follow_body(0, answer, EventReader(), self._outside, set())
            return True
        finally:
            answer.close()

    def _body(self, identifier: int, method: str, params: dict[str, Any]) -> dict[str, Any]:
        return {"jsonrpc": "2.0", "id": identifier, "method": method, "params": with_meta(identifier, params, is_modern=self.is_modern)}

    def _mirrored(self, method: str, params: dict[str, Any]) -> list[tuple[str, str]]:
        named = NAMED.get(method)
        return [("mcp-method", method), *([("mcp-name", encode(params[named]))] if named else [])]

    def _made(self, verb: str, body: bytes, extra: Sequence[tuple[str, str]], timeout_s: float) -> HttpRequest:
        accept = "text/event-stream" if verb == "GET" else "application/json, text/event-stream"
        headers = [("accept", accept), *extra]
        if body:
            headers.append(("content-type", "application/json"))
        if self.hello.version:
            headers.append(("mcp-protocol-version", self.hello.version))
        if self._session:
            headers.append(("mcp-session-id", self._session))
        if self._server.credential:
            headers.append(("authorization", f"Bearer {self._secrets.reveal(self._server.credential)}"))
        pinned = self._pinned(self._server)
        return HttpRequest(verb, self._server.url, headers, body, timeout_s, self._server.unsafe_plaintext, pinned_key=pinned)

    def _forget(self, identifier: int) -> None:
        """Tell the server that nobody waits any more; closing the stream says so on the stateless version."""
        if not self.is_modern and self._is_open:
            params = {"requestId": identifier, "reason": "the caller cancelled"}
            task = asyncio.get_running_loop().create_task(self._quiet_notify("notifications/cancelled", params))
            _KEPT.add(task)
            task.add_done_callback(_KEPT.discard)

    async def _quiet_notify(self, method: str, params: dict[str, Any]) -> None:
        try:
            await self.notify(method, params)
        except UpstreamUnavailable as error:
            log.debug("server %s did not hear of a cancellation: %s", self._server.name, error)

    def _next_id(self) -> int:
        self._last_id += 1
        return self._last_id


_LIST_CHANGES = {"toolsListChanged": True, "promptsListChanged": True, "resourcesListChanged": True}
_KEPT: set[asyncio.Task[None]] = set()


def _session_of(answer: HttpAnswer) -> str:
    session = answer.headers.get("mcp-session-id", "")
    if len(session) > 512 or not all("!" <= letter <= "~" for letter in session):
        raise UpstreamUnavailable("the server gave a session id that is none")
    return session
