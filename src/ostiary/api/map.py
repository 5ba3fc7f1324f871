"""The map: what was observed against what is permitted and declared, and what differs."""

import asyncio
from dataclasses import dataclass
from typing import Annotated

from fastapi import Query

from ostiary.api.reach import reaches
from ostiary.api.route import SETTLED, Caller, Given, may, router
from ostiary.core.errors import NotFound
from ostiary.monitoring import map as charts
from ostiary.monitoring.crossings import Crossing
from ostiary.monitoring.map import Finding, Row

routes = router("map", dependencies=[SETTLED])
MICRO = 1_000_000


@dataclass(frozen=True, slots=True)
class CrossingView:
    """One crossing. Counts are zero for one that is permitted and was never seen; `(other)` stands for many made-up names."""

    agent: str
    door: str
    """The trust boundary it crossed; empty when it was never seen."""
    action: str
    resource: str
    state: str
    """`used`, `undeclared`, `gone` (permitted once), `refused` or `unused`."""
    permitted: str
    """`allow`, `hold`, `depends` or `no`: what policies could say now."""
    declared: bool
    """Whether the agent's manifest speaks of it."""
    zone: str
    enters: bool
    allowed: int
    held: int
    refused: int
    failed: int
    per_day: float
    first_at: float | None
    last_at: float | None
    labels: list[str]
    """Those that were found or brought; for one never seen, those of its declaration."""
    codes: dict[str, int]
    policies: list[str]
    """Those that decided what was seen; for one never seen, those that permit it."""
    people: int
    """For how many people it was done; 32 is that many or more."""
    via: list[str]
    """Agents above the acting one."""


@dataclass(frozen=True, slots=True)
class FindingView:
    """Something to look at. `kind`: `observed_not_permitted`, `observed_not_declared`, `observed_no_longer_permitted`, `permitted_never_used`."""

    severity: str
    kind: str
    agent: str
    about: str
    detail: str
    remedy: str
    crossings: list[str]


@dataclass(frozen=True, slots=True)
class MapView:
    """Every crossing, and where observed and permitted differ."""

    entries: int
    """Entries of the ledger that are in the counts, of `size`; fewer only while a long ledger is added up."""
    size: int
    policy_revision: str
    unused: int
    """Permitted crossings never seen; at most 5,000 of them are listed."""
    homes: dict[str, str]
    """The zone each agent shown stands in."""
    crossings: list[CrossingView]
    findings: list[FindingView]
    """The worst first; at most 1,000 are listed."""
    counts: dict[str, int]
    """All findings by severity."""


@routes.get("")
async def show_map(
    *,
    services: Given,
    caller: Annotated[Caller, may("show", "map", own=True)],
    agent: Annotated[str | None, Query(max_length=128, description="Only this agent.")] = None,
    unused: Annotated[bool, Query(description="List what is permitted and was never used, too.")] = True,
) -> MapView:
    """Return every crossing observed against every crossing permitted and declared; owners see their own agents'."""
    registry, found = services.engine.snapshot.registry, reaches(services)
    entries, size = await asyncio.to_thread(services.observed.catch_up)
    seen = await asyncio.to_thread(services.observed.now)
    names = {*registry.agents, *(key.agent for key, _ in seen)} if caller.owner is None else {*registry.agents}
    visible = {name for name in names if caller.owner is None or caller.sees(registry.agents.get(name))}
    if agent is not None and agent not in visible:
        raise NotFound(f"there is no agent `{agent}` that you may see", remedy="ostiary agent list")
    only = frozenset(visible if agent is None else {agent})
    chart = await asyncio.to_thread(charts.draw, registry, found, seen, services.reader.masked, only)
    findings = [_finding(each) for each in chart.findings]
    zones = services.engine.snapshot.graph.zones
    rows = [_view(row, " ".join(sorted(zones(uid_of(row.resource))))) for row in chart.rows if unused or row.seen is not None]
    homes = {name: " ".join(sorted(zones(("Agent", name)))) for name in sorted(only) if zones(("Agent", name))}
    return MapView(entries, size, services.engine.revision, chart.unused, homes, rows, findings, dict(chart.counts))


def _view(row: Row, zone: str) -> CrossingView:
    seen = row.seen or Crossing(0, 0)
    is_seen, touch = row.seen is not None, row.touch
    policies = list(seen.policies) or sorted({policy for way in touch.ways for policy in way.policies} if touch and not is_seen else ())
    return CrossingView(
        agent=row.agent,
        door=row.door,
        action=row.action,
        resource=row.resource,
        state=row.state,
        permitted=row.permitted,
        declared=row.is_declared,
        zone=touch.zone if touch else zone,
        enters=touch is not None and touch.enters,
        allowed=seen.allowed,
        held=seen.held,
        refused=seen.refused,
        failed=seen.failed,
        per_day=row.per_day,
        first_at=seen.first / MICRO if is_seen else None,
        last_at=seen.last / MICRO if is_seen else None,
        labels=sorted(seen.labels if is_seen or touch is None else touch.labels),
        codes=seen.codes,
        policies=policies,
        people=len(seen.people),
        via=seen.via,
    )


def uid_of(resource: str) -> tuple[str, str]:
    """Return type and id of a resource as entries print it."""
    kind, _, name = resource.partition("::")
    return kind, name


def _finding(each: Finding) -> FindingView:
    return FindingView(each.severity, each.kind, each.agent, each.about, each.detail, each.remedy, list(each.crossings))
