"""HTTP for people and programs: the control API under /v1, one router a noun."""

from typing import Any

from fastapi import FastAPI

from ostiary.api import (
    agents,
    approvals,
    declaration,
    docs,
    entries,
    me,
    mine,
    notices,
    policies,
    problems,
    profiles,
    reach,
    registry,
    secrets,
    sessions,
    stream,
    tools,
    trust,
)
from ostiary.api.map import routes as map_routes
from ostiary.api.services import Services

__all__ = ["Services", "create_api"]

_ROUTERS = (
    me.routes,
    mine.routes,
    *registry.ROUTERS,
    profiles.routes,
    agents.routes,
    agents.keys,
    *reach.ROUTERS,
    tools.routes,
    sessions.routes,
    trust.routes,
    policies.routes,
    approvals.routes,
    entries.routes,
    map_routes,
    secrets.routes,
    declaration.routes,
    me.operators,
    notices.routes,
    stream.routes,
)


def create_api(services: Services) -> FastAPI:
    """Return the control API over the given services; `app` mounts it at the root. Its paths begin with /v1 and /docs."""
    api = _Described(
        title="Ostiary control API",
        description="Registry, policies, approvals and records of an Ostiary gateway. Every change is recorded before it happens.",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    api.state.services = services
    problems.install(api)
    for routes in _ROUTERS:
        api.include_router(routes)
    api.include_router(docs.routes(api))
    return api


class _Described(FastAPI):
    def openapi(self) -> dict[str, Any]:
        return docs.describe(self)
