"""Our figures on your machine: a gateway with everything on, on one core, beside its upstream called directly."""

import asyncio
import contextlib
import http.client
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ostiary.cli.options import PLAIN, Out
from ostiary.cli.output import say
from ostiary.core.errors import InvalidConfig, Unavailable

if TYPE_CHECKING:
    from ostiary.demo.load import Target
    from ostiary.demo.world import World

CONNECTIONS = 64
RATE = 200
RECIPIENT = "notes@company.example"
PURPOSE = f"Keep notes of the orders and post them to {RECIPIENT}, with 12.50 for each."
LIMITS = {"OSTIARY_LIMITS__PRINCIPAL_RATE": "9000000/s", "OSTIARY_LIMITS__SESSION_RATE": "9000000/s"}
"""The only setting that is not the default: a bench is the runaway that the limits are there for."""
DECLARATION = """
users:
  alice: {email: alice@company.example, roles: [clerk]}
  dave: {email: dave@company.example, roles: [engineer]}
groups:
  payments: {tools: [notes/post]}
agents:
  note-bot:
    owner: dave
    purpose: keeps notes of orders
    roles: [clerk]
    model: bench
    servers: [notes]
    manifest: {prompt: prompt.md}
models:
  bench: {provider: openai, url: "http://127.0.0.1:${env:UPSTREAM_PORT}/v1", credential: secret:model, accepts: [public, internal, pii]}
servers:
  notes:
    url: "http://127.0.0.1:${env:UPSTREAM_PORT}/mcp"
    trust: untrusted
    tools:
      post: {effect: irreversible, external: true, control: [to, amount], payload: [text]}
policies: [policies/, starter/]
"""
POLICY = """
@id("clerks-post-notes")
@because("clerks may post notes")
permit (principal in Role::"clerk", action == Action::"notes/post", resource);
"""
TEXT = (
    "Please write down that order {number} of paper, toner and {count} standing desks left the warehouse this morning, and that "
    "the second part follows on Thursday. Whoever receives it signs the delivery note, keeps a copy and tells accounting. "
)
COLUMNS = ("what", "per_s", "cpu_us", "p50_ms", "p99_ms", "direct_per_s", "added_p50_ms", "added_p99_ms")


def bench(*, seconds: float = 5.0, out: Out = PLAIN) -> int:
    """Measure this machine: requests a second with everything on, CPU a request, what we add to a call, memory, start.

    A gateway of its own in a folder that goes away, pinned to one core where the machine has two: identity, policy (the
    starter pack), content controls both ways, origins, and two sealed, durable ledger entries a request. Beside it the
    same upstream called directly.

    Parameters
    ----------
    seconds:
        How long each of the six measures takes.
    """
    if not 0.5 <= seconds <= 600:
        raise InvalidConfig(f"a measure takes 0.5 to 600 seconds, got {seconds:g}")
    say(f"six measures of {seconds:g} s each, {CONNECTIONS} connections, then {RATE} requests a second")
    found = _runner()(_measure(seconds))
    if out.json:
        out.one(found)
        return 0
    out.many(found["measures"], COLUMNS)
    say(
        f"ready in {found['ready_s']:.2f} s; {found['resident_mb']:.0f} MB under load; {found['cores']} cores, "
        f"Python {found['python']}, {'pinned to one core' if found['is_pinned'] else 'not pinned'}"
    )
    return 0


def completions() -> list[str]:
    """Return chat completions of 1 KiB, no two alike."""
    made = []
    for number in range(4096):
        text = (TEXT.format(number=number, count=number % 97 + 2) * 4)[:880]
        messages = [{"role": "system", "content": "You keep notes of orders."}, {"role": "user", "content": text}]
        made.append(json.dumps({"model": "bench", "messages": messages, "temperature": 0.2, "max_tokens": 256}))
    return made


def tool_calls() -> list[str]:
    """Return tools/call messages of 1 KiB, no two alike."""
    made = []
    for number in range(4096):
        text = (TEXT.format(number=number, count=number % 97 + 2) * 4)[:880]
        params = {"name": "post", "arguments": {"to": RECIPIENT, "amount": 12.5, "text": text}}
        made.append(json.dumps({"jsonrpc": "2.0", "id": number + 1, "method": "tools/call", "params": params}))
    return made


def declared(port: int) -> dict[str, Any]:
    """Return what is measured as `ostiary apply` would send it; the upstream listens on `port`."""
    from ostiary.demo.world import STARTER_PACK

    files = {"prompt.md": "Keep notes.", "policies/notes.cedar": POLICY}
    files |= {f"starter/{each.name}": each.read_text() for each in STARTER_PACK.iterdir() if each.name.endswith(".cedar")}
    return {
        "declarations": {"bench.yaml": DECLARATION},
        "files": files,
        "environment": {"UPSTREAM_PORT": str(port)},
        "why": "to be measured",
    }


def mcp_headers(port: int, token: str, path: str = "/mcp/notes") -> dict[str, str]:
    """Begin an MCP session and return the headers of its calls. Raises Unavailable."""
    headers = {"authorization": f"Bearer {token}", "accept": "application/json, text/event-stream", "content-type": "application/json"}
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}}
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        initialize = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello}
        connection.request("POST", path, json.dumps(initialize), headers)
        answer = connection.getresponse()
        body, session = answer.read(), answer.getheader("mcp-session-id")
        if answer.status != 200 or not session:
            raise Unavailable(f"no MCP session began: {answer.status} {body[:200]!r}")
        headers |= {"mcp-protocol-version": "2025-11-25", "mcp-session-id": session}
        connection.request("POST", path, json.dumps({"jsonrpc": "2.0", "method": "notifications/initialized"}), headers)
        connection.getresponse().read()
    return headers


async def _measure(seconds: float) -> dict[str, Any]:
    from ostiary.demo.load import Target
    from ostiary.demo.world import World, free_port

    with tempfile.TemporaryDirectory(prefix="ostiary-bench-") as folder:
        world = World(Path(folder), {"upstream": free_port(), "gateway": free_port()})
        try:
            with _pinned() as core:
                ready_s = await _start(world, core)
                token = await asyncio.to_thread(_register, world)
                gateway, upstream, pid = world.ports["gateway"], world.ports["upstream"], world.processes["gateway"].pid
                mcp = await asyncio.to_thread(mcp_headers, gateway, token)
                mcp.pop("content-type")
                chat, calls = completions(), tool_calls()
                ours = Target(gateway, "/openai/v1/chat/completions", {"authorization": f"Bearer {token}"}, chat)
                tools = Target(gateway, "/mcp/notes", mcp, calls)
                measures = [
                    await _compare("chat completions", ours, Target(upstream, "/v1/chat/completions", {}, chat), pid, seconds),
                    await _compare("MCP tools/call", tools, Target(upstream, "/mcp", {}, calls), pid, seconds),
                ]
                resident = _resident_mb(pid)
        finally:
            for name in list(world.processes):
                await world.kill(name)
    about = {"cores": os.cpu_count(), "python": platform.python_version(), "is_pinned": core is not None}
    return {"measures": measures, "ready_s": ready_s, "resident_mb": resident, **about}


async def _compare(what: str, ours: "Target", theirs: "Target", pid: int, seconds: float) -> dict[str, Any]:
    """Return one row: the gateway under full load, and both at a fixed rate."""
    from ostiary.demo.load import Load

    await Load(theirs).closed(CONNECTIONS, seconds / 5)
    direct = await Load(theirs).closed(CONNECTIONS, seconds)
    await Load(ours).closed(CONNECTIONS, seconds / 5)
    before = _cpu_s(pid)
    full = await Load(ours).closed(CONNECTIONS, seconds)
    used = _cpu_s(pid) - before
    alone, through = await Load(theirs).paced(RATE, seconds), await Load(ours).paced(RATE, seconds)
    row = {"what": what, **{name: round(value, 2) for name, value in asdict(full).items() if name != "count"}}
    row["cpu_us"] = round(used / full.count * 1e6) if used else None
    row["direct_per_s"] = round(direct.per_s)
    row["added_p50_ms"], row["added_p99_ms"] = round(through.p50_ms - alone.p50_ms, 2), round(through.p99_ms - alone.p99_ms, 2)
    return row | {"per_s": round(full.per_s)}


async def _start(world: "World", core: int | None) -> float:
    await world.start("upstream", "-m", "ostiary.demo.echo", str(world.ports["upstream"]))
    began = time.perf_counter()
    with _on_core(core):
        up = ("-m", "ostiary", "--data", str(world.data), "up", "--port", str(world.ports["gateway"]))
        await world.start("gateway", *up, environment=LIMITS)
    await world.ready("gateway", "/health/ready")
    ready_s = time.perf_counter() - began
    await world.ready("upstream")
    return ready_s


def _register(world: "World") -> str:
    operator = world.operator
    operator.put("/v1/secrets/model", {"value": "sk-the-provider-knows-this"})
    operator.post("/v1/declaration", declared(world.ports["upstream"]))
    lent = {"agent": "note-bot", "user": "alice", "scopes": ["tool:notes/*", "model:bench"], "purpose": PURPOSE, "ttl_s": 3600}
    return str(operator.post("/v1/sessions", lent)["token"])


@contextlib.contextmanager
def _pinned() -> Iterator[int | None]:
    """Leave the first core to the gateway, where there is another for the load; yields it."""
    if not hasattr(os, "sched_setaffinity") or len(cores := sorted(os.sched_getaffinity(0))) < 2:
        yield None
        return
    os.sched_setaffinity(0, cores[1:])
    try:
        yield cores[0]
    finally:
        os.sched_setaffinity(0, cores)


@contextlib.contextmanager
def _on_core(core: int | None) -> Iterator[None]:
    """Start a child on one core."""
    if core is None:
        yield
        return
    ours = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, ours)


def _cpu_s(pid: int) -> float:
    """Return the CPU seconds of a process; 0 where the system does not say."""
    if not sys.platform.startswith("linux"):
        return 0.0
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident_mb(pid: int) -> float:
    if not sys.platform.startswith("linux"):
        return 0.0
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def _runner() -> Any:
    try:
        import uvloop
    except ImportError:
        return asyncio.run
    return uvloop.run
