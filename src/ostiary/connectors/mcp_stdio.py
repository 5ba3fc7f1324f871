"""Reaches MCP servers started as child processes: one JSON-RPC message a line, a bare environment, ended with their group."""

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from ostiary.connectors.mcp_hello import discovered, initialize, with_meta
from ostiary.core.beside import beside
from ostiary.core.errors import InvalidAction, UpstreamUnavailable
from ostiary.core.registry import Server
from ostiary.core.strict_json import parse
from ostiary.protocols.mcp.headers import META_SUBSCRIPTION
from ostiary.protocols.mcp.message import MODERN, Message, RpcError, of
from ostiary.protocols.mcp.upstream import Deaf, Hello, Listener, Offer, WrongEra

log = logging.getLogger("ostiary.mcp.stdio")

MAX_LINE: Final = 8 * 1024 * 1024
MAX_PENDING: Final = 1024
MAX_QUESTIONS: Final = 64
MAX_HEARD: Final = 256
"""Messages of one request, or of none, that wait to be handed on."""
MAX_STDERR: Final = 64 * 1024
"""Bytes a minute of a child's stderr that go to the log."""
START_S, CALL_S, WRITE_S, LEAVE_S = 20.0, 300.0, 20.0, 2.0
CREDENTIAL_VARIABLE = "MCP_SERVER_CREDENTIAL"
"""Where a declared credential is put in the child's environment."""
_INHERITED = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "HOME", "SYSTEMROOT")

_encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class _Pending:
    """One request under way. What the child says meanwhile is handed on in order, beside the reader: a slow caller stalls only itself."""

    future: asyncio.Future[dict[str, Any]]
    listener: Listener
    tail: asyncio.Task[None] | None = None
    waiting: int = 0

    def hear(self, message: dict[str, Any]) -> None:
        """Hand a notification on after those before it; too many at once are dropped."""
        if self.waiting < MAX_HEARD:
            self.waiting += 1
            self.tail = asyncio.get_running_loop().create_task(self._after(self.tail, message))

    async def _after(self, earlier: asyncio.Task[None] | None, message: dict[str, Any]) -> None:
        try:
            if earlier is not None:
                await earlier
            await self.listener.message(message)
        except Exception:
            log.exception("a message of a child process could not be handed on")
        finally:
            self.waiting -= 1


class McpStdio:
    """One child process and the requests under way to it."""

    def __init__(self, server: Server, process: asyncio.subprocess.Process, outside: Listener) -> None:
        self.hello = Hello("", {}, {})
        self.is_modern = False
        self.is_shared = False
        self.peer_key = ""
        self._server = server
        self._process = process
        self._outside = outside
        loop = asyncio.get_running_loop()
        self._beside, self._nobody = _Pending(loop.create_future(), outside), _Pending(loop.create_future(), Deaf())
        self._pending: dict[int, _Pending] = {}
        self._subscriptions: dict[int, _Pending] = {}
        self._questions: set[asyncio.Task[None]] = set()
        self._writing = asyncio.Lock()
        self._last_id = 0
        self._is_open = True
        self._readers = [loop.create_task(self._read()), loop.create_task(self._read_errors())]

    @classmethod
    async def start(cls, server: Server, credential: str, *, modern: bool | None, offer: Offer, outside: Listener) -> "McpStdio":
        """Start the command and negotiate. Raises WrongEra, UpstreamUnavailable."""
        try:
            process = await asyncio.create_subprocess_exec(
                *server.command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=_environment(server, credential),
                limit=MAX_LINE,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise UpstreamUnavailable(f"server `{server.name}` could not be started: {type(error).__name__}") from None
        connection = cls(server, process, outside)
        try:
            async with asyncio.timeout(START_S):
                await connection._negotiate(modern, offer)
        except TimeoutError:
            await connection.close()
            raise UpstreamUnavailable(f"server `{server.name}` did not answer within {START_S:.0f} s of its start") from None
        except BaseException:
            await connection.close()
            raise
        return connection

    @property
    def is_open(self) -> bool:
        """Say whether requests may be sent."""
        return self._is_open and self._process.returncode is None

    async def request(
        self, method: str, params: dict[str, Any], listener: Listener | None = None, headers: Sequence[tuple[str, str]] = ()
    ) -> dict[str, Any]:
        """Send a request and return `{"result": …}` or `{"error": …}`; `headers` have no place on this transport."""
        del headers
        if not self.is_open:
            raise UpstreamUnavailable(f"server `{self._server.name}` has ended")
        if len(self._pending) >= MAX_PENDING:
            raise UpstreamUnavailable(f"server `{self._server.name}` has too many requests under way")
        self._last_id = identifier = self._last_id + 1
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        pending = self._pending[identifier] = _Pending(future, listener or Deaf())
        try:
            await self._write(
                {"jsonrpc": "2.0", "id": identifier, "method": method, "params": with_meta(identifier, params, is_modern=self.is_modern)}
            )
            async with asyncio.timeout(CALL_S):
                reply = await future
                if pending.tail is not None:
                    await pending.tail
                return reply
        except TimeoutError:
            self._forget(identifier)
            raise UpstreamUnavailable(f"server `{self._server.name}` did not finish `{method}` in time") from None
        except asyncio.CancelledError:
            self._forget(identifier)
            raise
        finally:
            self._pending.pop(identifier, None)

    async def notify(self, method: str, params: dict[str, Any]) -> None:
        """Send a notification."""
        await self._write({"jsonrpc": "2.0", "method": method, "params": params})

    async def listen(self) -> None:
        """A child's messages are always heard; the stateless version is asked for list changes."""
        if self.is_modern:
            wanted = {"toolsListChanged": True, "promptsListChanged": True, "resourcesListChanged": True}
            self._spawn(self._quiet_follow({"notifications": wanted}))

    async def follow(self, params: dict[str, Any], listener: Listener) -> None:
        """Hold a `subscriptions/listen` until the server ends it; cancel to leave."""
        self._last_id = identifier = self._last_id + 1
        future = asyncio.get_running_loop().create_future()
        self._subscriptions[identifier] = _Pending(future, listener)
        body = {
            "jsonrpc": "2.0",
            "id": identifier,
            "method": "subscriptions/listen",
            "params": with_meta(identifier, params, is_modern=self.is_modern),
        }
        try:
            await self._write(body)
            await future
        except asyncio.CancelledError:
            self._forget(identifier)
            raise
        finally:
            self._subscriptions.pop(identifier, None)

    async def close(self) -> None:
        """End the child and everything in its group."""
        self._is_open = False
        self._fail("the connection was closed")
        heard = [held.tail for held in (self._beside, *self._pending.values(), *self._subscriptions.values()) if held.tail is not None]
        for task in [*self._readers, *self._questions, *heard]:
            task.cancel()
        if self._process.stdin is not None:
            self._process.stdin.close()
        await _end(self._process)
        await asyncio.gather(*self._readers, *self._questions, return_exceptions=True)
        _close_pipes(self._process)

    async def _negotiate(self, modern: bool | None, offer: Offer) -> None:
        if modern is not False:
            self.is_modern, self.hello = True, Hello(MODERN, {}, {})
            hello = discovered((await self.request("server/discover", {})).get("result"))
            if hello is not None:
                self.hello = hello
                return
            self.is_modern, self.hello = False, Hello("", {}, {})
            if modern:
                raise WrongEra(f"server `{self._server.name}` does not speak {MODERN}")
        await initialize(self, self._server.name, offer)

    async def _write(self, body: dict[str, Any]) -> None:
        stdin = self._process.stdin
        if not self._is_open or stdin is None:
            raise UpstreamUnavailable(f"server `{self._server.name}` has ended")
        try:
            async with self._writing, asyncio.timeout(WRITE_S):
                stdin.write(_encode(body) + b"\n")
                await stdin.drain()
        except (OSError, RuntimeError):
            raise UpstreamUnavailable(f"server `{self._server.name}` has ended") from None
        except TimeoutError:
            await self._broken("it does not read what it is sent")
            raise UpstreamUnavailable(f"server `{self._server.name}` does not read what it is sent") from None

    async def _read(self) -> None:
        stdout = self._process.stdout
        reason = "it ended"
        try:
            while stdout is not None and (line := await stdout.readline()):
                if line.strip():
                    await self._take(of(await beside(len(line), parse, line, max_bytes=MAX_LINE), len(line)))
        except (InvalidAction, RpcError) as error:
            reason = f"it sent no valid message: {error}"
        except ValueError:
            reason = f"it sent a line over {MAX_LINE} bytes"
        await self._broken(reason)

    async def _take(self, message: Message) -> None:
        if message.reply is not None:
            key = message.id if isinstance(message.id, int) else 0
            waiting = self._pending.get(key) or self._subscriptions.get(key)
            if waiting is not None and not waiting.future.done():
                waiting.future.set_result(message.reply)
            return
        body = {"jsonrpc": "2.0", "method": message.method, "params": message.params}
        hearer = self._hearer_of(message)
        if message.id is None:
            hearer.hear(body)
        elif len(self._questions) >= MAX_QUESTIONS:
            await self._write({"jsonrpc": "2.0", "id": message.id, "error": {"code": -32000, "message": "too many questions"}})
        else:
            self._spawn(self._ask(body | {"id": message.id}, hearer.listener))

    def _hearer_of(self, message: Message) -> _Pending:
        """Progress names its request; other messages of a call belong to the newest one under way, or to nobody where callers share."""
        if message.method == "notifications/progress":
            token = message.params.get("progressToken")
            waiting = self._pending.get(token) if isinstance(token, int) else None
            return waiting if waiting is not None else self._nobody
        meta = message.params.get("_meta", {})
        subscription = meta.get(META_SUBSCRIPTION) if isinstance(meta, dict) else None
        if isinstance(subscription, int) and subscription in self._subscriptions:
            return self._subscriptions[subscription]
        aside = message.method.startswith(("notifications/resources/", "notifications/tools/", "notifications/prompts/"))
        if aside or not self._pending:
            return self._beside
        return self._nobody if self.is_shared else self._pending[max(self._pending)]

    async def _ask(self, question: dict[str, Any], listener: Listener) -> None:
        try:
            reply = await listener.message(question) or {"error": {"code": -32601, "message": "not supported"}}
        except Exception:
            log.exception("a question from server %s could not be put", self._server.name)
            reply = {"error": {"code": -32603, "message": "the question could not be put"}}
        with contextlib.suppress(UpstreamUnavailable):
            await self._write({"jsonrpc": "2.0", "id": question["id"], **reply})

    async def _read_errors(self) -> None:
        """Pass what the child says on stderr to the log, bounded in length and freed of control characters."""
        stderr, clock = self._process.stderr, asyncio.get_running_loop().time
        left, since = MAX_STDERR, clock()
        while stderr is not None and (piece := await stderr.read(4096)):
            if clock() - since > 60:
                left, since = MAX_STDERR, clock()
            left -= len(piece)
            if left < 0:
                continue
            text = piece.decode(errors="replace")
            log.info("server %s: %s", self._server.name, "".join(c if c.isprintable() else " " for c in text).strip()[:2000])

    async def _broken(self, reason: str) -> None:
        if self._is_open:
            self._is_open = False
            log.warning("server %s is gone: %s", self._server.name, reason)
            self._fail(reason)
            await _end(self._process, grace_s=0.0)

    def _fail(self, reason: str) -> None:
        for waiting in [*self._pending.values(), *self._subscriptions.values()]:
            if not waiting.future.done():
                waiting.future.set_exception(UpstreamUnavailable(f"server `{self._server.name}` failed: {reason}"[:300]))

    def _forget(self, identifier: int) -> None:
        if self.is_open:
            self._spawn(self._quiet_notify({"requestId": identifier, "reason": "the caller cancelled"}))

    async def _quiet_follow(self, params: dict[str, Any]) -> None:
        with contextlib.suppress(UpstreamUnavailable):
            await self.follow(params, self._outside)

    async def _quiet_notify(self, params: dict[str, Any]) -> None:
        with contextlib.suppress(UpstreamUnavailable):
            await self.notify("notifications/cancelled", params)

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._questions.add(task)
        task.add_done_callback(self._questions.discard)


def _environment(server: Server, credential: str) -> dict[str, str]:
    """Return a bare environment: nothing of the gateway's own secrets or settings."""
    bare = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return bare | dict(server.environment) | ({CREDENTIAL_VARIABLE: credential} if credential else {})


async def _end(process: asyncio.subprocess.Process, grace_s: float = LEAVE_S) -> None:
    """Let the child leave, then kill its whole group."""
    if grace_s and process.returncode is None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await process.wait()
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LEAVE_S):
            await process.wait()


def _close_pipes(process: asyncio.subprocess.Process) -> None:
    transport = getattr(process, "_transport", None)
    if transport is not None:
        transport.close()
