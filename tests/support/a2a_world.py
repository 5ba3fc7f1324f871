"""A whole gateway on a real socket with agents of the A2A SDK behind it, and SDK clients in front."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
from a2a.client import Client, ClientConfig, ClientFactory
from a2a.client.card_resolver import A2ACardResolver
from a2a.types import Message, Part, Role, SendMessageRequest, StreamResponse

from ostiary.app import Gateway, open_gateway
from ostiary.core.registry import A2a, Agent, Group, User
from ostiary.core.subject import Status
from ostiary.governance.registrar import RegistryChange
from ostiary.identity.credentials import Opened
from ostiary.identity.lending import Ask
from ostiary.settings import Settings
from tests.support.listening import listening

POLICY = """
@id("clerks-delegate") permit (principal in Role::"clerk", action == Action::"delegate", resource);
"""
NOUNS: dict[type, str] = {User: "users", Agent: "agents", Group: "groups"}
JSONRPC, HTTP_JSON = "JSONRPC", "HTTP+JSON"


@dataclass
class World:
    """The running gateway."""

    gateway: Gateway
    url: str
    address: str
    token: str = ""
    clients: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def lend(self, agent: str = "bot", user: str | None = "alice", scopes: tuple[str, ...] = ("agent:*",), **more: Any) -> Opened:
        """Open a session."""
        opened = await self.gateway.services.sessions.open(Ask(agent, user, scopes, more.pop("purpose", "plan the trip"), **more))
        assert isinstance(opened, Opened), opened
        return opened

    def http(self, token: str | None = None, **headers: str) -> httpx.AsyncClient:
        """An HTTP client with a session's token."""
        sent = {"a2a-version": "1.0", "authorization": f"Bearer {self.token if token is None else token}"} | headers
        return httpx.AsyncClient(base_url=self.url, headers=sent, timeout=20, trust_env=False)

    async def client(self, agent: str, binding: str = JSONRPC, token: str | None = None, **config: Any) -> Client:
        """An SDK client that found the agent by its card."""
        http = await self.clients.enter_async_context(self.http(token))
        found = await A2ACardResolver(http, f"{self.url}/a2a/{agent}").get_agent_card()
        return ClientFactory(ClientConfig(httpx_client=http, supported_protocol_bindings=[binding], **config)).create(found)

    async def register(self, *values: Agent | User | Group) -> None:
        """Put people, groups and agents into the registry."""
        changes = [RegistryChange(NOUNS[type(value)], value.name, value) for value in values]
        await self.gateway.services.registrar.change(changes, by="root", why="test")

    async def policy(self, text: str) -> None:
        """Replace the policies."""
        await self.gateway.services.policies.apply({"test.cedar": text}, "root", "test")

    async def rpc(self, agent: str, method: str, params: Any, token: str | None = None, **headers: str) -> httpx.Response:
        """Send one JSON-RPC request by hand."""
        async with self.http(token, **headers) as http:
            return await http.post(f"/a2a/{agent}", json={"jsonrpc": "2.0", "id": 7, "method": method, "params": params})

    def entries(self, **query: Any) -> list[dict[str, Any]]:
        """What the ledger holds, the newest first."""
        rows: list[dict[str, Any]] = self.gateway.services.reader.search(None, limit=100, **query)
        return rows


def clerk(name: str, a2a: A2a | None = None, **more: Any) -> Agent:
    """An active agent."""
    agent = Agent(name, owner="bob", purpose="helps", roles=frozenset({"clerk"}), a2a=a2a, **more)
    return replace(agent, status=Status.ACTIVE, reviewed=agent.manifest)


@asynccontextmanager
async def world(folder: Path, policy: str = POLICY, **agents: Any) -> AsyncIterator[World]:
    """Run a gateway; each named application is an agent that can be delegated to, and is told where it is."""
    async with AsyncExitStack() as closing:
        upstreams: dict[str, A2a] = {}
        for name, given in agents.items():
            app, options = given if isinstance(given, tuple) else (given, {})
            address = await closing.enter_async_context(listening(app))
            app.at(address)
            closing.push_async_callback(app.close)
            upstreams[name] = A2a(f"http://{address}", **options)
        gateway = await closing.enter_async_context(open_gateway(Settings.load(environ={}), folder))
        address = await closing.enter_async_context(listening(gateway.edge))
        here = World(gateway, f"http://{address}", address)
        gateway.a2a._own_url = here.url
        await here.register(User("alice", roles=frozenset({"clerk"})), User("bob"), clerk("bot"))
        await here.register(*(clerk(name, a2a) for name, a2a in upstreams.items()))
        await here.policy(policy)
        here.token = (await here.lend()).token
        await closing.enter_async_context(here.clients)
        yield here


def said(text: str, message_id: str = "m-1", **more: Any) -> SendMessageRequest:
    """Return a request to send a text."""
    return SendMessageRequest(message=Message(message_id=message_id, role=Role.ROLE_USER, parts=[Part(text=text)], **more))


async def answers(client: Client, request: SendMessageRequest) -> list[StreamResponse]:
    """Send a message and return all that comes back."""
    return [event async for event in client.send_message(request)]
