"""What a read was made of: the user's words, known values, or what the agent chose; so far its answer may be believed to be what was meant."""

from typing import Any

from ostiary.core.action import Action, Origins
from ostiary.core.registry import Profile
from ostiary.provenance import forms
from ostiary.provenance.absorbing import Sought, Width, is_code
from ostiary.provenance.labels import SAFE
from ostiary.provenance.profile import is_identifier, is_naming, is_paging
from ostiary.provenance.store import ValueIndex
from ostiary.provenance.words import fold

EMPTY: tuple[Any, ...] = (None, "", [], {})


def width(index: ValueIndex, origins: Origins, action: Action, profile: Profile) -> Width:
    """Say how the agent's own words narrowed a call; how many to return is no word, and prose narrows nothing."""
    own = [
        value
        for name, value in action.arguments.items()
        if name not in profile.payload and origins.arguments.get(name) not in SAFE and not _is_echo(index, value)
    ]
    if not own:
        return Width.WIDE
    if any(is_identifier(name) or is_code(value) for name, value in action.arguments.items() if value in own):
        return Width.AIMED
    return Width.NARROW if any(not isinstance(value, int | float | None) for value in own) else Width.WIDE


def asks_by_name(origins: Origins, action: Action) -> bool:
    """Say whether a call fetched one object by what the user calls it: every argument is safe, and one is a name or a code.

    A name from a directory does not do: the agent may have picked anybody there.
    """
    if not origins.arguments or not SAFE.issuperset(origins.arguments.values()):
        return False
    meant = ((name, action.arguments.get(name)) for name, origin in origins.arguments.items() if origin in {"user", "attested", "lent"})
    return any(value not in EMPTY and (is_naming(name) or is_code(value)) for name, value in meant)


def sought(index: ValueIndex, origins: Origins, action: Action) -> Sought:
    """Say how far the user's own words determined what a call reads; how many to return determines nothing."""
    meant = [(name, value) for name, value in action.arguments.items() if value not in EMPTY and not isinstance(value, bool)]
    if not meant or not all(origins.arguments.get(name) in SAFE or is_paging(name) or _is_echo(index, value) for name, value in meant):
        return Sought.LOOSELY
    users = [value for name, value in meant if origins.arguments.get(name) in {"user", "attested", "lent", "derived"}]
    if any(isinstance(value, str) and (is_code(value) or forms.whole(value) is not None) for value in users):
        return Sought.BY_VALUE
    return Sought.BY_WORDS if users else Sought.LOOSELY


def phrases(action: Action) -> tuple[str, ...]:
    """Return the words a call searches for, as they stand in what it finds."""
    return tuple(f"{fold(value)}" for value in action.arguments.values() if isinstance(value, str) and 4 <= len(value) <= 128)


def _is_echo(index: ValueIndex, value: Any) -> bool:
    return isinstance(value, str) and index.echoes(value)
