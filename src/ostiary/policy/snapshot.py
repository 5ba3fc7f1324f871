"""All that decides, of one revision: prepared off the loop, replaced whole."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ostiary.core.action import Action
from ostiary.core.registry import Registry
from ostiary.core.subject import Principal
from ostiary.policy import cedar
from ostiary.policy.checks import ANY, Review, review
from ostiary.policy.entities import REGISTERED, EntityGraph, Uid, principal_uid
from ostiary.policy.obligations import Means
from ostiary.policy.reading import mentions
from ostiary.policy.schema import ActionShape, PolicySchema, generate
from ostiary.policy.slicing import Chain, Index, Slice, actions_of
from ostiary.policy.source import Policy
from ostiary.policy.version import PolicyVersion

MAX_MEMO, MAX_MEMO_BYTES, MAX_CHAINS = 4096, 1024, 10_000
MAX_NARROWED = 64
"""Sets of roles that sessions were lent with, for which what decides is kept ready."""

Key = tuple[Slice, Uid | None, str, Uid, str]
"""Every input of a question to Cedar beside the entities: policies, principal (unless none of the policies looks at it
beyond the scope that matched), action, resource, context. So an answer kept by it cannot be stale."""


@dataclass(frozen=True, slots=True)
class Fitting:
    """A version held against a schema: its policies, and which of them no longer fit."""

    base: PolicyVersion
    """The version as applied."""
    schema: PolicySchema
    policies: Mapping[str, Policy]
    unfit: tuple[str, ...]
    """Why policies no longer fit."""
    blocked: Mapping[str, tuple[str, ...]]
    """Actions that changed under a policy which no longer fits them, with those policies."""


@dataclass(frozen=True)
class Snapshot:
    """Nothing in it changes what is decided; the dictionaries only remember."""

    registry: Registry
    fitting: Fitting
    graph: EntityGraph
    index: Index
    version: PolicyVersion
    """The policies with the schema of now."""
    shadow: Index | None = None
    """The index as it would be if the policies that only watch decided too; None without any."""
    _watched: dict[tuple[object, ...], Chain | None] = field(default_factory=dict)
    _chains: dict[tuple[object, ...], Chain] = field(default_factory=dict)
    _answers: dict[Key, cedar.Answer] = field(default_factory=dict)
    _previews: dict[Key, cedar.Answer] = field(default_factory=dict)
    _narrowed: "dict[tuple[object, ...], Snapshot]" = field(default_factory=dict)

    @property
    def schema(self) -> PolicySchema:
        """The schema generated from the registry."""
        return self.fitting.schema

    @property
    def policies(self) -> Mapping[str, Policy]:
        """Every policy by its `@id`."""
        return self.fitting.policies

    @property
    def is_fitting(self) -> bool:
        """Say whether every policy fits the schema."""
        return not self.fitting.unfit

    @property
    def findings(self) -> tuple[str, ...]:
        """What an operator should look at."""
        return (*self.schema.findings, *self.fitting.unfit)

    def shape(self, action: Action) -> ActionShape | None:
        """Return the action's shape; None when there is none such, it is not done to that resource, or that is not registered."""
        shape = self.schema.actions.get(action.name)
        if shape is None or action.resource.type not in shape.resources:
            return None
        if shape.is_tool and action.resource.id != action.name:
            return None
        return shape if action.resource.type not in REGISTERED or self.graph.has((action.resource.type, action.resource.id)) else None

    def knows(self, chain: Sequence[Principal]) -> bool:
        """Say whether there is somebody, and everybody is registered."""
        return bool(chain) and all(self.graph.has(principal_uid(link)) for link in chain)

    def chain(self, links: Sequence[Principal], action: Action) -> Chain:
        """Return the policies that matter when all of `links` ask for `action`."""
        key = (action.name, action.resource.type, action.resource.id, *((link.kind, link.name) for link in links))
        found = self._chains.get(key)
        if found is None:
            if len(self._chains) >= MAX_CHAINS:
                self._chains.clear()
            found = self.index.chain(links, action.name, (action.resource.type, action.resource.id))
            self._chains[key] = found
        return found

    def watched(self, links: Sequence[Principal], action: Action) -> Chain | None:
        """Return what `chain` would be if the policies that only watch decided; None when none of them matters here."""
        if self.shadow is None:
            return None
        key = (action.name, action.resource.type, action.resource.id, *((link.kind, link.name) for link in links))
        if key not in self._watched:
            if len(self._watched) >= MAX_CHAINS:
                self._watched.clear()
            found = self.shadow.chain(links, action.name, (action.resource.type, action.resource.id))
            matters = any(policy.is_shadow for link in found.links for policy in link.slice.policies.values())
            self._watched[key] = found if matters else None
        return self._watched[key]

    def narrowed(self, chain: Sequence[Principal], roles: frozenset[str]) -> "Snapshot":
        """Return the same policies over a registry in which those of `chain` have only these roles."""
        kept = {principal_uid(link): link.roles & roles for link in chain}
        key = tuple(sorted((uid, tuple(sorted(names))) for uid, names in kept.items()))
        found = self._narrowed.get(key)
        if found is None:
            if len(self._narrowed) >= MAX_NARROWED:
                self._narrowed.clear()
            graph = EntityGraph(self.registry, self.schema, kept)
            deciding = [policy for policy in self.policies.values() if not policy.is_shadow]
            index = Index(deciding, self.schema, graph)
            found = self._narrowed[key] = Snapshot(self.registry, self.fitting, graph, index, self.version)
        return found

    def evaluate(self, slice_: Slice, question: cedar.Question) -> cedar.Answer:
        """Ask Cedar, unless this snapshot was asked the very same question before."""
        key = _key(slice_, question)
        return self._answers.get(key) or _remember(self._answers, key, cedar.evaluate(slice_.whole, self.graph.handle, question))

    def preview(self, slice_: Slice, question: cedar.Question) -> cedar.Answer:
        """Ask Cedar with unknowns, what a person can lift left out; unless it was asked the very same before."""
        key = _key(slice_, question)
        return self._previews.get(key) or _remember(self._previews, key, cedar.evaluate_partly(slice_.firm, self.graph.handle, question))


def _key(slice_: Slice, question: cedar.Question) -> Key:
    principal, action, resource, built = question
    return slice_, principal if slice_.reads_principal else None, action, resource, built


def _remember(known: dict[Key, cedar.Answer], key: Key, answer: cedar.Answer) -> cedar.Answer:
    if len(key[-1]) <= MAX_MEMO_BYTES:
        if len(known) >= MAX_MEMO:
            known.clear()
        known[key] = answer
    return answer


def prepare(registry: Registry, version: PolicyVersion, before: Snapshot | None = None, means: Means = ANY) -> Snapshot:
    """Return a version made ready to decide over a registry. Raises InvalidPolicy when it cannot be.

    `before` saves work when only people, roles or the like changed. Takes milliseconds, and seconds for a
    thousand policies over a thousand tools: run it in a thread.
    """
    schema = generate(registry)
    known = before.fitting if before is not None else None
    if known is not None and known.schema.revision == schema.revision and known.base == version:
        fitting = known
    else:
        fitting = _fit(version, schema, means)
    graph = EntityGraph(registry, fitting.schema)
    every = fitting.policies.values()
    deciding = [policy for policy in every if not policy.is_shadow]
    live = PolicyVersion(version.files, schema.revision, fitting.schema.fingerprints)
    shadow = Index(every, fitting.schema, graph) if len(deciding) < len(every) else None
    return Snapshot(registry, fitting, graph, Index(deciding, fitting.schema, graph), live, shadow)


def _fit(version: PolicyVersion, schema: PolicySchema, means: Means) -> Fitting:
    found = review(version.files, schema, means)
    unfit = _unfit(found, version, schema)
    undone = [(policy, str(problem)) for policy, problem in found.undoable]
    reasons = tuple(f"policy `{policy.id}` no longer fits: {why}" for policy, why in (*unfit, *undone))
    return Fitting(version, schema, {policy.id: policy for policy in found.policies}, reasons, _blocked(unfit, version, schema))


def _unfit(found: Review, version: PolicyVersion, schema: PolicySchema) -> list[tuple[Policy, str]]:
    """Return the policies that fitted the schema they were applied with and do not fit this one."""
    is_wrong = found.is_broken or (found.misfits and version.schema in ("", schema.revision))
    if is_wrong or (found.undoable and not version.schema):
        raise found.error()
    lost = [(policy, f"`{action}` lost its argument `{name}`") for policy, action, name in _lost(found.policies, version, schema)]
    return [*((policy, str(problem)) for policy, problem in found.misfits), *lost]


def _lost(policies: Sequence[Policy], version: PolicyVersion, schema: PolicySchema) -> Iterator[tuple[Policy, str, str]]:
    """Yield each argument that a policy looks at and that an action it covers had when the version was applied."""
    if version.schema in ("", schema.revision):
        return
    for policy in policies:
        named = {path[1] for path in mentions(policy.node) if path[:1] == ("arguments",) and len(path) > 1}
        for action in sorted(actions_of(policy, schema)) if named else ():
            before = version.actions.get(action, ("",))[1:]
            for name in sorted(named.intersection(before).difference(schema.actions[action].fields.shapes)):
                yield policy, action, name


def _blocked(unfit: Sequence[tuple[Policy, str]], version: PolicyVersion, schema: PolicySchema) -> dict[str, tuple[str, ...]]:
    """Return the changed actions that an unfit policy covers: nobody knows what it would say of them."""
    blocked: dict[str, tuple[str, ...]] = {}
    for policy in {policy.id: policy for policy, _ in unfit}.values():
        for name in actions_of(policy, schema):
            shape = schema.actions[name]
            if shape.is_tool and version.actions.get(name, ("",))[0] != shape.digest:
                blocked[name] = (*blocked.get(name, ()), policy.id)
    return blocked
