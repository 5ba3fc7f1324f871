"""A small company for policy tests: two people, two agents, mail, files and payments."""

from collections.abc import Mapping, Sequence
from typing import Any

from ostiary.core.action import Action, Boundary, Origins, Resource
from ostiary.core.decision import Approval, Context, Decision
from ostiary.core.entry import Entry, Receipt
from ostiary.core.errors import LedgerUnavailable, Unavailable
from ostiary.core.ports import Change
from ostiary.core.registry import Agent, Group, Model, Profile, Registry, Server, Tool, User
from ostiary.core.subject import Authentication, Integrity, Principal, Session, SessionState, Status, Subject
from ostiary.policy.engine import PolicyEngine
from ostiary.policy.version import PolicyVersion

STRING, NUMBER, INTEGER = {"type": "string"}, {"type": "number"}, {"type": "integer"}
UNCONFIRMED = Profile()
SAFE = Profile(effect="read", external=False, confirmed=True)


def tool(server: str, name: str, properties: Mapping[str, Any], required: tuple[str, ...] = (), profile: Profile = UNCONFIRMED) -> Tool:
    """Return an accepted tool with the given arguments."""
    schema = {"type": "object", "properties": dict(properties), "required": list(required)}
    return Tool(server, name, {"name": name, "inputSchema": schema}, f"digest-{server}-{name}", profile=profile)


def registry(*more: Tool, **changes: Any) -> Registry:
    """Return the company's registry; `more` are added or replace a tool of the same id."""
    tools = [
        tool("mail", "send", {"to": STRING, "subject": STRING, "body": STRING}, ("to",)),
        tool("mail", "inbox", {"limit": INTEGER}, profile=SAFE),
        tool("files", "read", {"path": STRING}, ("path",), SAFE),
        tool("payments", "pay", {"account": STRING, "amount": NUMBER, "memo": STRING}, ("account", "amount")),
        tool("payments", "refund", {"payment": STRING}, ("payment",), Profile("reversible", external=True, confirmed=True)),
        *more,
    ]
    parts: dict[str, Any] = {
        "users": {
            "alice": User("alice", "alice@example.com", frozenset({"clerk", "payer"}), attributes={"department": "finance"}),
            "bob": User("bob", "bob@example.com", frozenset({"finance"})),
        },
        "agents": {
            "invoice-bot": Agent(
                "invoice-bot", "alice", "pays supplier invoices", frozenset({"payer", "clerk"}), model="gpt-4o", status=Status.ACTIVE
            ),
            "helper": Agent("helper", "bob", "reads files", frozenset({"clerk"}), status=Status.ACTIVE),
        },
        "models": {"gpt-4o": Model("gpt-4o", "openai", "http://127.0.0.1:9001/v1", accepts=frozenset({"public", "internal"}))},
        "servers": {name: Server(name) for name in ("mail", "files", "payments")},
        "groups": {"payments": Group("payments", frozenset({"payments/pay", "payments/refund"}))},
        "tools": {each.id: each for each in tools},
    }
    return Registry(**{**parts, **changes})


def engine(text: str | Mapping[str, str], over: Registry | None = None, **options: Any) -> PolicyEngine:
    """Return an engine that decides by the given policies."""
    found = PolicyEngine(**options)
    found.load(over or registry(), PolicyVersion({"test.cedar": text} if isinstance(text, str) else dict(text)))
    return found


def session(*links: str, over: Registry | None = None, **state: Any) -> Session:
    """Return a session of the named principals (`user:alice`), by default alice lending to invoice-bot."""
    registered = over or registry()
    chain: list[Principal] = []
    for link in links or ("user:alice", "agent:invoice-bot"):
        kind, _, name = link.partition(":")
        principal = registered.user_principal(name) if kind == "user" else registered.agent_principal(name)
        assert principal is not None
        chain.append(principal)
    found = SessionState(**{"integrity": Integrity.TRUSTED, **state})
    return Session(
        "s-1",
        Subject(tuple(chain)),
        (),
        "pay the invoice",
        100.0,
        4000.0,
        authentication=Authentication("session_token", 90.0),
        state=found,
    )


def call(name: str, resource: Resource | None = None, /, **arguments: Any) -> Action:
    """Return a tool call."""
    return Action(Boundary.HUMAN_AUTOMATION, "tools/call", name, resource or Resource("Tool", name), f"tool:{name}", arguments)


def approval(group: str = "finance") -> Approval:
    """Return a finance colleague's yes."""
    return Approval("a-1", group, frozenset({"bob"}), 150.0, "ordered")


def decide(
    policies: str | PolicyEngine, action: Action, *links: str, origins: Origins | None = None, about: Context | None = None, **state: Any
) -> Decision:
    """Decide one action in a session of the named principals."""
    found = policies if isinstance(policies, PolicyEngine) else engine(policies)
    registered = found.snapshot.registry
    return found.decide(session(*links, over=registered, **state), action, origins or Origins(), about or Context(200.0))


UNTRUSTED = Origins({"account": "untrusted", "amount": "user"}, "untrusted", frozenset({"account"}), frozenset({"account", "amount"}))
"""An account that came out of somebody's mail."""


class MemoryState:
    """A state store in memory that can be told to fail before or after it has written."""

    def __init__(self) -> None:
        self.documents: dict[tuple[str, str], bytes] = {}
        self.fails = False

    def load(self, kind: str) -> dict[str, bytes]:
        return {name: body for (each, name), body in self.documents.items() if each == kind}

    async def write(self, changes: Sequence[Change]) -> None:
        if self.fails:
            raise Unavailable("the disk is full")
        for change in changes:
            if change.body is None:
                self.documents.pop((change.kind, change.id), None)
            else:
                self.documents[change.kind, change.id] = change.body


class MemoryLedger:
    """A ledger in memory that can be told to fail."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.fails = False

    async def append(self, entry: Entry) -> Receipt:
        if self.fails:
            raise LedgerUnavailable("the ledger cannot write")
        self.entries.append(entry)
        return Receipt(len(self.entries) - 1, b"\0" * 32)

    async def post(self, entry: Entry) -> None:
        await self.append(entry)
