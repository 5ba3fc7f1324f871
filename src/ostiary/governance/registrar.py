"""The registry as it changes: every change is recorded with who and why, made durable, then seen by all at once."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from ostiary.core.canonical import canonical
from ostiary.core.clock import Clock
from ostiary.core.entry import Entry, Family, Kind, Part
from ostiary.core.errors import Conflict, InvalidConfig
from ostiary.core.ids import is_name, new_id
from ostiary.core.ports import Change, Ledger, StateStore
from ostiary.core.registry import Agent, Api, Card, Group, Model, Pin, Registry, Server, Source, Tool, TrustedDirectory, User, Zone

NOUNS: dict[str, type] = {
    "users": User,
    "groups": Group,
    "agents": Agent,
    "models": Model,
    "servers": Server,
    "tools": Tool,
    "cards": Card,
    "apis": Api,
    "sources": Source,
    "zones": Zone,
    "directories": TrustedDirectory,
    "pins": Pin,
}
"""What is registered, by the name of its mapping in `Registry`."""

Registered = User | Group | Agent | Model | Server | Tool | Card | Api | Source | Zone | TrustedDirectory | Pin
Subscriber = Callable[[Registry], Awaitable[object] | None]


@dataclass(frozen=True, slots=True)
class RegistryChange:
    """One difference: `value` None takes the thing out of the registry."""

    noun: str
    name: str
    value: Registered | None


class Registrar:
    """Holds the current snapshot (`core.ports.RegistrySource`) and is the only one who changes it."""

    def __init__(self, store: StateStore, ledger: Ledger, clock: Clock, trust_domain: str) -> None:
        self._store = store
        self._ledger = ledger
        self._clock = clock
        self._lock = asyncio.Lock()
        self._subscribers: list[Subscriber] = []
        self.registry = Registry(trust_domain, 0, **{noun: _load(store, noun, kind) for noun, kind in NOUNS.items()})
        """The snapshot of now."""

    def subscribe(self, subscriber: Subscriber) -> None:
        """Call `subscriber` with each new snapshot, on the event loop, before the change is answered."""
        self._subscribers.append(subscriber)

    async def change(self, changes: Sequence[RegistryChange], *, by: str, why: str = "", seen: Registry | None = None) -> Registry:
        """Record, store and publish changes as one. Those that change nothing are left out.

        `seen` is the snapshot the changes were made from: Conflict is raised, and nothing changes, when one of the things
        is another by now, so that nobody undoes what somebody else did in between. Raises InvalidConfig for a name that is
        none, Unavailable when it cannot be recorded or stored.
        """
        async with self._lock:
            for change in changes if seen is not None else ():
                if getattr(seen, change.noun).get(change.name) != self._current(change):
                    raise Conflict(f"`{change.name}` in {change.noun} changed meanwhile", remedy="look at it again, then repeat")
            effective = [change for change in changes if self._current(change) != change.value]
            if not effective:
                return self.registry
            for change in effective:
                _check_name(change)
            for change in effective:
                await self._ledger.append(self._entry(change, by, why))
            await self._store.write([Change(f"registry/{c.noun}", c.name, _dump(c.value)) for c in effective])
            self.registry = _with(self.registry, effective)
            for subscriber in self._subscribers:
                waiting = subscriber(self.registry)
                if waiting is not None:
                    await waiting
            return self.registry

    def _current(self, change: RegistryChange) -> Registered | None:
        found: Registered | None = getattr(self.registry, change.noun).get(change.name)
        return found

    def _entry(self, change: RegistryChange, by: str, why: str) -> Entry:
        before = self._current(change)
        verb = "retire" if change.value is None else "register" if before is None else "change"
        parts = [Part("before", canonical(plain(before)))] if before else []
        parts += [Part("after", canonical(plain(change.value)))] if change.value else []
        parts += [Part("reason", why.encode())] if why else []
        # A user's name is a person's: it stands as a handle, and only sealed parts spell it out.
        is_person = change.noun == "users"
        return Entry(
            id=new_id(),
            family=Family.CHANGE,
            kind=Kind.EVENT,
            at_ns=self._clock.now_ns(),
            user=by,
            verb=verb,
            action=f"{verb}_{singular(change.noun)}",
            resource=change.noun if is_person else f"{change.noun}/{change.name}",
            on_behalf_of=(change.name,) if is_person else (),
            parts=tuple(parts),
        )


def singular(noun: str) -> str:
    """Return what one thing of a noun is called: `servers` → `server`, `directories` → `directory`."""
    return noun.removesuffix("ies") + "y" if noun.endswith("ies") else noun.removesuffix("s")


def plain(value: Registered | None) -> Any:
    """Return a registered value as JSON values; sets are sorted lists."""
    return msgspec.to_builtins(value, order="deterministic") if value is not None else None


def _dump(value: Registered | None) -> bytes | None:
    return None if value is None else msgspec.json.encode(value, order="deterministic")


def _load(store: StateStore, noun: str, kind: type) -> Mapping[str, Any]:
    return {name: msgspec.json.decode(body, type=kind) for name, body in store.load(f"registry/{noun}").items()}


def _with(registry: Registry, changes: Sequence[RegistryChange]) -> Registry:
    mappings: dict[str, dict[str, Registered]] = {}
    for change in changes:
        mapping = mappings.setdefault(change.noun, dict(getattr(registry, change.noun)))
        if change.value is None:
            mapping.pop(change.name, None)
        else:
            mapping[change.name] = change.value
    changed: dict[str, Any] = dict(mappings)
    return replace(registry, revision=registry.revision + 1, **changed)


def _check_name(change: RegistryChange) -> None:
    names = change.name.split("/", 1) if change.noun == "tools" else [change.name]
    if change.noun == "tools":
        names = names[:1]
    for name in names:
        if not is_name(name):
            raise InvalidConfig(
                f"`{name}` cannot be a name in {change.noun}: letters, digits and `._@-`, at most 128, starting with one of the first"
            )
