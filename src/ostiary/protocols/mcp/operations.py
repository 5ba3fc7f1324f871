"""What each MCP method does: the action it is, the server it reaches, and the answer as this client reads it."""

from collections.abc import Awaitable, Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any, Final

from ostiary.boundaries.agent_api import AgentApi, Answered
from ostiary.core.action import Action
from ostiary.core.decision import Refusal, refusal_of, refuse
from ostiary.core.errors import NotFound, OstiaryError, UpstreamUnavailable
from ostiary.core.ports import RegistrySource
from ostiary.core.registry import Tool
from ostiary.core.subject import Session
from ostiary.protocols.mcp.catalogue import Catalogue
from ostiary.protocols.mcp.exchange import Exchange
from ostiary.protocols.mcp.headers import argument_headers, check_arguments
from ostiary.protocols.mcp.message import INVALID_PARAMS, MODERN_STATUS, UNKNOWN_METHOD, RpcError, error, nothing_lent, refused, result
from ostiary.protocols.mcp.naming import SEPARATOR, candidates, split_uri
from ostiary.protocols.mcp.relay import Relay
from ostiary.protocols.mcp.rounds import Rounds, controlled, is_interim, put_to_client
from ostiary.protocols.mcp.sessions import ClientSession
from ostiary.protocols.mcp.shapes import (
    completion_of,
    listed,
    named_here,
    no_tool,
    object_of,
    sent_upstream,
    shown,
    text_of,
    without_cursor,
)
from ostiary.protocols.mcp.shapes import wrong as wrong_params
from ostiary.protocols.mcp.upstream import Connection, Deaf, Offer, SessionLost, Upstreams

MAX_ROUNDS: Final = 8
MAX_FOLLOWED: Final = 64
_KINDS = frozenset({"tool", "resource", "prompt"})
_DEAF = Deaf()
_STATEFUL = frozenset({"resources/subscribe", "resources/unsubscribe", "logging/setLevel"})


class Operations:
    """Carries out the methods that reach servers, for both kinds of version."""

    def __init__(self, api: AgentApi, upstreams: Upstreams, catalogue: Catalogue, source: RegistrySource) -> None:
        self.api = api
        self.upstreams = upstreams
        self.catalogue = catalogue
        self._source = source
        self._rounds = Rounds()

    async def tools(self, exchange: Exchange) -> dict[str, Any]:
        """`tools/list`: what the session may call, after a fresh look at the servers."""
        without_cursor(exchange)
        tools: list[dict[str, Any]] = []
        for server in await self._each(exchange, self.catalogue.refresh):
            seen = self.api.visible_tools(exchange.session, server)
            tools += [named_here(exchange, server, dict(tool.definition)) for tool in seen if self.catalogue.offers(tool)]
        return listed(exchange, "tools/list", tools)

    async def listing(self, exchange: Exchange) -> dict[str, Any]:
        """`prompts/list`, `resources/list` and `resources/templates/list`, filtered alike; what they say is content."""
        without_cursor(exchange)
        method, found = exchange.message.method, list[dict[str, Any]]()

        async def collect(server: str) -> None:
            connection = await self.reach(exchange, server)
            items = self.catalogue.unsuspicious(server, await self.catalogue.items(connection, method))
            seen = [item for item in items if self.api.sees(exchange.session, self._reading(method, server, item))]
            shaped = self.api.release_list(exchange.passage, server, seen)
            if isinstance(shaped, Refusal):
                raise OstiaryError(shaped.detail, code=shaped.code, status=shaped.status)
            found.extend(named_here(exchange, server, item) for item in shaped)

        await self._each(exchange, collect)
        return listed(exchange, method, found)

    async def call_tool(self, exchange: Exchange) -> dict[str, Any]:
        """`tools/call`."""
        arguments = object_of(exchange, "arguments")
        server, name = self._locate(exchange, text_of(exchange, "name"))
        action = self.api.call_tool(server, name, arguments)
        tool = self._source.registry.tools.get(action.name)
        if tool is None or not self.catalogue.is_fresh(tool):
            answer = await self._looked_up(exchange, server, action)
            if answer is not None:
                return answer
            action = self.api.call_tool(server, name, arguments)
            tool = self._source.registry.tools.get(action.name)
        if tool is not None and exchange.is_modern:
            try:
                check_arguments(exchange.call, exchange.message, tool.definition.get("inputSchema"), arguments)
            except RpcError:
                if self.api.is_lent(exchange.session, action):
                    raise
        return await self._perform(exchange, server, action, {"name": name}, tool)

    async def _looked_up(self, exchange: Exchange, server: str, action: Action) -> dict[str, Any] | None:
        """Look at the server before a call of a tool that is not known or was not looked at lately; None to go on.

        Only for those whose scope covers the tool: others are refused later, and learn nothing.
        """
        if server not in self._source.registry.servers or not self.api.is_lent(exchange.session, action):
            return None
        try:
            await self.catalogue.ensure(server)
        except Exception as failure:
            return await self._refuse(exchange, action, refusal_of(failure))
        tool = self._source.registry.tools.get(action.name)
        if tool is not None and self.catalogue.offers(tool):
            return None
        exchange.passage.action = action
        gone = refuse("not_found", f"there is no tool `{action.name}`, or none you may see")
        return no_tool(exchange, await self.api.pipeline.refuse(exchange.passage, gone))

    async def read_resource(self, exchange: Exchange) -> dict[str, Any]:
        """`resources/read`."""
        server, uri = self._locate_uri(exchange, text_of(exchange, "uri"))
        return await self._perform(exchange, server, self.api.read_resource(server, uri), {})

    async def subscribe(self, exchange: Exchange) -> dict[str, Any]:
        """`resources/subscribe`: decided as a read; a server of the stateless version is followed instead."""
        server, uri = self._locate_uri(exchange, text_of(exchange, "uri"))
        client = exchange.client
        body = await self._perform(exchange, server, self.api.read_resource(server, uri), {})
        if client is not None and body.get("error", {}).get("code") == UNKNOWN_METHOD:
            connection = await self.reach(exchange, server)
            if connection.is_modern and len(client.followed) < MAX_FOLLOWED:
                wanted = {"notifications": {"resourceSubscriptions": [uri]}}
                client.follow(server, uri, connection.follow(wanted, client.outside_of(server)))
                return result(exchange.message.id, {})
        return body

    async def unsubscribe(self, exchange: Exchange) -> dict[str, Any]:
        """`resources/unsubscribe`."""
        server, uri = self._locate_uri(exchange, text_of(exchange, "uri"))
        followed = exchange.client.followed.pop((server, uri), None) if exchange.client is not None else None
        if followed is not None:
            followed.cancel()
            return result(exchange.message.id, {})
        return await self._perform(exchange, server, self.api.read_resource(server, uri), {})

    async def get_prompt(self, exchange: Exchange) -> dict[str, Any]:
        """`prompts/get`."""
        arguments = object_of(exchange, "arguments", of_strings=True)
        server, name = self._locate(exchange, text_of(exchange, "name"))
        return await self._perform(exchange, server, self.api.get_prompt(server, name, arguments), {})

    async def complete(self, exchange: Exchange) -> dict[str, Any]:
        """`completion/complete`, for an argument of a prompt or a resource template."""
        kind, name, sent = completion_of(exchange)
        server, name = self._locate(exchange, name) if kind == "prompt" else self._locate_uri(exchange, name)
        return await self._perform(exchange, server, self.api.complete(server, kind, name, sent), {})

    async def reach(self, exchange: Exchange, server: str) -> Connection:
        """Return the connection a request takes."""
        is_stateful = exchange.message.method in _STATEFUL or bool(exchange.is_modern and exchange.log_level)
        return await self.connection(server, exchange.session, exchange.client, is_stateful=is_stateful)

    async def connection(self, server: str, session: Session, client: ClientSession | None, *, is_stateful: bool = False) -> Connection:
        """Return the caller's own connection where a session's state lives at the server, else the shared one."""
        shared = await self.upstreams.shared(server)
        is_process = bool(self.upstreams.server(server).command)
        if client is None:
            if (is_process and not is_stateful) or (shared.is_modern and not is_process):
                return shared
            return await self.upstreams.private(server, session.id, session, offer=Offer(), outside=_DEAF, prefers_modern=True)
        if is_process and not (client.offer or is_stateful or self.upstreams.has_private(server, client.id)):
            return shared
        client.servers.add(server)
        offer = Offer(client.version, client.offer)
        return await self.upstreams.private(server, client.id, session, offer=offer, outside=client.outside_of(server))

    def touches(self, session: Session, server: str) -> bool:
        """Say whether anything of the server was lent to the session."""
        return any(_covers(scope, server) for scope in session.scopes)

    async def _perform(
        self, exchange: Exchange, server: str, action: Action, fixed: Mapping[str, Any], tool: Tool | None = None
    ) -> dict[str, Any]:
        if server not in self._source.registry.servers:
            return await self._refuse(exchange, action, self._no_server(exchange.session, server, action))
        place = (exchange.session.id, server, exchange.message.method, action.name, str(action.arguments.get("uri", "")))
        extra = {**fixed, **self._rounds.returned(exchange, place)}
        failure: dict[str, Any] = {}

        async def execute(admitted: Action) -> Answered:
            reply = await self._converse(exchange, server, admitted, extra, tool)
            failure.update(reply.get("error", {}))
            return Answered({"error": reply["error"]}, "upstream_failed", 502) if failure else Answered(reply["result"])

        outcome = await self.api.perform(exchange.passage, action, execute)
        if isinstance(outcome, Refusal):
            is_held = outcome.code == "held"
            return self._rounds.held(exchange, outcome, place) if is_held else refused(exchange.message.id, outcome, exchange.passage.id)
        if failure:
            told = outcome["error"]
            exchange.status = MODERN_STATUS.get(told["code"], 200)
            return error(exchange.message.id, told["code"], told["message"], told.get("data"))
        answer = shown(exchange, server, outcome)
        return result(exchange.message.id, self._rounds.bound(answer, place) if is_interim({"result": answer}) else answer)

    async def _converse(
        self, exchange: Exchange, server: str, action: Action, extra: Mapping[str, Any], tool: Tool | None
    ) -> dict[str, Any]:
        """Send the action as it was admitted, and follow what the server asks meanwhile."""
        relay = Relay(self.api, self.upstreams, exchange, server, action)
        headers = argument_headers(tool.definition.get("inputSchema"), action.arguments) if tool is not None else []
        sent = dict(extra)
        if "inputResponses" in sent:
            allowed = await relay.answer("inputResponses", {}, sent["inputResponses"])
            if isinstance(allowed, Refusal):
                return {"error": {"code": INVALID_PARAMS, "message": f"the answers may not be given: {allowed.detail}"}}
            sent["inputResponses"] = allowed
        for _ in range(MAX_ROUNDS):
            reply = await self._send(exchange, server, sent_upstream(action, sent), relay, headers)
            if not is_interim(reply):
                return reply
            if exchange.client is None:
                return controlled(relay, reply)
            sent = {**extra, **await put_to_client(relay, reply["result"])}
        return {"error": {"code": INVALID_PARAMS, "message": f"the server asked more than {MAX_ROUNDS} times"}}

    async def _send(
        self, exchange: Exchange, server: str, params: dict[str, Any], relay: Relay, headers: list[tuple[str, str]]
    ) -> dict[str, Any]:
        """Send once; a session the server forgot before it did anything is opened anew, once."""
        for _ in range(2):
            connection = await self.reach(exchange, server)
            meta = exchange.meta_upstream(is_modern=connection.is_modern)
            try:
                return await connection.request(exchange.message.method, params | {"_meta": meta} if meta else params, relay, headers)
            except SessionLost as lost:
                gone = lost
        raise UpstreamUnavailable(gone.detail)

    async def _refuse(self, exchange: Exchange, action: Action, refusal: Refusal) -> dict[str, Any]:
        exchange.passage.action = action
        refusal = await self.api.pipeline.refuse(exchange.passage, refusal)
        return refused(exchange.message.id, refusal, exchange.passage.id)

    def _no_server(self, session: Session, server: str, action: Action) -> Refusal:
        """An unknown server looks like one that was not lent, unless the scopes would cover it."""
        if not self.api.is_lent(session, action):
            return refuse("out_of_scope", f"the session was not lent `{action.scope}`")
        return refuse("not_found", f"there is no server `{server}`, or none you may see")

    async def _each(self, exchange: Exchange, look: Callable[[str], Awaitable[Any]]) -> list[str]:
        """Look at the server of the path, or at each the session may touch; there, one that fails is left out and named."""
        if exchange.server:
            if not self.touches(exchange.session, exchange.server):
                lacking = nothing_lent(exchange.server)
                raise NotFound(lacking.detail, code=lacking.code, status=lacking.status, remedy=lacking.remedy)
            self.upstreams.server(exchange.server)
            await look(exchange.server)
            return [exchange.server]
        reached = []
        for server in sorted(self._source.registry.servers):
            if self.touches(exchange.session, server):
                try:
                    await look(server)
                    reached.append(server)
                except Exception as failure:
                    exchange.failures.append(f"{server}: {refusal_of(failure).detail}")
        return reached

    def _reading(self, method: str, server: str, item: Mapping[str, Any]) -> Action:
        if method == "prompts/list":
            return self.api.get_prompt(server, str(item.get("name", "")), {})
        return self.api.read_resource(server, str(item.get("uri", item.get("uriTemplate", ""))))

    def _locate(self, exchange: Exchange, name: str) -> tuple[str, str]:
        """Return (server, name) of a tool or prompt; on the common door a name that fits two is refused, not guessed."""
        if exchange.server:
            return exchange.server, name
        registry = self._source.registry
        found = candidates(registry.servers, name)
        if len(found) > 1:
            found = [(server, rest) for server, rest in found if f"{server}/{rest}" in registry.tools]
        head, _, rest = name.partition(SEPARATOR)
        if not found and head and rest:
            return head, rest
        if len(found) != 1:
            raise wrong_params(exchange, f"`{name[:128]}` names no tool or prompt here: write `server__name`")
        return found[0]

    def _locate_uri(self, exchange: Exchange, uri: str) -> tuple[str, str]:
        if exchange.server:
            return exchange.server, uri
        server, rest = split_uri(uri)
        if not server:
            raise wrong_params(exchange, "a resource here has an address as `ostiary://server/…`")
        return server, rest


def _covers(scope: str, server: str) -> bool:
    kind, _, pattern = scope.partition(":")
    head = pattern.partition("/")[0]
    return kind in _KINDS and (head == server or ("*" in head and fnmatchcase(server, head)))
