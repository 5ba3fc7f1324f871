"""What the user left open of a deed the user named: the day, when nothing else of it is anybody else's choice."""

from collections.abc import Mapping
from typing import Any

from ostiary.provenance import forms
from ostiary.provenance.labels import SAFE
from ostiary.provenance.store import ValueIndex
from ostiary.provenance.words import parts


def left_open(tool: str, arguments: Mapping[str, Any], origins: Mapping[str, str], control: Mapping[str, str], index: ValueIndex) -> str:
    """Return the argument that is a day the agent may choose, or nothing.

    The user spoke of the deed in each word of its name, said what decides it otherwise, and nothing at all of a day; a day
    that stands in somebody's text is not the agent's choice.
    """
    unsafe = [name for name, origin in control.items() if origin not in SAFE]
    if len(unsafe) != 1 or origins[unsafe[0]] != "model" or index.request.has_day or "user" not in control.values():
        return ""
    value = arguments[unsafe[0]]
    found = forms.whole(value) if isinstance(value, str) else None
    if found is None or found.kind != "date" or not found.keys or "T" in found.keys[0]:
        return ""
    words = parts(tool)
    return unsafe[0] if len(words) > 1 and all(map(index.echoes, words)) else ""
