"""Arguments that are not safe alone, looked at beside the others of their action."""

from collections.abc import Collection, Mapping
from itertools import pairwise
from typing import Any

from ostiary.provenance.narrowing import EMPTY
from ostiary.provenance.store import ValueIndex
from ostiary.provenance.tracing import MAX_PART, plain_key


def said_as_one(index: ValueIndex, arguments: Mapping[str, Any], names: Collection[str]) -> list[str]:
    """Return the arguments that, side by side, are one value of the user's: owner and name of `owner/name`."""
    texts = [name for name, value in arguments.items() if isinstance(value, str) and 0 < len(value) <= MAX_PART and value.count(" ") == 0]
    joined: list[str] = []
    for one, other in pairwise(texts):
        if one in names or other in names:
            whole = f"{arguments[one]}/{arguments[other]}"
            if index.said(whole) or index.find(f"w:{plain_key(whole)}") is not None:
                joined += [name for name in (one, other) if name in names]
    return list(dict.fromkeys(joined))


def left_empty(arguments: Mapping[str, Any], names: Collection[str], beside: Collection[str]) -> list[str]:
    """Return the arguments that are left empty and only go on with another that is safe: `address2` after `address1`.

    Where something new is made, what is left empty clears nothing and means nobody, `beside` what decides and is safe.
    """
    if any(arguments.get(name) not in EMPTY for name in beside):
        return [name for name in names if arguments.get(name) in EMPTY]
    return [
        name
        for name in names
        if arguments.get(name) == ""
        and name[-1:].isdigit()
        and any(other not in names and other != name and other.rstrip("0123456789") == name.rstrip("0123456789") for other in arguments)
    ]
