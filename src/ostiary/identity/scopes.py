"""What a session was lent: scopes `kind:pattern`, compared and intersected as sets of names, never as strings."""

import re
from collections.abc import Iterable
from functools import lru_cache

from ostiary.core.errors import InvalidAction
from ostiary.identity import constraints
from ostiary.identity.constraints import Constraints
from ostiary.identity.patterns import STARS, fits, meet

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
MAX_SAID = 512
MAX_PATTERN = 64
"""Characters of a name that has a `*`."""
_HEAD = re.compile(r"[A-Za-z0-9._@*-]{1,128}\Z")
_TAIL = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,512}\Z")
_MAX_STARS = 2


def parse_scope(text: str) -> str:
    """Return `text` as a well-formed scope in its one spelling, or say what is wrong. Raises InvalidAction.

    A scope names one thing, or with `*` all names that fit. `*` stays within a name: `tool:mail/*` is every
    tool of `mail`, `tool:*/read` the tool `read` of every server. There is no `*` for a kind. For tools it may say
    what arguments may be, after `?` (`identity.constraints`).
    """
    text, asks, said = _divided(text)
    kind, colon, pattern = text.partition(":")
    if not colon or kind not in KINDS:
        raise _malformed(text, f"it must be `kind:name`, with a kind of {', '.join(KINDS)}")
    head, slash, tail = pattern.partition("/")
    takes_one, takes_two = KINDS[kind]
    if not (takes_two if slash else takes_one):
        raise _malformed(text, f"`{kind}` takes {'two names, as `server/name`' if takes_two else 'one name'}")
    if _HEAD.match(head) is None or (slash and _TAIL.match(tail) is None):
        raise _malformed(text, "a name has letters, digits and `._@-`, and `*` for any")
    head, tail = STARS.sub("*", head), STARS.sub("*", tail)
    if any("*" in name and (len(name) > MAX_PATTERN or name.count("*") > _MAX_STARS) for name in (head, tail)):
        raise _malformed(text, f"a name with `*` has at most {_MAX_STARS} of them and {MAX_PATTERN} characters")
    return f"{kind}:{head}{slash}{tail}{asks}{_spelled(text, said) if asks else ''}"


def parse_scopes(texts: Iterable[str]) -> tuple[str, ...]:
    """Return well-formed scopes, those that another one contains left out. Raises InvalidAction."""
    scopes = [parse_scope(text) for text in texts]
    if len(scopes) > MAX_SCOPES:
        raise InvalidAction(f"{len(scopes)} scopes are over the limit of {MAX_SCOPES}")
    return _smallest(scopes)


def matches(scope: str, wanted: str) -> bool:
    """Say whether the well-formed `scope` lends the single name `wanted`, as `tool:mail/send`, with whatever arguments."""
    scope, _, _ = _divided(scope)
    return _matches(scope, wanted)


def asked_of(scope: str) -> Constraints:
    """Return what a well-formed scope says of arguments."""
    _, asks, said = _divided(scope)
    return constraints.parse(said) if asks else {}


def _matches(scope: str, wanted: str) -> bool:
    if "*" not in scope:
        return scope == wanted
    kind, _, pattern = scope.partition(":")
    wanted_kind, _, name = wanted.partition(":")
    if kind != wanted_kind:
        return False
    head, slash, tail = pattern.partition("/")
    wanted_head, wanted_slash, wanted_tail = name.partition("/")
    return slash == wanted_slash and fits(head, wanted_head) and fits(tail, wanted_tail)


def contains(wide: str, narrow: str) -> bool:
    """Say whether everything the scope `narrow` lends is lent by `wide` too.

    Exact: a `*` of `narrow` can stand for a letter that `wide` does not spell, so only a `*` can take it.
    """
    wide, asks, said = _divided(wide)
    narrow, narrow_asks, narrow_said = _divided(narrow)
    if not (_matches(wide, narrow) if "*" in wide else wide == narrow):
        return False
    return not asks or (bool(narrow_asks) and constraints.contains(constraints.parse(said), constraints.parse(narrow_said)))


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
    left, _, left_said = _divided(left)
    right, _, right_said = _divided(right)
    names = _common_names(left, right)
    if not names or not (left_said or right_said):
        return names
    asked = constraints.common(constraints.parse(left_said) if left_said else {}, constraints.parse(right_said) if right_said else {})
    return frozenset(f"{name}?{constraints.spelled(each)}" for name in names for each in asked)


def _common_names(left: str, right: str) -> frozenset[str]:
    kind, _, one = left.partition(":")
    other_kind, _, other = right.partition(":")
    one_head, one_slash, one_tail = one.partition("/")
    other_head, other_slash, other_tail = other.partition("/")
    if kind != other_kind or one_slash != other_slash:
        return frozenset()
    heads, tails = meet(one_head, other_head), meet(one_tail, other_tail)
    return frozenset(STARS.sub("*", f"{kind}:{head}{one_slash}{tail}") for head in heads for tail in tails)


def _divided(scope: str) -> tuple[str, str, str]:
    """Return a tool's scope, `?`, and what it says of arguments; of others all of it, where `?` may be part of a name."""
    return scope.partition("?") if scope.startswith("tool:") else (scope, "", "")


def _spelled(text: str, said: str) -> str:
    if len(said) > MAX_SAID or not said.isascii() or '"' in said or "\\" in said or " " in said:
        raise _malformed(text, f"what it says of arguments is at most {MAX_SAID} characters, others than letters and digits as %XX")
    try:
        return constraints.spelled(constraints.parse(said))
    except InvalidAction as error:
        raise _malformed(text, error.detail) from None


def _malformed(text: str, why: str) -> InvalidAction:
    return InvalidAction(f"scope `{text[:100]}` is not well formed: {why}", remedy="write scopes as `tool:mail/*` or `model:gpt-4o`")
