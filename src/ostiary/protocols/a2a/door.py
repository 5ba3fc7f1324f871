"""The A2A door: `/a2a/{agent}` in both bindings, its card, and the address where agents tell what callers want to hear."""

from collections.abc import Callable
from typing import Any, Final

from ostiary.boundaries.flight import Flight
from ostiary.boundaries.user_agent import UserAgent
from ostiary.core.beside import beside
from ostiary.core.canonical import digest
from ostiary.core.decision import Refusal, refusal_of, refuse
from ostiary.core.errors import OstiaryError
from ostiary.core.ids import is_name
from ostiary.core.pipeline import Passage
from ostiary.core.subject import Session
from ostiary.protocols.a2a import errors
from ostiary.protocols.a2a.cards import WELL_KNOWN, Sign, issued
from ostiary.protocols.a2a.errors import A2aError
from ostiary.protocols.a2a.exchange import Exchange, respond_error, respond_fault, respond_refusal
from ostiary.protocols.a2a.operations import Failed, Operations
from ostiary.protocols.a2a.request import JSON_TYPES, Known, Request, check_version, envelope, of_envelope, of_http
from ostiary.protocols.a2a.streams import Streams
from ostiary.protocols.crowd import Crowd
from ostiary.protocols.model_door import Presence
from ostiary.protocols.wire import MAX_BODY, Call, Header, encode, passage_headers

PREFIX: Final = "/a2a/"


class A2aDoor:
    """Serves `Call`s under `/a2a`: identify first, then read, then act."""

    def __init__(self, operations: Operations, sign: Sign, *, base_url: Callable[[], str] | str, own_url: str) -> None:
        self._operations = operations
        self._streams = Streams(operations)
        self._crowd = Crowd()
        self._sign = sign
        self._base_url = base_url
        self._own_url = own_url
        """Where agents on this machine or network reach us when no public address is set."""

    @property
    def _enforcement(self) -> UserAgent:
        return self._operations.enforcement

    async def __call__(self, call: Call) -> None:
        """Serve one request."""
        agent, _, rest = call.path.removeprefix(PREFIX).partition("/")
        if call.method == "POST" and rest.startswith("push/"):
            await self._operations.pushes.receive(call, agent, rest.removeprefix("push/"))
            return
        is_rpc = rest == "" and call.method == "POST"
        passage = Passage(call.credential("a2a"))
        refusal = await self._enforcement.pipeline.identify(passage)
        if refusal is not None:
            await self._challenge(call, passage, refusal, is_rpc=is_rpc)
            return
        with self._crowd.entered(passage.session) as crowded:
            if crowded is not None:
                await self._refuse(call, passage, await self._enforcement.pipeline.refuse(passage, crowded), is_rpc=is_rpc)
                return
            await self._route(call, passage, agent, rest, is_rpc=is_rpc)

    async def _route(self, call: Call, passage: Passage, agent: str, rest: str, *, is_rpc: bool) -> None:
        if not is_name(agent):
            await self._refuse(call, passage, refuse("not_found", "there is no such path"), is_rpc=is_rpc)
        elif rest == WELL_KNOWN and call.method == "GET":
            await self._card(call, passage, agent)
        elif rest == "" and not is_rpc:
            await call.respond(405, b"", headers=[(b"allow", b"POST"), *passage_headers(passage)])
        else:
            await self._operate(call, passage, agent, rest, is_rpc=is_rpc)

    async def close(self) -> None:
        """Stop what goes on beside requests."""
        await self._operations.close()

    # -- operations

    async def _operate(self, call: Call, passage: Passage, agent: str, rest: str, *, is_rpc: bool) -> None:
        passage.action = self._enforcement.follow(_session(passage), agent, "unknown", {})
        identifier: Any = None
        try:
            request = await self._read(call, passage, rest, is_rpc=is_rpc)
            identifier = request.id
            await self._carry_out(call, passage, agent, request)
        except Failed as failure:
            await respond_fault(call, passage, failure.fault, failure.message, is_rpc=is_rpc, identifier=identifier)
        except A2aError as error:
            if passage.receipt is None:
                await self._enforcement.pipeline.refuse(passage, refuse(error.refusal_code, error.message))
            identifier = error.id if isinstance(error, Known) else identifier
            await respond_error(call, passage, error, is_rpc=is_rpc, identifier=identifier)
        except OstiaryError as failure:
            refusal = await self._enforcement.pipeline.refuse(passage, refusal_of(failure))
            if call.has_started:
                raise ConnectionAbortedError(refusal.detail) from failure
            await respond_refusal(call, passage, refusal, is_rpc=is_rpc, identifier=identifier)

    async def _read(self, call: Call, passage: Passage, rest: str, *, is_rpc: bool) -> Request:
        """Read a request of either binding. Raises A2aError, InvalidAction."""
        kind = call.headers.get("content-type", "").partition(";")[0].strip().lower()
        body = await call.body(MAX_BODY) if call.method == "POST" else b""
        passage.size = len(body)
        if body and kind not in JSON_TYPES:
            raise A2aError(errors.CONTENT_TYPE, f"the body must be application/json, got `{kind[:64]}`", http=415)
        if is_rpc:
            found = await beside(len(body), envelope, body)
            check_version(call.headers, call.query)
            return of_envelope(found)
        check_version(call.headers, call.query)
        return await beside(len(body), of_http, call.method, rest, call.query, body)

    async def _carry_out(self, call: Call, passage: Passage, agent: str, request: Request) -> None:
        flight = Flight(self._enforcement.pipeline, passage)
        exchange = Exchange(call, passage, agent, request, flight, self._base_url_of())
        with Presence(call, flight):
            if request.operation.is_streaming:
                refusal = await self._streams.serve(exchange)
            else:
                result = await self._operations.whole(exchange)
                refusal = result if isinstance(result, Refusal) else None
                if refusal is None:
                    await exchange.answer(result)
        if refusal is not None:
            await self._refuse(call, passage, refusal, is_rpc=request.is_rpc, identifier=request.id)

    # -- the card

    async def _card(self, call: Call, passage: Passage, name: str) -> None:
        """Show an agent's card to who could delegate to it, as this gateway vouches for it."""
        session = passage.session
        agent = self._enforcement.known(name)
        if session is None or isinstance(agent, Refusal) or not self._enforcement.sees(session, name):
            await self._refuse(call, passage, refuse("not_found", f"there is no agent `{name[:64]}`, or none you may see"), is_rpc=False)
            return
        passage.action = self._enforcement.follow(session, name, "read_card", {})
        try:
            card = await self._operations.catalogue.card(agent)
        except OstiaryError as error:
            card = refusal_of(error)
        if isinstance(card, Refusal):
            await self._refuse(call, passage, card, is_rpc=False)
            return
        shown = issued(agent, card, self._base(call), self._sign)
        etag = f'W/"{digest({key: value for key, value in shown.items() if key != "signatures"})[:32]}"'
        headers: list[Header] = [(b"etag", etag.encode()), *passage_headers(passage)]
        if call.headers.get("if-none-match") == etag:
            await call.respond(304, b"", headers=headers)
            return
        await call.respond(200, encode(shown), headers=headers)

    # -- refusals

    async def _challenge(self, call: Call, passage: Passage, refusal: Refusal, *, is_rpc: bool) -> None:
        """Answer a caller without a session, with where sessions are to be had (section 7.4)."""
        error = ', error="invalid_token"' if passage.credential.token else ""
        header = (b"www-authenticate", f'Bearer realm="ostiary"{error}'.encode())
        await respond_refusal(call, passage, refusal, is_rpc=is_rpc, more=(header,))

    async def _refuse(self, call: Call, passage: Passage, refusal: Refusal, *, is_rpc: bool, identifier: Any = None) -> None:
        await respond_refusal(call, passage, refusal, is_rpc=is_rpc, identifier=identifier)

    def _base_url_of(self) -> str:
        base = self._base_url() if callable(self._base_url) else self._base_url
        return (base or self._own_url).rstrip("/")

    def _base(self, call: Call) -> str:
        base = self._base_url() if callable(self._base_url) else self._base_url
        host = "".join(letter for letter in call.headers.get("host", "") if letter.isalnum() or letter in ".-:[]_")
        return base.rstrip("/") or f"{call.scope['scheme']}://{host}"


def _session(passage: Passage) -> Session:
    if passage.session is None:
        raise RuntimeError("an operation needs an identified passage")
    return passage.session
