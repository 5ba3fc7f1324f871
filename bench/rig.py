"""What the benches of the whole gateway stand on: a compiled upstream, a real `ostiary up` with everything on, one session."""

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from ostiary.cli.client import Client

HERE = Path(__file__).parent
STARTER = resources.files("ostiary.policy.packs") / "starter"
TICKS = os.sysconf("SC_CLK_TCK")
RECIPIENT = "notes@company.example"
PURPOSE = f"Keep notes of the orders and post them to {RECIPIENT}, with 12.50 for each."
SETTINGS = """
[limits]
principal_rate = "9000000/s"
session_rate = "9000000/s"
[upstream]
max_connections = 256
"""
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
  bench: {provider: openai, url: "http://127.0.0.1:PORT/v1", credential: secret:model, accepts: [public, internal, pii]}
servers:
  notes:
    url: "http://127.0.0.1:PORT/mcp"
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


@dataclass(slots=True)
class Load:
    """One kind of request: the same to the upstream itself, through nginx, and through us."""

    name: str
    ours: str
    theirs: str
    bodies: list[str]
    headers: dict[str, str]
    direct_headers: dict[str, str] = field(default_factory=lambda: {"content-type": "application/json"})


@dataclass(slots=True)
class Rig:
    """Everything that runs."""

    folder: Path
    tool: Path
    ports: dict[str, int]
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    start_s: float = 0.0
    token: str = ""

    def url(self, name: str) -> str:
        """Return where a process listens."""
        return f"http://127.0.0.1:{self.ports[name]}"

    def start(self, name: str, core: int, *command: str) -> None:
        """Start a process on one core."""
        with (self.folder / f"{name}.log").open("ab") as log:
            pinned = [*_taskset(core), *command]
            self.processes[name] = subprocess.Popen(pinned, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

    def ready(self, name: str, path: str) -> float:
        """Wait until a process answers, and return the seconds that took."""
        began = time.perf_counter()
        while time.perf_counter() - began < 30:
            with contextlib.suppress(OSError), urllib.request.urlopen(self.url(name) + path, timeout=1) as answer:
                if answer.status == 200:
                    return time.perf_counter() - began
            if self.processes[name].poll() is not None:
                break
            time.sleep(0.02)
        raise SystemExit(f"{name} did not start: {(self.folder / f'{name}.log').read_text()[-2000:]}")

    def stop(self, name: str) -> None:
        """Ask a process to leave, and wait for it."""
        process = self.processes.pop(name)
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def cpu_s(self, name: str) -> float:
        """Return the CPU seconds a process and its children's processes have used, all threads."""
        pids = [self.processes[name].pid]
        pids += [int(pid) for pid in Path(f"/proc/{pids[0]}/task/{pids[0]}/children").read_text().split()]
        used = 0
        for pid in pids:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            used += int(fields[11]) + int(fields[12])
        return used / TICKS

    def resident_mb(self, name: str) -> float:
        """Return the resident memory of a process, in megabytes."""
        return int(Path(f"/proc/{self.processes[name].pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

    def post(self, load: Load, *, headers: dict[str, str] | None = None, body: str | None = None) -> tuple[int, dict[str, str], bytes]:
        """Send one request to the gateway."""
        connection = http.client.HTTPConnection("127.0.0.1", self.ports["gateway"], timeout=10)
        with contextlib.closing(connection):
            connection.request("POST", load.ours, (body or load.bodies[0]).encode(), headers or load.headers)
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()


def _taskset(core: int) -> list[str]:
    return ["taskset", "-c", str(core)] if (os.cpu_count() or 1) > 1 and shutil.which("taskset") else []


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def built(folder: Path) -> Path:
    """Compile the upstream."""
    if shutil.which("go") is None:
        raise SystemExit("the upstream of this bench is compiled with Go, which is not installed")
    tool = folder / "upstream"
    subprocess.run(["go", "build", "-o", str(tool), "."], cwd=HERE / "upstream", check=True)
    return tool


@contextlib.contextmanager
def running(folder: Path, *, gateway_core: int = 0, load_core: int = 1, command: tuple[str, ...] = ("-m", "ostiary")) -> Iterator[Rig]:
    """Start the upstream and the gateway, register, open a session; take everything away again."""
    rig = Rig(folder, built(folder), {name: free_port() for name in ("upstream", "gateway", "nginx")})
    try:
        rig.start("upstream", load_core, str(rig.tool), "serve", f"127.0.0.1:{rig.ports['upstream']}")
        rig.ready("upstream", "/health")
        data, settings = folder / "data", folder / "ostiary.toml"
        settings.write_text(SETTINGS)
        up = ("--data", str(data), "up", "--config", str(settings), "--port", str(rig.ports["gateway"]))
        rig.start("gateway", gateway_core, sys.executable, *command, *up)
        rig.start_s = rig.ready("gateway", "/health/ready")
        operator = Client(rig.url("gateway"), (data / "operator.key").read_text().strip())
        operator.put("/v1/secrets/model", {"value": "sk-the-provider-knows-this"})
        files = {"prompt.md": "Keep notes.", "policies/notes.cedar": POLICY}
        files |= {f"starter/{each.name}": each.read_text() for each in STARTER.iterdir() if each.name.endswith(".cedar")}
        declared = {"bench.yaml": DECLARATION.replace("PORT", str(rig.ports["upstream"]))}
        operator.post("/v1/declaration", {"declarations": declared, "files": files, "environment": {}, "why": "to be measured"})
        lent = {"agent": "note-bot", "user": "alice", "scopes": ["tool:notes/*", "model:bench"], "purpose": PURPOSE, "ttl_s": 3600}
        rig.token = operator.post("/v1/sessions", lent)["token"]
        yield rig
    finally:
        for name in list(rig.processes):
            rig.stop(name)


def chat(rig: Rig) -> Load:
    """Return chat completions of 1 KiB, no two alike."""
    bodies = [json.dumps(_completion(number)) for number in range(4096)]
    headers = {"content-type": "application/json", "authorization": f"Bearer {rig.token}"}
    return Load("chat completions", "/openai/v1/chat/completions", "/v1/chat/completions", bodies, headers)


def _completion(number: int) -> dict[str, Any]:
    text = TEXT.format(number=number, count=number % 97 + 2)
    messages = [{"role": "system", "content": "You keep notes of orders."}, {"role": "user", "content": (text * 4)[:880]}]
    return {"model": "bench", "messages": messages, "temperature": 0.2, "max_tokens": 256}


def tools(rig: Rig) -> Load:
    """Return tools/call of 1 KiB in one MCP session, no two alike."""
    bodies = []
    for number in range(4096):
        text = TEXT.format(number=number, count=number % 97 + 2)
        params = {"name": "post", "arguments": {"to": RECIPIENT, "amount": 12.5, "text": (text * 4)[:880]}}
        bodies.append(json.dumps({"jsonrpc": "2.0", "id": number + 1, "method": "tools/call", "params": params}))
    headers = {"content-type": "application/json", "accept": "application/json, text/event-stream", "authorization": f"Bearer {rig.token}"}
    headers["mcp-protocol-version"] = "2025-11-25"
    load = Load("MCP tools/call", "/mcp/notes", "/mcp", bodies, headers)
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}}
    initialize = json.dumps({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello})
    status, answered, body = rig.post(load, body=initialize)
    if status != 200:
        raise SystemExit(f"the gateway did not begin an MCP session: {status} {body[:300]!r}")
    headers["mcp-session-id"] = answered["mcp-session-id"]
    rig.post(load, body=json.dumps({"jsonrpc": "2.0", "method": "notifications/initialized"}))
    return load
