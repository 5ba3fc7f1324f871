"""How the control API takes a request: who asks comes first, then whether their role includes it, then a strict reading."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from pydantic import BaseModel, ConfigDict, Field
from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import ClientDisconnect

from ostiary.api.problems import RESPONSES, answer_to, problem
from ostiary.api.services import Services
from ostiary.core.decision import Refusal, refuse
from ostiary.core.errors import InvalidAction, NotFound, OstiaryError
from ostiary.core.ports import Credential
from ostiary.core.registry import Agent
from ostiary.core.strict_json import parse
from ostiary.identity.control import Operator


class _Hex(Convertor[str]):
    """An id in a path: what is none leads to no operation."""

    regex = "[0-9a-f]{32}"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("hex", _Hex())

BEARER = HTTPBearer(
    auto_error=False, description="An operator key, `ook_…`; for `/v1/me` also a person's own token, from `/oauth/login` with `use=me`."
)
ONCE = ("authorization", "content-type", "content-length", "host", "origin", "cookie")
MAX_KEY = 2048
BODY_TIMEOUT_S = 30.0
"""Longest time a caller may take to send a body."""

Name = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,127}$", description="A name in the registry.")]
Id = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$", description="An id: 32 hex digits.")]
Why = Annotated[str, Query(max_length=1024, description="Why, for the record.")]
Reason = Annotated[str, Field(max_length=1024, description="Why, for the record.")]
Limit = Annotated[int, Query(ge=1, le=1000, description="Most items in one answer.")]
After = Annotated[str, Query(max_length=256, description="Continue after this name or id: the `next` of the answer before.")]


class Body(BaseModel):
    """A request body: no unknown field, no silent conversion."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class WhyBody(Body):
    """Why something is done."""

    why: Reason = ""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and whether their role reaches everything or only what belongs to their own agents."""

    operator: Operator
    is_own_only: bool

    @property
    def name(self) -> str:
        """The caller's name, as it goes into the record."""
        return self.operator.name

    @property
    def owner(self) -> str | None:
        """For a role that reaches only its own: whose agents. None reaches all."""
        return self.operator.name if self.is_own_only else None

    def sees(self, agent: Agent | None) -> bool:
        """Say whether an agent, and what belongs to it, is within reach."""
        return agent is not None and self.owner in (None, agent.owner)

    def agent(self, services: Services, name: str) -> Agent:
        """Return an agent within reach. Raises NotFound alike for none and for somebody else's."""
        agent = services.registrar.registry.agents.get(name)
        if agent is None or not self.sees(agent):
            raise NotFound(f"there is no agent `{name}` that you may see", remedy="ostiary agent list")
        return agent


class StrictRoute(APIRoute):
    """Authenticates before anything is read, then reads the body once with the gateway's own strict parser."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler of this route."""
        inner = super().get_route_handler()
        allowed = _query_names(self)
        has_body = self.body_field is not None
        checks = [each.call for each in self.dependant.dependencies if each.call is not None and hasattr(each.call, "permission")]

        async def handle(request: Request) -> Response:
            try:
                refusal = await _admit(request)
                if refusal is not None:
                    return problem(request, refusal)
                for check in checks:
                    check(request, None)
                _check_query(request, allowed)
                return await inner(await _read(request, has_body=has_body))
            except OstiaryError as error:
                return await answer_to(request, error)

        return handle


def router(noun: str, **rest: Any) -> APIRouter:
    """Return the router of one noun."""
    return APIRouter(prefix=f"/v1/{noun}" if noun else "/v1", tags=[noun or "me"], route_class=StrictRoute, responses=RESPONSES, **rest)


def may(verb: str, noun: str, *, own: bool = False) -> Any:
    """Return the dependency that lets in whoever's role includes `verb` on `noun`.

    With `own` the operation itself narrows to the caller's own agents, so that owners may use it too.
    """

    def permitted(request: Request, _: Annotated[Any, Depends(BEARER)]) -> Caller:
        operator: Operator = request.state.operator
        if operator.can(verb, noun):
            return Caller(operator, is_own_only=False)
        if own and operator.can_own(verb, noun):
            return Caller(operator, is_own_only=True)
        raise Forbidden(f"your role does not include `{verb}` on `{noun}`", remedy="ask an administrator; see docs/reference/cli.md, Roles")

    permitted.permission = (verb, noun)  # type: ignore[attr-defined]
    return Depends(permitted)


class Forbidden(OstiaryError):
    """The caller is known, and may not do this."""

    code, status = "forbidden", 403


def services_of(request: Request) -> Services:
    """Return the services of the application a request came to."""
    found: Services = request.app.state.services
    return found


Given = Annotated[Services, Depends(services_of)]


async def _settled(services: Given) -> None:
    await services.settled()


SETTLED = Depends(_settled)
"""For routers that read the record: whoever was answered before finds the answer there."""


def page(items: list[Any], key: Callable[[Any], str], limit: int, after: str) -> dict[str, Any]:
    """Return one page of a list that is sorted by `key`."""
    rest = [item for item in items if key(item) > after] if after else items
    shown = rest[:limit]
    return {"items": shown, "next": key(shown[-1]) if len(rest) > limit else None}


async def _admit(request: Request) -> Refusal | None:
    for name in ONCE:
        if len(request.headers.getlist(name)) > 1:
            return refuse("invalid_request", f"header `{name}` stands twice")
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    token = token.strip() if scheme.lower() == "bearer" and len(token) <= MAX_KEY else ""
    client = request.client.host if request.client else "127.0.0.1"
    found = await services_of(request).control.authenticate(Credential(token, "control", client, request.headers.get("host", "")))
    if isinstance(found, Refusal):
        return found
    request.state.operator = found
    return None


def _query_names(route: APIRoute) -> frozenset[str]:
    names: set[str] = set()
    queue = [route.dependant]
    while queue:
        dependant = queue.pop()
        names |= {field.alias for field in dependant.query_params}
        queue += dependant.dependencies
    return frozenset(names)


def _check_query(request: Request, allowed: frozenset[str]) -> None:
    seen = [key for key, _ in request.query_params.multi_items()]
    for key in seen:
        if key not in allowed:
            raise InvalidAction(f"unknown query parameter `{key[:64]}`; known here: {', '.join(sorted(allowed)) or 'none'}", status=422)
        if seen.count(key) > 1:
            raise InvalidAction(f"query parameter `{key[:64]}` stands twice", status=422)


class _Read(Request):
    """A request whose body was read already, strictly."""

    def __init__(self, request: Request, body: bytes, value: Any) -> None:
        super().__init__(request.scope, request.receive)
        self._bytes, self._value = body, value

    async def body(self) -> bytes:
        return self._bytes

    async def json(self) -> Any:
        return self._value


async def _read(request: Request, *, has_body: bool) -> Request:
    """Read the body bounded and strictly, before FastAPI does; refuse one where none belongs."""
    limit = services_of(request).settings.server.max_control_body_bytes
    body = await _bounded(request, limit)
    if not body:
        return _Read(request, b"", None)
    if not has_body:
        raise InvalidAction("this operation takes no body")
    if request.headers.get("content-encoding", "identity") != "identity":
        raise InvalidAction("a compressed body is not accepted: send it as it is", status=415)
    if not _is_json(request.headers.get("content-type", "")):
        raise InvalidAction("the body must be `application/json`", status=415)
    return _Read(request, body, parse(body, max_bytes=limit))


async def _bounded(request: Request, limit: int) -> bytes:
    pieces, size = [], 0
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for piece in request.stream():
                size += len(piece)
                if size > limit:
                    raise InvalidAction(f"body is over the limit of {limit} bytes", code="too_large", status=413)
                pieces.append(piece)
    except TimeoutError:
        raise InvalidAction(f"the body did not arrive within {BODY_TIMEOUT_S:.0f} s", status=408) from None
    except ClientDisconnect:
        raise InvalidAction("the body broke off") from None
    return b"".join(pieces)


def _is_json(content_type: str) -> bool:
    kind, _, rest = content_type.partition(";")
    parameter = rest.strip().lower().replace('"', "").replace(" ", "")
    return kind.strip().lower() == "application/json" and parameter in {"", "charset=utf-8"}
