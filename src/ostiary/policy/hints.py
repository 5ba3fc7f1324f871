"""Policies that are valid and probably not meant: never matching, shadowed, permitting everyone, not to be lifted."""

from collections.abc import Iterable, Iterator, Sequence

from cedarpy import pst

from ostiary.core.registry import Registry
from ostiary.policy.constants import truth
from ostiary.policy.entities import EntityGraph
from ostiary.policy.reading import mentions, walk
from ostiary.policy.schema import PolicySchema
from ostiary.policy.slicing import actions_of
from ostiary.policy.source import Policy, Problem
from ostiary.policy.values import nearest

_REGISTERED = ("User", "Agent", "Role", "Group", "Model", "Server", "Tool", "Api", "Source", "Zone")
"""Types whose entities all come from the registry, so that an unknown id matches nothing."""
_IN_TOKENS = frozenset({"generate", "embed"})


def warnings(policies: Sequence[Policy], schema: PolicySchema, graph: EntityGraph, labels: frozenset[str]) -> Iterator[Problem]:
    """Yield what an author should look at; none of it stops a policy from loading. `labels` are those that mean something."""
    labels |= {part.value for policy in policies for part in walk(policy.node.clauses) if isinstance(part, pst.StringLit)}
    known = {kind: graph.knows(kind) for kind in _REGISTERED}
    covered = {policy.id: actions_of(policy, schema) for policy in policies}
    for policy in policies:
        yield from _never(policy, known, has_actions=bool(covered[policy.id]))
        yield from _open(policy)
        yield from _unread(policy, labels)
        yield from _uncapped(policy, covered[policy.id])
        yield from _unliftable(policy, known["Role"] | known["Group"])
        yield from _untold(policy, known["Role"] | known["Group"])
    blanket = [policy for policy in policies if truth(policy.node.clauses) and not policy.is_shadow and policy.approval is None]
    for policy in policies:
        other = next((each for each in blanket if _hides(each, policy, covered)), None)
        if other is not None:
            yield policy.problem(f"decides nothing: `{other.id}` ({other.file}:{other.line}) covers all of it", is_warning=True)


def _never(policy: Policy, known: dict[str, frozenset[str]], *, has_actions: bool) -> Iterator[Problem]:
    if not has_actions:
        yield policy.problem("can never match: no tool is in its actions yet", is_warning=True)
    if truth(policy.node.clauses) is False:
        yield policy.problem("can never match: its condition is always false", is_warning=True)
    for part in walk(policy.node.clauses):
        if isinstance(part, pst.EntityUid) and str(part.type) in known and part.id not in known[str(part.type)]:
            message = f'`{part.type}::"{part.id}"` is nothing registered{nearest(part.id, known[str(part.type)])}'
            yield policy.problem(message, part.id, is_warning=True)
    for scope in (policy.node.principal, policy.node.resource):
        if isinstance(scope, pst.ScopeEq | pst.ScopeIn | pst.ScopeIsIn) and isinstance(scope.entity, pst.EntityUid):
            kind, name = str(scope.entity.type), scope.entity.id
            if kind in known and name not in known[kind]:
                message = f'can never match: nothing registered is or is in `{kind}::"{name}"`{nearest(name, known[kind])}'
                yield policy.problem(message, name, is_warning=True)


def _open(policy: Policy) -> Iterator[Problem]:
    node = policy.node
    if policy.effect == "permit" and truth(node.clauses) and isinstance(node.principal, pst.ScopeAny):
        yield policy.problem("permits without any condition to everyone", is_warning=True)


def _unread(policy: Policy, labels: frozenset[str]) -> Iterator[Problem]:
    """Warn of a label that nothing looks at: most likely another one was meant."""
    given = [value for obligation in policy.obligations if obligation.name == "label" for value in obligation.values]
    for value in given if policy.effect == "permit" else ():
        if value not in labels and value.partition(".")[0] not in labels:
            message = f"nothing looks at the label `{value}`: no policy, no model that accepts it{nearest(value, labels)}"
            yield policy.problem(message, value, annotation="label", is_warning=True)


def _uncapped(policy: Policy, actions: frozenset[str]) -> Iterator[Problem]:
    caps = [value for obligation in policy.obligations if obligation.name == "cap" for value in obligation.values]
    if policy.effect == "permit" and any(cap.startswith("tokens=") for cap in caps) and not actions <= _IN_TOKENS:
        yield policy.problem(
            "`@cap` of tokens: only models answer in tokens, so every other action it permits is denied", annotation="cap", is_warning=True
        )
    if policy.effect == "permit" and any(cap.startswith("rows=") for cap in caps) and actions & _IN_TOKENS:
        yield policy.problem(
            "`@cap` of rows: models answer in tokens, so what it permits of them is denied", annotation="cap", is_warning=True
        )


def _untold(policy: Policy, groups: frozenset[str]) -> Iterator[Problem]:
    """Warn of a group that is told and has nobody in it."""
    for group in (value for duty in policy.obligations if duty.name == "notify" for value in duty.values):
        if policy.effect == "permit" and group not in groups:
            message = f"nobody registered is in `{group}`{nearest(group, groups)}: it stands in `ostiary notice list` only"
            yield policy.problem(message, group, annotation="notify", is_warning=True)


def labels(registry: Registry, classes: Iterable[str]) -> frozenset[str]:
    """Return the labels that mean something here: what detectors find, models accept, and servers and tools bring."""
    found = {name.partition(".")[0] for name in classes} | {"public", "internal", "confidential", "financial", "secret", "pii", "phi"}
    return frozenset(
        found.union(
            *(model.accepts for model in registry.models.values()),
            *(server.labels for server in registry.servers.values()),
            *(tool.profile.labels for tool in registry.tools.values()),
        )
    )


def _unliftable(policy: Policy, groups: frozenset[str]) -> Iterator[Problem]:
    if policy.approval is None:
        return
    if policy.approval.group not in groups:
        message = f"nobody can approve it: nobody registered is in `{policy.approval.group}`{nearest(policy.approval.group, groups)}"
        yield policy.problem(message, annotation="approval", is_warning=True)
    if not any(path[:1] in ((), ("approval",)) for path in mentions(policy.node)):
        message = "no approval lifts it: add `unless { context has approval && context.approval.group == … }`"
        yield policy.problem(message, annotation="approval", is_warning=True)


def _hides(blanket: Policy, policy: Policy, covered: dict[str, frozenset[str]]) -> bool:
    """Say whether an unconditional policy leaves another nothing to decide."""
    if blanket is policy or (blanket.effect == "permit" and (policy.effect == "forbid" or policy.obligations)):
        return False
    if not all(_covers(wide, narrow) for wide, narrow in zip(_scopes(blanket), _scopes(policy), strict=True)):
        return False
    if not covered[policy.id] or not covered[policy.id] <= covered[blanket.id]:
        return False
    is_twin = bool(truth(policy.node.clauses)) and _scopes(blanket) == _scopes(policy) and covered[blanket.id] == covered[policy.id]
    return not is_twin or blanket.effect != policy.effect or blanket.id < policy.id


def _scopes(policy: Policy) -> tuple[pst.PrincipalOrResourceConstraint, pst.PrincipalOrResourceConstraint]:
    return policy.node.principal, policy.node.resource


def _covers(wide: pst.PrincipalOrResourceConstraint, narrow: pst.PrincipalOrResourceConstraint) -> bool:
    return isinstance(wide, pst.ScopeAny) or wide == narrow
