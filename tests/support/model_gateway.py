"""The model doors over real sockets, with the scripted model server behind them, in a thread of their own."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvloop

from ostiary.boundaries.agent_model import AgentModel
from ostiary.connectors.http import UpstreamHttp
from ostiary.core.entry import Entry
from ostiary.core.registry import Model, Registry
from ostiary.protocols.anthropic import AnthropicDoor
from ostiary.protocols.edge import Edge
from ostiary.protocols.openai import OpenAiDoor
from tests.support.listening import listening
from tests.support.model_upstream import KEY, ModelUpstream
from tests.support.ports import TOKEN, FixedRegistry, FixedSecrets, World


@dataclass(frozen=True)
class Place:
    """Where an official client is pointed: at the upstream itself, or at the gateway."""

    name: str
    url: str
    key: str

    @property
    def openai(self) -> str:
        return f"{self.url}/openai/v1" if self.name == "ostiary" else f"{self.url}/v1"

    @property
    def anthropic(self) -> str:
        return f"{self.url}/anthropic" if self.name == "ostiary" else self.url


@dataclass
class ModelGateway:
    """A running gateway: its parts, to look at and to change."""

    world: World = field(default_factory=World)
    upstream: ModelUpstream = field(default_factory=ModelUpstream)
    direct: Place = Place("direct", "", KEY)
    through: Place = Place("ostiary", "", TOKEN)

    def place(self, name: str) -> Place:
        return self.direct if name == "direct" else self.through

    def reset(self) -> None:
        """Forget what the last test did."""
        self.world.ledger.entries.clear()
        self.world.policy.denied.clear()
        self.world.policy.held.clear()
        self.world.identity.revoked = False
        self.world.ledger.is_full = False
        self.upstream.requests.clear()
        self.upstream.left.clear()

    def outcome(self) -> Entry:
        """The one outcome, as soon as it is there."""
        until = time.monotonic() + 5
        while not self.world.ledger.of("outcome") and time.monotonic() < until:
            time.sleep(0.01)
        (outcome,) = self.world.ledger.of("outcome")
        return outcome


def models_at(url: str) -> dict[str, Model]:
    """The registered models: two of each provider, one of them known upstream by another name."""
    declared = [
        Model("gpt", "openai", f"{url}/v1", credential="key"),
        Model("mapped", "openai", f"{url}/v1", upstream_name="vendor-gpt-7", credential="key"),
        Model("claude", "anthropic", url, credential="key"),
        Model("claude-mapped", "anthropic", f"{url}/v1", upstream_name="vendor-claude-7", credential="key"),
        Model("dead", "openai", "http://127.0.0.1:9/v1", credential="key"),
        Model("keyless", "openai", f"{url}/v1", credential="unset"),
        Model("plain", "openai", "http://models.example.com/v1"),
        Model("wrong-key", "openai", f"{url}/v1", credential="wrong"),
    ]
    return {model.name: model for model in declared}


async def _no_control(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 404, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def _run(gateway: ModelGateway, ready: threading.Event, stop: asyncio.Event) -> None:
    http = UpstreamHttp()
    async with listening(gateway.upstream) as upstream:
        registry = FixedRegistry(Registry(models=models_at(f"http://{upstream}")))
        secrets = FixedSecrets({"key": KEY, "wrong": "sk-stale-key-99"})
        models = AgentModel(gateway.world.pipeline(), registry, http, secrets)
        may_see = gateway.world.policy.may_see
        doors = {"openai": OpenAiDoor(models, may_see), "anthropic": AnthropicDoor(models, may_see)}
        async with listening(Edge(doors, _no_control, hosts=frozenset(), origins=frozenset())) as door:
            gateway.direct = Place("direct", f"http://{upstream}", KEY)
            gateway.through = Place("ostiary", f"http://{door}", TOKEN)
            ready.set()
            await stop.wait()
        await http.close()


@contextmanager
def model_gateway() -> Iterator[ModelGateway]:
    """Run a gateway with its upstream until the block ends."""
    gateway, ready = ModelGateway(), threading.Event()
    loop, stop = uvloop.new_event_loop(), asyncio.Event()
    failures: list[BaseException] = []

    def serve() -> None:
        try:
            loop.run_until_complete(_run(gateway, ready, stop))
        except BaseException as error:
            failures.append(error)
            ready.set()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        assert ready.wait(10)
        assert not failures, failures
        yield gateway
    finally:
        if not failures:
            loop.call_soon_threadsafe(stop.set)
        thread.join(15)
        loop.close()
    assert not failures, failures
