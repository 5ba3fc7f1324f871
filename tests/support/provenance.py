"""A small world for the tests of information flow: one registry, real sessions, real tools; nothing pretends."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ostiary.core.action import Action, Boundary, Origins, Resource
from ostiary.core.pipeline import Passage
from ostiary.core.ports import Credential
from ostiary.core.registry import Agent, Model, Profile, Registry, Server, Tool, User
from ostiary.core.subject import Principal, PrincipalKind, Session, Status, Subject
from ostiary.provenance.engine import Provenance

OPENED_AT = 1_750_000_000.0
"""15 June 2025."""


def tool(server: str, name: str, properties: Mapping[str, Any], profile: Profile | None = None, **rest: Any) -> Tool:
    """Return an accepted tool; without a profile nobody has confirmed one."""
    definition = {"name": name, "inputSchema": {"type": "object", "properties": dict(properties)}, **rest}
    return Tool(server, name, definition, digest=f"{server}/{name}", profile=profile or Profile())


TEXT = {"type": "string"}
PAY = tool(
    "bank",
    "pay",
    {"recipient": TEXT, "amount": {"type": "number"}, "note": TEXT, "date": TEXT},
    Profile(control=frozenset({"recipient", "amount", "date"}), payload=frozenset({"note"}), confirmed=True),
)
RECORD = tool("bank", "record", PAY.definition["inputSchema"]["properties"], PAY.profile)
"""Like `pay`, and a deed that nobody has to ask for: what is looked at is where values come from."""
SEND = tool(
    "mail",
    "send",
    {"to": {"type": "array", "items": TEXT}, "subject": TEXT, "body": TEXT},
    Profile(control=frozenset({"to"}), payload=frozenset({"subject", "body"}), confirmed=True),
)
FILES = tool(
    "drive",
    "list_files",
    {},
    Profile(effect="read", external=False, attested=frozenset({"id", "name", "owner", "created_at", "size"}), confirmed=True),
)
DELETE = tool("drive", "delete_file", {"file_id": {"type": "integer"}}, Profile(control=frozenset({"file_id"}), confirmed=True))
CONTACTS = tool(
    "people",
    "contacts",
    {"query": TEXT},
    Profile(effect="read", external=False, attested=frozenset({"name"}), directory=frozenset({"email", "accounts.iban"}), confirmed=True),
)
UNKNOWN = tool(
    "odd", "wipe", {"where": TEXT, "dry_run": {"type": "boolean"}, "level": {"type": "string", "enum": ["soft", "hard"], "default": "soft"}}
)
READ = tool("mail", "read", {"id": TEXT}, Profile(effect="read", external=False, confirmed=True))

REGISTRY = Registry(
    users={"alice": User("alice", "alice@corp.example")},
    agents={"bot": Agent("bot", "alice", "does chores", status=Status.ACTIVE)},
    models={"m": Model("m", "openai", "http://127.0.0.1:1")},
    servers={
        "bank": Server("bank", trust="trusted", labels=frozenset({"financial"})),
        "mail": Server("mail"),
        "drive": Server("drive", trust="trusted"),
        "people": Server("people", trust="trusted"),
        "odd": Server("odd"),
    },
    tools={one.id: one for one in (PAY, RECORD, SEND, FILES, DELETE, CONTACTS, UNKNOWN, READ)},
)


class World:
    """One user, one session, one engine."""

    def __init__(self, purpose: str, registry: Registry = REGISTRY, *, depth: int = 0, autonomous: bool = False) -> None:
        self.registry = registry
        self.provenance = Provenance(self)
        user = Principal("spiffe://x/user/alice", PrincipalKind.USER, "alice")
        bot = Principal("spiffe://x/agent/bot", PrincipalKind.AGENT, "bot", owner="alice")
        chain = (bot,) if autonomous else (user, bot)
        self.session = Session("s1", Subject(chain), ("tool:*",), purpose, OPENED_AT, OPENED_AT + 3600, depth=depth)

    def action(self, name: str, /, **arguments: Any) -> Action:
        """Return a tool call."""
        return Action(Boundary.AGENT_API, "call_tool", name, Resource("Tool", name), f"tool:{name}", arguments)

    def trace(self, name: str, /, **arguments: Any) -> Origins:
        """Return the origins of a tool call."""
        return self.provenance.trace(self.session, self.action(name, **arguments))

    def origin(self, value: Any, argument: str = "recipient", name: str = "bank/record") -> str:
        """Return the origin of one value as one argument."""
        return self.trace(name, **{argument: value}).arguments[argument]

    def answer(self, name: str, content: Any, /, *, detected: frozenset[str] = frozenset(), **arguments: Any) -> frozenset[str]:
        """Let a tool answer."""
        passage = Passage(Credential("", "mcp"), session=self.session, action=self.action(name, **arguments), detected=detected)
        passage.origins = self.provenance.trace(*passage.acting)
        return self.provenance.absorb(passage, content)

    def confirm(self, name: str, **changes: Any) -> None:
        """Change a tool's profile in this world."""
        tools = dict(self.registry.tools)
        tools[name] = replace(tools[name], profile=replace(tools[name].profile, **changes))
        self.registry = replace(self.registry, tools=tools)


def structured(value: Any) -> dict[str, Any]:
    """Return an MCP result with structured content."""
    return {"content": [], "structuredContent": value}


def text(value: str) -> dict[str, Any]:
    """Return an MCP result with one text."""
    return {"content": [{"type": "text", "text": value}]}
