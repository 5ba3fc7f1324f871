"""What a detector is made of: a coarse pattern that finds candidates fast, and an exact one that confirms them."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ostiary.core.quick import quick

SEPARATOR = "\x1e"
"""Stands between two JSON leaves in a scanned buffer, so that nothing matches across them by accident."""


@quick
@dataclass(frozen=True, slots=True)
class Span:
    """A confirmed find: characters `start` to `end` (exclusive) of the scanned text."""

    start: int
    end: int
    kind: str
    """The class policies see: `secret`, `pii.email`, `phi`, `injection` …"""
    rule: str


Confirm = Callable[[re.Match[str], int], bool]
"""Says whether a match whose value is the given group is real (Luhn, entropy, allow list …)."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """One rule of a detector. Offsets and lengths are in characters; the text is folded (see `scanner.fold`)."""

    rule: str
    kind: str
    coarse: Sequence[str]
    """Hyperscan expressions, caseless, bytes as Latin-1; a hit of any opens a window around its end."""
    exact: re.Pattern[str]
    confirm: Confirm | None = None
    back: int = 96
    """How far before a coarse hit's end the exact match may start."""
    reach: int = 320
    """How far behind a coarse hit's end the exact match may stop."""
    group: int | None = None
    """The group that holds the value; None takes the first that took part, else the whole match."""
    costly: bool = False
    """Whether confirming takes long: after some in one text, what has the shape counts as real."""


def value_group(pattern: Pattern, match: re.Match[str]) -> int:
    """Return the group that holds the value of a match."""
    if pattern.group is not None:
        return pattern.group
    return next((index for index, text in enumerate(match.groups(), 1) if text), 0)
