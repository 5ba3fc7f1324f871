"""What the deciding permits demand, read once: an obligation that no control carries out refuses."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ostiary.controls.budgets import json_lines
from ostiary.core.decision import Decision, Obligation, Refusal, refuse

CAPS = frozenset({"rows", "tokens", "bytes"})
NAMES = frozenset({"redact", "cap", "label", "notify"})


@dataclass(frozen=True, slots=True)
class Duties:
    """The obligations of one decision, added up; of several caps the smallest holds."""

    redact: tuple[str, ...] = ()
    label: frozenset[str] = frozenset()
    notify: tuple[str, ...] = ()
    caps: Mapping[str, int] | None = None


NONE = Duties()


def read(decision: Decision | None) -> Duties | Refusal:
    """Return the duties of a decision, or why one of them cannot be carried out."""
    if decision is None or not decision.obligations:
        return NONE
    return _read(decision.obligations, decision.policies)


@lru_cache(maxsize=4096)
def _read(obligations: tuple[Obligation, ...], policies: tuple[str, ...]) -> Duties | Refusal:
    caps: dict[str, int] = {}
    for obligation in obligations:
        if obligation.name not in NAMES:
            return refuse("unavailable", f"no control carries out the obligation `{obligation.name}`", policies=policies)
        if obligation.name == "cap" and not _take_caps(obligation, caps):
            return refuse(
                "unavailable",
                f"cap `{','.join(obligation.values)}` is not understood: expected rows=N, tokens=N or bytes=N",
                policies=policies,
            )
    return Duties(
        tuple(dict.fromkeys(_values(obligations, "redact"))),
        frozenset(_values(obligations, "label")),
        tuple(dict.fromkeys(_values(obligations, "notify"))),
        caps,
    )


def _values(obligations: Iterable[Obligation], name: str) -> list[str]:
    return [part.strip() for item in obligations if item.name == name for value in item.values for part in value.split(",") if part.strip()]


def _take_caps(obligation: Obligation, caps: dict[str, int]) -> bool:
    for value in _values([obligation], "cap"):
        name, _, number = value.partition("=")
        if name.strip() not in CAPS or not number.strip().isdecimal():
            return False
        caps[name.strip()] = min(int(number), caps.get(name.strip(), int(number)))
    return True


def cap_tokens(arguments: Mapping[str, Any], most: int) -> Mapping[str, Any]:
    """Return a model request that asks for at most `most` tokens, by whichever name its wire uses."""
    names = [name for name in ("max_completion_tokens", "max_output_tokens", "max_tokens") if name in arguments] or ["max_tokens"]
    changed = {name: min(int(arguments[name]), most) if isinstance(arguments.get(name), int) else most for name in names}
    return {**arguments, **changed}


def cap_rows(value: Any, most: int) -> Any:
    """Return an answer with every list of records cut to `most`, also in text that is JSON or lines of it."""
    if isinstance(value, Mapping):
        if isinstance(value.get("text"), str) and (value.get("type") == "text" or "uri" in value):
            return {**value, "text": _cap_text(value["text"], most)}
        return (
            {
                key: item if key == "content" and _is_blocks(item) and len(item) <= most else cap_rows(item, most)
                for key, item in value.items()
            }
            if not _is_blocks(value.get("content"))
            else {
                key: [cap_rows(block, most) for block in item[:most]] if key == "content" else cap_rows(item, most)
                for key, item in value.items()
            }
        )
    if isinstance(value, list):
        return [cap_rows(item, most) for item in value[:most]]
    return value


def _is_blocks(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, Mapping) and "type" in item for item in value)


def _cap_text(text: str, most: int) -> str:
    if text.lstrip()[:1] not in {"[", "{"}:
        return text
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        lines = json_lines(text)
        return text if len(lines) <= most else "".join(f"{line}\n" for line in lines[:most])
    capped = cap_rows(value, most)
    return text if capped == value else json.dumps(capped, ensure_ascii=False)
