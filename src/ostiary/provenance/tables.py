"""Shapes of answers that systems have in common: tables with codes as keys, identifiers made of words, and what an act says it made."""

import re
from typing import Any

from ostiary.provenance.answers import MAX_NODES
from ostiary.provenance.fields import is_code
from ostiary.provenance.profile import is_identifier, is_secret

MIN_DIGITS = 4
"""Digits of a code that is no name of a field."""


def is_table(node: dict[Any, Any]) -> bool:
    """Say whether the keys of an object are codes of things, and not names of fields: `{"SEA": "Seattle", "JFK": "New York"}`."""
    first = next(iter(node), "")
    if not isinstance(first, str) or (first.islower() and first.isidentifier() and not first[-1].isdigit()):
        return False  # as nearly all are, and looked at for each object of an answer
    if not first or len(node) > MAX_NODES:
        return False
    is_pair = len(node) > 1
    for key in node:
        if not isinstance(key, str):
            return False
        if key.isalpha():
            if not is_pair or not key.isupper() or not 2 <= len(key) <= 5:
                return False
        elif sum(map(str.isdigit, key)) < MIN_DIGITS or not is_code(key):
            return False
    return True


def row(key: str, value: Any) -> dict[str, Any]:
    """Return an entry of such an object as a record."""
    return {"id": key, **value} if isinstance(value, dict) and "id" not in value else {"id": key, "name": value}


def host_of(link: str) -> str:
    """Return the host of a folded link that may be followed safely, or nothing."""
    return link.partition("://")[2].partition("/")[0] if link.startswith("https://") else ""


def is_new(value: Any, name: str) -> bool:
    """Say whether a value is the number or code of something, or what proves a session."""
    if isinstance(value, int):
        return is_identifier(name)
    return is_code(value) or (is_secret(name) and len(value) >= 16 and " " not in value)


def slug_of(value: str) -> str:
    """Return the words of an identifier that systems make of a name, if several: `lock.front_door` is the front door."""
    last = re.split(r"[.:/]", value)[-1]
    if " " in value or not re.fullmatch(r"[a-z]+(?:[_-][a-z]+)+", last):
        return ""
    return last.replace("_", " ").replace("-", " ")
