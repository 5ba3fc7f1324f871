"""How much, how often: rates of principals, sessions and upstreams, and the budgets a session was lent."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from ostiary.controls.budgets import spent
from ostiary.core.action import Resource
from ostiary.core.decision import Refusal, refuse
from ostiary.core.errors import InvalidConfig
from ostiary.core.ports import RegistrySource
from ostiary.core.subject import Session

_RATE = re.compile(r"([1-9]\d{0,8})/(s|sec|second|min|minute|m|h|hour|d|day)\Z")
_SECONDS = {"s": 1, "sec": 1, "second": 1, "m": 60, "min": 60, "minute": 60, "h": 3600, "hour": 3600, "d": 86400, "day": 86400}
MAX_KEYS = 200_000
"""Counters kept at once; past it those that have recovered are dropped, and if none has, new ones are refused."""


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `count` at once, and one more each `period_s / count` seconds after that."""

    count: int
    period_s: float

    @classmethod
    def parse(cls, text: str) -> "Rate":
        """Return the rate of a declaration: `10/s`, `100/min`, `5000/h`. Raises InvalidConfig."""
        match = _RATE.match(text.strip())
        if match is None:
            raise InvalidConfig(f"rate `{text}` is not understood: expected a count and a unit, as `10/s`, `100/min` or `5000/h`")
        return cls(int(match[1]), float(_SECONDS[match[2]]))


class Meter:
    """A generic cell rate algorithm: one number a key, exact because all state changes happen on the event loop."""

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self._now_ns = now_ns
        self._arrivals: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._arrivals)

    def take(self, wanted: Iterable[tuple[str, Rate]]) -> tuple[str, float] | None:
        """Take one of every key, or of none: then return the key that had none left and the seconds until it has."""
        now = self._now_ns()
        new: dict[str, int] = {}
        for key, rate in wanted:
            period = int(rate.period_s * 1e9)
            step = period // rate.count
            at = max(now, self._arrivals.get(key, now)) + step
            if at - now > period:
                return key, (at - now - period) / 1e9
            new[key] = at
        if len(self._arrivals) + len(new) > MAX_KEYS and not self._forget(now):
            return next(iter(new)), 1.0
        self._arrivals.update(new)
        return None

    def _forget(self, now: int) -> bool:
        """Drop the keys that have fully recovered: an absent one means the same."""
        self._arrivals = {key: at for key, at in self._arrivals.items() if at > now}
        return len(self._arrivals) < MAX_KEYS


class Limits:
    """Takes an action from every rate and budget it counts against, or refuses and takes from none."""

    def __init__(self, registry: RegistrySource, now_ns: Callable[[], int], principal: str = "", session: str = "") -> None:
        self._registry = registry
        self._meter = Meter(now_ns)
        self._principal = Rate.parse(principal) if principal else None
        self._session = Rate.parse(session) if session else None
        self._rates: dict[str, Rate] = {}

    def admit(self, session: Session, resource: Resource) -> Refusal | None:
        """Count one action of a session on a resource; a refused one is not counted."""
        refusal = spent(session)
        if refusal is not None:
            return refusal
        short = self._meter.take(self._wanted(session, resource))
        if short is not None:
            key, wait_s = short
            return refuse("rate_limited", f"too many actions for {key}: try again in {wait_s:.1f} s", retry_after_s=round(wait_s, 3))
        for each in session.line:
            each.state.actions += 1
        return None

    def _wanted(self, session: Session, resource: Resource) -> list[tuple[str, Rate]]:
        wanted: list[tuple[str, Rate]] = []
        if self._principal is not None:
            wanted.append((f"agent {session.subject.actor.name}", self._principal))
        if self._session is not None:
            wanted += [(f"session {each.id}", self._session) for each in session.line]
        name, declared = self._upstream(resource)
        if declared:
            wanted.append((name, self._rate(declared)))
        return wanted

    def _upstream(self, resource: Resource) -> tuple[str, str]:
        registry, head = self._registry.registry, resource.id.partition("/")[0]
        found: Any
        if resource.type == "Model":
            kind, name, found = "model", resource.id, registry.models.get(resource.id)
        elif resource.type in {"Tool", "Server"}:
            kind, name, found = "server", head, registry.servers.get(head)
        elif resource.type in {"Api", "Operation"}:
            kind, name, found = "api", head, registry.apis.get(head)
        else:
            return "", ""
        return f"{kind} {name}", found.rate if found is not None else ""

    def _rate(self, declared: str) -> Rate:
        rate = self._rates.get(declared)
        if rate is None:
            if len(self._rates) >= 1024:
                self._rates.clear()
            rate = self._rates[declared] = Rate.parse(declared)
        return rate
