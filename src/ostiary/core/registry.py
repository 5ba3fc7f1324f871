"""What is registered: a frozen snapshot of every principal and resource, swapped whole on change."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ostiary.core.canonical import digest
from ostiary.core.ids import spiffe_id
from ostiary.core.subject import Principal, PrincipalKind, Status


@dataclass(frozen=True, slots=True)
class User:
    """A person. `directory` is where the person signs in (`local` until an identity provider is bound)."""

    name: str
    email: str = ""
    roles: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    attributes: Mapping[str, str] = field(default_factory=dict)
    status: Status = Status.ACTIVE


@dataclass(frozen=True, slots=True)
class A2a:
    """Where an agent answers other agents over A2A, and how far it is believed."""

    url: str
    """Its base: the card is at `/.well-known/agent-card.json` below it, and nothing it names may lie on another host."""
    credential: str = ""
    """The name of a sealed secret that it asks of this gateway, sent as `x-api-key`."""
    trust: str = "untrusted"
    labels: frozenset[str] = frozenset()
    """Confidentiality labels on all it answers."""
    keys: str = ""
    """Address of the key set (JWKS) its card must be signed with; empty: a signed card is checked against its own host's keys."""
    push: tuple[str, ...] = ()
    """Where its callers may have notifications sent to: addresses, each with all below it."""
    unsafe_plaintext: bool = False


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent: always with an owner, a purpose and a reviewed manifest, or it does not run (R-G6)."""

    name: str
    owner: str
    purpose: str
    roles: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    attributes: Mapping[str, str] = field(default_factory=dict)
    model: str = ""
    servers: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    """What an implicit session of an autonomous agent holds."""
    autonomous: bool = False
    prompt_digest: str = ""
    reviewed: str = ""
    """The manifest digest a person accepted last."""
    status: Status = Status.DRAFT
    a2a: A2a | None = None
    """Where it can be delegated to; None for an agent that only asks."""

    @property
    def manifest(self) -> str:
        """The digest of what the agent is made of: model, prompt and servers (its tools are pinned one by one)."""
        return digest([self.model, self.prompt_digest, sorted(self.servers)])


@dataclass(frozen=True, slots=True)
class Model:
    """A model endpoint. `upstream_name` is what the provider calls it, `credential` the name of a sealed secret."""

    name: str
    provider: str
    url: str
    upstream_name: str = ""
    credential: str = ""
    accepts: frozenset[str] = frozenset()
    """Confidentiality labels it may receive."""
    trust: str = "untrusted"
    labels: frozenset[str] = frozenset()
    """Confidentiality labels on all it answers."""
    region: str = ""
    rate: str = ""
    input_price: int = 0
    """Micro-units of the deployment's currency for a million tokens asked; 0 is not charged."""
    output_price: int = 0
    """The same for a million tokens answered."""
    unsafe_plaintext: bool = False


@dataclass(frozen=True, slots=True)
class Server:
    """An MCP server, reached at `url` or started as `command`. `trust` labels what it returns."""

    name: str
    url: str = ""
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    trust: str = "untrusted"
    labels: frozenset[str] = frozenset()
    """Confidentiality labels on all it returns."""
    credential: str = ""
    rate: str = ""
    unsafe_plaintext: bool = False
    profiles: Mapping[str, "Profile"] = field(default_factory=dict)
    """Declared and so confirmed profiles, by tool name."""
    follow_certificate: bool = False
    """Believe any trusted certificate, whatever its key: for servers that change keys with each renewal."""

    @property
    def place(self) -> tuple[str, ...]:
        """Where it is: its command, or its URL."""
        return self.command or (self.url,)

    def profile_of(self, tool: str, digest: str) -> "Profile | None":
        """Return the profile confirmed for a tool as it is defined now."""
        profile = self.profiles.get(tool)
        return profile if profile is not None and profile.holds_for(digest) else None


@dataclass(frozen=True, slots=True)
class Pin:
    """What a server was when it was looked at first: another one under the same name shows (rug pull)."""

    name: str
    """The server's."""
    place: tuple[str, ...]
    """Where it was: its URL, or its command. Elsewhere the pin says nothing."""
    version: str = ""
    """What it called itself, name and version; empty when it did not say."""
    key: str = ""
    """SHA-256 (hex) of the public key in its certificate; empty for a server without one."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What a tool's arguments and results mean. Inferred is a guess; only a confirmed one relaxes anything."""

    effect: str = "irreversible"
    """`read`, `reversible` or `irreversible`."""
    external: bool = True
    control: frozenset[str] = frozenset()
    """Arguments that decide where the effect goes: recipient, account, amount, path, id …"""
    payload: frozenset[str] = frozenset()
    attested: frozenset[str] = frozenset()
    """Result fields the system of record vouches for, as dotted paths (`items.account`)."""
    directory: frozenset[str] = frozenset()
    """Result fields that are a trusted directory (payees, contacts), as dotted paths."""
    labels: frozenset[str] = frozenset()
    confirmed: bool = False
    pinned: str = ""
    """Digest of the definition it was confirmed for; empty until the tool is first looked at."""

    def holds_for(self, digest: str) -> bool:
        """Say whether it was confirmed for the definition of this digest: another one makes it a guess again."""
        return self.pinned in ("", digest)


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool as its server defines it, pinned by digest. Only an accepted one can be listed or called."""

    server: str
    name: str
    definition: Mapping[str, Any]
    """The MCP Tool object as received: name, description, inputSchema, outputSchema, annotations …"""
    digest: str
    accepted: bool = True
    findings: tuple[str, ...] = ()
    """Why it is quarantined."""
    profile: Profile = Profile()
    previous: Mapping[str, Any] | None = None
    """The definition accepted before, while this one is quarantined: what an operator compares with."""

    @property
    def id(self) -> str:
        """The name policies and scopes use: `server/tool`."""
        return f"{self.server}/{self.name}"


@dataclass(frozen=True, slots=True)
class Card:
    """An agent's A2A card as it was fetched, pinned by digest. Nobody delegates to an agent whose card is not accepted."""

    agent: str
    definition: Mapping[str, Any]
    """The AgentCard as read: known fields only, in one spelling."""
    digest: str
    url: str = ""
    """Where it was fetched: an agent that moved must be looked at again."""
    accepted: bool = True
    findings: tuple[str, ...] = ()
    """Why it is quarantined."""
    signed_by: str = ""
    """The id of the key whose signature holds; empty for an unsigned card."""
    previous: Mapping[str, Any] | None = None
    """The card accepted before, while this one is quarantined: what an operator compares with."""


@dataclass(frozen=True, slots=True)
class Api:
    """An external HTTP API."""

    name: str
    url: str
    methods: frozenset[str] = frozenset({"GET"})
    credential: Mapping[str, str] = field(default_factory=dict)
    rate: str = ""
    unsafe_plaintext: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """A named set of tools (`payments/pay`) and of principals, for rules about several at once."""

    name: str
    tools: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class TrustedDirectory:
    """A list of values that may decide where an effect goes: payees, contacts, repositories, channels.

    Either `values` are listed, or they are read from what a tool vouches for: `field` of the answers of `tool` (`crm/contacts`).
    """

    name: str
    kind: str = ""
    """What people call its values: `payees`, `contacts` …"""
    values: tuple[str, ...] = ()
    tool: str = ""
    field: str = ""


@dataclass(frozen=True, slots=True)
class Zone:
    """A part of the company kept apart from the rest: entering it needs a policy that names it (R-P5).

    Members are names of the registry; a tool stands where its server stands. What is in no zone is open to all.
    """

    name: str
    users: frozenset[str] = frozenset()
    agents: frozenset[str] = frozenset()
    servers: frozenset[str] = frozenset()
    models: frozenset[str] = frozenset()
    apis: frozenset[str] = frozenset()
    sources: frozenset[str] = frozenset()
    networks: frozenset[str] = frozenset()
    """Where requests from this zone come from: `10.1.0.0/16`."""


@dataclass(frozen=True, slots=True)
class Source:
    """A data source; `declaration` is kept as declared until data doors exist."""

    name: str
    declaration: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Registry:
    """Everything registered at one moment. Requests hold the snapshot they began with."""

    trust_domain: str = "ostiary.local"
    revision: int = 0
    users: Mapping[str, User] = field(default_factory=dict)
    groups: Mapping[str, Group] = field(default_factory=dict)
    agents: Mapping[str, Agent] = field(default_factory=dict)
    models: Mapping[str, Model] = field(default_factory=dict)
    servers: Mapping[str, Server] = field(default_factory=dict)
    tools: Mapping[str, Tool] = field(default_factory=dict)
    """By `server/tool`."""
    cards: Mapping[str, Card] = field(default_factory=dict)
    """By agent."""
    apis: Mapping[str, Api] = field(default_factory=dict)
    sources: Mapping[str, Source] = field(default_factory=dict)
    zones: Mapping[str, Zone] = field(default_factory=dict)
    directories: Mapping[str, TrustedDirectory] = field(default_factory=dict)
    pins: Mapping[str, Pin] = field(default_factory=dict)
    """By the name of their server."""

    def pin_of(self, server: "Server") -> Pin | None:
        """Return what a server is pinned to, where it is now."""
        pin = self.pins.get(server.name)
        return pin if pin is not None and pin.place == server.place else None

    def user_principal(self, name: str) -> Principal | None:
        """Return the registered user `name` as a principal."""
        user = self.users.get(name)
        if user is None:
            return None
        identity = spiffe_id(self.trust_domain, "user", name)
        return Principal(identity, PrincipalKind.USER, name, user.status, None, user.roles, user.groups, user.attributes)

    def agent_principal(self, name: str) -> Principal | None:
        """Return the registered agent `name` as a principal."""
        agent = self.agents.get(name)
        if agent is None:
            return None
        identity = spiffe_id(self.trust_domain, "agent", name)
        return Principal(identity, PrincipalKind.AGENT, name, agent.status, agent.owner, agent.roles, agent.groups, agent.attributes)

    def server_tools(self, server: str) -> list[Tool]:
        """Return the tools of one server, by name."""
        prefix = f"{server}/"
        return [tool for name, tool in sorted(self.tools.items()) if name.startswith(prefix)]
