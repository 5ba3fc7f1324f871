"""The MCP door: `/mcp/{server}` for one server, `/mcp` for all, in the three versions agents speak."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from ostiary.boundaries.agent_api import AgentApi
from ostiary.core.beside import beside
from ostiary.core.decision import Refusal, refusal_of, refuse
from ostiary.core.errors import OstiaryError
from ostiary.core.ids import is_name
from ostiary.core.pipeline import Passage, Pipeline
from ostiary.core.ports import Ports, RegistrySource
from ostiary.governance.tool_pins import Find, ToolPins
from ostiary.protocols.crowd import Crowd
from ostiary.protocols.mcp import message as rpc
from ostiary.protocols.mcp.catalogue import Catalogue
from ostiary.protocols.mcp.headers import META_CAPABILITIES, META_VERSION
from ostiary.protocols.mcp.legacy import Legacy
from ostiary.protocols.mcp.message import MODERN, VERSIONS, RpcError
from ostiary.protocols.mcp.modern import Modern
from ostiary.protocols.mcp.operations import Operations
from ostiary.protocols.mcp.upstream import Dial, Upstreams
from ostiary.protocols.wire import MAX_BODY, Call, Header, encode, passage_headers

log = logging.getLogger("ostiary.mcp")

METADATA: Final = "/.well-known/oauth-protected-resource"


class McpDoor:
    """Serves `Call`s under `/mcp`; `metadata` serves RFC 9728 documents. One per process."""

    def __init__(  # noqa: PLR0917 - the composition root gives each part once, in this order
        self,
        pipeline: Pipeline,
        ports: Ports,
        source: RegistrySource,
        pins: ToolPins,
        dial: Dial,
        find: Find,
        *,
        base_url: Callable[[], str] | str = "",
    ) -> None:
        self._base_url = base_url
        self._pipeline = pipeline
        self._source = source
        self._crowd = Crowd()
        self.upstreams = Upstreams(dial, source)
        self.catalogue = Catalogue(self.upstreams, pins, find)
        api = AgentApi(pipeline, ports.identity, ports.policy, source)
        operations = Operations(api, self.upstreams, self.catalogue, source)
        self._legacy = Legacy(operations, ports.identity)
        self._modern = Modern(operations, ports.identity)
        self.upstreams.on_change = self._on_change

    async def __call__(self, call: Call) -> None:
        """Serve one HTTP request: identify first, then read, then act."""
        passage = Passage(call.credential("mcp"))
        refusal = await self._pipeline.identify(passage)
        if refusal is not None:
            await self._challenge(call, passage, refusal)
            return
        server = _server_of(call.path)
        if server is None:
            await call.respond_json(404, refuse("not_found", "there is no such path").problem(passage.id), passage_headers(passage))
            return
        with self._crowd.entered(passage.session) as crowded:
            if crowded is not None:
                await self._failed(call, passage, crowded)
                return
            try:
                await self._serve(call, passage, server)
            except RpcError as fault:
                await self._fault(call, passage, fault)
            except OstiaryError as failure:
                await self._failed(call, passage, refusal_of(failure))

    async def metadata(self, call: Call) -> None:
        """Serve the protected resource metadata of a door (RFC 9728 section 3)."""
        path = call.path.removeprefix(METADATA)
        if call.method != "GET" or _server_of(path or "/mcp") is None:
            await call.respond_json(404, refuse("not_found", "there is no such path").problem(""))
            return
        base = self._base(call)
        document = {
            "resource": f"{base}{path or '/mcp'}",
            "authorization_servers": [base],
            "bearer_methods_supported": ["header"],
            "resource_name": "Ostiary",
        }
        await call.respond_json(200, document)

    async def connect(self) -> dict[str, str]:
        """Look at every registered server, so that its tools are pinned and policies can be checked; returns failures."""
        failures: dict[str, str] = {}

        async def look(server: str) -> None:
            try:
                await self.catalogue.refresh(server)
            except Exception as failure:
                failures[server] = refusal_of(failure).detail

        await asyncio.gather(*(look(server) for server in self._source.registry.servers))
        return failures

    async def close(self) -> None:
        """End sessions, streams and connections."""
        await self._legacy.close()
        self._modern.close()
        await self.upstreams.close()

    async def _serve(self, call: Call, passage: Passage, server: str) -> None:
        version = call.headers.get("mcp-protocol-version", "")
        if call.method in {"GET", "DELETE"} and version != MODERN:
            await self._legacy.aside(call, passage, server)
            return
        if call.method != "POST":
            await call.respond(405, b"", headers=[(b"allow", b"POST"), *passage_headers(passage)])
            return
        if call.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise RpcError(rpc.INVALID_REQUEST, "the body must be `application/json`", status=415)
        body = await call.body(MAX_BODY)
        passage.size = len(body)
        message = await beside(len(body), rpc.read, body, MAX_BODY)
        meta = message.params.get("_meta")
        if version == MODERN or (isinstance(meta, dict) and (META_VERSION in meta or META_CAPABILITIES in meta)):
            await self._modern.post(call, passage, server, message)
        elif version in VERSIONS or (not version):
            await self._legacy.post(call, passage, server, message)
        else:
            data = {"supported": list(VERSIONS), "requested": version[:64]}
            raise RpcError(rpc.UNSUPPORTED_VERSION, "unsupported protocol version", data, id=message.id)

    async def _challenge(self, call: Call, passage: Passage, refusal: Refusal) -> None:
        """Answer a caller without a session: where the metadata is, and what was wrong (RFC 9728 section 5.1)."""
        path = call.path if _server_of(call.path) is not None else "/mcp"
        fields = [f'resource_metadata="{self._base(call)}{METADATA}{path}"']
        if passage.credential.token:
            fields.append('error="invalid_token"' if refusal.status == 401 else 'error="insufficient_scope"')
        status = refusal.status if refusal.status in {401, 403, 429, 503} else 403
        headers: list[Header] = [(b"www-authenticate", f"Bearer {', '.join(fields)}".encode()), *passage_headers(passage)]
        await call.respond_json(status, rpc.refused(None, refusal, passage.id), headers)

    async def _fault(self, call: Call, passage: Passage, fault: RpcError) -> None:
        """Answer what the wire itself does not accept; recorded like every refusal."""
        code = "too_large" if fault.status == 413 else "unknown_method" if fault.code == rpc.UNKNOWN_METHOD else "invalid_request"
        refusal = await self._pipeline.refuse(passage, refuse(code, fault.message))
        data = refusal.problem(passage.id) if fault.data is None else fault.data
        if call.has_started:
            await call.push(b"data: " + encode(rpc.error(fault.id, fault.code, fault.message, data)) + b"\n\n")
            await call.end()
            return
        await call.respond_json(fault.status, rpc.error(fault.id, fault.code, fault.message, data), passage_headers(passage))

    async def _failed(self, call: Call, passage: Passage, refusal: Refusal) -> None:
        refusal = await self._pipeline.refuse(passage, refusal)
        if call.has_started:
            raise ConnectionAbortedError(refusal.detail)
        await call.respond_json(200 if refusal.status != 413 else 413, rpc.refused(None, refusal, passage.id), passage_headers(passage))

    async def _on_change(self, server: str, method: str) -> None:
        """A server says that a list changed: look before anybody hears of it."""
        if method == "notifications/tools/list_changed":
            try:
                await self.catalogue.refresh(server)
            except Exception as failure:
                self.catalogue.forget(server)
                log.warning("server %s changed its tools and could not be looked at: %s", server, refusal_of(failure).detail)
        await self._legacy.changed(server, method)
        self._modern.changed(server, method)

    def _base(self, call: Call) -> str:
        base = self._base_url() if callable(self._base_url) else self._base_url
        host = "".join(letter for letter in call.headers.get("host", "") if letter.isalnum() or letter in ".-:[]_")
        return base.rstrip("/") or f"{call.scope['scheme']}://{host}"


def _server_of(path: str) -> str | None:
    """Return the server a path leads to: empty for the common door, None for no door."""
    if path in {"/mcp", "/mcp/"}:
        return ""
    name = path.removeprefix("/mcp/").removesuffix("/")
    return name if path.startswith("/mcp/") and is_name(name) else None
