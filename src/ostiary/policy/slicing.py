"""Which policies can matter to a request, and what of the context they look at: the rest never reaches the engine.

A policy whose scope does not match can neither decide nor fail, so leaving it out changes nothing; and an attribute
that no policy of the slice mentions cannot be read. `tests/property/test_slicing.py` holds both against the whole.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from cedarpy import _internal as cedar
from cedarpy import pst

from ostiary.core.subject import Principal
from ostiary.policy import zoning
from ostiary.policy.cedar import Answer
from ostiary.policy.context import plan
from ostiary.policy.entities import EntityGraph, Uid, principal_uid
from ostiary.policy.reading import mentions, walk
from ostiary.policy.schema import PolicySchema
from ostiary.policy.source import Policy

MAX_SLICES = 10_000


class Slice:
    """The policies whose scope matches one principal, action and resource."""

    __slots__ = ("_firm", "permits", "plan", "policies", "reads_principal", "whole")

    def __init__(self, policies: Sequence[Policy]) -> None:
        self.policies: Mapping[str, Policy] = {policy.id: policy for policy in policies}
        self.permits = frozenset(policy.id for policy in policies if policy.effect == "permit")
        self.plan = plan(path for policy in policies for path in mentions(policy.node))
        self.reads_principal = any(_reads_principal(policy.node) for policy in policies)
        """False when every principal this slice is for gets the same answer: the scopes match already."""
        self.whole = policy_set(policies)
        self._firm: Any = None

    @property
    def firm(self) -> Any:
        """The slice without the forbids that a person can lift."""
        if self._firm is None:
            self._firm = policy_set([policy for policy in self.policies.values() if policy.approval is None])
        return self._firm


class Link(NamedTuple):
    """One principal of a chain with the policies that matter to it."""

    principal: Principal
    uid: Uid
    slice: Slice
    entering: frozenset[str]
    """The zones of the resource that this link does not stand in."""
    permits: frozenset[str]
    """The permits that count: of a link that enters a zone, only those that name it."""


@dataclass(frozen=True, slots=True)
class Chain:
    """The slices of every link of a chain, and all of them as one when a single question answers for every link."""

    links: tuple[Link, ...]
    union: Slice | None


def share(answer: Answer | None, slice_: Slice) -> Answer | None:
    """Return what a question about all links answers for one of them; None when that link must be asked alone.

    The scopes of a slice have matched, so a condition holds for its link exactly if it holds at all. Cedar names permits
    only when no forbid holds: a link that none of the named forbids is about has not been answered.
    """
    if answer is None:
        return None
    mine = tuple(name for name in answer.reasons if name in slice_.policies)
    if answer.errors or mine or answer.is_allowed or not answer.reasons:
        return Answer(answer.is_allowed and bool(mine), mine, answer.errors)
    return None


class Index:
    """The policies of a version by the action they are about."""

    def __init__(self, policies: Iterable[Policy], schema: PolicySchema, graph: EntityGraph) -> None:
        self._graph = graph
        self._by_action: dict[str, list[Policy]] = {name: [] for name in schema.actions}
        self._slices: dict[tuple[object, ...], Slice] = {}
        for policy in policies:
            for action in actions_of(policy, schema):
                self._by_action[action].append(policy)

    def chain(self, principals: Sequence[Principal], action: str, resource: Uid) -> Chain:
        """Return the slices of a chain; together, unless a policy looks at the principal beyond its scope."""
        uids = [principal_uid(principal) for principal in principals]
        entering = zoning.entered(self._graph, uids, action, resource)
        links = tuple(
            _link(principal, uid, self.find(uid, action, resource), zones)
            for principal, uid, zones in zip(principals, uids, entering, strict=True)
        )
        if len(links) < 2 or any(link.slice.reads_principal for link in links):
            return Chain(links, None)
        policies = {name: policy for link in links for name, policy in link.slice.policies.items()}
        return Chain(links, self._slice([policy.anywhere() for _, policy in sorted(policies.items())], is_anywhere=True))

    def find(self, principal: Uid, action: str, resource: Uid) -> Slice:
        """Return the slice for one question."""
        above, below = self._graph.within(principal), self._graph.within(resource)
        return self._slice(
            [
                policy
                for policy in self._by_action.get(action, ())
                if covers(policy.node.principal, principal, above) and covers(policy.node.resource, resource, below)
            ]
        )

    def _slice(self, policies: Sequence[Policy], *, is_anywhere: bool = False) -> Slice:
        """Return the slice of these policies. Equal slices are one object, so their answers are shared."""
        key = (is_anywhere, *(policy.id for policy in policies))
        known = self._slices.get(key)
        if known is None:
            if len(self._slices) >= MAX_SLICES:
                self._slices.clear()
            known = self._slices[key] = Slice(policies)
        return known


def _link(principal: Principal, uid: Uid, slice_: Slice, entering: frozenset[str]) -> Link:
    permits = frozenset(name for name in slice_.permits if entering <= slice_.policies[name].zones) if entering else slice_.permits
    return Link(principal, uid, slice_, entering, permits)


def policy_set(policies: Iterable[Policy]) -> Any:
    """Return Cedar's handle for some policies, numbered by their `@id`."""
    return cedar.PolicySet.from_pst(pst.PolicySet({}, {policy.id: policy.node for policy in policies}, ()))


def actions_of(policy: Policy, schema: PolicySchema) -> frozenset[str]:
    """Return the actions that a policy's scope covers."""
    scope = policy.node.action
    if isinstance(scope, pst.ScopeAny):
        return frozenset(schema.actions)
    if isinstance(scope, pst.ActionEq):
        return frozenset({scope.entity.id}) & schema.actions.keys() if str(scope.entity.type) == "Action" else frozenset()
    named = [entity.id for entity in scope.entities if str(entity.type) == "Action"]
    return frozenset().union(*(schema.members.get(name, frozenset()) for name in named))


def covers(scope: pst.PrincipalOrResourceConstraint, uid: Uid, within: frozenset[Uid]) -> bool:
    """Say whether a scope matches an entity, given all that the entity is in."""
    if isinstance(scope, pst.ScopeAny):
        return True
    if isinstance(scope, pst.ScopeEq):
        return _key(scope.entity) == uid
    if isinstance(scope, pst.ScopeIn):
        return _key(scope.entity) in within
    if isinstance(scope, pst.ScopeIs):
        return str(scope.entity_type) == uid[0]
    return str(scope.entity_type) == uid[0] and _key(scope.entity) in within


def _reads_principal(node: pst.Template) -> bool:
    return any(isinstance(part, pst.Var) and part.name == "principal" for part in walk(node.clauses))


def _key(entity: pst.EntityOrSlot) -> Uid:
    if isinstance(entity, pst.Slot):
        raise TypeError("templates are refused when policies load")
    return str(entity.type), entity.id
