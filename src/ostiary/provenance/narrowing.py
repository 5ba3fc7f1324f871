"""What a read was made of: the user's words, known values, or what the agent chose; so far its answer may be believed to be what was meant."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from ostiary.core.action import Action, Origins
from ostiary.core.registry import Profile
from ostiary.provenance import forms
from ostiary.provenance.fields import Sought, Width, is_code
from ostiary.provenance.labels import SAFE
from ostiary.provenance.profile import decides, is_identifier, is_naming, is_paging, is_secret
from ostiary.provenance.store import ValueIndex
from ostiary.provenance.verbs import asks_for_oneself
from ostiary.provenance.words import fold

NO_RULES: Mapping[str, Any] = {}
EMPTY: tuple[Any, ...] = (None, "", [], {})
KNOWN = frozenset({"user", "attested", "lent"})
MAX_SENT = 32_768
MAX_SCALARS = 2_000
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
    is_own: bool = False
    """True when it asked, without saying for whom, for whom the session belongs to."""
    sent: str | None = None
    """What an act sent, folded; None when the call only read."""


def look(
    index: ValueIndex, origins: Origins, action: Action, profile: Profile, rules: Mapping[str, Mapping[str, Any]] = NO_RULES
) -> Reading:
    """Say what a read was made of.

    How many to return narrows nothing, and neither does prose. A name from a directory does not make an object the user's:
    the agent may have picked anybody there.
    """
    width, is_safe, is_users, has_value, names_one, all_safe = Width.WIDE, True, False, False, False, True
    phrases: list[str] = []
    for name, value in action.arguments.items():
        origin = origins.arguments.get(name)
        if value in EMPTY or is_secret(name):
            continue
        if origin not in SAFE and not _only_cuts(name, value, rules.get(name, NO_RULES)):
            all_safe = False
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
    is_own = asks_for_oneself(action.name.rpartition("/")[2]) and not any(value not in EMPTY for value in action.arguments.values())
    sent = None if profile.effect == "read" else fold("\n".join(_texts(action.arguments))[:MAX_SENT])
    return Reading(width, names_one and all_safe, sought, tuple(phrases) if sought is Sought.BY_WORDS else (), is_own, sent)


def _only_cuts(name: str, value: Any, rule: Mapping[str, Any]) -> bool:
    """Say whether an argument of a read only cuts its answer: a page, a number the schema bounds, one of a small fixed list."""
    if isinstance(value, bool):
        return False
    if isinstance(rule.get("enum"), list):
        may_cut = value in rule["enum"]
    else:
        may_cut = is_paging(name) or (rule.get("type") == "integer" and ("default" in rule or "maximum" in rule))
    return may_cut and not decides(name, rule)


def _texts(value: Any) -> list[str]:
    """Return every scalar of a call as text, up to a limit past which nothing of an answer can be told from what was sent."""
    found: list[str] = []
    pending = [value]
    while pending and len(found) < MAX_SCALARS:
        node = pending.pop()
        if isinstance(node, Mapping):
            pending += [*node, *node.values()]
        elif isinstance(node, list | tuple):
            pending += node
        else:
            found.append(str(node))
    return found if not pending else [""]


def is_whole(origins: Origins, action: Action) -> bool:
    """Say whether the agent chose nothing of what a read finds: each argument is left empty or the user's."""
    return all(value in EMPTY or origins.arguments.get(name) == "user" for name, value in action.arguments.items())


def _narrowed(name: str, value: Any) -> Width:
    if is_identifier(name) or is_code(value):
        return Width.AIMED
    return Width.WIDE if isinstance(value, int | float) else Width.NARROW
