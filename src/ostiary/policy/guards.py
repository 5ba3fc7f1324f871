"""`has` guards on names that nothing has: Cedar finds such a policy valid, and it never fires."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from cedarpy import pst

from ostiary.policy.reading import walk
from ostiary.policy.schema import PRINCIPALS, PolicySchema
from ostiary.policy.slicing import actions_of
from ostiary.policy.source import Policy, Problem
from ostiary.policy.values import nearest

Type = Mapping[str, Any]


def misfits(policies: Sequence[Policy], schema: PolicySchema) -> Iterator[tuple[Policy, Problem]]:
    """Yield every guard on a name that no matching action, principal or resource has."""
    for policy in policies:
        for node in walk(policy.node.clauses):
            if isinstance(node, pst.HasAttr):
                found = _wrong(node, policy, schema)
                if found is not None:
                    name, known = found
                    message = f"`has {name}` can never be true: no action this policy matches has it{nearest(name, known)}"
                    yield policy, policy.problem(message, name)


def attribute_names(schema: PolicySchema) -> frozenset[str]:
    """Return every attribute name that the schema knows anywhere."""
    found: set[str] = set()
    pending: list[Any] = [schema.document[""]]
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            attributes = node.get("attributes")
            found.update(attributes if isinstance(attributes, dict) else ())
            pending.extend(node.values())
    return frozenset(found)


def _wrong(node: pst.HasAttr, policy: Policy, schema: PolicySchema) -> tuple[str, frozenset[str]] | None:
    """Return the first name that nothing has, and the names there are; None when some type has it or none is known."""
    types = _types(node.base, policy, schema)
    for name in node.attrs:
        if not types:
            return None
        known = frozenset(each for type_ in types for each in type_.get("attributes", {}))
        if name not in known:
            return name, known
        types = _members(types, name, schema)
    return None


def _types(node: Any, policy: Policy, schema: PolicySchema) -> list[Type]:
    """Return the record types an expression can have, over all that the policy's scope matches."""
    if isinstance(node, pst.GetAttr):
        return _members(_types(node.base, policy, schema), node.attr, schema)
    if not isinstance(node, pst.Var):
        return []
    if node.name == "context":
        return [schema.contexts[name] for name in sorted(actions_of(policy, schema))]
    if node.name == "principal":
        return _entities(_named(policy.node.principal) or PRINCIPALS, schema)
    if node.name == "resource":
        resources = {kind for name in actions_of(policy, schema) for kind in schema.actions[name].resources}
        return _entities(_named(policy.node.resource) or sorted(resources), schema)
    return []


def _members(types: Iterable[Type], name: str, schema: PolicySchema) -> list[Type]:
    found = [type_["attributes"][name] for type_ in types if name in type_.get("attributes", {})]
    return [resolved for each in found if (resolved := _resolve(each, schema)).get("type") == "Record"]


def _resolve(type_: Type, schema: PolicySchema) -> Type:
    if type_.get("type") == "EntityOrCommon":
        return schema.document[""]["commonTypes"].get(type_["name"], {})  # type: ignore[no-any-return]
    if type_.get("type") == "Entity":
        return schema.document[""]["entityTypes"].get(type_["name"], {}).get("shape", {})  # type: ignore[no-any-return]
    return type_


def _entities(kinds: Iterable[str], schema: PolicySchema) -> list[Type]:
    known = schema.document[""]["entityTypes"]
    return [known[kind]["shape"] for kind in kinds if kind in known]


def _named(scope: pst.PrincipalOrResourceConstraint) -> tuple[str, ...]:
    if isinstance(scope, pst.ScopeIs | pst.ScopeIsIn):
        return (str(scope.entity_type),)
    if isinstance(scope, pst.ScopeEq) and isinstance(scope.entity, pst.EntityUid):
        return (str(scope.entity.type),)
    return ()
