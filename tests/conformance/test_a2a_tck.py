"""The A2A project's compatibility kit against an agent of the Python SDK, direct and through the gateway."""

import asyncio
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ostiary.core.ports import Credential
from ostiary.protocols.wire import Call
from tests.support.a2a_agent import SdkAgent
from tests.support.a2a_world import world
from tests.support.listening import listening
from tests.support.shared_data import shared

HERE = Path(__file__).parent
ALLOW_ALL = '@id("all") permit (principal, action, resource);'
LOCK = HERE / "a2a-tck.txt"
AT_LEAST = 118


async def _run(*command: str, cwd: Path) -> str:
    process = await asyncio.create_subprocess_exec(*command, cwd=cwd, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT)
    async with asyncio.timeout(400):
        output, _ = await process.communicate()
    return output.decode(errors="replace")


async def _python() -> Path:
    """Install what the kit needs once a lock file, apart from what the project needs."""
    cache = os.environ.get("OSTIARY_CACHE") or os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    home = Path(cache) / "ostiary" / f"a2a-tck-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]}"
    python = home / "bin/python"
    if not (home / "ready").exists():
        await _run(sys.executable, "-m", "venv", str(home), cwd=HERE)
        output = await _run(str(python), "-m", "pip", "install", "-q", "--require-hashes", "-r", str(LOCK), cwd=HERE)
        probe = await _run(str(python), "-c", "import pytest_html, grpc, gherkin, jsonschema, httpx; print('fine')", cwd=HERE)
        assert "fine" in probe, output + probe
        (home / "ready").touch()
    return python


async def _requirements(url: str, folder: Path) -> dict[str, Any]:
    """Run the kit from a copy and return what it says of each requirement."""
    shutil.copytree(shared("targets/a2a-tck"), folder, ignore=shutil.ignore_patterns(".git", "reports"))
    python = await _python()
    command = (str(python), "run_tck.py", "--sut-host", url, "--transport", "jsonrpc,http_json")
    output = await _run(*command, cwd=folder)
    report = folder / "reports/compatibility.json"
    assert report.exists(), output[-3000:]
    found: dict[str, Any] = json.loads(report.read_bytes())
    return found


def _passed(report: Mapping[str, Any], level: str) -> set[tuple[str, str]]:
    """Return the requirements of a level that hold, by transport."""
    return {
        (name, transport)
        for name, requirement in report["per_requirement"].items()
        if requirement["level"] == level
        for transport, result in requirement["transports"].items()
        if result == "PASS"
    }


async def test_no_requirement_is_lost_through_the_gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """R-B1, R-K1: all that holds for the agent alone holds for the gateway before it, with policy, controls and provenance on.

    The kit can send no credential, so the listener of this test takes each caller for the one session it lends.
    """
    alone = SdkAgent()
    async with listening(alone) as address:
        alone.at(address)
        direct = await _requirements(f"http://{address}", tmp_path / "direct")
    async with world(tmp_path / "data", ALLOW_ALL, sut=SdkAgent()) as here:
        monkeypatch.setattr(Call, "credential", lambda self, door: Credential(here.token, door, self.ip))
        through = await _requirements(f"{here.url}/a2a/sut", tmp_path / "through")
    lost = {level: sorted(_passed(direct, level) - _passed(through, level)) for level in ("MUST", "SHOULD", "MAY")}
    assert lost == {"MUST": [], "SHOULD": [], "MAY": []}
    assert len(_passed(through, "MUST")) >= AT_LEAST
