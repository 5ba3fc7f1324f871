"""What annotations mean: who may approve, and what a deciding permit demands."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from ostiary.core.decision import ApprovalRule, Obligation
from ostiary.policy.values import nearest

OBLIGATIONS = ("redact", "cap", "label", "notify", "record")
"""Annotations of a permit that shape the action."""
APPROVALS = ("approval", "quorum", "expires", "four_eyes")
"""Annotations of a forbid that make it requestable."""
KNOWN = ("id", "because", "shadow", *APPROVALS, *OBLIGATIONS)


@dataclass(frozen=True, slots=True)
class Means:
    """What there is to carry obligations out with; the composition root asks the controls."""

    obligations: frozenset[str] = frozenset(OBLIGATIONS)
    classes: frozenset[str] | None = None
    """The data classes that some detector finds; None when nobody said, and then any name passes."""
    detected: frozenset[str] | None = None
    """The classes that can stand in `context.detected`; None when nobody said."""


_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_MAX_EXPIRY_S = 30 * 86400
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*\Z", re.IGNORECASE)
_KEBAB = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*\Z")
_CAP = re.compile(r"(rows|tokens|bytes)=[1-9][0-9]{0,11}\Z")
_EXPIRY = re.compile(r"[1-9][0-9]{0,5}[smhd]\Z")


def values_of(text: str) -> tuple[str, ...]:
    """Return the comma-separated values of an annotation."""
    return tuple(value.strip() for value in text.split(","))


def approval_rule(policy: str, annotations: Mapping[str, str]) -> ApprovalRule | None:
    """Return what a requestable forbid asks for; None when it is not requestable."""
    group = annotations.get("approval")
    if group is None:
        return None
    four_eyes = annotations.get("four_eyes")
    return ApprovalRule(
        policy,
        group,
        int(annotations.get("quorum", "1")),
        expiry_s(annotations.get("expires", "1h")),
        frozenset(values_of(four_eyes)) if four_eyes else frozenset(),
    )


def obligations_of(annotations: Mapping[str, str]) -> tuple[Obligation, ...]:
    """Return what a permit demands. A name that is neither an obligation nor ours is kept, so that the engine denies it."""
    return tuple(Obligation(name, values_of(text)) for name, text in sorted(annotations.items()) if name not in _NOT_OBLIGATIONS)


@lru_cache(maxsize=4096)
def add_up(*obligations: Obligation) -> tuple[Obligation, ...]:
    """Return the sum of obligations: the union of the values of each name; of several caps of one thing, the lowest."""
    values: dict[str, set[str]] = {}
    for obligation in obligations:
        values.setdefault(obligation.name, set()).update(obligation.values)
    if "cap" in values:
        values["cap"] = _lowest(values["cap"])
    return tuple(Obligation(name, tuple(sorted(found))) for name, found in sorted(values.items()))


def expiry_s(text: str) -> int:
    """Return the seconds of `30m`, `1h`, `2d`. Raises ValueError."""
    if not _EXPIRY.match(text) or (seconds := int(text[:-1]) * _UNITS[text[-1]]) > _MAX_EXPIRY_S:
        raise ValueError(f"`{text}` is no duration such as `30m`, `1h` or `2d`, up to `30d`")
    return seconds


def problems(effect: str, annotations: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return what is wrong with a policy's annotations: the annotation's name and a sentence."""
    found = [("id", "a policy must have an `@id`, a kebab-case sentence")] if "id" not in annotations else []
    for name, text in annotations.items():
        if name not in KNOWN:
            found.append((name, f"annotation `@{name}` is unknown{nearest(name, KNOWN)}"))
        elif (wrong := _GRAMMAR[name](text)) is not None:
            found.append((name, f'`@{name}("{text}")`: {wrong}'))
        elif name in APPROVALS and effect == "permit":
            found.append((name, f"`@{name}` belongs on a `forbid`: it says who can lift it"))
        elif name in OBLIGATIONS and effect == "forbid":
            found.append((name, f"`@{name}` belongs on a `permit`: it shapes what that allows"))
        elif name in APPROVALS and "approval" not in annotations:
            found.append((name, f'`@{name}` needs `@approval("group")` beside it'))
    return found


def undoable(annotations: Mapping[str, str], means: Means) -> list[tuple[str, str, str]]:
    """Return the obligations that nothing here can carry out, so that a permit with them would only ever deny: name, value, why."""
    found = []
    for obligation in obligations_of(annotations):
        if obligation.name not in means.obligations:
            found.append((obligation.name, "", f"`@{obligation.name}`: nothing here can carry it out, so the permit would deny"))
        elif obligation.name == "redact" and means.classes is not None:
            found.extend(
                ("redact", value, f"`@redact`: no detector finds the class `{value}`{nearest(value, means.classes)}")
                for value in obligation.values
                if value not in means.classes
            )
    return found


def _lowest(caps: set[str]) -> set[str]:
    lowest: dict[str, int] = {}
    for cap in caps:
        thing, _, number = cap.partition("=")
        lowest[thing] = min(int(number), lowest.get(thing, int(number)))
    return {f"{thing}={number}" for thing, number in lowest.items()}


def _each(pattern: re.Pattern[str], wanted: str) -> Callable[[str], str | None]:
    def check(text: str) -> str | None:
        return None if all(pattern.match(value) for value in values_of(text)) else f"expected {wanted}"

    return check


def _one_of(*allowed: str) -> Callable[[str], str | None]:
    def check(text: str) -> str | None:
        wrong = [value for value in values_of(text) if value not in allowed]
        return f"expected {', '.join(f'`{each}`' for each in allowed)}, got `{wrong[0]}`" if wrong else None

    return check


def _expires(text: str) -> str | None:
    try:
        expiry_s(text)
    except ValueError as error:
        return str(error)
    return None


_GRAMMAR: Mapping[str, Callable[[str], str | None]] = {
    "id": lambda text: None if _KEBAB.match(text) else "expected lower-case words joined by `-`",
    "because": lambda text: None if text.strip() else "expected a sentence for whoever is refused",
    "shadow": lambda text: None if text in ("true", "false") else "expected `true` or `false`",
    "approval": lambda text: None if _NAME.match(text) else "expected the name of one group",
    "quorum": lambda text: None if re.fullmatch(r"[1-9]", text) else "expected a number from 1 to 9",
    "expires": _expires,
    "four_eyes": _one_of("user", "owner"),
    "redact": _each(_NAME, "data classes such as `pii,secret`"),
    "cap": _each(_CAP, "caps such as `rows=100`"),
    "label": _each(_NAME, "labels such as `phi`"),
    "notify": _each(_NAME, "groups such as `security`"),
    "record": _one_of("witnessed"),
}
_NOT_OBLIGATIONS = frozenset(("id", "because", "shadow", *APPROVALS))
