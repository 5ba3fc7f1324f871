"""Names with `*`, as sets of names: whether one fits, and what two have in common."""

import re
from functools import lru_cache

from ostiary.core.errors import InvalidAction

STARS = re.compile(r"\*+")
MAX_COMMON = 16
"""Patterns that the intersection of two may come to; past it they are refused as too entangled."""


def fits(pattern: str, name: str, barred: frozenset[str] = frozenset()) -> bool:
    """Match a pattern in time |pattern| · |name| at worst; a `*` takes anything but the `barred` characters."""
    at = mark = 0
    star = -1
    resume = 0
    for _ in range((len(pattern) + 1) * (len(name) + 1)):
        if mark == len(name):
            return not pattern[at:].strip("*")
        if at < len(pattern) and pattern[at] == "*":
            star, at, resume = at, at + 1, mark
        elif at < len(pattern) and pattern[at] == name[mark]:
            at, mark = at + 1, mark + 1
        elif star >= 0 and name[resume] not in barred:
            resume += 1
            at, mark = star + 1, resume
        else:
            return False
    return False


@lru_cache(maxsize=65536)
def meet(one: str, other: str, barred: frozenset[str] = frozenset()) -> frozenset[str]:
    """Return patterns that together match exactly the names both patterns match. Raises InvalidAction when they are too many."""
    if not one or not other:
        return frozenset({""}) if not (one + other).strip("*") else frozenset()
    a, b = one[0], other[0]
    if a == b == "*":
        found = _prefixed("*", meet(one[1:], other, barred) | meet(one, other[1:], barred))
    elif a == "*":
        found = meet(one[1:], other, barred) | (_prefixed(b, meet(one, other[1:], barred)) if b not in barred else frozenset())
    elif b == "*":
        found = meet(one, other[1:], barred) | (_prefixed(a, meet(one[1:], other, barred)) if a not in barred else frozenset())
    else:
        found = _prefixed(a, meet(one[1:], other[1:], barred)) if a == b else frozenset()
    if len(found) > MAX_COMMON:
        raise InvalidAction("two scopes overlap in too many ways", remedy="ask for a narrower scope, with fewer `*`")
    return found


def _prefixed(start: str, rests: frozenset[str]) -> frozenset[str]:
    return frozenset(STARS.sub("*", start + rest) for rest in rests)
