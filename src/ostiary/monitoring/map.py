"""The map: every crossing observed against every crossing permitted and declared. Where they differ is a finding (R-S1).

*Permitted* is what policies could allow now; *declared* is what the agent's manifest speaks of (its servers, its model).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from ostiary.core.registry import Agent, Registry
from ostiary.core.subject import Status
from ostiary.monitoring.crossings import OTHER, Crossing, Key
from ostiary.policy.reach import Reaches, Touch

MAX_UNUSED = 5_000
"""Permitted crossings never seen that are listed; all of them count."""
MAX_FINDINGS = 1_000
"""Findings that are listed, the worst first; all of them count."""
MAX_NAMED = 20
MANY = 10
"""Refusals of one thing after which somebody is trying, not mistaken."""
DAY_US = 86_400_000_000
SEVERITIES = ("high", "medium", "low")


@dataclass(frozen=True, slots=True)
class Row:
    """One crossing: as observed (all zero when never), and as it stands now."""

    agent: str
    door: str
    action: str
    resource: str
    seen: Crossing | None
    is_declared: bool
    permitted: str
    """`allow`, `hold`, `depends`, or `no`."""
    touch: Touch | None = None

    @property
    def state(self) -> str:
        """`used`, `undeclared`, `gone` (was allowed, is not permitted any more), `refused` or `unused`."""
        if self.seen is None:
            return "unused"
        if self.resource == OTHER:
            return "refused"
        if not self.seen.allowed and not self.seen.held:
            return "unused" if self.permitted != "no" else "refused"
        return "gone" if self.permitted == "no" else "used" if self.is_declared else "undeclared"

    @property
    def per_day(self) -> float:
        """How often a day, over the time it was seen; a day at least."""
        if self.seen is None:
            return 0.0
        asked = self.seen.allowed + self.seen.held + self.seen.refused
        return round(asked / max(1.0, (self.seen.last - self.seen.first) / DAY_US), 2)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something on the map that somebody should look at, and what to do."""

    severity: str
    kind: str
    agent: str
    about: str
    """The server, model or the like."""
    detail: str
    remedy: str
    crossings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Map:
    """All rows that are listed, and all findings, the worst first."""

    rows: tuple[Row, ...]
    findings: tuple[Finding, ...]
    unused: int
    """Permitted crossings never seen, listed or not."""
    counts: Mapping[str, int]
    """Findings by severity, listed or not."""


def draw(
    registry: Registry, reaches: Reaches, seen: Iterable[tuple[Key, Crossing]], masked: Callable[[str], str], only: frozenset[str]
) -> Map:
    """Return the map of the agents in `only`. Blocks for as long as their reach takes to work out: run it in a thread."""
    observed = {key: crossing for key, crossing in seen if key.agent in only}
    rows: list[Row] = []
    unused: list[Row] = []
    by_agent: dict[str, list[Key]] = {}
    for key in observed:
        by_agent.setdefault(key.agent, []).append(key)
    for name in sorted(only):
        agent = registry.agents.get(name)
        touches = reaches.permitted(agent) if agent is not None and agent.status is Status.ACTIVE else ()
        spelled = {_spelled(touch, masked): touch for touch in touches}
        keys = by_agent.get(name, ())
        rows += [_row(key, observed[key], agent, spelled.get((key.action, key.resource))) for key in keys]
        known = {(key.action, key.resource) for key in keys}
        unused += [_row(Key(name, "", *each), None, agent, touch) for each, touch in spelled.items() if each not in known]
    findings = sorted(_findings([*rows, *unused]), key=lambda each: (SEVERITIES.index(each.severity), each.agent, each.kind, each.about))
    counts = {severity: sum(each.severity == severity for each in findings) for severity in SEVERITIES}
    never = unused + [row for row in rows if row.state == "unused"]
    return Map((*rows, *unused[:MAX_UNUSED]), tuple(findings[:MAX_FINDINGS]), len(never), counts)


def _spelled(touch: Touch, masked: Callable[[str], str]) -> tuple[str, str]:
    kind, name = touch.target.resource
    return masked(touch.target.action), f"{kind}::{masked(name)}"


def _row(key: Key, seen: Crossing | None, agent: Agent | None, touch: Touch | None) -> Row:
    action, resource = key.action, key.resource
    if touch is not None:
        kind, name = touch.target.resource
        action, resource = touch.target.action, f"{kind}::{name}"
    return Row(
        key.agent, key.door, action, resource, seen, _is_declared(agent, resource), touch.effect if touch is not None else "no", touch
    )


def _is_declared(agent: Agent | None, resource: str) -> bool:
    """Say whether the agent's manifest speaks of it; of kinds it cannot speak of, policies alone do."""
    if agent is None:
        return False
    kind, _, name = resource.partition("::")
    if kind in ("Tool", "Server"):
        return name.partition("/")[0] in agent.servers
    return name == agent.model if kind == "Model" else True


def place_of(resource: str) -> str:
    """Return the server of a tool, or what stands for itself."""
    kind, _, name = resource.partition("::")
    return name.partition("/")[0] if kind in ("Tool", "Server") else f"{kind} {name}".strip()


def _findings(rows: Sequence[Row]) -> Iterator[Finding]:
    ordered = sorted(rows, key=lambda row: (row.agent, row.state, place_of(row.resource), row.resource, row.action))
    for (agent, state, about), found in groupby(ordered, key=lambda row: (row.agent, row.state, place_of(row.resource))):
        make = _MAKERS.get(state)
        if make is not None:
            yield make(agent, about, list(found))


def _refused(agent: str, about: str, rows: Sequence[Row]) -> Finding:
    count = sum(row.seen.refused for row in rows if row.seen)
    codes = sorted({code for row in rows if row.seen for code in row.seen.codes})
    is_probing = any(row.resource == OTHER for row in rows)
    detail = f"tried {count} times what it is not permitted ({', '.join(codes)})" + (
        "; so many names that they are counted as one" if is_probing else ""
    )
    remedy = f"look why: ostiary audit search --actor {agent} --decision deny; isolate it if it was turned, or permit what it needs"
    return Finding(
        "high" if is_probing else "medium" if count >= MANY else "low", "observed_not_permitted", agent, about, detail, remedy, _named(rows)
    )


def _gone(agent: str, about: str, rows: Sequence[Row]) -> Finding:
    policies = sorted({policy for row in rows if row.seen for policy in row.seen.policies})
    remedy = "nothing, if that was meant; else ostiary policy history"
    return Finding(
        "low",
        "observed_no_longer_permitted",
        agent,
        about,
        f"was allowed by {', '.join(policies[:MAX_NAMED])}; now no policy permits it, or it or the agent is not there",
        remedy,
        _named(rows),
    )


def _undeclared(agent: str, about: str, rows: Sequence[Row]) -> Finding:
    enters = any(row.touch is not None and row.touch.enters for row in rows)
    count = sum(row.seen.allowed + row.seen.held for row in rows if row.seen)
    detail = f"crossed {count} times, and its manifest does not speak of it" + (", into another zone" if enters else "")
    remedy = f"declare it for the agent, so that it is reviewed (ostiary agent activate {agent}), or stop permitting it"
    return Finding("high" if enters else "medium", "observed_not_declared", agent, about, detail, remedy, _named(rows))


def _unused(agent: str, about: str, rows: Sequence[Row]) -> Finding:
    touches = [row.touch for row in rows if row.touch is not None]
    is_grave = any(touch.enters or (touch.external and touch.does == "irreversible") for touch in touches)
    policies = sorted({policy for touch in touches for way in touch.ways for policy in way.policies})
    detail = f"permits {len(rows)} that it never used, by {', '.join(policies[:MAX_NAMED])}"
    remedy = "narrow these policies or the agent's roles to what it needs; ostiary agent reach shows each line"
    return Finding("medium" if is_grave else "low", "permitted_never_used", agent, about, detail, remedy, _named(rows))


def _named(rows: Sequence[Row]) -> tuple[str, ...]:
    names = [row.resource if row.resource.endswith(f"::{row.action}") else f"{row.action} {row.resource}" for row in rows]
    return tuple(names[:MAX_NAMED])


_MAKERS: Mapping[str, Callable[[str, str, Sequence[Row]], Finding]] = {
    "refused": _refused,
    "gone": _gone,
    "undeclared": _undeclared,
    "unused": _unused,
}
