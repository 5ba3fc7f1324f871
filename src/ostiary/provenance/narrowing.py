"""What a read was made of: the user's words, known values, or what the agent chose; so far its answer may be believed to be what was meant."""

from typing import Any, NamedTuple

from ostiary.core.action import Action, Origins
from ostiary.core.registry import Profile
from ostiary.provenance import forms
from ostiary.provenance.fields import Sought, Width, is_code
from ostiary.provenance.labels import SAFE
from ostiary.provenance.profile import is_identifier, is_naming, is_paging
from ostiary.provenance.store import ValueIndex
from ostiary.provenance.words import fold

EMPTY: tuple[Any, ...] = (None, "", [], {})
KNOWN = frozenset({"user", "attested", "lent"})
MAX_PHRASE = 128
"""Longest text, in characters, that is looked for in what a search finds."""


class Reading(NamedTuple):
    """How one read came about."""

    width: Width
    is_named: bool
    """True when it fetched one object by what the user calls it."""
    sought: Sought
    phrases: tuple[str, ...]
    """What it searches for, as it stands in what it finds."""


def look(index: ValueIndex, origins: Origins, action: Action, profile: Profile) -> Reading:
    """Say what a read was made of.

    How many to return narrows nothing, and neither does prose. A name from a directory does not make an object the user's:
    the agent may have picked anybody there.
    """
    width, is_safe, is_users, has_value, names_one, all_safe = Width.WIDE, True, False, False, False, True
    phrases: list[str] = []
    for name, value in action.arguments.items():
        origin = origins.arguments.get(name)
        if origin not in SAFE:
            all_safe = False
        if value in EMPTY:
            continue
        if origin in SAFE:
            is_known = origin in KNOWN
            is_users = is_users or (is_known or origin == "derived")
            is_value = isinstance(value, str) and (is_code(value) or forms.whole(value) is not None)
            has_value = has_value or (is_value and (is_known or origin == "derived"))
            names_one = names_one or (is_known and (is_naming(name) or (is_value and is_code(value))))
            if isinstance(value, str) and 4 <= len(value) <= MAX_PHRASE:
                phrases.append(fold(value))
            continue
        if isinstance(value, bool) or (isinstance(value, str) and index.echoes(value)):
            continue
        is_safe = is_safe and is_paging(name)
        if name in profile.payload:
            continue
        width = max(width, _narrowed(name, value))
    sought = Sought.LOOSELY
    if is_safe and is_users:
        sought = Sought.BY_VALUE if has_value else Sought.BY_WORDS
    return Reading(width, names_one and all_safe, sought, tuple(phrases) if sought is Sought.BY_WORDS else ())


def _narrowed(name: str, value: Any) -> Width:
    if is_identifier(name) or is_code(value):
        return Width.AIMED
    return Width.WIDE if isinstance(value, int | float) else Width.NARROW
