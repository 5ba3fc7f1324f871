"""The sample company running: its servers, its model, its gateway, each a process of its own, in a folder that goes away."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import tempfile
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from ostiary.cli.client import Client
from ostiary.core.errors import Unavailable

COMPANY = Path(__file__).parent / "company"
STARTER_PACK = resources.files("ostiary.policy.packs") / "starter"
START_S = 30.0
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a type, not a token
SCOPES = "tool:mail/* tool:payments/* tool:files/read model:assistant"


@dataclass(slots=True)
class World:
    """Where everything is, and how people and agents of the company reach it."""

    folder: Path
    ports: dict[str, int]
    processes: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)
    agent_key: str = ""

    @property
    def data(self) -> Path:
        """The gateway's data directory."""
        return self.folder / "data"

    @property
    def url(self) -> str:
        """The gateway's address."""
        return f"http://127.0.0.1:{self.ports['gateway']}"

    @property
    def operator(self) -> Client:
        """The control API as the operator of the gateway's machine."""
        return Client(self.url, (self.data / "operator.key").read_text().strip())

    def lines(self, name: str) -> list[str]:
        """What a server of the company has written down: `paid`, `sent`, `received`."""
        path = self.folder / name
        return path.read_text().splitlines() if path.exists() else []

    async def start(self, name: str, *command: str, environment: dict[str, str] | None = None) -> None:
        """Start one process and wait until it answers."""
        env = {**os.environ, **(environment or {})}
        log = (self.folder / f"{name}.log").open("ab")
        with log:
            self.processes[name] = await asyncio.create_subprocess_exec(
                sys.executable, *command, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, env=env, start_new_session=True
            )

    async def ready(self, name: str, path: str = "/health") -> None:
        """Wait until a process answers. Raises Unavailable with the end of its log."""
        process = self.processes[name]
        for _ in range(round(START_S / 0.05)):
            if process.returncode is not None:
                break
            if await asyncio.to_thread(_answers, f"http://127.0.0.1:{self.ports[name]}{path}"):
                return
            await asyncio.sleep(0.05)
        raise Unavailable(f"`{name}` did not start: {(self.folder / f'{name}.log').read_text()[-2000:]}")

    async def start_gateway(self) -> None:
        """Start the gateway as anyone would: `ostiary up`."""
        port = str(self.ports["gateway"])
        await self.start("gateway", "-m", "ostiary", "--data", str(self.data), "up", "--port", port)
        await self.ready("gateway", "/health/ready")

    def strike(self, name: str) -> None:
        """Kill a process and what it started, without a word of warning."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.processes[name].pid, signal.SIGKILL)

    async def kill(self, name: str) -> None:
        """Kill a process and wait until it is gone."""
        self.strike(name)
        await self.processes.pop(name).wait()

    async def session(self, user: str, purpose: str, scopes: str = SCOPES) -> str:
        """Return a session token: the user signs in, the agent proves itself, the two buy the session (RFC 8693)."""
        signed_in = await asyncio.to_thread(_form, f"{self.url}/oauth/login", {"username": user, "password": password(user)})
        form = {
            "grant_type": EXCHANGE,
            "subject_token": signed_in["access_token"],
            "subject_token_type": ACCESS_TOKEN,
            "actor_token": self.agent_key,
            "actor_token_type": ACCESS_TOKEN,
            "scope": scopes,
            "purpose": purpose,
        }
        lent = await asyncio.to_thread(_form, f"{self.url}/oauth/token", form)
        return str(lent["access_token"])


def password(user: str) -> str:
    """Return what a person of the sample company types."""
    return f"correct horse battery {user}"


@asynccontextmanager
async def opened() -> AsyncIterator[World]:
    """Start the company and its gateway, register everything, and take it all away again."""
    with tempfile.TemporaryDirectory(prefix="ostiary-demo-") as folder:
        world = World(Path(folder), {name: free_port() for name in ("mail", "files", "model", "gateway")})
        try:
            await _start_all(world)
            await asyncio.to_thread(_register, world)
            yield world
        finally:
            for name in list(world.processes):
                await world.kill(name)


async def _start_all(world: World) -> None:
    ports, folder = world.ports, world.folder
    await world.start("mail", "-m", "ostiary.demo.mail", str(ports["mail"]), str(folder / "sent"))
    await world.start("files", "-m", "ostiary.demo.files", str(ports["files"]))
    await world.start("model", "-m", "ostiary.demo.model", str(ports["model"]), str(folder / "received"))
    await world.start_gateway()
    await asyncio.gather(*map(world.ready, ("mail", "files", "model")))


def _register(world: World) -> None:
    """Do what an administrator does once: a secret, the declaration, passwords, the agent's key."""
    operator = world.operator
    operator.put("/v1/secrets/model", {"value": "sk-the-model-provider-knows-this"})
    operator.post("/v1/declaration", declaration(world))
    for user in ("alice", "carol"):
        operator.post(f"/v1/users/{user}/password", {"password": password(user)})
    world.agent_key = operator.post("/v1/agents/invoice-bot/keys", {})["secret"]


def declaration(world: World) -> dict[str, Any]:
    """Return the company's declaration with the files it names, as `ostiary apply` would send it."""
    files = {str(path.relative_to(COMPANY)): path.read_text() for path in sorted(COMPANY.rglob("*")) if path.is_file()}
    environment = {
        "DEMO_MODEL_PORT": str(world.ports["model"]),
        "DEMO_MAIL_PORT": str(world.ports["mail"]),
        "DEMO_FILES_PORT": str(world.ports["files"]),
        "DEMO_PYTHON": sys.executable,
        "DEMO_PAID_FILE": str(world.folder / "paid"),
    }
    files |= {f"starter/{each.name}": each.read_text() for each in STARTER_PACK.iterdir() if each.name.endswith(".cedar")}
    text = files.pop("company.yaml")
    return {"declarations": {"company.yaml": text}, "files": files, "environment": environment, "why": "the sample company begins"}


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:  # noqa: S310 - a loopback address made above
            return bool(answer.status == 200)
    except OSError:
        return False


def _form(url: str, fields: dict[str, str]) -> dict[str, Any]:
    request = urllib.request.Request(url, urllib.parse.urlencode(fields).encode())  # noqa: S310 - a loopback address made above
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        found: dict[str, Any] = json.load(answer)
        return found
