"""The benchmark's tools as MCP servers behind a running `ostiary up`, and the agent's calls as real `tools/call` requests.

The worlds live in this process, so that a new one costs nothing; everything between the agent and its tools is HTTP. The
gateway's clock is set to the day the worlds play on, as a company's would have been.
"""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from bench.evaluation.attacks import Call
from bench.evaluation.dojo import Suite
from bench.evaluation.doors import Made
from bench.evaluation.gate import OPENED_AT, POLICIES
from ostiary.core.registry import Profile

ROOT = Path(__file__).parents[2]
VERSION = "2026-07-28"
SETTINGS = """
[limits]
principal_rate = "9000000/s"
session_rate = "9000000/s"
[upstream]
max_connections = 64
"""
STARTED = f"""
import sys, time
shift = {OPENED_AT!r} - time.time()
now, now_ns = time.time, time.time_ns
time.time = lambda: now() + shift
time.time_ns = lambda: now_ns() + round(shift * 1e9)
from ostiary.cli.process import main
main()
"""
"""`ostiary` on the day the worlds play."""
COMPLETE = {"resultType": "complete", "ttlMs": 0, "cacheScope": "public"}
START_S = 30.0


class Tools(ThreadingHTTPServer):
    """One suite's servers, each an MCP server at `/NAME`; `world` is what they work on now."""

    daemon_threads = True

    def __init__(self, suite: Suite) -> None:
        super().__init__(("127.0.0.1", 0), Speaker)
        self.suite, self.world = suite, None
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()


class Speaker(BaseHTTPRequestHandler):
    """Speaks the part of MCP 2026-07-28 that a stateless server of tools needs, each answer one JSON body."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Tools

    def do_POST(self) -> None:
        """Answer one message."""
        message = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if "id" not in message:
            self._say(202, b"")
            return
        result = self._answer(message["method"], message.get("params", {}))
        said = {"result": result} if result is not None else {"error": {"code": -32601, "message": "no such method"}}
        self._say(200 if result is not None else 400, json.dumps({"jsonrpc": "2.0", "id": message["id"], **said}).encode())

    def do_GET(self) -> None:
        """There is nothing to listen to."""
        self._say(405, b"")

    def _answer(self, method: str, params: Mapping[str, Any]) -> Any:
        suite, name = self.server.suite, self.path.strip("/")
        if method == "server/discover":
            return {**COMPLETE, "supportedVersions": [VERSION], "capabilities": {"tools": {}}}
        if method == "tools/list":
            return {**COMPLETE, "tools": [tool.definition for tool in suite.company.tools.values() if tool.server == name]}
        if method == "tools/call":
            return {"resultType": "complete", **suite.run(self.server.world, Call(params["name"], params.get("arguments", {})))[0]}
        return None

    def _say(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the standard library's
        """Say nothing."""


@dataclass
class Line:
    """One kept connection to the gateway."""

    port: int
    connection: http.client.HTTPConnection | None = None

    def ask(self, method: str, path: str, body: Any, headers: Mapping[str, str]) -> tuple[int, Any]:
        """Send one request; return the status and the JSON answer."""
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            self.connection.connect()
            self.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connection.request(method, path, None if body is None else json.dumps(body), {"content-type": "application/json", **headers})
        answer = self.connection.getresponse()
        raw = answer.read()
        if answer.will_close:
            self.connection = None
        return answer.status, json.loads(raw) if raw else None


@dataclass
class WireDoor:
    """One session over MCP."""

    wire: "Wire"
    suite: Suite
    token: str
    session: str
    waiting: list[str] = field(default_factory=list)
    """Held actions that nobody has answered."""

    def make(self, call: Call, *, says_yes: bool = False) -> Made:
        """Make a call through the gateway; a person who is asked uses the approvals API."""
        answer, refusal = self._call(call)
        if answer is not None:
            return Made(answer)
        data = refusal.get("data") or {}
        stopped = ", ".join(sorted(one["argument"] for one in data.get("arguments") or ())) or str(refusal.get("message", ""))[:160]
        approval = str((data.get("approval") or {}).get("id", ""))
        if says_yes and not approval:
            raise RuntimeError(f"refused, and nobody can be asked: {refusal}")
        if approval and not says_yes:
            self.waiting.append(approval)
        if says_yes:
            self.wire.approve(self.suite, approval)
            answer, again = self._call(call)
            if answer is None:
                raise RuntimeError(f"approved, and refused all the same: {again}")
        return Made(answer, stopped)

    def _call(self, call: Call) -> tuple[Any, dict[str, Any]]:
        server = self.suite.tool(call.tool).server
        meta = {"io.modelcontextprotocol/protocolVersion": VERSION, "io.modelcontextprotocol/clientCapabilities": {}}
        params = {"name": call.tool, "arguments": dict(call.arguments), "_meta": meta}
        headers = {
            "authorization": f"Bearer {self.token}",
            "accept": "application/json, text/event-stream",
            "mcp-protocol-version": VERSION,
            "mcp-method": "tools/call",
            "mcp-name": call.tool,
        }
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        status, said = self.wire.lines[self.suite.name].ask("POST", f"/mcp/{server}", body, headers)
        if isinstance(said, dict) and "result" in said:
            return said["result"], {}
        if not isinstance(said, dict) or status >= 500 or "error" not in said:
            raise RuntimeError(f"the gateway answered {status}: {said}")
        return None, said["error"]


@dataclass
class Wire:
    """A running gateway with every suite's tools behind it."""

    port: int
    key: str
    tools: dict[str, Tools]
    lines: dict[str, Line] = field(default_factory=dict)
    last: dict[str, WireDoor] = field(default_factory=dict)
    """The session that is open for each suite."""

    def operate(self, suite: str, method: str, path: str, body: Any) -> Any:
        """Use the control API as the operator."""
        status, said = self.lines[suite].ask(method, path, body, {"authorization": f"Bearer {self.key}"})
        if status >= 400:
            raise RuntimeError(f"{method} {path}: {status} {json.dumps(said)[:800]}")
        return said

    def open(self, suite: Suite, words: str, world: Any) -> WireDoor:
        """Return a new session; the suite's tools work on `world` from now on."""
        self.tools[suite.name].world = world
        scopes = [f"tool:{server}/*" for server in suite.company.servers]
        if last := self.last.pop(suite.name, None):
            self.end(last)
        body = {"agent": "assistant", "user": "user", "scopes": scopes, "purpose": words}
        opened = self.operate(suite.name, "POST", "/v1/sessions", body)
        self.last[suite.name] = door = WireDoor(self, suite, opened["token"], opened["id"])
        return door

    def end(self, door: WireDoor) -> None:
        """End a session: the person says no to what was still held, and the token is worth nothing."""
        for approval in set(door.waiting):
            self.operate(door.suite.name, "POST", f"/v1/approvals/{approval}/deny", {"reason": "the user asked for something else"})
        self.operate(door.suite.name, "DELETE", f"/v1/sessions/{door.session}", None)

    def approve(self, suite: Suite, approval: str) -> None:
        """Say yes, as the person who knows what the user wants."""
        self.operate(suite.name, "POST", f"/v1/approvals/{approval}/approve", {"reason": "the user asked for this"})


@contextmanager
def wired(suites: list[Suite], python: str) -> Iterator[Wire]:
    """Start the tools and the gateway, register everything, and take it all away at the end."""
    with tempfile.TemporaryDirectory(prefix="ostiary-evaluation-") as place:
        folder, port = Path(place), _free_port()
        tools = {suite.name: Tools(suite) for suite in suites}
        (folder / "ostiary.toml").write_text(SETTINGS)
        start = {"data": str(folder / "data"), "config": str(folder / "ostiary.toml"), "port": port}
        environment = {name: value for name, value in os.environ.items() if not name.startswith("OSTIARY_")} | {
            "PYTHONPATH": str(ROOT / "src")
        }
        with (folder / "log").open("ab") as log:
            gateway = subprocess.Popen(
                [python, "-c", STARTED, json.dumps(start)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
            )
        try:
            _ready(port, gateway, folder / "log")
            key = (folder / "data" / "operator.key").read_text().strip()
            wire = Wire(port, key, tools, {suite.name: Line(port) for suite in suites})
            for suite in suites[:1]:
                wire.operate(suite.name, "POST", "/v1/declaration", _declared(suites, tools))
            yield wire
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(gateway.pid, signal.SIGKILL)
            gateway.wait(10)
            for each in tools.values():
                each.shutdown()
                each.server_close()


def _declared(suites: list[Suite], tools: Mapping[str, Tools]) -> dict[str, Any]:
    servers = {}
    for suite in suites:
        for name, server in suite.company.servers.items():
            profiles = {tool.name: _profile(tool.profile) for tool in suite.company.tools.values() if tool.server == name}
            url = f"http://127.0.0.1:{tools[suite.name].server_port}/{name}"
            servers[name] = {"url": url, "trust": server.trust, "tools": profiles}
    agent = {"owner": "owner", "purpose": "does what the user asks", "roles": ["assistant"], "servers": sorted(servers)}
    company = {
        "users": {"user": {"roles": ["assistant"]}, "owner": {"groups": ["people"]}},
        "groups": {"people": {}},
        "agents": {"assistant": agent},
        "servers": servers,
        "policies": ["p/"],
    }
    files = {f"p/{path.name}": path.read_text() for path in POLICIES.glob("*.cedar")}
    return {"declarations": {"c.yaml": json.dumps(company)}, "files": files}


def _profile(profile: Profile) -> dict[str, Any]:
    sets = ("control", "payload", "attested", "directory", "labels")
    return {"effect": profile.effect, "external": profile.external, **{name: sorted(getattr(profile, name)) for name in sets}}


def _ready(port: int, gateway: "subprocess.Popen[bytes]", log: Path) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until and gateway.poll() is None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
            connection.request("GET", "/health/ready")
            if connection.getresponse().status == 200:
                return
        time.sleep(0.05)
    raise RuntimeError(f"the gateway did not start: {log.read_text(errors='replace')[-2000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
