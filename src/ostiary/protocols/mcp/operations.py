"""What each MCP method does: the action it is, the server it reaches, and the answer as this client reads it."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any, Final

from ostiary.boundaries.agent_api import AgentApi, Answered
from ostiary.core.action import Action
from ostiary.core.decision import Refusal, refusal_of, refuse
from ostiary.core.errors import NotFound
from ostiary.core.ports import RegistrySource
from ostiary.core.registry import Tool
from ostiary.core.subject import Session
from ostiary.protocols.mcp.catalogue import LISTS, Catalogue
from ostiary.protocols.mcp.exchange import Exchange
from ostiary.protocols.mcp.headers import argument_headers, check_arguments
from ostiary.protocols.mcp.message import HELD, INVALID_PARAMS, MODERN_STATUS, RpcError, error, refused, result
from ostiary.protocols.mcp.naming import candidates, joined, joined_uri, relabelled, split_uri
from ostiary.protocols.mcp.relay import Relay
from ostiary.protocols.mcp.state import StateSeal
from ostiary.protocols.mcp.upstream import Connection, Deaf, Offer, SessionLost, Upstreams

MAX_ROUNDS: Final = 8
MAX_TTL_MS: Final = 60_000
APPROVAL: Final = "ostiary_approval"
_MODERN_ONLY = ("resultType", "ttlMs", "cacheScope")
_CACHED = frozenset({"tools/list", "prompts/list", "resources/list", "resources/templates/list", "resources/read"})


class Operations:
    """Carries out the methods that reach servers, for both kinds of version."""

    def __init__(self, api: AgentApi, upstreams: Upstreams, catalogue: Catalogue, source: RegistrySource) -> None:
        self.api = api
        self.upstreams = upstreams
        self.catalogue = catalogue
        self._source = source
        self._seal = StateSeal()

    async def tools(self, exchange: Exchange) -> dict[str, Any]:
        """`tools/list`: what the session may call, after a fresh look at the servers."""
        _no_cursor(exchange)
        tools = []
        for server in await self._each(exchange, self.catalogue.refresh):
            for tool in self.api.visible_tools(exchange.session, server):
                if self.catalogue.offers(tool):
                    tools.append(_renamed(exchange, server, dict(tool.definition)))
        return self._listed(exchange, "tools/list", tools)

    async def listing(self, exchange: Exchange) -> dict[str, Any]:
        """`prompts/list`, `resources/list` and `resources/templates/list`, filtered alike."""
        _no_cursor(exchange)
        method, found = exchange.message.method, list[dict[str, Any]]()

        async def collect(server: str) -> None:
            connection = await self.connection(exchange, server)
            items = self.catalogue.unsuspicious(server, await self.catalogue.items(connection, method))
            seen = [item for item in items if self.api.sees(exchange.session, _reading(self.api, method, server, item))]
            found.extend(_renamed(exchange, server, item) for item in seen)

        await self._each(exchange, collect)
        return self._listed(exchange, method, found)

    async def call_tool(self, exchange: Exchange) -> dict[str, Any]:
        """`tools/call`."""
        params = exchange.message.params
        name, arguments = _text(exchange, "name"), params.get("arguments", {})
        if not isinstance(arguments, dict):
            raise _wrong(exchange, "`arguments` must be an object")
        server, name = await self._locate(exchange, name)
        action = self.api.call_tool(server, name, arguments)
        if server in self._source.registry.servers and self.api.is_lent(exchange.session, action):
            try:
                await self.catalogue.ensure(server)
            except Exception as failure:
                exchange.passage.action = action
                return await self._refuse(exchange, refusal_of(failure))
            action = self.api.call_tool(server, name, arguments)
        tool = self._source.registry.tools.get(action.name)
        if tool is not None and not self.catalogue.offers(tool) and self.api.is_lent(exchange.session, action):
            exchange.passage.action = action
            return await self._refuse(exchange, refuse("not_found", f"server `{server}` no longer offers `{name}`"))
        if tool is not None and exchange.is_modern:
            check_arguments(exchange.call, exchange.message, tool.definition.get("inputSchema"), arguments)
        return await self._perform(exchange, server, action, {"name": name}, tool)

    async def read_resource(self, exchange: Exchange) -> dict[str, Any]:
        """`resources/read`, `resources/subscribe` and `resources/unsubscribe`."""
        server, uri = self._locate_uri(exchange, _text(exchange, "uri"))
        return await self._perform(exchange, server, self.api.read_resource(server, uri), {})

    async def get_prompt(self, exchange: Exchange) -> dict[str, Any]:
        """`prompts/get`."""
        arguments = exchange.message.params.get("arguments", {})
        if not isinstance(arguments, dict) or not all(isinstance(value, str) for value in arguments.values()):
            raise _wrong(exchange, "`arguments` must be an object of strings")
        server, name = await self._locate(exchange, _text(exchange, "name"))
        return await self._perform(exchange, server, self.api.get_prompt(server, name, arguments), {})

    async def complete(self, exchange: Exchange) -> dict[str, Any]:
        """`completion/complete`, for an argument of a prompt or a resource template."""
        ref, argument = exchange.message.params.get("ref"), exchange.message.params.get("argument")
        if not isinstance(ref, dict) or not _is_argument(argument):
            raise _wrong(exchange, "`ref` and `argument` must be objects; an argument has a name and a value")
        sent = {"argument": {"name": argument["name"], "value": argument["value"]}}
        context = exchange.message.params.get("context")
        if isinstance(context, dict) and isinstance(context.get("arguments"), dict):
            sent["context"] = {"arguments": context["arguments"]}
        if ref.get("type") == "ref/prompt" and isinstance(ref.get("name"), str):
            server, name = await self._locate(exchange, ref["name"])
            kind, given = "prompt", {"type": "ref/prompt", "name": name}
        elif ref.get("type") == "ref/resource" and isinstance(ref.get("uri"), str):
            server, name = self._locate_uri(exchange, ref["uri"])
            kind, given = "resource", {"type": "ref/resource", "uri": name}
        else:
            raise _wrong(exchange, "`ref` must be a `ref/prompt` with a name or a `ref/resource` with a uri")
        return await self._perform(exchange, server, self.api.complete(server, kind, name, sent), {"ref": given})

    async def connection(self, exchange: Exchange, server: str) -> Connection:
        """Return the connection this request takes: its own where a session's state lives at the server."""
        shared = await self.upstreams.shared(server)
        if exchange.client is None:
            if shared.is_modern or self.upstreams.server(server).command:
                return shared
            return await self.upstreams.private(server, exchange.session.id, offer=Offer(), outside=_deaf)
        owner, is_process = exchange.client.id, bool(self.upstreams.server(server).command)
        if is_process and not exchange.client.offer and not self.upstreams.has_private(server, owner) and not _is_stateful(exchange):
            return shared
        exchange.client.servers.add(server)
        offer = Offer(exchange.client.version, exchange.client.offer)
        return await self.upstreams.private(server, owner, offer=offer, outside=exchange.client.outside_of(server))

    async def _perform(
        self, exchange: Exchange, server: str, action: Action, fixed: Mapping[str, Any], tool: Tool | None = None
    ) -> dict[str, Any]:
        if server not in self._source.registry.servers:
            exchange.passage.action = action
            unlent = not self.api.is_lent(exchange.session, action)
            code, text = ("out_of_scope", "the session was not lent this") if unlent else ("not_found", f"there is no server `{server}`")
            return await self._refuse(exchange, refuse(code, text))
        place = (exchange.session.id, server, exchange.message.method, action.name, str(action.arguments.get("uri", "")))
        extra = self._returned(exchange, place)
        failure: dict[str, Any] = {}

        async def execute(admitted: Action) -> Answered:
            reply = await self._reach(exchange, server, admitted, {**fixed, **extra}, tool)
            if "error" in reply:
                failure.update(reply["error"])
                return Answered({"error": reply["error"]}, "upstream_failed", 502)
            return Answered(reply["result"])

        outcome = await self.api.perform(exchange.passage, action, execute)
        if isinstance(outcome, Refusal):
            return self._refused(exchange, outcome, place)
        if failure:
            shaped = outcome["error"]
            exchange.status = MODERN_STATUS.get(shaped["code"], 200)
            return error(exchange.message.id, shaped["code"], shaped["message"], shaped.get("data"))
        return result(exchange.message.id, self._shown(exchange, server, outcome, place))

    async def _reach(self, exchange: Exchange, server: str, action: Action, fixed: Mapping[str, Any], tool: Tool | None) -> dict[str, Any]:
        """Send the action as it was admitted, and follow what the server asks meanwhile."""
        relay = Relay(self.api, self.upstreams, exchange, server, action)
        headers = argument_headers(tool.definition.get("inputSchema"), action.arguments) if tool is not None else []
        sent = dict(fixed)
        responses = sent.get("inputResponses")
        if responses:
            allowed = await relay.answer("inputResponses", {}, responses)
            if isinstance(allowed, Refusal):
                return {"error": {"code": INVALID_PARAMS, "message": f"the answers may not be given: {allowed.detail}"}}
            sent["inputResponses"] = allowed
        for _ in range(MAX_ROUNDS):
            reply = await self._send(exchange, server, _method_params(exchange, action, sent), relay, headers)
            asked = reply.get("result", {}).get("resultType") == "input_required"
            if not asked or exchange.client is None:
                return self._askable(exchange, relay, reply) if asked else reply
            sent |= await _answers(relay, reply["result"])
            if "requestState" in reply["result"]:
                sent["requestState"] = reply["result"]["requestState"]
        return {"error": {"code": INVALID_PARAMS, "message": f"the server asked more than {MAX_ROUNDS} times"}}

    async def _send(
        self, exchange: Exchange, server: str, params: dict[str, Any], relay: Relay, headers: list[tuple[str, str]]
    ) -> dict[str, Any]:
        for attempt in (1, 2):
            connection = await self.connection(exchange, server)
            meta = exchange.meta_upstream(is_modern=connection.is_modern)
            try:
                method = exchange.message.method
                return await connection.request(method, params | {"_meta": meta} if meta else params, relay, headers)
            except SessionLost:
                if attempt == 2:
                    raise
        raise AssertionError("unreachable")

    def _askable(self, exchange: Exchange, relay: Relay, reply: dict[str, Any]) -> dict[str, Any]:
        """Refuse a multi-round-trip result that asks for credentials or for nothing known."""
        requests = reply["result"].get("inputRequests", {})
        if not isinstance(requests, dict) or not all(isinstance(r, dict) and isinstance(r.get("method"), str) for r in requests.values()):
            return {"error": {"code": INVALID_PARAMS, "message": "the server's questions are not well formed"}}
        for question in requests.values():
            params = question.get("params", {})
            shaped = relay.askable(question["method"], params if isinstance(params, dict) else {})
            if isinstance(shaped, Refusal):
                return {"error": {"code": INVALID_PARAMS, "message": shaped.detail}}
        return reply

    def _returned(self, exchange: Exchange, place: tuple[str, ...]) -> dict[str, Any]:
        """Return what a client brings back to a call that was interrupted for its input."""
        params, extra = exchange.message.params, dict[str, Any]()
        if not exchange.is_modern:
            return extra
        state, responses = params.get("requestState"), params.get("inputResponses")
        if state is not None:
            if not isinstance(state, str):
                raise _wrong(exchange, "`requestState` must be a string")
            opened = self._seal.open(state, *place, id=exchange.message.id)
            if opened is not None:
                extra["requestState"] = opened
        if responses is not None:
            if not isinstance(responses, dict):
                raise _wrong(exchange, "`inputResponses` must be an object")
            kept = {key: value for key, value in responses.items() if key != APPROVAL}
            if kept:
                extra["inputResponses"] = kept
        return extra

    def _shown(self, exchange: Exchange, server: str, answer: dict[str, Any], place: tuple[str, ...]) -> dict[str, Any]:
        """Return a result as the client's version and door have it."""
        shown = dict(relabelled(server, answer)) if not exchange.server else dict(answer)
        if not exchange.is_modern:
            for member in _MODERN_ONLY:
                shown.pop(member, None)
            return shown
        shown.setdefault("resultType", "complete")
        if shown["resultType"] == "input_required":
            state = shown.get("requestState")
            shown["requestState"] = self._seal.seal(state if isinstance(state, str) else None, *place)
        elif exchange.message.method in _CACHED:
            _cacheable(shown)
        return shown

    def _listed(self, exchange: Exchange, method: str, items: list[dict[str, Any]]) -> dict[str, Any]:
        listed: dict[str, Any] = {LISTS[method][0]: items}
        if exchange.is_modern:
            listed["resultType"] = "complete"
            _cacheable(listed)
        return result(exchange.message.id, listed)

    async def _refuse(self, exchange: Exchange, refusal: Refusal) -> dict[str, Any]:
        refusal = await self.api.pipeline.refuse(exchange.passage, refusal)
        return refused(exchange.message.id, refusal, exchange.passage.id)

    def _refused(self, exchange: Exchange, refusal: Refusal, place: tuple[str, ...]) -> dict[str, Any]:
        """Return a refusal; a hold becomes a question where the client can open the approval's page (MRTR)."""
        body = refused(exchange.message.id, refusal, exchange.passage.id)
        elicitation = exchange.capabilities.get("elicitation")
        if body["error"]["code"] != HELD or not exchange.is_modern or not isinstance(elicitation, dict) or "url" not in elicitation:
            return body
        url = str((refusal.approval or {}).get("url", ""))
        params = {"mode": "url", "message": f"{refusal.detail}: a person must approve it", "url": url}
        asked = {
            "resultType": "input_required",
            "inputRequests": {APPROVAL: {"method": "elicitation/create", "params": params}},
            "requestState": self._seal.seal(None, *place),
            "_meta": {"dev.ostiary/problem": body["error"]["data"]},
        }
        return result(exchange.message.id, asked)

    async def _each(self, exchange: Exchange, look: Any) -> list[str]:
        """Do something at the server of the path, or at each server the session may touch; one that fails is left out there."""
        if exchange.server:
            if not self.touches(exchange.session, exchange.server):
                raise NotFound(f"the session was lent nothing of server `{exchange.server}`", code="out_of_scope", status=403)
            self.upstreams.server(exchange.server)
            await look(exchange.server)
            return [exchange.server]
        reached = []
        for server in sorted(self._source.registry.servers):
            if self.touches(exchange.session, server):
                try:
                    await look(server)
                except Exception as failure:
                    exchange.failures.append(f"{server}: {failure}")
                else:
                    reached.append(server)
        return reached

    def touches(self, session: Session, server: str) -> bool:
        """Say whether anything of the server was lent to the session."""
        return any(_covers(scope, server) for scope in session.scopes)

    async def _locate(self, exchange: Exchange, name: str) -> tuple[str, str]:
        """Return (server, name) of a tool or prompt; on the common door a name that fits two is refused."""
        if exchange.server:
            return exchange.server, name
        found = candidates(self._source.registry.servers, name)
        if len(found) > 1:
            found = [(server, rest) for server, rest in found if f"{server}/{rest}" in self._source.registry.tools] or found
        if len(found) != 1:
            raise _wrong(exchange, f"`{name[:128]}` names no tool or prompt here: write `server__name`")
        return found[0]

    def _locate_uri(self, exchange: Exchange, uri: str) -> tuple[str, str]:
        if exchange.server:
            return exchange.server, uri
        server, rest = split_uri(uri)
        if not server:
            raise _wrong(exchange, "a resource here has an address as `ostiary://server/…`")
        return server, rest


_KINDS = frozenset({"tool", "resource", "prompt"})


def _covers(scope: str, server: str) -> bool:
    kind, _, pattern = scope.partition(":")
    head = pattern.partition("/")[0]
    return kind in _KINDS and (head == server or ("*" in head and fnmatchcase(server, head)))


_deaf = Deaf()


async def _answers(relay: Relay, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Put a stateless server's questions to a client of an older version."""
    responses: dict[str, Any] = {}
    requests = asked.get("inputRequests", {})
    for key, question in requests.items() if isinstance(requests, dict) else ():
        params = question.get("params", {}) if isinstance(question, dict) else {}
        reply = await relay.put(str(question.get("method", "")), params if isinstance(params, dict) else {})
        if "result" in reply:
            responses[key] = reply["result"]
    return {"inputResponses": responses}


def _method_params(exchange: Exchange, action: Action, sent: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters a server gets, made from the action as the controls left it."""
    arguments = action.arguments
    if action.verb == "call_tool":
        return {**sent, "arguments": dict(arguments)}
    if action.verb == "complete":
        return {**sent, **arguments["argument"]}
    return {**sent, **arguments}


def _reading(api: AgentApi, method: str, server: str, item: Mapping[str, Any]) -> Action:
    if method == "prompts/list":
        return api.get_prompt(server, str(item.get("name", "")), {})
    return api.read_resource(server, str(item.get("uri", item.get("uriTemplate", ""))))


def _renamed(exchange: Exchange, server: str, item: dict[str, Any]) -> dict[str, Any]:
    if exchange.server:
        return item
    if "uri" in item or "uriTemplate" in item:
        return item | {key: joined_uri(server, item[key]) for key in ("uri", "uriTemplate") if isinstance(item.get(key), str)}
    return item | {"name": joined(server, str(item.get("name", "")))}


def _cacheable(value: dict[str, Any]) -> None:
    """What one session sees is never another's, and never old for long."""
    ttl = value.get("ttlMs")
    value["ttlMs"] = min(ttl, MAX_TTL_MS) if isinstance(ttl, int) and ttl > 0 else 0
    value["cacheScope"] = "private"


def _is_stateful(exchange: Exchange) -> bool:
    return exchange.message.method in {"resources/subscribe", "resources/unsubscribe", "logging/setLevel"}


def _is_argument(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("name"), str) and isinstance(value.get("value"), str)


def _text(exchange: Exchange, name: str) -> str:
    value = exchange.message.params.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= 2048:
        raise _wrong(exchange, f"`{name}` must be a string of at most 2048 characters")
    return value


def _no_cursor(exchange: Exchange) -> None:
    if exchange.message.params.get("cursor") is not None:
        raise _wrong(exchange, "lists here are whole: there is no cursor")


def _wrong(exchange: Exchange, text: str) -> RpcError:
    return RpcError(INVALID_PARAMS, text, status=400 if exchange.is_modern else 200, id=exchange.message.id)
