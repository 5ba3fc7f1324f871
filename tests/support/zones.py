"""A company in two zones: finance pays, hr knows people; mail and a roaming agent stand in neither."""

from typing import Any

from ostiary.core.registry import Agent, Model, Profile, Registry, Server, User, Zone
from ostiary.core.subject import Status
from tests.support.policy import STRING, tool

READ = Profile(effect="read", external=False, confirmed=True)
CHANGE = Profile(effect="irreversible", external=False, control=frozenset({"who"}), confirmed=True)
FINANCE = Zone(
    "finance",
    users=frozenset({"carol"}),
    agents=frozenset({"invoice-bot", "payroll-bot", "report-bot", "raise-bot", "officer-bot", "outsider-bot", "mute-bot"}),
    servers=frozenset({"payments"}),
    models=frozenset({"gpt-4o"}),
)
HR = Zone("hr", users=frozenset({"dora"}), agents=frozenset({"hr-bot"}), servers=frozenset({"people"}))
ROLES = {
    "invoice-bot": "clerk", "hr-bot": "clerk", "roamer": "clerk", "payroll-bot": "payroll", "report-bot": "reporter",
    "raise-bot": "raiser", "officer-bot": "officer", "outsider-bot": "outsider", "mute-bot": "mute",
}  # fmt: skip


def company(**changes: Any) -> Registry:
    """Return the company; `changes` replace whole mappings of the registry."""
    tools = [
        tool("payments", "list", {}, profile=READ),
        tool("payments", "pay", {"who": STRING}, ("who",), CHANGE),
        tool("people", "lookup", {}, profile=READ),
        tool("people", "raise", {"who": STRING}, ("who",), CHANGE),
        tool("mail", "inbox", {}, profile=READ),
    ]
    parts: dict[str, Any] = {
        "users": {name: User(name, roles=frozenset({"clerk"})) for name in ("alice", "carol", "dora")},
        "agents": {
            name: Agent(name, "alice", "works", frozenset({role}), model="gpt-4o", status=Status.ACTIVE, autonomous=True)
            for name, role in ROLES.items()
        },
        "models": {"gpt-4o": Model("gpt-4o", "openai", "http://127.0.0.1:9001/v1")},
        "servers": {name: Server(name) for name in ("payments", "people", "mail")},
        "tools": {each.id: each for each in tools},
        "zones": {"finance": FINANCE, "hr": HR},
    }
    return Registry(**{**parts, **changes})
