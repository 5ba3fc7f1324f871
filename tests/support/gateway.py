"""A whole gateway as people run it, `ostiary up` in a process of its own, with a model and a payments server behind it."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ostiary.cli.client import Client

OSTIARY = [sys.executable, "-m", "ostiary"]
START_S = 30.0
POLICY = """
@id("clerks-use-models") @because("clerks may use models")
permit (principal in Role::"clerk", action == Action::"generate", resource);
@id("clerks-pay") @because("clerks may pay")
permit (principal in Role::"clerk", action in Action::"payments", resource);
@id("over-1000") @because("payments over 1000 need finance")
@approval("finance")
forbid (principal, action == Action::"payments/pay", resource)
when { context.arguments.amount.greaterThan(decimal("1000.0")) }
unless { context has approval && context.approval.group == "finance" };
"""
SCOPES = ("tool:payments/*", "model:assistant")


def environment() -> dict[str, str]:
    """Return our environment without settings of other gateways."""
    return {name: value for name, value in os.environ.items() if not name.startswith("OSTIARY_")}


def ostiary(data: Path, *arguments: str, timeout: float = 30) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    command = [*OSTIARY, "--data", str(data), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False, env=environment())


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True)
class Answer:
    """One HTTP answer, read to its end."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def decision(self) -> str:
        return self.headers.get("x-ostiary-decision", "")


@dataclass
class Running:
    """A gateway's folder, and its process while there is one."""

    folder: Path
    model_port: int
    port: int = field(default_factory=free_port)
    options: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def log(self) -> str:
        return (self.folder / "gateway.log").read_text(errors="replace")

    @property
    def paid(self) -> list[dict[str, Any]]:
        """Every payment that really happened."""
        path = self.folder / "paid"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def operator(self) -> Client:
        return Client(f"http://127.0.0.1:{self.port}", (self.data / "operator.key").read_text().strip())

    def start(self) -> None:
        """Start the gateway and wait until it is ready; its end and its log are the failure's message."""
        command = [*OSTIARY, "--data", str(self.data), "up", "--port", str(self.port), *self.options]
        with (self.folder / "gateway.log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment(), start_new_session=True
            )
        until = time.monotonic() + START_S
        while time.monotonic() < until and self.process.poll() is None:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self.ask("GET", "/health/ready").status == 200:
                    return
            time.sleep(0.05)
        raise AssertionError(f"the gateway did not start: {self.log[-3000:]}")

    def strike(self) -> None:
        """Kill it and all it started, without a word of warning."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)
            self.process = None

    def leave(self, *signals: int) -> int:
        """Send it signals and return its exit code."""
        assert self.process is not None
        for number in signals or (signal.SIGTERM,):
            self.process.send_signal(number)
        code = self.process.wait(20)
        self.process = None
        return code

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command on the gateway's machine."""
        return ostiary(self.data, *arguments)

    def apply(self, **changes: Any) -> None:
        """Register the company: people, an agent, a model, a payments server, policies."""
        self.operator.post(
            "/v1/declaration", {"declarations": {"c.yaml": json.dumps(self.declaration() | changes)}, "files": {"p/a.cedar": POLICY}}
        )

    def declaration(self) -> dict[str, Any]:
        payments = {
            "command": [sys.executable, "-m", "ostiary.demo.payments"],
            "environment": {"PAID_FILE": str(self.folder / "paid")},
            "trust": "trusted",
            "tools": {
                "list_payees": {"effect": "read", "external": False, "directory": ["payees.iban"]},
                "pay": {"effect": "irreversible", "external": True, "control": ["iban", "amount"], "payload": ["reference"]},
            },
        }
        bot = {"owner": "bob", "purpose": "pays", "roles": ["clerk"], "model": "assistant", "servers": ["payments"]}
        model = {"provider": "openai", "url": f"http://127.0.0.1:{self.model_port}/v1", "accepts": ["public", "internal", "pii"]}
        return {
            "users": {"alice": {"email": "a@example.com", "roles": ["clerk"]}, "bob": {"roles": ["clerk"], "groups": ["finance"]}},
            "groups": {"finance": {}},
            "agents": {"bot": bot},
            "models": {"assistant": model},
            "servers": {"payments": payments},
            "policies": ["p/"],
        }

    def session(self, **more: Any) -> str:
        """Lend alice's rights to the agent; return the token."""
        body = {"agent": "bot", "user": "alice", "scopes": list(SCOPES), "purpose": "Pay 4 EUR to DE89370400440532013000."} | more
        return str(self.operator.post("/v1/sessions", body)["token"])

    def ask(self, method: str, path: str, body: Any = None, token: str = "", headers: Mapping[str, str] | None = None) -> Answer:
        """Send one request on a connection of its own."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)) as line:
            raw = body if isinstance(body, bytes | None) else json.dumps(body).encode()
            sent = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"} | dict(headers or {})
            line.request(method, path, raw, sent | ({"Authorization": f"Bearer {token}"} if token else {}))
            got = line.getresponse()
            return Answer(got.status, {name.lower(): value for name, value in got.getheaders()}, got.read())

    def chat(self, token: str, text: str = "Say hello.") -> Answer:
        return self.ask(
            "POST", "/openai/v1/chat/completions", {"model": "assistant", "messages": [{"role": "user", "content": text}]}, token
        )

    def pay(self, token: str, amount: float = 4, reference: str = "r", iban: str = "DE89370400440532013000") -> Answer:
        arguments = {"iban": iban, "amount": amount, "reference": reference}
        return self.ask(
            "POST",
            "/mcp/payments",
            rpc("tools/call", {"name": "pay", "arguments": arguments}),
            token,
            MODERN | {"Mcp-Method": "tools/call", "Mcp-Name": "pay"},
        )

    def entries(self, **query: Any) -> list[dict[str, Any]]:
        return list(self.operator.pages("/v1/audit", **query))


VERSION = "2026-07-28"
MODERN = {"MCP-Protocol-Version": VERSION}


def rpc(method: str, params: dict[str, Any]) -> dict[str, Any]:
    """Return a stateless MCP request."""
    meta = {"io.modelcontextprotocol/protocolVersion": VERSION, "io.modelcontextprotocol/clientCapabilities": {}}
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params | {"_meta": meta}}


def encoded(path: str, **query: str) -> str:
    """Return a path with a query."""
    return f"{path}?{urllib.parse.urlencode(query)}"


@contextmanager
def company(folder: Path, *, start: bool = True) -> Iterator[Running]:
    """Run a model and a gateway with everything registered; take both away at the end."""
    port = free_port()
    command = [sys.executable, "-m", "ostiary.demo.model", str(port), str(folder / "received")]
    with (folder / "model.log").open("ab") as log:
        model = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment())
    gateway = Running(folder, port)
    try:
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.05)
        if start:
            gateway.start()
            gateway.apply()
        yield gateway
    finally:
        gateway.strike()
        model.kill()
        model.wait(10)
