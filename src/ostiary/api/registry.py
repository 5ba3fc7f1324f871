"""What is registered and simple: groups, models, servers, apis, sources, zones; and users with their way in."""

from collections.abc import Iterable
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field, create_model

from ostiary.api.bodies import ApiBody, DirectoryBody, GroupBody, ModelBody, ServerBody, SourceBody, UserBody, ZoneBody, registered
from ostiary.api.route import After, Body, Caller, Forbidden, Given, Limit, Name, Reason, Why, may, page, router
from ostiary.api.services import Services
from ostiary.core.errors import Conflict, NotFound
from ostiary.core.registry import Agent, Api, Group, Model, Registry, Server, Source, TrustedDirectory, User, Zone
from ostiary.core.subject import Status
from ostiary.governance import tool_profiles
from ostiary.governance.declaration import dependents, preview, retired
from ostiary.governance.registrar import RegistryChange, singular
from ostiary.identity.keys import AGENT, OPERATOR

New = Annotated[bool, Query(description="Refuse when it is registered already.")]


def registry_router(plural: str, noun: str, shape: type, body: type[Body]) -> APIRouter:
    """Return the router of one noun: list, show, register or change, retire."""
    routes = router(plural)
    listing: Any = create_model(f"{shape.__name__}Page", items=(list[shape], ...), next=(str | None, None))  # type: ignore[valid-type]

    @routes.get("", response_model=listing, name=f"list {plural}", description=f"List {plural}.")
    async def list_(services: Given, _: Annotated[Caller, may("list", noun)], limit: Limit = 100, after: After = "") -> dict[str, Any]:
        mapping = getattr(services.registrar.registry, plural)
        return page([mapping[name] for name in sorted(mapping)], lambda item: item.name, limit, after)

    @routes.get("/{name}", response_model=shape, name=f"show {noun}", description=f"Show one {noun}.")
    async def show(name: Name, services: Given, _: Annotated[Caller, may("show", noun)]) -> Any:
        return find(services, plural, name)

    @routes.put("/{name}", response_model=shape, name=f"register {noun}", description=f"Register or change one {noun}.")
    async def register(
        *,
        name: Name,
        what: body,  # type: ignore[valid-type]
        services: Given,
        caller: Annotated[Caller, may("register", noun)],
        why: Why = "",
        only_new: New = False,
    ) -> Any:
        seen = services.registrar.registry
        change = RegistryChange(plural, name, registered(plural, name, what, seen))
        if plural == "servers":
            tool_profiles.check(preview(seen, [change]), seen)
        return await put(services, caller, change, seen, why=why, only_new=only_new)

    @routes.delete(
        "/{name}", status_code=204, name=f"retire {noun}", description=f"Retire one {noun}; refused while something still needs it."
    )
    async def retire(name: Name, services: Given, caller: Annotated[Caller, may("retire", noun)], why: Why = "") -> None:
        await take_out(services, caller, plural, name, why)

    return routes


def find(services: Services, plural: str, name: str) -> Any:
    """Return a registered thing. Raises NotFound."""
    found = getattr(services.registrar.registry, plural).get(name)
    if found is None:
        raise NotFound(f"there is no `{name}` in {plural}", remedy=f"ostiary {singular(plural)} list")
    return found


async def put(services: Services, caller: Caller, change: RegistryChange, seen: Registry, *, why: str, only_new: bool) -> Any:
    """Register or change one thing that was made from the snapshot `seen`, recorded first."""
    noun = singular(change.noun)
    current = getattr(seen, change.noun).get(change.name)
    if current is not None and only_new:
        raise Conflict(f"{noun} `{change.name}` is registered already", remedy="change it without only_new, or choose another name")
    if current is not None and not caller.operator.can("change", noun):
        raise Forbidden(f"your role does not include `change` on `{noun}`")
    await services.registrar.change([change], by=caller.name, why=why, seen=seen)
    return change.value


async def take_out(services: Services, caller: Caller, plural: str, name: str, why: str) -> None:
    """Retire one thing that nobody needs any more, recorded first."""
    seen = services.registrar.registry
    find(services, plural, name)
    needed = dependents(plural, name, seen)
    if needed:
        raise Conflict(f"`{name}` is still needed by {', '.join(needed[:5])}", remedy="retire or change them first")
    changes = retired(plural, name, seen)
    await services.registrar.change(changes, by=caller.name, why=why, seen=seen)
    await end_credentials(services, changes, caller.name)


async def end_credentials(services: Services, changes: Iterable[RegistryChange], by: str) -> None:
    """Revoke what the retired people and agents among the changes could still present."""
    why = "retired"
    for change in changes:
        if not isinstance(change.value, User | Agent) or change.value.status is not Status.RETIRED:
            continue
        if isinstance(change.value, Agent):
            await services.keys.revoke_all(AGENT, change.name, by=by, reason=why)
            await services.sessions.revoke_all(agent=change.name, by=by, reason=why)
        else:
            await services.keys.revoke_all(OPERATOR, change.name, by=by, reason=why)
            await services.directory.forget(change.name, by=by)
            await services.sessions.revoke_all(user=change.name, by=by, reason=why)


groups = registry_router("groups", "group", Group, GroupBody)
models = registry_router("models", "model", Model, ModelBody)
servers = registry_router("servers", "server", Server, ServerBody)
apis = registry_router("apis", "api", Api, ApiBody)
sources = registry_router("sources", "source", Source, SourceBody)
zones = registry_router("zones", "zone", Zone, ZoneBody)
directories = registry_router("directories", "directory", TrustedDirectory, DirectoryBody)
users = registry_router("users", "user", User, UserBody)


class RefreshedView(Body):
    """Which could not be looked at, and why."""

    failures: dict[str, str]


@servers.post("/refresh")
async def refresh_servers(services: Given, _: Annotated[Caller, may("refresh", "server")]) -> RefreshedView:
    """Look at every registered server now: pin new tools, quarantine changed ones."""
    return RefreshedView(failures=dict(await services.connect()))


class RepinBody(Body):
    """Why another key is to be believed."""

    why: Reason = ""


@servers.post("/{name}/repin", status_code=204)
async def repin_server(name: Name, body: RepinBody, services: Given, caller: Annotated[Caller, may("repin", "server")]) -> None:
    """Let a server have another certificate key: the one it shows when it is reached next."""
    find(services, "servers", name)
    await services.pins.repin(name, by=caller.name, why=body.why)


@directories.post("/refresh")
async def refresh_directories(services: Given, _: Annotated[Caller, may("refresh", "directory")]) -> RefreshedView:
    """Read every directory that comes from a connected source now; the values of one that cannot be read are untrusted."""
    return RefreshedView(failures=dict(await services.read_directories()))


class PasswordBody(Body):
    """A new password."""

    password: Annotated[str, Field(min_length=12, max_length=1024)]


class LinkBody(Body):
    """How long the link is to work; `identity.link_ttl_s` when left out."""

    ttl_s: Annotated[int, Field(gt=0, le=604_800)] | None = None


class LinkView(Body):
    """A one-time sign-in secret, shown once."""

    user: str
    secret: str
    expires_in_s: int


@users.post("/{name}/password", status_code=204)
async def set_password(name: Name, body: PasswordBody, services: Given, caller: Annotated[Caller, may("password", "user")]) -> None:
    """Give a person a password."""
    find(services, "users", name)
    await services.directory.set_password(name, body.password, by=caller.name)


@users.post("/{name}/link", status_code=201)
async def issue_link(name: Name, body: LinkBody, services: Given, caller: Annotated[Caller, may("link", "user")]) -> LinkView:
    """Make a secret that signs a person in once."""
    find(services, "users", name)
    ttl_s = body.ttl_s or services.settings.identity.link_ttl_s
    secret = await services.directory.issue_link(name, by=caller.name, ttl_s=ttl_s)
    return LinkView(user=name, secret=secret, expires_in_s=ttl_s)


ROUTERS = (users, groups, models, servers, apis, sources, zones, directories)
