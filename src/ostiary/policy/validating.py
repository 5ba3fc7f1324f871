"""Asks Cedar's strict validator about each policy, on one action of each kind that the policy can tell apart.

The validator tries every policy on every action there is: most of a minute for a thousand policies over a thousand tools.
But a policy's types are never looked at where its scope does not match; and where it does, two actions that differ only in
arguments the policy does not mention and in groups it does not name get the same answer. What is found wrong is asked again
of the whole, so that the words are the validator's. `tests/property/test_validating.py` holds both against each other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cedarpy import _internal as cedar_internal
from cedarpy import pst

from ostiary.core.canonical import canonical
from ostiary.policy import cedar
from ostiary.policy.reading import Path, mentions
from ostiary.policy.schema import PolicySchema
from ostiary.policy.slicing import actions_of
from ostiary.policy.source import Policy


def validate(policies: Sequence[Policy], schema: PolicySchema) -> list[tuple[Policy, str]]:
    """Return what Cedar's strict validator says against each policy."""
    kinds = _Kinds(schema)
    together: dict[frozenset[str], list[Policy]] = {}
    for policy in policies:
        together.setdefault(kinds.examples(policy), []).append(policy)
    doubtful = [policy for examples, members in together.items() for policy, _ in cedar.validate(members, _part(schema, examples))]
    return cedar.validate(list({id(policy): policy for policy in doubtful}.values()), schema.handle) if doubtful else []


@dataclass(slots=True)
class _Kinds:
    """The actions of a schema, sorted into kinds by what a policy can see of them."""

    schema: PolicySchema
    _known: dict[tuple[frozenset[str], frozenset[Path], frozenset[str]], frozenset[str]] = field(default_factory=dict)
    _attributes: dict[str, dict[Path, bytes]] = field(default_factory=dict)

    def examples(self, policy: Policy) -> frozenset[str]:
        """Return one action of each kind that a policy's scope covers."""
        named = frozenset(uid.id for uid in pst.entity_uids(policy.node) if str(uid.type) == "Action")
        seen = frozenset(path[:2] for path in mentions(policy.node) if path[:1] in ((), ("arguments",), ("origins",)))
        key = (frozenset(actions_of(policy, self.schema)), seen, named)
        found = self._known.get(key)
        if found is None:
            kinds: dict[tuple[object, ...], str] = {}
            for name in sorted(key[0]):
                kinds.setdefault(self._kind(name, seen, named), name)
            found = self._known[key] = frozenset(kinds.values()) | (named & self.schema.actions.keys())
        return found

    def _kind(self, name: str, seen: frozenset[Path], named: frozenset[str]) -> tuple[object, ...]:
        shape = self.schema.actions[name]
        known = self._attributes.get(name)
        if known is None:
            known = self._attributes[name] = _attributes(self.schema.contexts[name])
        return shape.resources, named.intersection((name, *shape.groups)), *[known.get(path) for path in sorted(seen)]


def _attributes(context: Mapping[str, Any]) -> dict[Path, bytes]:
    """Return what a policy sees of a context by each path it may mention: all of it, one record, or one member."""
    found: dict[Path, bytes] = {(): canonical(context)}
    for record in ("arguments", "origins"):
        type_ = context["attributes"][record]
        found[record,] = canonical(type_)
        found |= {(record, name): canonical(each) for name, each in type_["attributes"].items()}
    return found


def _part(schema: PolicySchema, actions: frozenset[str]) -> Any:
    """Return the schema with only these actions, and with every group, as Cedar has parsed it."""
    whole = schema.document[""]
    kept = {name: type_ for name, type_ in whole["actions"].items() if name in actions or name not in schema.actions}
    return cedar_internal.Schema.from_json_str(canonical({"": {**whole, "actions": kept}}).decode(), release_gil=True)
