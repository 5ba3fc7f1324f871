"""What is sent to register things: one body a noun, the same fields as in a declaration."""

# ruff: noqa: RUF012 -- pydantic copies the defaults of fields

from typing import Annotated, Any, Literal

from pydantic import Field

from ostiary.api.route import Body
from ostiary.core.registry import Registry
from ostiary.governance.declaration import settle
from ostiary.governance.registrar import Registered
from ostiary.governance.strict_yaml import from_plain

Text = Annotated[str, Field(max_length=4096)]
Line = Annotated[str, Field(max_length=512)]
Word = Annotated[str, Field(max_length=128)]
Words = Annotated[list[Word], Field(max_length=1000)]
Lines = Annotated[list[Line], Field(max_length=1000)]
Pairs = Annotated[dict[str, Text], Field(max_length=1000)]
Rate = Annotated[str, Field(pattern=r"^([1-9][0-9]{0,8}/[smhd])?$", description="As `10/s`, `100/m`, `1000/h`, `5/d`.")]
Pointer = Annotated[str, Field(max_length=256, description="`secret:NAME`; the value is sealed with /v1/secrets.")]
Trust = Literal["trusted", "untrusted"]


class UserBody(Body):
    """A person."""

    email: Line = ""
    roles: Words = []
    groups: Words = []
    attributes: Pairs = {}


class GroupBody(Body):
    """A named set of tools."""

    tools: Lines = []


class A2aBody(Body):
    """Where an agent answers other agents over A2A; `push` are the places its callers may be notified at."""

    url: Text
    credential: Pointer = ""
    trust: Trust = "untrusted"
    labels: Words = []
    keys: Text = ""
    push: Lines = []
    unsafe_plaintext: bool = False


class AgentBody(Body):
    """An agent. `prompt_digest` is the SHA-256 of its prompt, in hex."""

    owner: Word
    purpose: Text
    roles: Words = []
    groups: Words = []
    attributes: Pairs = {}
    model: Word = ""
    servers: Words = []
    scopes: Lines = []
    autonomous: bool = False
    a2a: A2aBody | None = None
    prompt_digest: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""


class ModelBody(Body):
    """A model endpoint."""

    provider: Literal["openai", "anthropic"]
    url: Text
    upstream_name: Line = ""
    credential: Pointer = ""
    accepts: Words = []
    trust: Trust = "untrusted"
    labels: Words = []
    region: Word = ""
    rate: Rate = ""
    price: dict[Literal["input", "output"], Annotated[float, Field(ge=0, le=1_000_000)]] = {}
    """Currency for a million tokens."""
    unsafe_plaintext: bool = False


class ProfileBody(Body):
    """What a tool's arguments and results mean; declared, and so confirmed, for the definition of this digest (any, until it is looked at)."""

    digest: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""

    effect: Literal["read", "reversible", "irreversible"] = "irreversible"
    external: bool = True
    control: Words = []
    payload: Words = []
    attested: Words = []
    directory: Words = []
    labels: Words = []


class ServerBody(Body):
    """An MCP server: either `url` or `command`."""

    url: Text = ""
    command: Annotated[list[Text], Field(max_length=100)] = []
    environment: Pairs = {}
    trust: Trust = "untrusted"
    labels: Words = []
    credential: Pointer = ""
    rate: Rate = ""
    unsafe_plaintext: bool = False
    follow_certificate: bool = False
    """Believe any trusted certificate, whatever its key."""
    tools: Annotated[dict[str, ProfileBody], Field(max_length=1000)] = {}


class ApiCredentialBody(Body):
    """How an API's credential is sent."""

    secret: Word
    as_: Annotated[Literal["bearer", "basic", "header"], Field(alias="as")] = "bearer"
    header: Word = ""


class ApiBody(Body):
    """An external HTTP API."""

    url: Text
    methods: Annotated[list[Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]], Field(max_length=7)] = ["GET"]
    credential: ApiCredentialBody | None = None
    rate: Rate = ""
    unsafe_plaintext: bool = False


class SourceBody(Body):
    """A data source, kept as declared."""

    kind: Word
    url: Text = ""
    credential: Pointer = ""
    tables: dict[str, Any] = {}
    collections: dict[str, Any] = {}
    labels: Words = []
    trust: Trust = "untrusted"
    rate: Rate = ""
    unsafe_plaintext: bool = False


class ZoneBody(Body):
    """A zone: who and what stands in it."""

    users: Words = []
    agents: Words = []
    servers: Words = []
    models: Words = []
    apis: Words = []
    sources: Words = []
    networks: Lines = []
    """Where requests from this zone come from, as `10.1.0.0/16`."""


class DirectorySourceBody(Body):
    """Where a directory's values are read: a tool, and the field of its answers that it vouches for."""

    tool: Line
    field: Line


class DirectoryBody(Body):
    """A trusted directory: either `values`, or `from` a connected source."""

    kind: Word
    values: Lines = []
    from_: Annotated[DirectorySourceBody | None, Field(alias="from")] = None


def registered(noun: str, name: str, body: Body, registry: Registry) -> Registered:
    """Return the registered value a body describes, checked as a declaration is. Raises InvalidConfig."""
    plain = body.model_dump(by_alias=True, exclude_unset=True, exclude={"prompt_digest"})
    return settle(noun, name, from_plain({key: value for key, value in plain.items() if value not in ("", None)}, "the body"), registry)
