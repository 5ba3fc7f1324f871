"""Policy versions: immutable, hashed, kept. Every change is recorded with who, why and diff before it is live."""

import asyncio
import difflib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ostiary.core.canonical import canonical
from ostiary.core.entry import Entry, Family, Kind, Part
from ostiary.core.errors import Corrupt, Invalid, NotFound
from ostiary.core.ids import new_id
from ostiary.core.ports import Change, Ledger, StateStore
from ostiary.core.registry import Registry
from ostiary.policy.engine import PolicyEngine
from ostiary.policy.snapshot import Snapshot, prepare
from ostiary.policy.version import PolicyVersion

VERSIONS, ACTIVATIONS = "policy_version", "policy_activation"
"""Kinds of document in the state store."""


@dataclass(frozen=True, slots=True)
class Activation:
    """One version becoming the one that decides."""

    number: int
    revision: str
    at_ns: int
    by: str
    why: str
    verb: str
    """`apply`, `rollback` or `refresh` (a schema change that every policy survived)."""


class PolicyStore:
    """The policy administrator: what changes the engine, and in which order."""

    def __init__(self, store: StateStore, ledger: Ledger, clock_ns: Callable[[], int], engine: PolicyEngine) -> None:
        self._store = store
        self._ledger = ledger
        self._clock_ns = clock_ns
        self._engine = engine
        self._changing = asyncio.Lock()
        self._registry = Registry()
        self._versions = {revision: _version(revision, body) for revision, body in store.load(VERSIONS).items()}
        self._activations = [_activation(body) for _, body in sorted(store.load(ACTIVATIONS).items())]
        if self._activations and self._activations[-1].revision not in self._versions:
            raise Corrupt(f"policy version `{self._activations[-1].revision}` is missing from the store")

    @property
    def current(self) -> PolicyVersion:
        """The version that was activated last; without any, one that permits nothing."""
        return self._versions[self._activations[-1].revision] if self._activations else PolicyVersion()

    def start(self, registry: Registry) -> None:
        """Load the current version into the engine. Raises InvalidPolicy."""
        self._registry = registry
        self._engine.load(registry, self.current)

    def history(self) -> tuple[Activation, ...]:
        """Return every activation, the newest first."""
        return tuple(reversed(self._activations))

    def version(self, revision: str) -> PolicyVersion:
        """Return a kept version by its revision or an unambiguous beginning of it. Raises NotFound."""
        found = [version for name, version in self._versions.items() if revision and name.startswith(revision)]
        if len(found) != 1:
            raise NotFound(f"no single policy version begins with `{revision[:64]}`", remedy="see `ostiary policy history`")
        return found[0]

    async def apply(self, files: Mapping[str, str], by: str, why: str, registry: Registry | None = None) -> PolicyVersion:
        """Make `files` the policy. Raises InvalidPolicy, and nothing changes, unless all of them are sound."""
        return await self._change(dict(files), by, why, "apply", registry)

    async def rollback(self, revision: str, by: str, why: str) -> PolicyVersion:
        """Make the files of a kept version the policy again, checked against the schema of now."""
        return await self._change(dict(self.version(revision).files), by, why, "rollback", None)

    async def refresh(self, registry: Registry) -> tuple[str, ...]:
        """Decide over a new registry snapshot from now on; returns what an operator should look at.

        When the schema changed and every policy fits it, that is a new version. When some do not, the version stays:
        what they were checked with is kept, the changed actions deny, and the findings say so. The registry has changed
        already, so it decides even if that cannot be recorded (which raises); one that cannot be used at all denies everything.
        """
        async with self._changing:
            self._registry = registry
            before = self._engine.findings if self._engine.is_loaded else ()
            try:
                ready = await self._prepare(registry, self.current)
            except Exception:
                self._engine.halt()
                raise
            self._engine.swap(ready)
            is_same = ready.schema.revision == self.current.schema
            if not is_same and ready.is_fitting and self._activations:
                await self._activate(ready.version, "", "the schema changed with the registry", "refresh")
            elif ready.findings != before and ready.findings:
                await self._record("", "the schema changed and policies no longer fit", "refresh", ready.version, _lines(ready.findings))
            return ready.findings

    async def _change(self, files: dict[str, str], by: str, why: str, verb: str, registry: Registry | None) -> PolicyVersion:
        if not by or not why.strip():
            raise Invalid("a policy change needs who makes it and why", remedy="give a reason")
        async with self._changing:
            over = registry if registry is not None else self._registry
            ready = await self._prepare(over, PolicyVersion(files))
            await self._activate(ready.version, by, why, verb)
            self._engine.swap(ready)
            return ready.version

    async def _prepare(self, registry: Registry, version: PolicyVersion) -> Snapshot:
        """Make ready beside the loop: a thousand policies over a thousand tools take seconds."""
        before = self._engine.snapshot if self._engine.is_loaded else None
        return await asyncio.to_thread(prepare, registry, version, before, self._engine.means)

    async def _activate(self, version: PolicyVersion, by: str, why: str, verb: str) -> None:
        """Record, then store, then remember; the caller swaps the engine last. A failure leaves the old version deciding."""
        diff = await asyncio.to_thread(difference, self.current.files, version.files)
        if self._activations:
            diff += moved(self.current.actions, version.actions)
        await self._record(by, why, verb, version, diff)
        number = self._activations[-1].number + 1 if self._activations else 1
        activation = Activation(number, version.revision, self._clock_ns(), by, why, verb)
        kept = [] if version.revision in self._versions else [Change(VERSIONS, version.revision, version.encode())]
        await self._store.write([*kept, Change(ACTIVATIONS, f"{number:012d}", _encode(activation))])
        self._versions[version.revision] = version
        self._activations.append(activation)

    async def _record(self, by: str, why: str, verb: str, version: PolicyVersion, diff: str) -> None:
        entry = Entry(
            id=new_id(),
            family=Family.CHANGE,
            kind=Kind.EVENT,
            at_ns=self._clock_ns(),
            user=by,
            verb=verb,
            action="administer",
            resource=f"Policy::{version.revision}",
            decision="allow",
            policy_revision=version.revision,
            parts=(Part("diff", diff.encode()), Part("reason", why.encode())),
        )
        await self._ledger.append(entry)


def difference(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """Return the unified diff between two sets of files."""
    found: list[str] = []
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if old != new:
            found.extend(difflib.unified_diff(_split(old), _split(new), _label(name, old), _label(name, new)))
    return "".join(found)


def moved(before: Mapping[str, tuple[str, ...]], after: Mapping[str, tuple[str, ...]]) -> str:
    """Return which tools came, went or changed in the schema, with their typed arguments."""
    found: list[str] = []
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if old != new:
            found.extend([f"- Action {name} {' '.join(old[1:])}\n"] if old else [])
            found.extend([f"+ Action {name} {' '.join(new[1:])}\n"] if new else [])
    return "".join(found)


def _split(text: str | None) -> list[str]:
    return [f"{line}\n" for line in (text or "").splitlines()]


def _label(name: str, text: str | None) -> str:
    return "/dev/null" if text is None else name


def _lines(findings: tuple[str, ...]) -> str:
    return "\n".join(findings)


def _version(revision: str, body: bytes) -> PolicyVersion:
    version = PolicyVersion.decode(json.loads(body))
    if version.revision != revision:
        raise Corrupt(f"policy version `{revision}` is not what its hash says")
    return version


def _activation(body: bytes) -> Activation:
    return Activation(**json.loads(body))


def _encode(activation: Activation) -> bytes:
    return canonical({name: getattr(activation, name) for name in Activation.__slots__})
