"""Tool profiles of a server: guessed, confirmed for one definition, made guesses again."""

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, create_model

from ostiary.api.bodies import ProfileBody
from ostiary.api.route import Body, Caller, Given, Name, Reason, may, router
from ostiary.api.services import Services
from ostiary.core.registry import Profile
from ostiary.governance.shapes import profile
from ostiary.governance.strict_yaml import from_plain
from ostiary.governance.tool_profiles import Understood

routes = router("servers")

ToolWord = Annotated[str, Field(pattern=r"^[\x21-\x2e\x30-\x7e]{1,128}$")]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


@dataclass(frozen=True, slots=True)
class ProfileShown:
    """What a tool's arguments and results mean."""

    effect: str
    external: bool
    control: list[str]
    payload: list[str]
    attested: list[str]
    directory: list[str]
    labels: list[str]


@dataclass(frozen=True, slots=True)
class UnderstoodView:
    """One tool: what holds now, what was guessed and why."""

    tool: str
    state: str
    """`guess`, `confirmed`, `changed` (another definition than the confirmed one: a guess again) or `not seen`."""
    digest: str
    profile: ProfileShown
    guess: ProfileShown
    why: dict[str, str]
    problems: list[str]


class PutBody(Body):
    """Profiles by tool name, confirmed by being sent; `digest` of each is the definition that was looked at."""

    tools: Annotated[dict[ToolWord, ProfileBody], Field(min_length=1, max_length=1000)]
    why: Reason = ""


class ConfirmBody(Body):
    """Whose guesses are right: by tool name, the digest of the definition that was looked at."""

    tools: Annotated[dict[ToolWord, Digest], Field(min_length=1, max_length=1000)]
    why: Reason = ""


class UnconfirmBody(Body):
    """Whose profiles are to be guesses again."""

    tools: Annotated[list[ToolWord], Field(min_length=1, max_length=1000)]
    why: Reason = ""


UnderstoodPage: Any = create_model("UnderstoodPage", items=(list[UnderstoodView], ...), next=(str | None, None))


@routes.get("/{name}/profiles", response_model=UnderstoodPage)
async def list_profiles(name: Name, services: Given, _: Annotated[Caller, may("show", "server")]) -> dict[str, Any]:
    """List what is understood of each tool of a server, and why."""
    return _page(services, name)


@routes.put("/{name}/profiles", response_model=UnderstoodPage)
async def put_profiles(name: Name, body: PutBody, services: Given, caller: Annotated[Caller, may("profile", "server")]) -> dict[str, Any]:
    """Confirm these profiles, all or none; each must fit the schema of its tool."""
    profiles = {tool: _read(f"tool `{name}/{tool}`", each) for tool, each in body.tools.items()}
    await services.profiles.put(name, profiles, by=caller.name, why=body.why)
    return _page(services, name)


@routes.post("/{name}/profiles/confirm", response_model=UnderstoodPage)
async def confirm_profiles(
    name: Name, body: ConfirmBody, services: Given, caller: Annotated[Caller, may("profile", "server")]
) -> dict[str, Any]:
    """Confirm the guesses of these tools."""
    await services.profiles.confirm(name, body.tools, by=caller.name, why=body.why)
    return _page(services, name)


@routes.post("/{name}/profiles/unconfirm", response_model=UnderstoodPage)
async def unconfirm_profiles(
    name: Name, body: UnconfirmBody, services: Given, caller: Annotated[Caller, may("profile", "server")]
) -> dict[str, Any]:
    """Make the profiles of these tools guesses again."""
    await services.profiles.unconfirm(name, body.tools, by=caller.name, why=body.why)
    return _page(services, name)


def _page(services: Services, name: str) -> dict[str, Any]:
    return {"items": [_view(each) for each in services.profiles.of(name)], "next": None}


def _read(what: str, body: ProfileBody) -> Profile:
    plain = {key: value for key, value in body.model_dump(exclude_unset=True).items() if value not in ("", None)}
    return profile(what, from_plain(plain, "the body"))


def _view(each: Understood) -> UnderstoodView:
    return UnderstoodView(each.tool, each.state, each.digest, _shown(each.profile), _shown(each.guess), dict(each.why), list(each.problems))


def _shown(value: Profile) -> ProfileShown:
    sets = (value.control, value.payload, value.attested, value.directory, value.labels)
    return ProfileShown(value.effect, value.external, *map(sorted, sets))
