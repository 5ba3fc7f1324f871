"""How one JSON value of the A2A wire is read: strictly, once, into values that are written again from themselves.

ProtoJSON lets each field be spelled `taskId` or `task_id`, binary as either base64 alphabet, absence as null. All of it is brought
into one spelling here; what nobody knows is dropped, so that no parser behind us can see what was not looked at.
"""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ostiary.core.errors import InvalidAction

MAX_ITEMS: Final = 4096
"""Items of one list: parts, artifacts, messages, skills."""
MAX_KEYS: Final = 1024
"""Entries of one map."""
_IDENTIFIER = re.compile(r"[\x21-\x7e]{1,256}\Z")
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z\Z")
_CAMEL = re.compile(r"[A-Z]")
_INT32 = 2**31 - 1

Read = Callable[[Any, str, bool], Any]
"""Reads one value that stands at a place; `strict` is off for what upstreams send, whose small omissions are filled in."""


class BadField(InvalidAction):
    """A field that is not what the wire says; `place` is where (`message.parts[0]`)."""

    def __init__(self, place: str, detail: str, **rest: Any) -> None:
        super().__init__(f"`{place}` {detail}", **rest)
        self.place = place


def text(value: Any, place: str, _strict: bool) -> str:
    """Read a string."""
    if not isinstance(value, str):
        raise BadField(place, f"must be a string, got {_kind(value)}")
    return value


def identifier(value: Any, place: str, strict: bool) -> str:
    """Read an id: printable ASCII without spaces, at most 256 characters; empty stands for none."""
    if text(value, place, strict) and _IDENTIFIER.match(value) is None:
        raise BadField(place, "must be an identifier of at most 256 printable ASCII characters")
    return str(value)


def flag(value: Any, place: str, _strict: bool) -> bool:
    """Read a boolean."""
    if not isinstance(value, bool):
        raise BadField(place, f"must be true or false, got {_kind(value)}")
    return value


def number(value: Any, place: str, _strict: bool) -> int:
    """Read an int32, which ProtoJSON also writes as a string."""
    if isinstance(value, str) and re.fullmatch(r"-?\d{1,10}", value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not -_INT32 - 1 <= value <= _INT32:
        raise BadField(place, f"must be an integer of 32 bits, got {_kind(value)}")
    return value


def timestamp(value: Any, place: str, strict: bool) -> str:
    """Read a moment in UTC (section 5.6.1)."""
    if _TIMESTAMP.match(text(value, place, strict)) is None:
        raise BadField(place, "must be a moment in UTC, as 2025-10-28T10:30:00.000Z")
    return str(value)


def binary(value: Any, place: str, strict: bool) -> str:
    """Read bytes as base64 in either alphabet, and write them in the usual one."""
    letters = text(value, place, strict).replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64encode(base64.b64decode(letters + "=" * (-len(letters) % 4), validate=True)).decode()
    except (binascii.Error, ValueError):
        raise BadField(place, "must be base64") from None


def struct(value: Any, place: str, _strict: bool) -> dict[str, Any]:
    """Read an object of anything (`google.protobuf.Struct`)."""
    if not isinstance(value, dict):
        raise BadField(place, f"must be an object, got {_kind(value)}")
    return value


def anything(value: Any, _place: str, _strict: bool) -> Any:
    """Read any JSON value (`google.protobuf.Value`)."""
    return value


def word(*known: str) -> Read:
    """Return the reader of an enum by name."""
    names = frozenset(known)

    def read(value: Any, place: str, strict: bool) -> str:
        if text(value, place, strict) not in names:
            raise BadField(place, f"must be one of {', '.join(sorted(names))}, got `{value[:64]}`")
        return str(value)

    return read


def items(of: Read) -> Read:
    """Return the reader of a list."""

    def read(value: Any, place: str, strict: bool) -> list[Any]:
        if not isinstance(value, list):
            raise BadField(place, f"must be a list, got {_kind(value)}")
        if len(value) > MAX_ITEMS:
            raise BadField(place, f"has {len(value)} items, at most {MAX_ITEMS}", code="too_large", status=413)
        return [of(item, f"{place}[{index}]", strict) for index, item in enumerate(value)]

    return read


def mapping(of: Read) -> Read:
    """Return the reader of a map with string keys."""

    def read(value: Any, place: str, strict: bool) -> dict[str, Any]:
        if not isinstance(value, dict) or len(value) > MAX_KEYS:
            raise BadField(place, f"must be an object of at most {MAX_KEYS} entries")
        return {key: of(item, f"{place}.{key[:64]}", strict) for key, item in value.items()}

    return read


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a shape, by its camelCase name."""

    name: str
    read: Read
    required: bool = False
    """It must be there, and it is written even when empty."""
    optional: bool = False
    """It is written when it was there, even when empty (`optional` of proto3); others are not written when empty."""
    one_of: bool = False
    """At most one of such fields may be there."""


@dataclass(frozen=True)
class Shape:
    """A message of the wire. Call it to read one; `demands_one` when one of its `one_of` fields must be there."""

    name: str
    fields: tuple[Field, ...]
    demands_one: bool = False
    spellings: Mapping[str, Field] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        found = {spelling: each for each in self.fields for spelling in (each.name, snake(each.name))}
        object.__setattr__(self, "spellings", found)

    def __call__(self, value: Any, place: str = "", strict: bool = True) -> dict[str, Any]:
        """Return the message with known fields only, in one spelling, defaults left out. Raises BadField."""
        if not isinstance(value, dict):
            raise BadField(place or self.name, f"must be an object, got {_kind(value)}")
        found: dict[str, Any] = {}
        for key, item in value.items():
            known = self.spellings.get(key)
            if known is None or (item is None and known.read is not anything):
                continue
            here = f"{place}.{known.name}" if place else known.name
            if known.name in found:
                raise BadField(here, "is written twice, in two spellings")
            found[known.name] = known.read(item, here, strict)
        return self._whole(found, place, strict)

    def _whole(self, found: dict[str, Any], place: str, strict: bool) -> dict[str, Any]:
        chosen = [each.name for each in self.fields if each.one_of and each.name in found]
        if len(chosen) > 1 or (self.demands_one and not chosen):
            options = ", ".join(each.name for each in self.fields if each.one_of)
            raise BadField(place or self.name, f"must hold exactly one of {options}, got {', '.join(chosen) or 'none'}")
        whole: dict[str, Any] = {}
        for each in self.fields:
            if each.required and strict and found.get(each.name) in (None, "", []):
                raise BadField(f"{place}.{each.name}" if place else each.name, "is required")
            if each.name not in found:
                continue
            if found[each.name] not in _DEFAULTS or each.required or each.optional or each.one_of:
                whole[each.name] = found[each.name]
        return whole


_DEFAULTS: Final[tuple[Any, ...]] = ("", [], False, 0)


def snake(name: str) -> str:
    """Return a field's name as the .proto spells it."""
    return _CAMEL.sub(lambda match: f"_{match[0].lower()}", name)


def _kind(value: Any) -> str:
    return {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}.get(type(value), "a number")
