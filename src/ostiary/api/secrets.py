"""Credentials for upstreams: set, listed by name, removed; never read back."""

from typing import Annotated, Any

from pydantic import Field, create_model

from ostiary.api.route import After, Body, Caller, Given, Limit, Name, Reason, Why, may, page, router
from ostiary.governance.secrets import SecretInfo

routes = router("secrets")


class SecretBody(Body):
    """The value to seal."""

    value: Annotated[str, Field(min_length=1, max_length=16384)]
    why: Reason = ""


SecretPage: Any = create_model("SecretPage", items=(list[SecretInfo], ...), next=(str | None, None))


@routes.get("", response_model=SecretPage)
async def list_secrets(
    services: Given, _: Annotated[Caller, may("list", "secret")], limit: Limit = 100, after: After = ""
) -> dict[str, Any]:
    """List which secrets are set, and since when."""
    return page(services.secrets.list(), lambda secret: secret.name, limit, after)


@routes.put("/{name}")
async def set_secret(name: Name, body: SecretBody, services: Given, caller: Annotated[Caller, may("set", "secret")]) -> SecretInfo:
    """Seal a secret. Nothing gives it out again but the door that uses it."""
    return await services.secrets.set(name, body.value, by=caller.name, why=body.why)


@routes.delete("/{name}", status_code=204)
async def remove_secret(name: Name, services: Given, caller: Annotated[Caller, may("remove", "secret")], why: Why = "") -> None:
    """Forget a secret."""
    await services.secrets.remove(name, by=caller.name, why=why)
