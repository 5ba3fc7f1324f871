"""What each control-plane role may do to what: least privilege as one table (R-H1)."""

from collections.abc import Iterable
from typing import Final

READ: Final = frozenset({"list", "show"})
REGISTER: Final = READ | {"register", "change", "retire"}
NOUNS: Final = frozenset(
    {"mine", "user", "group", "agent", "model", "server", "tool", "api", "source", "zone", "directory", "session", "key", "operator",
     "policy", "approval", "audit", "map", "notice", "secret", "settings", "registry"}
)  # fmt: skip
_REGISTRY: Final = ("user", "group", "agent", "model", "server", "tool", "api", "source", "zone", "directory")

GRANTS: Final[dict[str, dict[str, frozenset[str]]]] = {
    # Runs the gateway: registers and wires. Reads no sealed records, approves nothing, writes no policy.
    "administrator": {
        **dict.fromkeys(_REGISTRY, REGISTER),
        "agent": REGISTER | {"check", "activate", "key", "reach"},
        "server": REGISTER | {"refresh", "profile", "repin"},
        "directory": REGISTER | {"refresh"},
        "tool": REGISTER | {"accept"},
        "user": REGISTER | {"password", "link", "reach"},
        "registry": READ | {"apply"},
        "session": READ | {"open", "close", "grant", "refuse", "unlend"},
        "key": READ | {"issue", "rotate", "revoke"},
        "operator": READ | {"issue", "revoke"},
        "policy": READ | {"check", "test", "explain", "apply", "rollback", "schema", "history", "simulate"},
        "approval": READ,
        "audit": READ | {"tail", "search", "verify", "prove"},
        "map": frozenset({"show"}),
        "notice": frozenset({"list"}),
        "secret": frozenset({"list", "set", "remove"}),
        "settings": READ,
    },
    # Decides what is allowed and stops what is not.
    "security": {
        **dict.fromkeys(_REGISTRY, READ),
        "agent": READ | {"check", "isolate", "restore", "reach"},
        "user": READ | {"reach"},
        "server": READ | {"profile", "repin"},
        "tool": READ | {"accept"},
        "registry": READ,
        "session": READ | {"close", "refuse", "revoke", "flow", "lend", "unlend", "declassify"},
        "key": READ | {"revoke"},
        "operator": READ | {"revoke"},
        "policy": READ | {"check", "test", "explain", "apply", "rollback", "schema", "history", "simulate"},
        "approval": READ,
        "audit": READ | {"tail", "search", "verify", "prove"},
        "map": frozenset({"show"}),
        "notice": frozenset({"list"}),
        "settings": READ,
    },
    # Answers the inbox; whether for this task is decided by the task's own rule.
    "approver": {"approval": READ | {"approve", "deny"}, "agent": READ},
    # Sees everything that happened, changes nothing.
    "auditor": {
        **dict.fromkeys(_REGISTRY, READ),
        "agent": READ | {"check", "reach"},
        "user": READ | {"reach"},
        "registry": READ,
        "session": READ | {"flow"},
        "key": READ,
        "operator": READ,
        "policy": READ | {"check", "test", "explain", "schema", "history"},
        "approval": READ,
        "audit": READ | {"tail", "search", "verify", "prove", "export", "reveal"},
        "map": frozenset({"show"}),
        "notice": frozenset({"list"}),
        "settings": READ,
    },
    # Answers for agents of their own: those whose owner they are, and nothing else.
    "owner": {
        "agent": READ | {"check", "isolate", "key", "reach"},
        "session": READ | {"open", "close", "flow", "lend", "unlend"},
        "key": READ | {"rotate", "revoke"},
        "audit": READ | {"search"},
        "map": frozenset({"show"}),
    },
}
"""Role → noun → verbs."""

PERSON: Final = "person"
"""Who signed in for nothing but what they lent themselves."""
MINE: Final = READ | {"close", "grant", "refuse", "lend", "unlend"}
for _role in (*GRANTS, PERSON):
    GRANTS.setdefault(_role, {})["mine"] = MINE

ROLES: Final = frozenset(GRANTS) - {PERSON}
OWN_ONLY: Final = frozenset({"owner"})
"""Roles whose grants reach only what belongs to the person's own agents."""


def can(roles: Iterable[str], verb: str, noun: str) -> bool:
    """Say whether one of `roles` may do `verb` to every `noun`."""
    return any(verb in GRANTS.get(role, {}).get(noun, frozenset()) for role in roles if role not in OWN_ONLY)


def can_own(roles: Iterable[str], verb: str, noun: str) -> bool:
    """Say whether one of `roles` may do `verb` to a `noun` that belongs to the person's own agent."""
    return any(verb in GRANTS.get(role, {}).get(noun, frozenset()) for role in roles)
