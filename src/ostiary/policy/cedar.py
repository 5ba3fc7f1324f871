"""The one place that talks to Cedar: evaluate, evaluate with unknowns, validate."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
from cedarpy import _internal as cedar

from ostiary.core.quick import quick
from ostiary.policy.entities import Uid
from ostiary.policy.source import Policy


class Question(NamedTuple):
    """Everything about one request that Cedar is told; `context` is Cedar's JSON."""

    principal: Uid
    action: str
    resource: Uid
    context: str


class _Diagnostics(msgspec.Struct):
    reason: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    nontrivial_residuals: tuple[str, ...] = ()


class _Response(msgspec.Struct):
    diagnostics: _Diagnostics
    decision: str | None = None


@quick
@dataclass(frozen=True, slots=True)
class Answer:
    """What Cedar said. With errors it says nothing, whatever `is_allowed` holds: Cedar skips a policy that fails."""

    is_allowed: bool
    reasons: tuple[str, ...]
    errors: tuple[str, ...]
    is_open: bool = False
    """True when it depends on what is not known yet."""
    residuals: tuple[str, ...] = ()
    """The policies that hold or not depending on what is unknown; `reasons` are then those that hold in any case."""


_ESCAPES = {"\0": "\\0", "\t": "\\t", "\r": "\\r", "\n": "\\n", '"': '\\"', "'": "\\'", "\\": "\\\\"}
_decode = msgspec.json.Decoder(_Response).decode


def evaluate(policies: Any, entities: Any, question: Question) -> Answer:
    """Ask Cedar one question. `policies` and `entities` are handles; ids travel as values, never as Cedar text."""
    principal, action, resource, context = question
    request = {
        "principal": {"type": principal[0], "id": principal[1]},
        "action": {"type": "Action", "id": action},
        "resource": {"type": resource[0], "id": resource[1]},
        "context": context,
    }
    found = _decode(cedar.is_authorized(request, policies, entities))
    return _answer(found, is_open=False)


def evaluate_partly(policies: Any, entities: Any, question: Question) -> Answer:
    """Ask Cedar a question whose context has unknown parts. A preview: never a decision."""
    principal, action, resource, context = question
    request: dict[str, str | None] = {
        "principal": literal(principal),
        "action": literal(("Action", action)),
        "resource": literal(resource),
        "context": context,
    }
    found = _decode(cedar.is_authorized_partial(request, policies, entities))
    return _answer(found, is_open=found.decision not in ("Allow", "Deny"))


def validate(policies: Sequence[Policy], schema: Any) -> list[tuple[Policy, str]]:
    """Return what Cedar's strict validator says against each policy; `schema` is a handle."""
    text = "\n".join(policy.text for policy in policies)
    report: dict[str, Any] = json.loads(cedar.validate_policies(text, schema, release_gil=True))
    found: list[tuple[Policy, str]] = []
    for error in report["errors"]:
        number = re.fullmatch(r"policy([0-9]+)", error.get("policy_id", ""))
        if number is None:
            raise ValueError(f"the validator did not name a policy: {error}")
        message = re.sub(r"^for policy `policy[0-9]+`, ", "", " ".join(error["error"].split()))
        found.append((policies[int(number.group(1))], message))
    if not found and not report["validation_passed"]:
        raise ValueError("the validator refused without a reason")
    return found


def literal(uid: Uid) -> str:
    """Return an entity as Cedar text, in the normal form that Cedar insists on.

    An id that this does not bring to normal form is refused by Cedar, so a listing leaves the thing out.
    """
    escaped = "".join(_ESCAPES.get(char) or (char if char.isprintable() else f"\\u{{{ord(char):x}}}") for char in uid[1])
    return f'{uid[0]}::"{escaped}"'


def _answer(found: _Response, *, is_open: bool) -> Answer:
    said = found.diagnostics
    known = found.decision in ("Allow", "Deny")
    errors = said.errors if known or is_open else (*said.errors, "the engine made no decision")
    return Answer(found.decision == "Allow", said.reason, errors, is_open, said.nontrivial_residuals)
