"""What servers offer: looked at again for every listing and every notice of change, before anyone may use it."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from ostiary.core.errors import InvalidAction, UpstreamUnavailable
from ostiary.core.registry import Tool
from ostiary.governance.tool_pins import Find, ToolPins
from ostiary.protocols.mcp.headers import META_SERVER, mirrored
from ostiary.protocols.mcp.upstream import Connection, SessionLost, Upstreams

log = logging.getLogger("ostiary.mcp.catalogue")

MAX_PAGES: Final = 100
MAX_ITEMS: Final = 2000
STALE_S: Final = 15.0
"""A call to a server that was last looked at longer ago starts another look beside it."""
LISTS: Final[Mapping[str, tuple[str, str]]] = {
    "tools/list": ("tools", "tools"),
    "prompts/list": ("prompts", "prompts"),
    "resources/list": ("resources", "resources"),
    "resources/templates/list": ("resourceTemplates", "resources"),
}
"""Method → the member that holds the items, and the capability that says a server has them."""


class Catalogue:
    """Looks at servers and hands what it saw to the pins; at most one look a server at a time."""

    def __init__(self, upstreams: Upstreams, pins: ToolPins, find: Find) -> None:
        self._upstreams = upstreams
        self._pins = pins
        self._find = find
        self._looking: dict[str, asyncio.Task[bool]] = {}
        self._looked_at: dict[str, float] = {}

    async def refresh(self, server: str) -> bool:
        """Look now; True when something changed. Raises UpstreamUnavailable."""
        task = self._looking.get(server)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._look(server))
            self._looking[server] = task
            task.add_done_callback(lambda done: self._looked(server, done))
        return await asyncio.shield(task)

    async def ensure(self, server: str) -> None:
        """Look if this process has not yet; look again beside the caller when the last look is old."""
        at = self._looked_at.get(server)
        if at is None or not self._pins.has_looked(server):
            await self.refresh(server)
        elif asyncio.get_running_loop().time() - at > STALE_S and server not in self._looking:
            self._looked_at[server] = asyncio.get_running_loop().time()
            self._upstreams.spawn(self._again(server))

    def is_fresh(self, tool: Tool) -> bool:
        """Say whether the server was looked at lately and offered the tool."""
        at = self._looked_at.get(tool.server)
        return at is not None and asyncio.get_running_loop().time() - at <= STALE_S and self.offers(tool)

    def offers(self, tool: Tool) -> bool:
        """Say whether the server still offers the tool."""
        return self._pins.is_present(tool.server, tool.name)

    def forget(self, server: str) -> None:
        """Demand a fresh look before the next call."""
        self._looked_at.pop(server, None)

    async def items(self, connection: Connection, method: str) -> list[dict[str, Any]]:
        """Return a whole list of a server, page by page. Raises UpstreamUnavailable when it is endless or malformed."""
        member, capability = LISTS[method]
        if capability not in connection.hello.capabilities:
            return []
        found: list[dict[str, Any]] = []
        params: dict[str, Any] = {}
        for _ in range(MAX_PAGES):
            reply = await connection.request(method, params)
            result = reply.get("result")
            if result is None:
                raise UpstreamUnavailable(f"the server refused `{method}`: {str(reply['error']['message'])[:200]}")
            meta = result.get("_meta")
            if isinstance(meta, dict) and isinstance(info := meta.get(META_SERVER), dict):
                connection.hello = replace(connection.hello, info=info)
            page = result.get(member)
            if not isinstance(page, list) or not all(isinstance(item, dict) for item in page):
                raise UpstreamUnavailable(f"the server's answer to `{method}` holds no list of {member}")
            found += page
            cursor = result.get("nextCursor")
            if not isinstance(cursor, str) or len(found) > MAX_ITEMS:
                break
            params = {"cursor": cursor}
        if len(found) > MAX_ITEMS or isinstance(cursor, str):
            raise UpstreamUnavailable(f"the server's `{member}` do not end within {MAX_ITEMS}")
        return found

    def unsuspicious(self, server: str, items: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Leave out prompts and resources whose texts look hostile."""
        kept = []
        for item in items:
            texts = {"name": "listed-entry", "title": [item.get("name"), item.get("title")], "description": item.get("description", "")}
            found = self._find(server, {**item, **texts}, ())
            if found:
                log.warning("server %s: `%s` is left out: %s", server, str(item.get("name", ""))[:64], found[0])
            else:
                kept.append(item)
        return kept

    async def _look(self, server: str) -> bool:
        try:
            connection = await self._upstreams.shared(server)
            definitions = await self.items(connection, "tools/list")
        except SessionLost:
            connection = await self._upstreams.shared(server)
            definitions = await self.items(connection, "tools/list")
        usable = [item for item in definitions if _is_usable(item)]
        try:
            observed = await self._pins.observe(server, usable, version=connection.hello.software, key=connection.peer_key)
        except InvalidAction as error:
            raise UpstreamUnavailable(error.detail) from None
        self._looked_at[server] = asyncio.get_running_loop().time()
        return observed.changed

    def _looked(self, server: str, done: asyncio.Task[bool]) -> None:
        self._looking.pop(server, None)
        if not done.cancelled() and done.exception() is not None:
            log.info("server %s could not be looked at", server)

    async def _again(self, server: str) -> None:
        await self.refresh(server)


def _is_usable(definition: Mapping[str, Any]) -> bool:
    """Leave out a tool with a wrong `x-mcp-header` annotation, as clients must (streamable HTTP, Schema Extension)."""
    schema = definition.get("inputSchema")
    return '"x-mcp-header"' not in repr(schema).replace("'", '"') or bool(mirrored(schema))
