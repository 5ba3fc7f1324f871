"""The blast radius of one principal: all it could touch now, by which line, through whom. What an attacker would hold.

Complete by construction: everything that is not known beforehand (arguments, origins, labels, the time) is left open, so
whatever a real request could be allowed or held for is here. `tests/unit/policy/test_reach.py` asks both, exhaustively.
"""

import time
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from cedarpy import pst

from ostiary.core.registry import Agent, User
from ostiary.core.subject import Status
from ostiary.policy import zoning
from ostiary.policy.entities import Uid
from ostiary.policy.outlook import Outlook, Outlooks, Target
from ostiary.policy.reading import walk
from ostiary.policy.schema import effect_of, is_external
from ostiary.policy.snapshot import Snapshot

MAX_NAMES = 100
"""Names of people or agents shown for one way; the count is always whole."""
STEP, PAUSE_S = 20, 0.0005
"""The event loop shares the interpreter: after so many targets it gets its turn."""

Lends = Callable[[Agent, tuple[str, ...]], bool]
"""Whether a session of an agent can be lent one of these scopes at all: its declared scopes bound every session."""


Asking = tuple[Agent, Uid | None, tuple[str, ...]]
"""An agent, who lends to it, and the names of all who are like that one."""


class Way(NamedTuple):
    """One way to a thing: `allow`, `hold` or `depends` (on arguments and circumstances), by these policies, through these."""

    effect: str
    policies: tuple[str, ...]
    through: tuple[str, ...]
    """Who lends, for an agent: people, and as `agent:name` agents that act by themselves; for a person, which agent acts. Empty when it acts by itself."""
    total: int


@dataclass(frozen=True, slots=True)
class Touch:
    """One thing within reach."""

    target: Target
    zone: str
    """Where it stands."""
    enters: bool
    """Whether reaching it enters a zone."""
    does: str
    """`read`, `reversible` or `irreversible` for a tool; empty for the rest."""
    external: bool
    """Whether content leaves the company."""
    labels: tuple[str, ...]
    """Labels of what it returns; of a model, those it may receive."""
    ways: tuple[Way, ...]

    @property
    def effect(self) -> str:
        """The widest of the ways."""
        found = {way.effect for way in self.ways}
        return next(each for each in ("allow", "depends", "hold") if each in found)


class Reaches:
    """Answers about one snapshot, for several principals in a row. Takes milliseconds to seconds: run it in a thread."""

    def __init__(self, found: Snapshot, lends: Lends, lent: Container[tuple[str, str]] = ()) -> None:
        """`lent` are the agents and people (or nobody, as empty) of the sessions open now: no policy takes those back."""
        self._found, self._lends, self._lent = found, lends, lent
        self._looks = Outlooks(found)
        self._people = _classes(found)
        self._handing: dict[str, list[Agent]] = {}

    @property
    def targets(self) -> tuple[Target, ...]:
        """Everything there is to reach."""
        return self._looks.targets

    def of_agent(self, agent: Agent) -> list[Touch]:
        """Return all an agent could touch: lent by each person, and by itself when it is autonomous."""
        return list(self._touches(self._asking(agent)))

    def _asking(self, agent: Agent) -> list[Asking]:
        lenders = [self._lenders(agent, people) for people in self._people]
        ways = [(("User", people[0]), people) for people in lenders if people]
        alone: list[Asking] = [(agent, None, ())] if self._is_alone(agent) else []
        handed = [(("Agent", other.name), (f"agent:{other.name}",)) for other in self._delegators(agent) if self._is_alone(other)]
        return alone + [(agent, uid, through) for uid, through in (*ways, *handed)]

    def permitted(self, agent: Agent) -> Iterator[Touch]:
        """Yield all an agent could touch with the first way to each: for questions about every agent."""
        yield from self._touches(self._asking(agent), is_brief=True)

    def of_user(self, user: User) -> list[Touch]:
        """Return all that agents could touch for a person."""
        agents = [agent for agent in self._found.registry.agents.values() if agent.status is Status.ACTIVE]
        lent = [agent for agent in agents if self._lenders(agent, (user.name,))]
        return list(self._touches([(agent, ("User", user.name), (agent.name,)) for agent in lent]))

    def _lenders(self, agent: Agent, people: tuple[str, ...]) -> tuple[str, ...]:
        """Return who of a class can lend to an agent, or has done so."""
        if not self._looks.refuses_lending(agent.name, people[0]):
            return people
        if any(not self._looks.refuses_lending(other.name, people[0]) for other in self._delegators(agent) if people[0]):
            return people
        return tuple(name for name in people if (agent.name, name) in self._lent)

    def _is_alone(self, agent: Agent) -> bool:
        return agent.autonomous and bool(agent.scopes) and bool(self._lenders(agent, ("",)))

    def _delegators(self, agent: Agent) -> list[Agent]:
        """Return the other agents that could lend a session of theirs on to an agent; further ones between would only narrow it."""
        target = Target("delegate", ("Agent", agent.name), (f"agent:{agent.name}",))
        known = self._handing.get(agent.name)
        if known is None:
            zones = self._found.graph.zones(target.resource)
            known = self._handing[agent.name] = [
                other
                for other in self._found.registry.agents.values()
                if other.status is Status.ACTIVE
                and other.name != agent.name
                and self._lends(other, target.scopes)
                and self._way(("Agent", other.name), None, target, zones)[0] != "deny"
            ]
        return known

    def _touches(self, asking: Sequence[Asking], *, is_brief: bool = False) -> Iterator[Touch]:
        graph = self._found.graph
        agents = {agent.name: agent for agent, _, _ in asking}
        for number, target in enumerate(self.targets):
            if number % STEP == 0:
                time.sleep(PAUSE_S)
            able = {
                name
                for name, agent in agents.items()
                if not self._looks.is_shut(("Agent", name), target) and self._lends(agent, target.scopes)
            }
            ways: dict[tuple[str, tuple[str, ...], bool], list[str]] = {}
            zones, enters = graph.zones(target.resource), False
            for agent, user, through in asking if able else ():
                if agent.name not in able or (user and not self._passes_on(user, target)):
                    continue
                effect, policies = self._way(("Agent", agent.name), user, target, zones)
                if effect != "deny":
                    ways.setdefault((effect, policies, not through), []).extend(through)
                    enters = enters or not zones <= graph.zones(("Agent", agent.name))
                    if is_brief:
                        break
            if ways:
                found = (Way(*key[:2], tuple(sorted(names)[:MAX_NAMES]), len(names)) for key, names in sorted(ways.items()))
                yield Touch(target, " ".join(sorted(zones)), enters, *describe(self._found, target), tuple(found))

    def _passes_on(self, lender: Uid, target: Target) -> bool:
        return lender[0] != "Agent" or self._lends(self._found.registry.agents[lender[1]], target.scopes)

    def _way(self, agent: Uid, user: Uid | None, target: Target, zones: frozenset[str]) -> tuple[str, tuple[str, ...]]:
        """Return how a chain of an agent, and perhaps a person, stands to a target, and the policies that say so."""
        chain = (agent,) if user is None else (user, agent)
        lender = user[1] if user is not None and user[0] == "User" else ""
        entering = zoning.entered(self._found.graph, chain, target.action, target.resource) if zones else (zones,) * len(chain)
        effects: set[str] = set()
        policies: set[str] = set()
        for uid, zone in zip(reversed(chain), reversed(entering), strict=True):
            effect, names = self._link(self._looks.look(uid, lender, target), zone)
            if effect == "deny":
                return "deny", ()
            effects.add(effect)
            policies |= names
        return next(each for each in ("depends", "hold", "allow") if each in effects), tuple(sorted(policies))

    def _link(self, look: Outlook, entering: frozenset[str]) -> tuple[str, frozenset[str]]:
        permits, certain = look.permits, look.certain
        if entering:
            known = self._found.policies
            permits = frozenset(name for name in permits if entering <= known[name].zones)
            certain &= permits
        if not permits:
            return "deny", permits
        effect = "depends" if look.is_open or not certain else "hold" if look.is_held else "allow"
        return effect, look.permits | look.forbids


def describe(found: Snapshot, target: Target) -> tuple[str, bool, tuple[str, ...]]:
    """Return what a target does, whether content leaves the company by it, and the labels that go with it."""
    kind, name = target.resource
    registry = found.registry
    if kind == "Tool":
        tool, fields = registry.tools[name], found.schema.actions[name].fields
        server = registry.servers.get(tool.server)
        labels = tool.profile.labels | (server.labels if server else frozenset())
        return effect_of(tool, fields), is_external(tool, fields), tuple(sorted(labels))
    if kind == "Model":
        return "", True, tuple(sorted(registry.models[name].accepts))
    if kind == "Server":
        return "read", False, tuple(sorted(registry.servers[name].labels))
    return "", kind in ("Api", "Operation"), ()


def _classes(found: Snapshot) -> list[tuple[str, ...]]:
    """Return the active people in classes that no policy can tell apart: one answer is the answer for all of a class."""
    named: set[str] = set()
    for part in (part for policy in found.policies.values() for part in walk(policy.node)):
        if isinstance(part, pst.EntityUid) and str(part.type) == "User":
            named.add(part.id)
        elif isinstance(part, pst.GetAttr) and part.attr == "owner":
            named.update(agent.owner for agent in found.registry.agents.values())
    classes: dict[object, list[str]] = {}
    for user in found.registry.users.values():
        if user.status is Status.ACTIVE:
            uid = ("User", user.name)
            alike = (found.graph.within(uid) - {uid}, user.email, tuple(sorted(user.attributes.items())))
            classes.setdefault(user.name if user.name in named else alike, []).append(user.name)
    return [tuple(sorted(names)) for names in classes.values()]
