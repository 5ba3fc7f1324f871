"""A gateway whose disk fills up while it works: actions are refused, reading goes on, and space brings it back."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.gateway import company

SIZE = 120 * 1024 * 1024


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Return a folder on a small disk of its own."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(disk)], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("mounting a small disk takes root")
    return disk


def test_a_full_disk_refuses_actions_and_loses_nothing(small: Path) -> None:
    """R-P4: nothing acts unrecorded; what was acknowledged stays; after space returns, at most a restart is needed."""
    try:
        with company(small) as gateway:
            token = gateway.session()
            assert gateway.chat(token).status == 200
            with (small / "filler").open("wb") as filler:
                try:
                    while True:
                        filler.write(bytes(1 << 20))
                        filler.flush()
                except OSError:
                    pass
            paid = len(gateway.paid)
            for _ in range(100):
                if gateway.ask("GET", "/health/ready").status == 503:
                    break
                gateway.chat(token)
            refused = gateway.chat(token)
            assert (refused.status, refused.json["error"]["code"]) == (503, "unavailable")
            assert b'"error"' in gateway.pay(token).body
            assert len(gateway.paid) == paid
            assert gateway.operator.get("/v1/agents")["items"]
            assert gateway.ask("GET", "/health/live").status == 200
            (small / "filler").unlink()
            gateway.leave()
            gateway.start()
            assert gateway.chat(token).status == 200
            assert gateway.leave() == 0
            assert gateway.run("audit", "verify", str(gateway.data)).returncode == 0
    finally:
        subprocess.run(["umount", "-l", str(small)], check=False)


def test_an_agent_is_stopped_while_the_disk_is_nearly_full(tmp_path: Path) -> None:
    """LEDGER, 'a break-glass admin path': below the watermark no action runs, and an operator isolates and closes, on the record."""
    with company(tmp_path) as gateway:
        token = gateway.session()
        assert gateway.chat(token).status == 200
        gateway.leave()
        settings = gateway.data / "ostiary.toml"
        watermark = f"[ledger]\nmin_free_bytes = {shutil.disk_usage(tmp_path).free * 2}\n"
        settings.write_text(settings.read_text().replace("[ledger]\n", watermark, 1))
        gateway.start()
        assert gateway.chat(token).status == 503
        ran = gateway.run("agent", "isolate", "bot", "--why", "it fills the disk", "--json")
        assert ran.returncode == 0, ran.stderr
        isolated = gateway.entries(family="change")[0]
        assert (isolated["action"], isolated["resource"]) == ("change_agent", "agents/bot")
        assert gateway.chat(token).status in {401, 403, 503}
