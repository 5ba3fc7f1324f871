"""The disk itself fails under the ledger: errors of sync and write system calls, injected from outside."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.gateway import Running, company

STRACE = shutil.which("strace")


@contextmanager
def failing(gateway: Running, calls: str, error: str) -> Iterator[None]:
    """Make system calls of the running gateway fail."""
    assert gateway.process is not None
    log = gateway.folder / "strace.log"
    command = [str(STRACE), "-f", "-q", "-o", str(log), "-e", f"trace={calls}", "-e", f"inject={calls}:error={error}"]
    with (gateway.folder / "tracer.log").open("wb") as said:
        tracer = subprocess.Popen([*command, "-p", str(gateway.process.pid)], stderr=said)
    try:
        until = time.monotonic() + 10
        while _tracer(gateway.process.pid) != tracer.pid and tracer.poll() is None and time.monotonic() < until:
            time.sleep(0.05)
        if tracer.poll() is not None:
            pytest.skip(f"tracing is not allowed here: {(gateway.folder / 'tracer.log').read_text()}")
        time.sleep(0.2)
        yield
    finally:
        tracer.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            tracer.wait(10)
        tracer.kill()
        tracer.wait(10)


def _tracer(pid: int) -> int:
    threads = [int((task / "status").read_text().partition("TracerPid:")[2].split()[0]) for task in Path(f"/proc/{pid}/task").iterdir()]
    return threads[0] if len(set(threads)) == 1 else 0


@pytest.mark.skipif(STRACE is None or os.geteuid() != 0, reason="strace is not installed, or may not trace: scripts/system installs it")
@pytest.mark.parametrize(("calls", "error"), [("fsync,fdatasync", "EIO"), ("pwrite64", "ENOSPC")])
def test_a_disk_that_fails_stops_actions_and_loses_nothing(tmp_path: Path, calls: str, error: str) -> None:
    """R-P4, R-L2: no receipt, no execution; what failed is never retried into an answer; a restart recovers, and all verifies."""
    with company(tmp_path) as gateway:
        token = gateway.session()
        before = [gateway.chat(token), gateway.pay(token, 1, "before")]
        assert [answer.status for answer in before] == [200, 200]
        paid = len(gateway.paid)
        with failing(gateway, calls, error):
            refused = gateway.chat(token)
            assert (refused.status, refused.json["error"]["code"]) == (503, "unavailable"), refused.body
            answer = gateway.pay(token, 2, "during")
            assert b'"error"' in answer.body, answer.body
            assert len(gateway.paid) == paid, "it was paid without a receipt"
            assert gateway.ask("GET", "/health/ready").status == 503
            assert gateway.ask("GET", "/health/live").status == 200
        assert gateway.chat(token).status == 503, "a failed sync is not believed to have healed"
        assert len(gateway.paid) == paid
        gateway.leave()
        gateway.start()
        assert gateway.chat(token).status == 200
        assert "result" in gateway.pay(token, 3, "after").json
        known = {entry["id"] for entry in gateway.entries()}
        assert {answer.decision for answer in before} <= known
        assert gateway.leave() == 0
        verified = gateway.run("audit", "verify", str(gateway.data))
        assert verified.returncode == 0, verified.stdout
