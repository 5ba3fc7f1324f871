"""Words that a condition waits for and nothing ever says: `context.control.origin == "untrused"` is valid, and never fires."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from cedarpy import pst

from ostiary.policy.reading import Path, context_path, walk
from ostiary.policy.schema import EFFECTS, PolicySchema
from ostiary.policy.slicing import actions_of
from ostiary.policy.source import Policy, Problem
from ostiary.policy.values import nearest
from ostiary.policy.verdict import ORIGINS

_LOOKS = frozenset({"eq", "not_eq", "contains", "contains_any", "contains_all"})
_TRUST = frozenset({"trusted", "untrusted"})


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What can be said, where that is a matter of the installation."""

    labels: frozenset[str]
    """The labels that something brings onto a session."""
    detected: frozenset[str] | None
    """The classes that detectors find; None when nobody said."""


def warnings(policies: Sequence[Policy], schema: PolicySchema, vocabulary: Vocabulary) -> Iterator[Problem]:
    """Yield every word that a policy compares with something that never says it."""
    given = {value for policy in policies for duty in policy.obligations if duty.name == "label" for value in duty.values}
    labels = vocabulary.labels | given
    for policy in policies:
        for node in walk(policy.node.clauses):
            if isinstance(node, pst.BinaryOp) and node.op in _LOOKS:
                yield from _unsaid(node, policy, schema, Vocabulary(labels, vocabulary.detected))


def _unsaid(node: pst.BinaryOp, policy: Policy, schema: PolicySchema, vocabulary: Vocabulary) -> Iterator[Problem]:
    for said, words in ((node.left, _words(node.right)), (node.right, _words(node.left))):
        path = _path(said)
        known = _known(path, policy, schema, vocabulary) if path and words else None
        if known is not None:
            for word in [word for word in words if word not in known]:
                message = f"`{word}` is never in `{'.'.join(path)}`{_within(word, known) or nearest(word, known)}"
                yield policy.problem(message, word, is_warning=True)


def _known(path: Path, policy: Policy, schema: PolicySchema, vocabulary: Vocabulary) -> frozenset[str] | None:
    """Return every word that can stand at a path; None where any may."""
    match path:
        case ("context", "control", "origin") | ("context", "origins", _):
            return ORIGINS
        case ("context", "session", "integrity") | ("resource", "trust"):
            return _TRUST
        case ("resource", "effect"):
            return frozenset(EFFECTS)
        case ("context", "session", "labels"):
            return vocabulary.labels
        case ("context", "detected"):
            return vocabulary.detected
        case ("context", "control", "unsafe"):
            return frozenset(name for action in actions_of(policy, schema) for name in schema.actions[action].fields.names)
        case ("context", "approval", "group") if policy.approval is not None:
            return frozenset({policy.approval.group})
    return None


def _path(node: object) -> Path:
    """Return what an expression reads, `context` or `resource` first; empty when it is something else."""
    found = context_path(node)
    if found is not None:
        return ("context", *found)
    return ("resource", node.attr) if isinstance(node, pst.GetAttr) and node.base == pst.Var("resource") else ()


def _words(node: object) -> tuple[str, ...]:
    parts = node.elements if isinstance(node, pst.Set) else (node,)
    return tuple(part.value for part in parts if isinstance(part, pst.StringLit))


def _within(word: str, known: Iterable[str]) -> str:
    """Name the classes that a word stands for, as `pii` does in `@redact`."""
    found = sorted(name for name in known if name.startswith(f"{word}."))
    return f": name each, {', '.join(f'`{name}`' for name in found)}" if found else ""
