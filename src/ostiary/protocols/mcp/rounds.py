"""Calls in several rounds (`input_required`): what is asked, what is brought back, and that it belongs together."""

from collections.abc import Mapping
from typing import Any, Final

from ostiary.core.decision import Refusal
from ostiary.protocols.mcp.exchange import Exchange
from ostiary.protocols.mcp.message import INVALID_PARAMS, refused, result
from ostiary.protocols.mcp.relay import Relay
from ostiary.protocols.mcp.shapes import PROBLEM, wrong
from ostiary.protocols.mcp.state import StateSeal

APPROVAL: Final = "ostiary_approval"
"""The key under which a held action asks for its approval."""
MAX_ASKED: Final = 16


class Rounds:
    """Binds the rounds of one call to its session, server, method and name."""

    def __init__(self) -> None:
        self._seal = StateSeal()

    def returned(self, exchange: Exchange, place: tuple[str, ...]) -> dict[str, Any]:
        """Return what a client brings back to a call that was interrupted for its input. Raises RpcError."""
        extra: dict[str, Any] = {}
        if not exchange.is_modern:
            return extra
        state, responses = exchange.message.params.get("requestState"), exchange.message.params.get("inputResponses")
        if state is not None:
            if not isinstance(state, str):
                raise wrong(exchange, "`requestState` must be a string")
            opened = self._seal.open(state, *place, id=exchange.message.id)
            if opened is not None:
                extra["requestState"] = opened
        if responses is not None:
            if not isinstance(responses, dict):
                raise wrong(exchange, "`inputResponses` must be an object")
            kept = {key: value for key, value in responses.items() if key != APPROVAL}
            if kept:
                extra["inputResponses"] = kept
        return extra

    def bound(self, answer: dict[str, Any], place: tuple[str, ...]) -> dict[str, Any]:
        """Return an interim result with its state bound to this call."""
        state = answer.get("requestState")
        return answer | {"requestState": self._seal.seal(state if isinstance(state, str) else None, *place)}

    def held(self, exchange: Exchange, refusal: Refusal, place: tuple[str, ...]) -> dict[str, Any]:
        """Return a hold: a question where the client can open the approval's page, else the refusal."""
        body = refused(exchange.message.id, refusal, exchange.passage.id)
        elicitation = exchange.capabilities.get("elicitation")
        if not exchange.is_modern or not isinstance(elicitation, dict) or "url" not in elicitation:
            return body
        url = str((refusal.approval or {}).get("url", ""))
        params = {"mode": "url", "message": f"{refusal.detail}: a person must approve it", "url": url}
        asked = {
            "resultType": "input_required",
            "inputRequests": {APPROVAL: {"method": "elicitation/create", "params": params}},
            "_meta": {PROBLEM: body["error"]["data"]},
        }
        return result(exchange.message.id, self.bound(asked, place))


def is_interim(reply: Mapping[str, Any]) -> bool:
    """Say whether a server's reply asks for input."""
    answer = reply.get("result")
    return isinstance(answer, dict) and answer.get("resultType") == "input_required"


async def put_to_client(relay: Relay, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Put a stateless server's questions to a client of an older version; return what to send next."""
    responses: dict[str, Any] = {}
    for key, (method, params) in _questions(asked).items():
        reply = await relay.put(method, params)
        if "result" in reply:
            responses[key] = reply["result"]
    state = asked.get("requestState")
    return {"inputResponses": responses} | ({"requestState": state} if isinstance(state, str) else {})


def controlled(relay: Relay, reply: dict[str, Any]) -> dict[str, Any]:
    """Return an interim reply if each of its questions may be put to the client, else an error."""
    asked = reply["result"]
    found = _questions(asked)
    if len(found) != len(asked.get("inputRequests", {})) or len(found) > MAX_ASKED:
        return {"error": {"code": INVALID_PARAMS, "message": "the server's questions are not well formed"}}
    for method, params in found.values():
        shaped = relay.askable(method, params)
        if isinstance(shaped, Refusal):
            return {"error": {"code": INVALID_PARAMS, "message": shaped.detail}}
    return reply


def _questions(asked: Mapping[str, Any]) -> dict[str, tuple[str, dict[str, Any]]]:
    requests, found = asked.get("inputRequests", {}), dict[str, tuple[str, dict[str, Any]]]()
    for key, question in requests.items() if isinstance(requests, dict) else ():
        method = question.get("method") if isinstance(question, dict) else None
        params = question.get("params", {}) if isinstance(question, dict) else None
        if isinstance(method, str) and isinstance(params, dict):
            found[key] = (method, params)
    return found
