"""What servers that are not registered yet would bring, so that policies about their tools can be checked before anything changes."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ostiary.core.canonical import digest
from ostiary.core.decision import refusal_of
from ostiary.core.registry import Registry, Server, Tool
from ostiary.governance.tool_pins import Find, Infer
from ostiary.protocols.mcp.catalogue import Catalogue
from ostiary.protocols.mcp.upstream import Deaf, Dial, Offer


@dataclass(frozen=True, slots=True)
class Preview:
    """Looks at declared servers over connections of its own, and keeps nothing."""

    dial: Dial
    catalogue: Catalogue
    find: Find
    infer: Infer

    async def __call__(self, now: Registry, wanted: Registry) -> tuple[Registry, Mapping[str, str]]:
        """Return `wanted` with the tools of its new and changed servers, and by name why a server could not be looked at."""
        fresh = [server for name, server in wanted.servers.items() if now.servers.get(name) != server]
        looks = await asyncio.gather(*map(self._look, fresh))
        tools: dict[str, Tool] = {name: tool for name, tool in wanted.tools.items() if tool.server in wanted.servers}
        failures: dict[str, str] = {}
        for server, seen in zip(fresh, looks, strict=True):
            if isinstance(seen, str):
                failures[server.name] = seen
                continue
            tools = {name: tool for name, tool in tools.items() if tool.server != server.name}
            tools |= {f"{server.name}/{definition['name']}": self._tool(server, definition, tools) for definition in seen}
        return replace(wanted, tools=tools), failures

    async def _look(self, server: Server) -> Sequence[Mapping[str, Any]] | str:
        try:
            connection = await self.dial(server, modern=None, offer=Offer(), outside=Deaf())
            try:
                return await self.catalogue.items(connection, "tools/list")
            finally:
                await connection.close()
        except Exception as error:
            return refusal_of(error).detail

    def _tool(self, server: Server, definition: Mapping[str, Any], others: Mapping[str, Tool]) -> Tool:
        name = str(definition["name"])
        findings = self.find(server.name, definition, list(others.values()))
        seen = digest(definition)
        profile = server.profile_of(name, seen) or self.infer(definition)
        return Tool(server.name, name, definition, seen, not findings, findings, profile)
