"""What the benches of the whole gateway stand on: a compiled upstream, a real `ostiary up` with everything on, one session."""

import contextlib
import http.client
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
from pathlib import Path

from ostiary.cli.bench import PURPOSE, completions, declared, mcp_headers, tool_calls
from ostiary.cli.client import Client

HERE = Path(__file__).parent
TICKS = os.sysconf("SC_CLK_TCK")
SETTINGS = """
[limits]
principal_rate = "9000000/s"
session_rate = "9000000/s"
[upstream]
max_connections = 256
"""


@dataclass(slots=True)
class Load:
    """One kind of request, and at which servers it can be made: path and headers of each."""

    name: str
    bodies: list[str]
    places: dict[str, tuple[str, dict[str, str]]]


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

    def post(self, load: Load) -> tuple[int, bytes]:
        """Send the first request of a load to the gateway."""
        path, headers = load.places["gateway"]
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.ports["gateway"], timeout=10)) as connection:
            connection.request("POST", path, load.bodies[0].encode(), headers)
            answer = connection.getresponse()
            return answer.status, answer.read()


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
    rig = Rig(folder, built(folder), {name: free_port() for name in ("upstream", "gateway", "nginx", "sdk")})
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
        operator.post("/v1/declaration", declared(rig.ports["upstream"]))
        lent = {"agent": "note-bot", "user": "alice", "scopes": ["tool:notes/*", "model:bench"], "purpose": PURPOSE, "ttl_s": 3600}
        rig.token = operator.post("/v1/sessions", lent)["token"]
        yield rig
    finally:
        for name in list(rig.processes):
            rig.stop(name)


JSON = {"content-type": "application/json"}


def chat(rig: Rig) -> Load:
    """Return chat completions of 1 KiB, no two alike."""
    direct = ("/v1/chat/completions", JSON)
    ours = ("/openai/v1/chat/completions", {**JSON, "authorization": f"Bearer {rig.token}"})
    return Load("chat completions", completions(), {"upstream": direct, "nginx": direct, "gateway": ours})


def tools(rig: Rig) -> Load:
    """Return tools/call of 1 KiB in one MCP session, no two alike; beside nginx, the official SDK as a proxy."""
    rig.start("sdk", 0, sys.executable, str(HERE / "sdk_proxy.py"), str(rig.ports["sdk"]), rig.url("upstream") + "/mcp")
    time.sleep(3.0)
    direct = ("/mcp", JSON)
    ours = ("/mcp/notes", mcp_headers(rig.ports["gateway"], rig.token))
    sdk = ("/mcp", mcp_headers(rig.ports["sdk"], "none", "/mcp"))
    return Load("MCP tools/call", tool_calls(), {"upstream": direct, "nginx": direct, "sdk": sdk, "gateway": ours})
