"""Reading parameters and shaping answers: what every method needs, and no decision."""

from collections.abc import Mapping
from typing import Any, Final

from ostiary.core.action import Action
from ostiary.core.decision import Refusal
from ostiary.protocols.mcp.catalogue import LISTS
from ostiary.protocols.mcp.exchange import Exchange
from ostiary.protocols.mcp.message import INVALID_PARAMS, RpcError, result
from ostiary.protocols.mcp.naming import joined, joined_uri, relabelled

MAX_TTL_MS: Final = 60_000
MAX_NAME: Final = 2048
PROBLEM: Final = "dev.ostiary/problem"
"""Member of `_meta` that carries a problem where the answer is a result."""
_MODERN_ONLY = ("resultType", "ttlMs", "cacheScope")
_CACHED = frozenset({"tools/list", "prompts/list", "resources/list", "resources/templates/list", "resources/read"})


def wrong(exchange: Exchange, text: str) -> RpcError:
    """Return the fault of wrong parameters."""
    return RpcError(INVALID_PARAMS, text, status=400 if exchange.is_modern else 200, id=exchange.message.id)


def text_of(exchange: Exchange, name: str) -> str:
    """Return a parameter that must be a string. Raises RpcError."""
    value = exchange.message.params.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= MAX_NAME:
        raise wrong(exchange, f"`{name}` must be a string of at most {MAX_NAME} characters")
    return value


def object_of(exchange: Exchange, name: str, *, of_strings: bool = False) -> dict[str, Any]:
    """Return a parameter that must be an object, or is absent. Raises RpcError."""
    value = exchange.message.params.get(name, {})
    if not isinstance(value, dict) or (of_strings and not all(isinstance(item, str) for item in value.values())):
        raise wrong(exchange, f"`{name}` must be an object{' of strings' if of_strings else ''}")
    return value


def without_cursor(exchange: Exchange) -> None:
    """Refuse a cursor. Raises RpcError."""
    if exchange.message.params.get("cursor") is not None:
        raise wrong(exchange, "lists here are whole: there is no cursor")


def completion_of(exchange: Exchange) -> tuple[str, str, dict[str, Any]]:
    """Return what is to be completed: kind, name or address, and the parameters that are sent on. Raises RpcError."""
    ref, argument = object_of(exchange, "ref"), object_of(exchange, "argument")
    if not isinstance(argument.get("name"), str) or not isinstance(argument.get("value"), str):
        raise wrong(exchange, "`argument` must have a name and a value, both strings")
    sent: dict[str, Any] = {"argument": {"name": argument["name"], "value": argument["value"]}}
    context = object_of(exchange, "context").get("arguments")
    if isinstance(context, dict):
        sent["context"] = {"arguments": context}
    for kind, key in (("prompt", "name"), ("resource", "uri")):
        if ref.get("type") == f"ref/{kind}" and isinstance(ref.get(key), str):
            return kind, ref[key], sent
    raise wrong(exchange, "`ref` must be a `ref/prompt` with a name or a `ref/resource` with a uri")


def sent_upstream(action: Action, extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters a server gets, made from the action as the controls left it."""
    arguments = action.arguments
    if action.verb == "call_tool":
        return {**extra, "arguments": dict(arguments)}
    if action.verb == "complete":
        kind, key = ("prompt", "name") if "prompt" in arguments else ("resource", "uri")
        return {**extra, "ref": {"type": f"ref/{kind}", key: arguments[kind]}, **arguments["argument"]}
    return {**extra, **arguments}


def named_here(exchange: Exchange, server: str, item: dict[str, Any]) -> dict[str, Any]:
    """Return a listed item under the name it has at this door."""
    if exchange.server:
        return item
    if "uri" in item or "uriTemplate" in item:
        return item | {key: joined_uri(server, item[key]) for key in ("uri", "uriTemplate") if isinstance(item.get(key), str)}
    return item | {"name": joined(server, str(item.get("name", "")))}


def listed(exchange: Exchange, method: str, items: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the answer to a listing; a stream where the version allows one, as servers of it do."""
    answer: dict[str, Any] = {LISTS[method][0]: items}
    if exchange.is_modern:
        answer["resultType"] = "complete"
        _cacheable(answer)
    if exchange.failures:
        answer["_meta"] = {"dev.ostiary/unreachable": sorted(exchange.failures)}
    exchange.reply.prefers_stream = True
    return result(exchange.message.id, answer)


def shown(exchange: Exchange, server: str, answer: dict[str, Any]) -> dict[str, Any]:
    """Return a server's result as the client's version and door have it."""
    made = dict(answer) if exchange.server else dict(relabelled(server, answer))
    if not exchange.is_modern:
        for member in _MODERN_ONLY:
            made.pop(member, None)
        return made
    made.setdefault("resultType", "complete")
    if made["resultType"] == "complete" and exchange.message.method in _CACHED:
        _cacheable(made)
    return made


def no_tool(exchange: Exchange, refusal: Refusal) -> dict[str, Any]:
    """Tell of a tool that is not there as servers do: a result that is an error, so that the model can choose another."""
    answer: dict[str, Any] = {
        "content": [{"type": "text", "text": refusal.detail}],
        "isError": True,
        "_meta": {PROBLEM: refusal.problem(exchange.passage.id)},
    }
    return result(exchange.message.id, answer | {"resultType": "complete"} if exchange.is_modern else answer)


def _cacheable(value: dict[str, Any]) -> None:
    """What one session sees is never another's, and never old for long."""
    ttl = value.get("ttlMs")
    value["ttlMs"] = min(ttl, MAX_TTL_MS) if isinstance(ttl, int) and ttl > 0 else 0
    value["cacheScope"] = "private"
