"""Under which keys a vouched value is known."""

from typing import Any

from ostiary.provenance import forms
from ostiary.provenance.forms import MAIL, MAX_VALUE
from ostiary.provenance.profile import is_identifier
from ostiary.provenance.tracing import numbered, plain_key
from ostiary.provenance.words import fold


def keys_of(value: Any, name: str, server: str) -> list[str]:
    """Return the keys under which a vouched value is known."""
    if type(value) is not str:
        if not isinstance(value, int | float):
            return []
        key = forms.number_key(value)
        return numbered(key, name, server) if is_identifier(name) else [f"n:{key}"]
    if not value or len(value) > MAX_VALUE:
        return []
    if "@" in value and MAIL.fullmatch(value) is not None:
        return [f"e:{value.lower() if value.isascii() else fold(value)}"]
    keys = [f"w:{plain_key(value)}"]
    found = forms.whole(value)
    if found is None or not found.keys:
        return keys
    if found.kind == "amount" and is_identifier(name):
        return numbered(found.keys[0][2:], name, server)
    if found.kind in {"mail", "url", "amount", "iban"}:
        keys = []
    if found.kind == "date" and "T" in found.keys[0]:
        day, _, at = found.keys[0][2:].partition("T")
        keys += [f"d:{day}", f"h:{at}", f"h:{at[:5]}"]
    return [*found.keys, *keys]
