"""Why a tool's profile was guessed so, in words an operator can check against what they know of the tool."""

from collections.abc import Mapping
from typing import Any

from ostiary.core.registry import Profile
from ostiary.provenance.profile import properties_of
from ostiary.provenance.words import parts


def reasons(definition: Mapping[str, Any], guess: Profile) -> dict[str, str]:
    """Return, for `effect`, `external`, each argument and `attested`, why it was guessed so."""
    schema = definition.get("inputSchema")
    rules = properties_of(schema) if isinstance(schema, Mapping) else {}
    found = {"effect": _effect(definition, guess), "external": _external(guess)}
    for name, rule in rules.items():
        found[name] = _argument(name, rule, guess)
    if guess.attested:
        is_stated = isinstance(definition.get("outputSchema"), Mapping)
        found["attested"] = "fields a system writes itself, by name" + ("" if is_stated else "; no outputSchema, so patterns")
    if guess.labels:
        found["labels"] = "words of the definition"
    return found


def _effect(definition: Mapping[str, Any], guess: Profile) -> str:
    head = next(iter(parts(str(definition.get("name", "")))), "")
    notes = definition.get("annotations")
    claims = notes if isinstance(notes, Mapping) else {}
    if guess.effect == "read":
        return f"its name begins with `{head}`"
    if claims.get("destructiveHint") is True:
        return "the server itself says it is destructive"
    if guess.effect == "reversible":
        return f"its name begins with `{head}`"
    claim = "; that the server calls it read-only is only a claim" if claims.get("readOnlyHint") is True else ""
    return f"`{head}` is not known to be harmless{claim}" if head else f"not understood{claim}"


def _external(guess: Profile) -> str:
    if guess.external:
        return "it may reach other people or the open world"
    return "no argument leads outside"


def _argument(name: str, rule: Mapping[str, Any], guess: Profile) -> str:
    if name in guess.payload:
        return "prose, by its name"
    if name in guess.control:
        return f"decides where the effect goes{_format(rule)}"
    return "a flag, a fixed list or how much to show"


def _format(rule: Mapping[str, Any]) -> str:
    stated = rule.get("format")
    return f": it is a {stated}" if isinstance(stated, str) and len(stated) < 32 else ": neither prose, flag nor fixed list"
