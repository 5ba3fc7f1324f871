"""What a session was lent: scopes `kind:pattern`, compared and intersected as sets of names, never as strings."""

import re
from collections.abc import Iterable
from functools import lru_cache

from ostiary.core.errors import InvalidAction

KINDS: dict[str, tuple[bool, bool]] = {
    "tool": (False, True),
    "resource": (False, True),
    "prompt": (False, True),
    "source": (True, True),
    "model": (True, False),
    "api": (True, True),
    "agent": (True, False),
}
"""Each kind, with whether it takes one name (`model:gpt-4o`) and whether it takes two (`tool:mail/send`)."""

MAX_SCOPES = 32
MAX_PATTERN = 64
"""Characters of a name that has a `*`."""
MAX_COMMON = 16
"""Patterns that the intersection of two may come to; past it they are refused as too entangled."""
_HEAD = re.compile(r"[A-Za-z0-9._@*-]{1,128}\Z")
_TAIL = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,512}\Z")
_STARS = re.compile(r"\*+")
_MAX_STARS = 2


def parse_scope(text: str) -> str:
    """Return `text` as a well-formed scope in its one spelling, or say what is wrong. Raises InvalidAction.

    A scope names one thing, or with `*` all names that fit. `*` stays within a name: `tool:mail/*` is every
    tool of `mail`, `tool:*/read` the tool `read` of every server. There is no `*` for a kind.
    """
    kind, colon, pattern = text.partition(":")
    if not colon or kind not in KINDS:
        raise _malformed(text, f"it must be `kind:name`, with a kind of {', '.join(KINDS)}")
    head, slash, tail = pattern.partition("/")
    takes_one, takes_two = KINDS[kind]
    if not (takes_two if slash else takes_one):
        raise _malformed(text, f"`{kind}` takes {'two names, as `server/name`' if takes_two else 'one name'}")
    if _HEAD.match(head) is None or (slash and _TAIL.match(tail) is None):
        raise _malformed(text, "a name has letters, digits and `._@-`, and `*` for any")
    head, tail = _STARS.sub("*", head), _STARS.sub("*", tail)
    if any("*" in name and (len(name) > MAX_PATTERN or name.count("*") > _MAX_STARS) for name in (head, tail)):
        raise _malformed(text, f"a name with `*` has at most {_MAX_STARS} of them and {MAX_PATTERN} characters")
    return f"{kind}:{head}{slash}{tail}"


def parse_scopes(texts: Iterable[str]) -> tuple[str, ...]:
    """Return well-formed scopes, those that another one contains left out. Raises InvalidAction."""
    scopes = [parse_scope(text) for text in texts]
    if len(scopes) > MAX_SCOPES:
        raise InvalidAction(f"{len(scopes)} scopes are over the limit of {MAX_SCOPES}")
    return _smallest(scopes)


def matches(scope: str, wanted: str) -> bool:
    """Say whether the well-formed `scope` lends the single name `wanted`, as `tool:mail/send`."""
    if "*" not in scope:
        return scope == wanted
    kind, _, pattern = scope.partition(":")
    wanted_kind, _, name = wanted.partition(":")
    if kind != wanted_kind:
        return False
    head, slash, tail = pattern.partition("/")
    wanted_head, wanted_slash, wanted_tail = name.partition("/")
    return slash == wanted_slash and _fits(head, wanted_head) and _fits(tail, wanted_tail)


def contains(wide: str, narrow: str) -> bool:
    """Say whether everything the scope `narrow` lends is lent by `wide` too.

    Exact: a `*` of `narrow` can stand for a letter that `wide` does not spell, so only a `*` can take it.
    """
    return matches(wide, narrow) if "*" in wide else wide == narrow


def intersect(one: Iterable[str], other: Iterable[str]) -> tuple[str, ...]:
    """Return scopes that lend exactly what both sides lend."""
    return _smallest({scope for left in one for right in other for scope in _common(left, right)})


def _smallest(scopes: Iterable[str]) -> tuple[str, ...]:
    """Leave out what another scope contains; two that contain each other are the same text by now."""
    distinct = sorted(set(scopes))
    return tuple(s for s in distinct if not any(o != s and contains(o, s) for o in distinct))


@lru_cache(maxsize=4096)
def _common(left: str, right: str) -> frozenset[str]:
    if contains(left, right):
        return frozenset({right})
    if contains(right, left):
        return frozenset({left})
    kind, _, one = left.partition(":")
    other_kind, _, other = right.partition(":")
    one_head, one_slash, one_tail = one.partition("/")
    other_head, other_slash, other_tail = other.partition("/")
    if kind != other_kind or one_slash != other_slash:
        return frozenset()
    heads, tails = _meet(one_head, other_head), _meet(one_tail, other_tail)
    return frozenset(_STARS.sub("*", f"{kind}:{head}{one_slash}{tail}") for head in heads for tail in tails)


@lru_cache(maxsize=65536)
def _meet(one: str, other: str) -> frozenset[str]:
    """Return patterns that together match exactly the names both patterns match."""
    if not one or not other:
        return frozenset({""}) if not (one + other).strip("*") else frozenset()
    a, b = one[0], other[0]
    if a == b == "*":
        found = _prefixed("*", _meet(one[1:], other) | _meet(one, other[1:]))
    elif a == "*":
        found = _meet(one[1:], other) | _prefixed(b, _meet(one, other[1:]))
    elif b == "*":
        found = _meet(one, other[1:]) | _prefixed(a, _meet(one[1:], other))
    else:
        found = _prefixed(a, _meet(one[1:], other[1:])) if a == b else frozenset()
    if len(found) > MAX_COMMON:
        raise InvalidAction("two scopes overlap in too many ways", remedy="ask for a narrower scope, with fewer `*`")
    return found


def _prefixed(start: str, rests: frozenset[str]) -> frozenset[str]:
    return frozenset(_STARS.sub("*", start + rest) for rest in rests)


def _fits(pattern: str, name: str) -> bool:
    """Match a pattern with `*` in time |pattern| · |name| at worst."""
    at = mark = 0
    star = -1
    for _ in range((len(pattern) + 1) * (len(name) + 1)):
        if mark == len(name):
            return not pattern[at:].strip("*")
        if at < len(pattern) and pattern[at] == "*":
            star, at, resume = at, at + 1, mark
        elif at < len(pattern) and pattern[at] == name[mark]:
            at, mark = at + 1, mark + 1
        elif star >= 0:
            resume += 1
            at, mark = star + 1, resume
        else:
            return False
    return False


def _malformed(text: str, why: str) -> InvalidAction:
    return InvalidAction(f"scope `{text[:100]}` is not well formed: {why}", remedy="write scopes as `tool:mail/*` or `model:gpt-4o`")
