"""Strict reading of model requests: known fields with known types, and no look-alikes that another parser might take for them."""

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from ostiary.core.errors import InvalidAction

MAX_ITEMS = 4096
"""Items of one list of a request: messages, parts, tools."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What a field must be; null always means absent."""

    name: str
    types: tuple[type, ...]

    def fits(self, value: Any) -> bool:
        """Say whether `value` is of this kind: true and false are not numbers."""
        return isinstance(value, self.types) and (not isinstance(value, bool) or bool in self.types)


def check_fields(body: Mapping[str, Any], fields: Mapping[str, Kind], required: tuple[str, ...]) -> None:
    """Check a request's top level. Raises InvalidAction."""
    for name, value in body.items():
        kind = fields.get(name)
        if kind is None:
            near = get_close_matches(name.lower(), fields, 1) if len(name) <= 40 else []  # its cost grows with the name
            raise InvalidAction(f"field `{name[:64]}` is not known here" + (f": did you mean `{near[0]}`" if near else ""))
        if value is not None and not kind.fits(value):
            raise InvalidAction(f"field `{name}` must be {kind.name}, got {type(value).__name__}")
    for name in required:
        if body.get(name) is None:
            raise InvalidAction(f"field `{name}` is required")


def check_members(where: str, value: Mapping[str, Any], known: AbstractSet[str]) -> None:
    """Refuse a member that differs from a known one only in case or punctuation. Raises InvalidAction."""
    if value.keys() <= known:
        return
    for name in value:
        if name not in known and not (name.isascii() and name.islower() and name.replace("_", "").isalnum()):
            raise InvalidAction(f"{where} has a member `{name[:64]}` that is not known here")


def check_inline(where: str, value: Any) -> None:
    """Refuse content by reference. An address would be fetched by the provider, with whatever stands in it; a file was never seen here.

    Raises InvalidAction.
    """
    if isinstance(value, list):
        for item in value:
            check_inline(where, item)
    if not isinstance(value, dict):
        return
    for name, item in value.items():
        by_address = name.endswith("url") and isinstance(item, str) and not item.startswith("data:")
        if by_address or name == "file_id":
            what = "an address" if by_address else f"`{name[:64]}`"
            raise InvalidAction(
                f"{where} refers to content by {what}: the provider would get it, past the gateway",
                code="not_granted",
                status=403,
                remedy="send the content itself, as a `data:` address or base64",
            )
        check_inline(where, item)


def objects(value: Any, where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Iterate a list of objects with their places. Raises InvalidAction for anything else."""
    if not isinstance(value, list):
        raise InvalidAction(f"{where} must be a list")
    if len(value) > MAX_ITEMS:
        raise InvalidAction(f"{where} has {len(value)} items, more than {MAX_ITEMS}", code="too_large", status=413)
    for index, item in enumerate(value):
        if not isinstance(item, dict):
            raise InvalidAction(f"{where}[{index}] must be an object, got {type(item).__name__}")
        yield f"{where}[{index}]", item
