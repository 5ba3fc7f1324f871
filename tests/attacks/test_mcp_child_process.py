"""Child-process servers: what they get of us, what they can do to us, and that none is left behind."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from ostiary.app import open_gateway
from ostiary.connectors import mcp_stdio
from ostiary.core.errors import NotFound, UpstreamUnavailable
from ostiary.core.registry import Server
from ostiary.governance.registrar import RegistryChange
from ostiary.protocols.mcp.upstream import Connection, Deaf, Offer
from ostiary.settings import Settings
from tests.support.controls import session
from tests.support.mcp_shaped import Caller, code_of
from tests.support.mcp_upstream import Gateway, gateway

SERVER = """
import json, os, subprocess, sys, time
TOOLS = [{"name": n, "description": "Does something.", "inputSchema": {"type": "object"}} for n in ("env", "die", "flood", "junk", "nothing", "child", "noise", "stuck", "changes", "gossip")]
def say(**message):
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\\n"); sys.stdout.flush()
def act(name, request):
    if name == "env": return json.dumps(dict(os.environ))
    if name == "die": os._exit(3)
    if name == "flood":
        for _ in range(100): sys.stdout.write("a" * 1_000_000)
        sys.stdout.flush()
    if name == "junk": sys.stdout.write("this is no message\\n"); sys.stdout.flush(); time.sleep(30)
    if name == "nothing": time.sleep(30)
    if name == "gossip":
        time.sleep(0.3); say(method="notifications/message", params={"level": "info", "data": request["params"]["arguments"]["about"]}); return "said"
    if name == "changes":
        for _ in range(50): say(method="notifications/tools/list_changed")
        return "told"
    if name == "stuck": time.sleep(60)
    if name == "child": return str(subprocess.Popen(["sleep", "300"]).pid)
    if name == "noise": sys.stderr.write("noise \\x1b[31m\\n" * 1000); sys.stderr.flush(); return "ok"
for line in sys.stdin:
    m = json.loads(line)
    if m.get("method") == "initialize":
        say(id=m["id"], result={"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": {"name": "raw", "version": "1"}})
    elif m.get("method") == "tools/list":
        say(id=m["id"], result={"tools": TOOLS})
    elif m.get("method") == "tools/call":
        say(id=m["id"], result={"content": [{"type": "text", "text": act(m["params"]["name"], m)}]})
    elif "id" in m and "method" in m:
        say(id=m["id"], error={"code": -32601, "message": "unknown"})
"""


def _server(**options: object) -> Server:
    return Server("s", command=(sys.executable, "-u", "-c", SERVER), **options)  # type: ignore[arg-type]


async def _text(caller: Caller, name: str) -> str:
    answer = await caller.call(name)
    return str(answer["result"]["content"][0]["text"])


async def test_the_environment_is_bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """R-B5: nothing of the gateway's environment reaches the child but a handful of names; what is declared does."""
    monkeypatch.setenv("OSTIARY_SECRET", "do-not-leak")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "do-not-leak")
    declared = _server(environment={"MODE": "test"}, credential="c")
    async with gateway(declared, credentials={"c": "the-credential"}) as running, Caller(running) as caller:
        environment = await _text(caller, "env")
        assert "do-not-leak" not in environment
        assert '"MODE": "test"' in environment
        assert '"MCP_SERVER_CREDENTIAL": "the-credential"' in environment


async def test_a_child_that_dies_is_refused_and_started_again() -> None:
    """R-B5: the call under way fails at once; the next finds a new process."""
    async with gateway(_server()) as running, Caller(running) as caller:
        assert code_of(await caller.call("die")) == "upstream_failed"
        async with asyncio.timeout(10):
            while "result" not in await caller.call("noise"):
                await asyncio.sleep(0.1)


@pytest.mark.parametrize("name", ["flood", "junk"])
async def test_a_child_that_talks_nonsense_is_ended(name: str) -> None:
    """R-B5: a line without end, or no message at all, ends the process and the call."""
    async with gateway(_server()) as running, Caller(running) as caller:
        async with asyncio.timeout(10):
            assert code_of(await caller.call(name)) == "upstream_failed"
            assert running.ledger.of("outcome")[-1].code == "upstream_failed"


async def test_a_child_that_announces_changes_in_the_middle_of_a_call_stalls_nothing() -> None:
    """R-B5: each notice makes us ask the same child again; its reader must not wait for itself."""
    async with gateway(_server()) as running, Caller(running) as caller:
        async with asyncio.timeout(10):
            assert await _text(caller, "changes") == "told"
            assert await _text(caller, "noise") == "ok"


async def test_what_a_shared_child_says_during_one_call_reaches_no_other_caller() -> None:
    """R-B5: a log message names no call; on a process that callers share it is handed to nobody, on one's own it arrives."""
    async with gateway(_server()) as running:
        running.sessions.lend("t-bob", user="bob")
        async with Caller(running) as alice, Caller(running, token="t-bob") as bob:
            await alice.initialize()
            await bob.initialize()
            body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "gossip", "arguments": {"about": "of-alice"}}}
            other = {**body, "params": {"name": "gossip", "arguments": {"about": "of-bob"}}}
            first = asyncio.create_task(alice.legacy(body))
            await asyncio.sleep(0.1)
            assert "of-alice" not in (await bob.legacy(other)).text
            assert "of-bob" not in (await first).text
            await alice.legacy({"jsonrpc": "2.0", "id": 2, "method": "logging/setLevel", "params": {"level": "info"}})
            assert "of-alice" in (await alice.legacy(body)).text


async def test_one_session_cannot_take_all_processes() -> None:
    """R-K5: children of its own are few for each session, so that another still gets one."""
    async with gateway(_server()) as running, Caller(running) as caller:
        running.sessions.lend("t-bob", user="bob")
        opened, refused = 0, 0
        for _ in range(6):
            params = {"protocolVersion": "2025-11-25", "capabilities": {"sampling": {}}, "clientInfo": {"name": "t", "version": "1"}}
            answer = (await caller.post({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params})).json()
            opened, refused = opened + ("result" in answer), refused + ("error" in answer)
        assert (opened, refused) == (4, 2)
        async with Caller(running, token="t-bob") as bob:
            await bob.initialize(sampling={})


ASKING = {"protocolVersion": "2025-11-25", "capabilities": {"sampling": {}}, "clientInfo": {"name": "t", "version": "1"}}


async def test_processes_are_counted_before_they_start() -> None:
    """R-K5: a dozen handshakes at once start no more than four would one after another."""
    async with gateway(_server()) as running, Caller(running) as caller:
        body = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": ASKING}
        answers = [answer.json() for answer in await asyncio.gather(*(caller.post(body) for _ in range(12)))]
        assert sum("result" in answer for answer in answers) == 4
        assert len(running.door.upstreams._private) == 4


async def test_one_agent_cannot_take_all_processes_by_opening_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    """R-K5: over all its sessions an agent gets half of them; one that ends makes room."""
    monkeypatch.setattr("ostiary.protocols.mcp.upstream.MAX_PRIVATE_PROCESSES", 4)
    async with gateway(_server()) as running:
        callers = []
        for number in range(3):
            running.sessions.lend(f"t-{number}")
            callers.append(Caller(running, token=f"t-{number}"))
        body = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": ASKING}
        assert ["result" in (await caller.post(body)).json() for caller in callers] == [True, True, False]
        first = next(iter(running.door._legacy._sessions.all()))
        await running.door.upstreams.release(first.id)
        assert "result" in (await callers[2].post(body)).json()
        for caller in callers:
            await caller.http.aclose()


async def test_a_child_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """R-B5: the wait is bounded."""
    monkeypatch.setattr(mcp_stdio, "CALL_S", 0.5)
    async with gateway(_server()) as running, Caller(running) as caller:
        assert code_of(await caller.call("nothing")) == "upstream_failed"


@pytest.mark.parametrize("command", [("/nonexistent/server",), ("true",), ("sleep", "60")])
async def test_a_command_that_is_no_server_is_refused(command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """R-B5: missing, ending at once, or silent: an error within the time to start."""
    monkeypatch.setattr(mcp_stdio, "START_S", 0.5)
    async with gateway(Server("s", command=command)) as running, Caller(running) as caller:
        async with asyncio.timeout(10):
            assert code_of(await caller.call("env")) == "upstream_failed"
        assert code_of(await caller.call("env")) == "upstream_failed"


async def test_closing_ends_the_whole_group(monkeypatch: pytest.MonkeyPatch) -> None:
    """R-B5: what a server started ends with it, though it hangs and never reads that we left."""
    monkeypatch.setattr(mcp_stdio, "LEAVE_S", 0.3)
    async with gateway(_server()) as running, Caller(running) as caller:
        grandchild = int(await _text(caller, "child"))
        stuck = asyncio.create_task(caller.call("stuck"))
        await _until_pending(running)
    async with asyncio.timeout(5):
        while _is_alive(grandchild):
            await asyncio.sleep(0.05)
    stuck.cancel()


async def _until_pending(running: Gateway) -> None:
    async with asyncio.timeout(5):
        while len(running.ledger.of("intent")) < 2:
            await asyncio.sleep(0.01)


def _is_alive(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    if not status.exists():
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        return not Path("/proc/self").exists()
    return status.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize("becomes", ["retired", "declared anew"])
async def test_a_server_that_is_no_longer_registered_as_it_was_ends_at_once(tmp_path: Path, becomes: str) -> None:
    """R-B5, R-P3: the child of a retired or re-declared server does not live on; what comes next is started anew."""
    async with open_gateway(Settings.load(environ={}), tmp_path) as running:
        registrar, upstreams = running.services.registrar, running.mcp.upstreams
        await registrar.change([RegistryChange("servers", "s", _server())], by="operator")
        shared = await upstreams.shared("s")
        own = await upstreams.private("s", "owner", session(), offer=Offer(), outside=Deaf())
        pids = [connection._process.pid for connection in (shared, own)]  # type: ignore[attr-defined]
        assert all(map(_is_alive, pids))
        changed = None if becomes == "retired" else _server(environment={"A": "b"})
        await registrar.change([RegistryChange("servers", "s", changed)], by="operator")
        async with asyncio.timeout(10):
            while any(map(_is_alive, pids)):
                await asyncio.sleep(0.02)
        assert not shared.is_open
        if changed is None:
            with pytest.raises(NotFound):
                await upstreams.shared("s")
        else:
            again = await upstreams.shared("s")
            assert again._process.pid not in pids  # type: ignore[attr-defined]


async def test_a_server_retired_while_it_is_being_started_is_not_kept(tmp_path: Path) -> None:
    """R-B5: the window between starting a child and keeping it leaves none behind."""
    async with open_gateway(Settings.load(environ={}), tmp_path) as running:
        registrar, upstreams = running.services.registrar, running.mcp.upstreams
        await registrar.change([RegistryChange("servers", "s", _server())], by="operator")
        opened: list[Any] = []
        dial = upstreams._dial

        async def slow(server: Server, **rest: Any) -> Connection:
            opened.append(await dial(server, **rest))
            await registrar.change([RegistryChange("servers", "s", None)], by="operator")
            return opened[0]  # type: ignore[no-any-return]

        upstreams._dial = slow
        with pytest.raises(UpstreamUnavailable, match="changed a moment ago"):
            await upstreams.shared("s")
        assert not _is_alive(opened[0]._process.pid)
