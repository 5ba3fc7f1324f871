"""The context a request is decided in: typed, and only what the policies of the slice can look at."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from ostiary.core.action import Origins
from ostiary.core.decision import Context
from ostiary.core.subject import Session
from ostiary.policy.networks import NOWHERE, Networks
from ostiary.policy.reading import Path
from ostiary.policy.values import entity, extension, moment

UNKNOWN = "unknown"
"""Cedar's function for a value that partial evaluation does not know."""


@dataclass(slots=True)
class Facts:
    """Everything the context of one request is made from."""

    session: Session
    context: Context
    origins: Origins
    arguments: Mapping[str, Any]
    """Converted: in Cedar's JSON form."""
    given: Iterable[str]
    """The names of every argument sent, typed or not."""
    networks: Networks = NOWHERE
    """What says from which zone the request comes."""
    plan: Any = None
    """The plan that was built last, for links that share it."""
    built: str = ""


Read = Callable[[Facts], Any]
"""Returns one value in Cedar's JSON form; None when it is absent."""
Plan = tuple[tuple[str, tuple[tuple[str, Read], ...] | Read], ...]


def plan(mentions: Iterable[Path]) -> Plan:
    """Return how to build the context that these paths can read."""
    wanted: dict[str, set[str] | None] = {}
    for path in mentions:
        if not path:
            return tuple(_section(name, None) for name in (*_RECORDS, *_WHOLE))
        members = wanted.setdefault(path[0], set())
        if len(path) == 1:
            wanted[path[0]] = None
        elif members is not None:
            members.add(path[1])
    return tuple(_section(name, members) for name, members in sorted(wanted.items()) if name in _RECORDS or name in _WHOLE)


def build(sections: Plan, facts: Facts) -> str:
    """Return the context as Cedar's JSON."""
    if facts.plan is sections:
        return facts.built
    found: dict[str, Any] = {}
    for name, members in sections:
        if callable(members):
            if (value := members(facts)) is not None:
                found[name] = value
        else:
            found[name] = {member: value for member, read in members if (value := read(facts)) is not None}
    facts.plan, facts.built = sections, msgspec.json.encode(found).decode()
    return facts.built


def unknown(sections: Plan, facts: Facts, *, approval: bool) -> str:
    """Return the context with all that a listing cannot know left open; `approval` says whether one is supposed."""
    found: dict[str, Any] = {}
    for name, members in sections:
        if name in _KNOWN_BEFORE and not callable(members):
            found[name] = {member: value for member, read in members if (value := read(facts)) is not None}
        elif name != "approval" or approval:
            found[name] = extension(UNKNOWN, name)
    return msgspec.json.encode(found).decode()


def _section(name: str, members: set[str] | None) -> tuple[str, tuple[tuple[str, Read], ...] | Read]:
    if name in _WHOLE:
        return name, _WHOLE[name]
    readers = _RECORDS[name]
    if members is None:
        return name, tuple(readers.items()) if readers is not None else _ALL[name]
    if readers is None:
        reader = _argument if name == "arguments" else _origin
        return name, tuple((member, reader(member)) for member in sorted(members))
    return name, tuple((member, readers[member]) for member in sorted(members) if member in readers)


def _argument(name: str) -> Read:
    return lambda facts: facts.arguments.get(name)


def _origin(name: str) -> Read:
    return lambda facts: facts.origins.arguments.get(name, "untrusted") if name in facts.given else None


def _origins(facts: Facts) -> dict[str, str]:
    known = facts.origins.arguments
    return {name: known.get(name, "untrusted") for name in facts.given}


def _user(facts: Facts) -> Any:
    user = facts.session.subject.user
    return entity("User", user.name) if user is not None else None


def _duration(seconds: float) -> dict[str, Any]:
    return extension("duration", f"{max(0, int(seconds * 1000))}ms")


def _at(seconds: float) -> dict[str, Any]:
    return moment(datetime.fromtimestamp(seconds, UTC))


def _spent(facts: Facts) -> dict[str, Any]:
    units = -(-facts.session.state.spent // 100)
    return extension("decimal", f"{units // 10_000}.{units % 10_000:04d}")


def _zone(facts: Facts) -> Any:
    zone = facts.networks.zone(facts.context.ip)
    return entity("Zone", zone) if zone is not None else None


def _approval(facts: Facts) -> Any:
    approval = facts.context.approval
    if approval is None:
        return None
    by = [entity("User", name) for name in sorted(approval.by)]
    return {"group": approval.group, "by": by, "at": _at(approval.at), "reason": approval.reason}


_RECORDS: Mapping[str, Mapping[str, Read] | None] = {
    "arguments": None,
    "origins": None,
    "control": {"origin": lambda facts: facts.origins.control, "unsafe": lambda facts: sorted(facts.origins.unsafe)},
    "session": {
        "id": lambda facts: facts.session.id,
        "user": _user,
        "purpose": lambda facts: facts.session.purpose,
        "age": lambda facts: _duration(facts.context.at - facts.session.opened_at),
        "integrity": lambda facts: facts.session.state.integrity.value,
        "labels": lambda facts: sorted(facts.session.state.labels),
        "actions": lambda facts: facts.session.state.actions,
        "denied": lambda facts: facts.session.state.denied,
        "spent": _spent,
        "depth": lambda facts: facts.session.depth,
    },
    "authn": {
        "method": lambda facts: facts.session.authentication.method,
        "bound": lambda facts: facts.session.authentication.bound,
        "mfa": lambda facts: facts.session.authentication.mfa,
        "age": lambda facts: _duration(facts.context.at - facts.session.authentication.at),
    },
    "request": {
        "at": lambda facts: _at(facts.context.at),
        "ip": lambda facts: extension("ip", facts.context.ip),
        "zone": _zone,
        "size": lambda facts: facts.context.size,
    },
}
_WHOLE: Mapping[str, Read] = {"detected": lambda facts: sorted(facts.context.detected), "approval": _approval}
_ALL: Mapping[str, Read] = {"arguments": lambda facts: facts.arguments, "origins": _origins}
_KNOWN_BEFORE = frozenset({"session", "authn"})
"""What stands before a call is made: the session, what it has picked up, how it was opened. All else may differ by then."""
