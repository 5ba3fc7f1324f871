"""Upstreams that lie, break off, never end or burst, through the whole gateway: a clear error of the wire, no hang, nothing lost."""

import contextlib
import gzip
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateway import MODERN, VERSION, Running, company, rpc

MOST_MB = 260
"""What the gateway may hold of memory whatever its upstreams send (about 150 when it does nothing)."""
BOMB = gzip.compress(bytes(64 * 1024 * 1024))
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"


def _flood(line: socket.socket) -> None:
    line.sendall(HEAD + b"transfer-encoding: chunked\r\n\r\n")
    piece = b"10000\r\n" + b"a" * 65536 + b"\r\n"
    for _ in range(4096):
        line.sendall(piece)


def _drip(line: socket.socket) -> None:
    line.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
    for _ in range(600):
        line.sendall(b"8\r\n: wait\n\n\r\n")
        time.sleep(0.05)


def _raw(answer: bytes) -> Callable[[socket.socket], None]:
    return lambda line: line.sendall(answer)


LIES: dict[str, Callable[[socket.socket], None]] = {
    "garbage": _raw(b"\x00\xff this is no HTTP\r\n\r\n"),
    "silence": _raw(b""),
    "truncated": _raw(HEAD + b'content-length: 500\r\n\r\n{"id": "c", "choices": ['),
    "torn-chunk": _raw(HEAD + b"transfer-encoding: chunked\r\n\r\nff\r\n{"),
    "two-lengths": _raw(HEAD + b"content-length: 2\r\ncontent-length: 30\r\n\r\n{}"),
    "bomb": _raw(HEAD + b"content-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(BOMB) + BOMB),
    "declared-huge": _raw(HEAD + b"content-length: 99999999999\r\n\r\n{"),
    "enormous": _flood,
    "no-json": _raw(HEAD + b"content-length: 4\r\n\r\n{{{{"),
    "another-shape": _raw(HEAD + b'content-length: 13\r\n\r\n["surprised"]'),
    "a-page": _raw(b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 4\r\n\r\n<h1>"),
    "elsewhere": _raw(b"HTTP/1.1 307 Temporary Redirect\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n"),
    "endless-head": _raw(b"HTTP/1.1 200 OK\r\n" + b"x-a: b\r\n" * 200_000),
    "deep": _raw(HEAD + b"content-length: 200000\r\n\r\n" + b"[" * 200_000),
}


@contextmanager
def liar() -> Iterator[int]:
    """Listen on loopback: `/NAME/…` answers as that lie does, to MCP only once a tool is called."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve(line: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError, IndexError), line:
            line.settimeout(20)
            file = line.makefile("rb")
            path = file.readline().split()[1].decode().split("/")[1]
            length = 0
            while (header := file.readline()).strip():
                if header.lower().startswith(b"content-length:"):
                    length = int(header.split(b":")[1])
            asked = json.loads(file.read(length) or b"{}")
            result = _honest(asked)
            if result is None:
                LIES[path](line) if path != "drip" else _drip(line)
            else:
                body = json.dumps({"jsonrpc": "2.0", "id": asked.get("id"), **result}).encode()
                line.sendall(HEAD + b"connection: close\r\ncontent-length: %d\r\n\r\n" % len(body) + body)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listening.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listening.getsockname()[1]
    finally:
        listening.close()


def _honest(asked: dict[str, Any]) -> dict[str, Any] | None:
    """Return what an MCP server says until it is asked to do something; None for a tool call, or a model's request."""
    method = asked.get("method")
    if method == "initialize":
        hello = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": {"name": "liar", "version": "1"}}
        return {"result": hello}
    if method == "tools/list":
        return {"result": {"tools": [{"name": "do", "description": "Does something.", "inputSchema": {"type": "object"}}]}}
    if method == "tools/call" or method is None:
        return None
    return {"error": {"code": -32601, "message": "no such method"}} if "id" in asked else {"result": {}}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A gateway with a model of each wire and an MCP server for each lie."""
    with liar() as port, company(tmp_path_factory.mktemp("liars")) as running:
        names, url = [*LIES, "drip"], f"http://127.0.0.1:{port}"
        declared = running.declaration()
        models = {f"{wire}-{name}": {"provider": wire, "url": f"{url}/{name}"} for wire in ("openai", "anthropic") for name in names}
        servers = {
            f"s-{name}": {"url": f"{url}/{name}/mcp", "tools": {"do": {"effect": "reversible", "external": False}}} for name in names
        }
        running.apply(
            models={**declared["models"], **models},
            servers={**declared["servers"], **servers},
        )
        policy = '@id("all") permit (principal in Role::"clerk", action, resource);'
        running.operator.post("/v1/policies/apply", {"files": {"p/a.cedar": policy}, "why": "a test says so"})
        yield running


@pytest.fixture(scope="module")
def token(gateway: Running) -> str:
    return gateway.session(scopes=["model:openai-*", "model:anthropic-*", "tool:s-*/do"])


def ask(gateway: Running, token: str, wire: str, name: str, *, is_stream: bool = False) -> Any:
    """Ask a lying upstream through one wire."""
    if wire == "mcp":
        headers = MODERN | {"Mcp-Method": "tools/call", "Mcp-Name": "do"}
        return gateway.ask("POST", f"/mcp/s-{name}", rpc("tools/call", {"name": "do", "arguments": {}}), token, headers)
    path = "/openai/v1/chat/completions" if wire == "openai" else "/anthropic/v1/messages"
    messages = [{"role": "user", "content": "hi"}]
    return gateway.ask("POST", path, {"model": f"{wire}-{name}", "max_tokens": 50, "messages": messages, "stream": is_stream}, token)


def memory_mb(gateway: Running) -> float:
    assert gateway.process is not None
    status = Path(f"/proc/{gateway.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


@pytest.mark.parametrize("name", LIES)
@pytest.mark.parametrize(
    ("wire", "is_stream"), [("openai", False), ("openai", True), ("anthropic", False), ("anthropic", True), ("mcp", False)]
)
def test_a_lie_becomes_a_clear_error(gateway: Running, token: str, name: str, wire: str, is_stream: bool) -> None:
    """R-P4, R-B2, R-B4: in the wire's own shape, before the client gives up, with bounded memory; the outcome says that it failed."""
    answer = ask(gateway, token, wire, name, is_stream=is_stream)
    said = answer.json
    if wire == "mcp":
        assert said["error"]["code"] < 0 or said["result"]["isError"], said
    else:
        assert answer.status >= 400
        assert said["error"]["message"], said
        assert wire == "openai" or said["type"] == "error"
    assert b"Traceback" not in answer.body
    assert b"surprised" not in answer.body or wire == "mcp"
    assert memory_mb(gateway) < MOST_MB
    outcomes = gateway.entries(intent=answer.decision, limit=10)
    assert [entry["kind"] for entry in outcomes] == ["outcome"], outcomes
    assert outcomes[0]["code"], outcomes


@pytest.mark.parametrize("wire", ["openai", "anthropic", "mcp"])
def test_an_answer_that_never_ends_is_given_up_with_the_client(gateway: Running, token: str, wire: str) -> None:
    """R-P4: whoever hangs up ends it upstream, too, and what was begun is recorded as ended."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    path = {"openai": "/openai/v1/chat/completions", "anthropic": "/anthropic/v1/messages", "mcp": "/mcp/s-drip"}[wire]
    body: Any = {"model": f"{wire}-drip", "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}], "stream": True}
    if wire == "mcp":
        body = rpc("tools/call", {"name": "do", "arguments": {}})
        headers |= MODERN | {"Mcp-Method": "tools/call", "Mcp-Name": "do", "MCP-Protocol-Version": VERSION}
    raw = json.dumps(body).encode()
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    before = len(gateway.entries(kind="outcome", code="cancelled", limit=100))
    with socket.create_connection(("127.0.0.1", gateway.port), 10) as line:
        line.sendall(f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{head}Content-Length: {len(raw)}\r\n\r\n".encode() + raw)
        time.sleep(1)
    until = time.monotonic() + 15
    while time.monotonic() < until and len(gateway.entries(kind="outcome", code="cancelled", limit=100)) == before:
        time.sleep(0.1)
    assert len(gateway.entries(kind="outcome", code="cancelled", limit=100)) == before + 1


def test_nothing_is_lost_and_all_of_it_verifies(gateway: Running) -> None:
    """R-L2: every action that was allowed has its outcome, and the gateway serves on."""
    assert gateway.chat(gateway.session()).status == 200
    entries = gateway.entries()
    allowed = {entry["id"] for entry in entries if entry["kind"] == "intent" and entry["decision"] == "allow"}
    assert allowed <= {entry["intent"] for entry in entries if entry["kind"] == "outcome"}
    assert "Traceback" not in gateway.log, gateway.log[-3000:]
    assert gateway.leave() == 0
    assert gateway.run("audit", "verify", str(gateway.data)).returncode == 0
