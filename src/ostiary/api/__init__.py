"""HTTP for people and programs: the control API under /v1, one router a noun."""

from fastapi import FastAPI

from ostiary.api.services import Services


def create_api(services: Services) -> FastAPI:
    """Return the control API over the given services; `app` mounts it."""
    api = FastAPI(title="Ostiary control API", version="1", docs_url=None, redoc_url=None, openapi_url=None)
    api.state.services = services
    return api
