"""What a server sends before its answer: progress, log messages and questions, controlled and handed to the client."""

import logging
from typing import Any, Final

from ostiary.boundaries.agent_api import AgentApi
from ostiary.core.action import Action
from ostiary.core.decision import Refusal, refuse
from ostiary.core.pipeline import Passage
from ostiary.protocols.mcp.exchange import Exchange
from ostiary.protocols.mcp.message import MISSING_CAPABILITY, REFUSED, UNKNOWN_METHOD
from ostiary.protocols.mcp.questions import asks_for_secrets, is_offered
from ostiary.protocols.mcp.upstream import Upstreams

log = logging.getLogger("ostiary.mcp.relay")

MAX_EVENTS: Final = 10_000
"""Messages of one call that are handed on; further ones are dropped."""


class Relay:
    """Listens to one call (`upstream.Listener`). Each piece is controlled and labelled before the client sees it."""

    def __init__(self, api: AgentApi, upstreams: Upstreams, exchange: Exchange, server: str, action: Action) -> None:
        self._api, self._upstreams = api, upstreams
        self._exchange, self._server, self._action = exchange, server, action
        self._count = 0

    async def message(self, message: dict[str, Any]) -> dict[str, Any] | None:
        """Hand on one message; a question's reply is returned."""
        if "id" in message:
            return await self._question(message["method"], message["params"])
        self._count += 1
        if self._count <= MAX_EVENTS:
            await self._notification(message["method"], message["params"])
        return None

    async def paused(self, retry_ms: int) -> None:
        """Do to the client what the server did to us."""
        await self._exchange.reply.pause(retry_ms)

    def opened(self) -> None:
        """Answer with a stream where the server does."""
        self._exchange.reply.prefers_stream = True

    async def _notification(self, method: str, params: dict[str, Any]) -> None:
        exchange, piece = self._exchange, dict[str, Any]()
        if method == "notifications/progress" and exchange.progress_token is not None:
            piece = {key: params[key] for key in ("progress", "total", "message") if key in params}
        elif method == "notifications/message" and (not exchange.is_modern or exchange.log_level):
            piece = {key: params[key] for key in ("level", "logger", "data") if key in params}
        elif method.endswith("/list_changed") and self._upstreams.on_change is not None:
            await self._upstreams.on_change(self._server, method)
        if not piece:
            return
        shaped = self._api.pipeline.release(exchange.passage, piece)
        if isinstance(shaped, Refusal):
            log.info("a message of server %s was held back: %s", self._server, shaped.code)
            return
        if method == "notifications/progress":
            shaped = {"progressToken": exchange.progress_token, **shaped}
        await exchange.reply.event({"jsonrpc": "2.0", "method": method, "params": shaped})

    async def _question(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        if method == "ping":
            return {"result": {}}
        client = self._exchange.client
        if client is None or not is_offered(method, client.capabilities):
            return _error(UNKNOWN_METHOD, f"the client does not answer `{method}`")
        return await self.put(method, params)

    async def put(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """Put a question to the client of an older version and return its reply, both recorded and decided."""
        client = self._exchange.client
        if client is None:
            return _error(MISSING_CAPABILITY, "the client cannot be asked")
        shaped = self.askable(method, params)
        if isinstance(shaped, Refusal):
            await self._record_refused(method, params, shaped)
            return _error(REFUSED, shaped.detail)
        try:
            reply = await client.ask(self._exchange.reply.event, method, shaped)
        except TimeoutError:
            return _error(REFUSED, "the client did not answer in time")
        if "error" in reply:
            return _error(REFUSED, "the client answered with an error")
        allowed = await self.answer(method, shaped, reply["result"])
        return _error(REFUSED, allowed.detail) if isinstance(allowed, Refusal) else {"result": allowed}

    def askable(self, method: str, params: dict[str, Any]) -> dict[str, Any] | Refusal:
        """Return a question as the client may see it."""
        if asks_for_secrets(method, params):
            return refuse("content_rejected", f"server `{self._server}` asks for a credential, which no server may")
        params = {key: value for key, value in params.items() if key != "_meta"}
        shaped: dict[str, Any] | Refusal = self._api.pipeline.release(self._exchange.passage, params)
        return shaped

    async def answer(self, method: str, question: Any, reply: Any) -> Any | Refusal:
        """Decide and record that a reply goes to the server; return it as the controls left it."""
        passage = self._passage(method, question, reply)
        refusal = await self._api.pipeline.admit(passage)
        if refusal is not None:
            return refusal
        _, action = passage.acting
        settled = await self._api.pipeline.settle(passage, {})
        return settled if isinstance(settled, Refusal) else action.arguments["reply"]

    async def _record_refused(self, method: str, params: Any, refusal: Refusal) -> None:
        await self._api.pipeline.refuse(self._passage(method, params, None), refusal)

    def _passage(self, method: str, question: Any, reply: Any) -> Passage:
        exchange = self._exchange
        passage = Passage(exchange.passage.credential, session=exchange.session)
        passage.action = self._api.answer_request(self._server, self._action, method, question, reply)
        return passage


def _error(code: int, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}
