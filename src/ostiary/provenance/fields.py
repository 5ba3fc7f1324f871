"""What the fields of an answer are worth, by a profile's paths and by the shape of their values."""

# ruff: noqa: SIM905 - word lists read best as text

from enum import IntEnum
from functools import lru_cache
from typing import Any, NamedTuple

from ostiary.provenance import forms
from ostiary.provenance.profile import SHAPED, is_naming, is_prose
from ostiary.provenance.words import parts

_FILES = frozenset({"file", "filename", "document", "attachment", "path"})
_TITLED = frozenset("summary headline topic betreff asunto objet assunto oggetto onderwerp temat konu тема 件名 主题 제목".split())
"""Fields with short words about a record, which somebody wrote: they only point."""
_LABELS = frozenset({"name", "title", "label", "action", "option", "transition"})
MAX_SHAPED = 64
"""Longest text, in characters, that can be one identifier or short name."""


class Sought(IntEnum):
    """How far the user's own words determined a read."""

    LOOSELY = 0
    BY_WORDS = 1
    """Every argument is safe, and some are the user's: what is found alone is what the user spoke of."""
    BY_VALUE = 2
    """And one of them is a date, number, code or address: each thing found there is."""


class Width(IntEnum):
    """How the agent narrowed a call by what is not the user's: what stands alone here need not stand alone elsewhere."""

    WIDE = 0
    """By nothing."""
    NARROW = 1
    """By words of its own: then only what names a thing in several words, or wherever it stands, counts."""
    AIMED = 2
    """By an identifier it chose: then only what names one thing wherever it stands."""


class Step(NamedTuple):
    """One field of a result: its dotted path, its name, and what the profile says of it."""

    path: str
    name: str
    is_attested: bool
    is_directory: bool
    is_file: bool
    """True when it names a file, which people call by its words."""
    is_shaped: bool = False
    """True when it is vouched for only as far as its value is one identifier, number, date, address or short name."""
    is_listed: bool = False
    """True for one of several values in a list, which speak of other things than the record."""
    can_name: bool = False
    """True when a value here may be what the user calls the record by."""
    is_plain: bool = False
    """True when its key is no code, as a field's name is none."""
    is_label: bool = False
    """True for a name or title, which says what choosing the record does."""


Own = list[tuple[Any, Step]]
"""The scalars of one record; those of a list in it have a step named as the list."""
Taken = list[tuple[Own, list[tuple[list[Any], Step]]]]
"""The records of one list, each with the lists inside it."""


class Fields:
    """The result fields of a tool that are worth something, as dotted paths.

    `*#` means any field not named as prose, as far as its value is one identifier, number, date, address or short name;
    `?channels` among the lists means that it was guessed to be one: of what the user speaks of so, and names none of.
    `*.id` means a field of this name anywhere, `*~time` one whose name ends in this word, `*` each field of the answer itself; `result` is the answer itself, where it is a scalar or a list of scalars.
    """

    __slots__ = ("_attested", "_directory", "_is_shaped", "_known", "noun", "root", "steps")

    def __init__(self, attested: frozenset[str], directory: frozenset[str]) -> None:
        self._attested, self._directory, self._is_shaped = attested, directory, SHAPED in attested
        self.noun = next((path[1:] for path in directory if path[:1] == "?"), "")
        is_shaped = self._is_shaped and "result" not in attested
        self.root = Step(
            "", "", "result" in attested or is_shaped, "result" in directory, is_file=False, is_shaped=is_shaped, can_name=True
        )
        self.steps: dict[str, dict[str, Step]] = {}
        """By path, then by key."""
        self._known = 0

    def step(self, path: str, key: str) -> Step:
        """Return the field `key` of the object at `path`. A key is one step, whatever is in it."""
        found = self.steps.get(path, {}).get(key)
        if found is None:
            name = key.replace(".", "\u2024")
            here = f"{path}.{name}" if path else name
            ways = {here, f"*.{name}", *(f"*~{word}" for word in parts(name)[-1:])} | ({"*"} if not path else set())
            is_attested, is_directory = not ways.isdisjoint(self._attested), not ways.isdisjoint(self._directory)
            is_shaped = self._is_shaped and not (is_attested or is_directory or is_prose(name))
            is_vouched = is_attested or is_shaped
            found = Step(
                here,
                name,
                is_vouched,
                is_directory,
                not _FILES.isdisjoint(parts(name)),
                is_shaped,
                can_name=is_vouched or is_directory or is_naming(name) or not _TITLED.isdisjoint(parts(name)[-1:]),
                is_plain=name.islower() and not any(map(str.isdigit, name)),
                is_label=name.lower() in _LABELS,
            )
            if self._known < 1_024 and len(key) < 128:
                self._known += 1
                self.steps.setdefault(path, {})[key] = found
        return found


@lru_cache(maxsize=1024)
def fields_of(attested: frozenset[str], directory: frozenset[str]) -> Fields:
    """Return a profile's declared paths ready for look-up."""
    return Fields(attested, directory)


def is_code(value: Any) -> bool:
    """Say whether a value is one code as systems make them: no spaces, a digit, no address."""
    if not isinstance(value, str) or len(value) > MAX_SHAPED or " " in value or not any(map(str.isdigit, value)):
        return False
    if "@" in value or "/" in value:
        return False
    found = forms.whole(value)
    return found is None or (found.kind == "amount" and value.isdigit())


def is_shaped(value: str) -> bool:
    """Say whether a text is one value and not what somebody wrote: an address, number, date, code, or a name of few words."""
    if len(value) > MAX_SHAPED or "://" in value or "\n" in value:
        return False
    return value.count(" ") <= 4 or forms.whole(value) is not None
