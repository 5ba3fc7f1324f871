"""A storm of hostile requests at every door of a running gateway: each is refused in a shape, and the gateway still serves."""

import gzip
import json
import socket
import time
from pathlib import Path

from tests.support.gateway import Answer, Running, company, encoded

DOORS = {
    "openai": "/openai/v1/chat/completions",
    "anthropic": "/anthropic/v1/messages",
    "mcp": "/mcp/payments",
    "oauth": "/oauth/token",
    "control": "/v1/sessions",
    "declaration": "/v1/declaration",
}
BODIES: dict[str, bytes] = {
    "empty": b"",
    "not json": b"\x00\xff\xfe{",
    "cut": b'{"model": "assistant", "messages": [',
    "a list": b"[]",
    "a number": b"1e999",
    "not a number": b'{"model": NaN}',
    "duplicate keys": b'{"model": "assistant", "model": "other", "messages": []}',
    "wrong types": b'{"model": [], "messages": {}, "jsonrpc": 2, "method": [], "params": 1, "agent": {}, "scopes": 1}',
    "deep": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "a huge number": b'{"model": ' + b"9" * 100_000 + b"}",
    "lone surrogate": b'{"model": "\\ud800", "messages": [{"role": "user", "content": "\\udfff"}]}',
    "zero byte": b'{"model": "a\\u0000b", "messages": [{"role": "user", "content": "x"}]}',
    "many keys": json.dumps({str(number): number for number in range(50_000)}).encode(),
    "large": b'{"model": "' + b"a" * 20_000_000 + b'"}',
    "unknown model": b'{"model": "nobody", "messages": [{"role": "user", "content": "x"}], "max_tokens": 1}',
}
HEADERS = {
    "plain": {},
    "compressed": {"Content-Encoding": "gzip"},
    "text": {"Content-Type": "text/plain"},
    "form": {"Content-Type": "application/x-www-form-urlencoded"},
    "utf-16": {"Content-Type": "application/json; charset=utf-16"},
}
RAW = {
    "two lengths": b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "length and chunks": b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "bad chunk": b"POST %s HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "huge chunk": b"POST %s HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
    "negative": b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    "headers": b"POST %s HTTP/1.1\r\nHost: localhost\r\n" + b"A: b\r\n" * 20_000 + b"\r\n",
    "two hosts": b"POST %s HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\nContent-Length: 2\r\n\r\n{}",
    "no host": b"POST %s HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}",
    "not http": b"\x16\x03\x01%s\r\n\r\n",
}
MAX_GROWTH = 160 * 1024 * 1024


def resident(gateway: Running) -> int:
    """Return how much memory the gateway holds, in bytes."""
    assert gateway.process is not None
    lines = Path(f"/proc/{gateway.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))


def unhandled(name: str, answer: Answer) -> str:
    """Return what is wrong with a refusal, if anything is."""
    if answer.status >= 500:
        return f"{name}: {answer.status} {answer.body[:200]!r}"
    return f"{name}: not an error" if answer.status == 200 and b'"error"' not in answer.body else ""


def test_a_storm_of_bodies_changes_nothing(tmp_path: Path) -> None:
    """R-K3: nothing is allowed, nothing fails inside, nothing is kept, and the gateway serves afterwards."""
    with company(tmp_path) as gateway:
        token, operator = gateway.session(), (gateway.data / "operator.key").read_text().strip()
        assert gateway.chat(token).status == 200
        before, wrong = resident(gateway), []
        for door, path in DOORS.items():
            key = operator if path.startswith("/v1") else token
            for body_name, body in BODIES.items():
                for header_name, headers in HEADERS.items() if body_name in {"empty", "unknown model"} else {"plain": {}}.items():
                    sent = gzip.compress(body) if header_name == "compressed" else body
                    try:
                        wrong.append(unhandled(f"{door} {body_name} {header_name}", gateway.ask("POST", path, sent, key, headers)))
                    except (ConnectionError, BrokenPipeError):
                        assert len(body) > 60_000, f"{door} {body_name}"  # refused at its size while it is sent
            for method in ("GET", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"):
                answer = gateway.ask(method, path, None, key)
                wrong.append(f"{door} {method}: {answer.status}" if answer.status >= 500 else "")
            wrong += [unhandled(f"{door} nowhere", gateway.ask("POST", f"{path}/../nowhere/%00/%ff", {}, key))]
        wrong.append(unhandled("query", gateway.ask("GET", encoded("/v1/audit", limit="-1", after="\x00"), None, operator)))
        assert [each for each in wrong if each] == []
        assert gateway.chat(token).status == 200
        assert gateway.paid == []
        assert resident(gateway) - before < MAX_GROWTH
        assert "Traceback" not in gateway.log, gateway.log[-3000:]


def test_broken_http_and_slow_clients_hold_nothing_up(tmp_path: Path) -> None:
    """R-K3: what is not one clear request ends with 4xx or a closed connection; those who drip stop nobody else."""
    with company(tmp_path) as gateway:
        token = gateway.session()
        dripping = [socket.create_connection(("127.0.0.1", gateway.port), 5) for _ in range(100)]
        for each in dripping:
            each.sendall(b"POST /openai/v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
        for name, request in RAW.items():
            for path in DOORS.values():
                with socket.create_connection(("127.0.0.1", gateway.port), 5) as line:
                    try:
                        line.sendall(request.replace(b"%s", path.encode()))
                        line.shutdown(socket.SHUT_WR)
                        answer = line.recv(65536)
                    except ConnectionError:
                        answer = b""
                assert answer == b"" or answer.startswith(b"HTTP/1.1 4"), f"{name} {path}: {answer[:200]!r}"
        begun = time.monotonic()
        assert gateway.chat(token).status == 200
        assert time.monotonic() - begun < 5
        for each in dripping:
            each.close()
        assert gateway.chat(token).status == 200
        assert "Traceback" not in gateway.log, gateway.log[-3000:]


def test_names_and_pages_of_elsewhere_reach_no_path(tmp_path: Path) -> None:
    """R-S3: Host and Origin are looked at on every path, probes and metrics too; metrics hold no credential."""
    with company(tmp_path) as gateway:
        token = gateway.session()
        for path in ("/v1/agents", "/health/live", "/health/ready", "/metrics", "/docs", "/v1/openapi.json", "/nowhere", *DOORS.values()):
            assert gateway.ask("GET", path, None, token, {"Host": "evil.example"}).status == 421, path
            assert gateway.ask("GET", path, None, token, {"Origin": "https://evil.example"}).status == 403, path
        metrics = gateway.ask("GET", "/metrics").body.decode()
        operator = (gateway.data / "operator.key").read_text().strip()
        assert not [secret for secret in (token, operator, "alice", "DE89") if secret in metrics]
