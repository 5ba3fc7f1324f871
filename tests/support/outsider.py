"""A running gateway as an outsider meets it: `ostiary` as a subprocess, HTTP, and a company of upstreams it has never heard of."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2 as httpx

from tests.support.outsider_upstreams import Upstream

DECLARATION = """
users:
  alice: {{email: alice@example.com, roles: [clerk], attributes: {{department: finance}}}}
  bob:   {{email: bob@example.com, roles: [lead], groups: [finance]}}
  carol: {{roles: [clerk], groups: [finance]}}
groups:
  finance: {{}}
  moving: {{tools: [depot/ship, vault/ship]}}
agents:
  porter: {{owner: bob, purpose: moves goods, roles: [clerk], model: parrot, servers: [depot, vault], manifest: {{prompt: prompts/porter.md}}}}
  loner: {{owner: bob, purpose: counts shelves, roles: [counter], servers: [vault], autonomous: true, scopes: ["tool:vault/look"]}}
models:
  parrot: {{provider: openai, url: "{url}/v1", credential: secret:parrot, accepts: [public, internal, pii]}}
  far:    {{provider: anthropic, url: "{url}", credential: secret:parrot, accepts: [public, pii]}}
servers:
  depot: {{url: "{url}/mcp", trust: untrusted}}
  vault:
    command: ["{python}", "-m", "tests.support.outsider_upstreams", "{log}"]
    environment: {{PYTHONPATH: "{root}"}}
    trust: trusted
    tools:
      look: {{effect: read, external: false, control: [], payload: [shelf]}}
      ship: {{effect: irreversible, external: true, control: [to], payload: [note]}}
      burn: {{effect: irreversible, external: false, control: [shelf]}}
      tell: {{effect: reversible, external: false, control: [], payload: [text]}}
apis:
  bank: {{url: "https://api.bank.example", methods: [GET], credential: {{secret: bank, as: bearer}}, rate: 10/s}}
sources:
  crm: {{kind: sql, url: "postgresql://crm.example/crm", tables: {{accounts: {{labels: [pii], columns: {{ssn: [pii, secret]}}}}}}}}
policies: [policies/]
"""


def environment() -> dict[str, str]:
    """Return this process's environment without any setting of the product."""
    return {name: value for name, value in os.environ.items() if not name.startswith("OSTIARY_")}


def ostiary(
    *arguments: str, stdin: str = "", cwd: Path | None = None, extra: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end."""
    command = [sys.executable, "-m", "ostiary", *arguments]
    return subprocess.run(
        command, input=stdin, capture_output=True, text=True, timeout=60, check=False, cwd=cwd, env={**environment(), **(extra or {})}
    )


@dataclass
class Outside:
    """The gateway, its company, and what reached the company."""

    data: Path
    folder: Path
    url: str
    upstream: Upstream
    process: subprocess.Popen[str]

    def run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command on the gateway's machine."""
        return ostiary("--data", str(self.data), *arguments, stdin=stdin, cwd=self.folder)

    def run_as(self, key: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command from elsewhere, with an operator's key."""
        return ostiary("--url", self.url, *arguments, extra={"OSTIARY_TOKEN": key})

    def rows(self, *arguments: str) -> list[dict[str, Any]]:
        """Run a command that answers with one object a line."""
        ran = self.run(*arguments, "--json")
        assert ran.returncode == 0, ran.stderr
        return [json.loads(line) for line in ran.stdout.splitlines()]

    def session(self, *scopes: str, agent: str = "porter", user: str = "alice", purpose: str = "tidy up") -> dict[str, Any]:
        """Open a session and return what was printed."""
        lent = [word for scope in scopes for word in ("--scope", scope)]
        ran = self.run("session", "open", "--agent", agent, "--user", user, *lent, "--purpose", purpose, "--json")
        assert ran.returncode == 0, ran.stderr
        opened: dict[str, Any] = json.loads(ran.stdout)
        return opened

    def policies(self, text: str) -> None:
        """Make this text the policy, over the control API."""
        key = (self.data / "operator.key").read_text().strip()
        body = {"files": {"policies/all.cedar": text}, "why": "a test says so"}
        with httpx.Client(trust_env=False, timeout=20) as http:
            answer = http.post(f"{self.url}/v1/policies/apply", json=body, headers={"authorization": f"Bearer {key}"})
        assert answer.status_code == 200, answer.text

    def check(self, text: str) -> list[dict[str, Any]]:
        """Return what `policy check` says of this text."""
        file = self.folder / "checked" / "all.cedar"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        said: list[dict[str, Any]] = json.loads(self.run("policy", "check", str(file.parent), "--json").stdout)["problems"]
        return said

    def arrived(self) -> list[dict[str, Any]]:
        """Return the tool calls that reached the servers."""
        log = self.folder / "calls.jsonl"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    def call(self, token: str, server: str, tool: str, /, **arguments: object) -> dict[str, Any]:
        """Call a tool as a plain JSON-RPC client and return the message that came back."""
        version = "2025-06-18"
        headers = {"authorization": f"Bearer {token}", "accept": "application/json, text/event-stream"}
        with httpx.Client(base_url=self.url, headers=headers, trust_env=False, timeout=20) as http:
            hello = {"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "o", "version": "1"}}
            first = http.post(f"/mcp/{server}", json={"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello})
            assert first.status_code == 200, first.text
            http.headers["mcp-protocol-version"] = version
            if "mcp-session-id" in first.headers:
                http.headers["mcp-session-id"] = first.headers["mcp-session-id"]
            http.post(f"/mcp/{server}", json={"jsonrpc": "2.0", "method": "notifications/initialized"})
            asked = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
            answer = http.post(f"/mcp/{server}", json=asked)
        return {"headers": dict(answer.headers), "status": answer.status_code, **message(answer)}

    def outcome(self, token: str, server: str, tool: str, /, **arguments: object) -> str:
        """Return `done`, or the code of the refusal."""
        said = self.call(token, server, tool, **arguments)
        if "error" in said:
            return str((said["error"].get("data") or {}).get("code", said["error"]))
        return "error" if said["result"].get("isError") else "done"


def message(answer: httpx.Response) -> dict[str, Any]:
    """Read the JSON-RPC message of an answer, as JSON or as the last event."""
    text = answer.text
    if answer.headers.get("content-type", "").startswith("text/event-stream"):
        text = [line[5:] for line in text.splitlines() if line.startswith("data:") and line[5:].strip()][-1]
    said: dict[str, Any] = json.loads(text)
    return said


@contextmanager
def outside(folder: Path, policies: str) -> Iterator[Outside]:
    """Start everything, apply the declaration, and end everything."""
    data, log = folder / "data", folder / "calls.jsonl"
    (folder / "policies").mkdir()
    (folder / "prompts").mkdir()
    (folder / "prompts/porter.md").write_text("You move goods.")
    (folder / "policies/all.cedar").write_text(policies)
    upstream = Upstream(log)
    root = Path(__file__).parents[2]
    (folder / "company.yaml").write_text(DECLARATION.format(url=upstream.url, python=sys.executable, log=log, root=root))
    command = [sys.executable, "-m", "ostiary", "--data", str(data), "up", "--port", "0", "--json"]
    with (folder / "talk.txt").open("w") as talk:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=talk, text=True, env=environment(), cwd=folder)
    assert process.stdout is not None
    try:
        ready = json.loads(process.stdout.readline() or "{}")
        gateway = Outside(data, folder, ready["url"], upstream, process)
        for name in ("parrot", "bank"):
            assert gateway.run("secret", "set", name, stdin=f"sk-up-{name}").returncode == 0
        applied = gateway.run("apply", "company.yaml", "--json")
        assert applied.returncode == 0, applied.stdout + applied.stderr
        yield gateway
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()
        upstream.close()
