"""Who the caller is and may do; operators and their keys; settings; version."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request
from pydantic import Field, create_model

import ostiary
from ostiary.api.route import BEARER, After, Body, Caller, Given, Id, Limit, Why, may, page, router
from ostiary.api.services import Services
from ostiary.core.errors import Conflict, NotFound
from ostiary.identity.control import Operator
from ostiary.identity.keys import OPERATOR, Key
from ostiary.identity.roles import GRANTS

routes = router("")
operators = router("operators")


@dataclass(frozen=True, slots=True)
class Me:
    """The caller, and what each of their roles includes."""

    name: str
    roles: list[str]
    method: str
    grants: dict[str, list[str]]
    """Verbs by noun."""
    version: str
    trust_domain: str


@dataclass(frozen=True, slots=True)
class SettingView:
    """One setting."""

    name: str
    value: Any
    default: Any
    source: str
    meaning: str


@dataclass(frozen=True, slots=True)
class OperatorView:
    """An operator key without its secret."""

    id: str
    prefix: str
    name: str
    roles: list[str]
    created_at: float
    created_by: str
    expires_at: float | None
    revoked_at: float | None


@dataclass(frozen=True, slots=True)
class IssuedOperatorView:
    """A new operator key; the secret is shown this once."""

    id: str
    prefix: str
    secret: str
    expires_at: float | None


class OperatorBody(Body):
    """Whose key, with which roles. To approve, the name must be a registered user's."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,127}$")]
    roles: Annotated[list[Annotated[str, Field(max_length=64)]], Field(min_length=1, max_length=8)]
    ttl_s: Annotated[int, Field(gt=0, le=315_360_000)] | None = None


SettingPage: Any = create_model("SettingPage", items=(list[SettingView], ...), next=(str | None, None))
OperatorPage: Any = create_model("OperatorPage", items=(list[OperatorView], ...), next=(str | None, None))


@routes.get("/me")
async def me(request: Request, services: Given, _: Annotated[Any, Depends(BEARER)]) -> Me:
    """Say who the caller is and what they may do."""
    operator: Operator = request.state.operator
    grants: dict[str, set[str]] = {}
    for role in operator.roles:
        for noun, verbs in GRANTS.get(role, {}).items():
            grants.setdefault(noun, set()).update(verbs)
    shown = {noun: sorted(verbs) for noun, verbs in sorted(grants.items())}
    domain = services.registrar.registry.trust_domain
    return Me(operator.name, sorted(operator.roles), operator.method, shown, ostiary.__version__, domain)


@routes.get("/settings", response_model=SettingPage)
async def list_settings(services: Given, _: Annotated[Caller, may("list", "settings")]) -> dict[str, Any]:
    """List every setting with its value, source and meaning."""
    return {"items": [SettingView(s.name, s.value, s.default, s.source, s.meaning) for s in services.described], "next": None}


@operators.get("", response_model=OperatorPage)
async def list_operators(
    services: Given, _: Annotated[Caller, may("list", "operator")], limit: Limit = 100, after: After = ""
) -> dict[str, Any]:
    """List operator keys, without their secrets."""
    views = [
        OperatorView(k.id, k.prefix, k.holder, sorted(k.roles), k.created_at, k.created_by, k.expires_at, k.revoked_at)
        for k in services.keys.list(OPERATOR)
    ]
    return page(views, lambda view: view.id, limit, after)


@operators.post("", status_code=201)
async def issue_operator(body: OperatorBody, services: Given, caller: Annotated[Caller, may("issue", "operator")]) -> IssuedOperatorView:
    """Make a key for the control plane. The secret is shown this once."""
    issued = await services.keys.issue_operator_key(body.name, frozenset(body.roles), by=caller.name, ttl_s=body.ttl_s)
    return IssuedOperatorView(issued.id, issued.prefix, issued.secret, issued.expires_at)


@operators.delete("/{id}", status_code=204)
async def revoke_operator(id: Id, services: Given, caller: Annotated[Caller, may("revoke", "operator")], why: Why = "") -> None:  # noqa: A002
    """Revoke an operator key now."""
    key = services.keys.find(id)
    if key is None or key.kind != OPERATOR:
        raise NotFound("there is no operator key of that id", remedy="ostiary operator list")
    if _is_last_administrator(services, key):
        raise Conflict(
            "this is the last live administrator key", remedy="make another first: ostiary operator key NAME --role administrator"
        )
    await services.keys.revoke(id, by=caller.name, reason=why)


def _is_last_administrator(services: Services, key: Key) -> bool:
    """Say whether nobody could make keys any more without this one."""
    live = [each for each in services.keys.list(OPERATOR) if "administrator" in each.roles and services.keys.standing(each.id) is None]
    return [each.id for each in live] == [key.id]
