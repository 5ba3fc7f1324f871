"""The trusted lists all sessions share: the registered users' addresses, declared directories, and those read from connected sources."""

from collections.abc import Iterable, Mapping

from ostiary.core.registry import Registry
from ostiary.provenance.keys import keys_of
from ostiary.provenance.store import Source, shorten
from ostiary.provenance.tracing import plain_key

USERS = Source("directory", "the registered users")


def keys_of_values(values: Iterable[str]) -> tuple[str, ...]:
    """Return the keys values of a directory are known by. A bare number is only ever the number of a thing, never an amount."""
    return tuple(shorten(key) for value in values for key in _keys(value))


def _keys(value: str) -> list[str]:
    found = keys_of(value, "", "")
    if any(key[:2] == "n:" for key in found):
        return [f"#:{key[2:]}" for key in keys_of(value, "", "") if key[:2] == "n:" and key[2:].isdigit()]
    return found or [f"w:{plain_key(value)}"]


class Directories:
    """What is listed now, by canonical key; made anew when the registry or a connected source changes."""

    def __init__(self) -> None:
        self._read: dict[str, tuple[str, ...]] = {}
        self._declared: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {}
        self._listed: tuple[Registry | None, Mapping[str, Source]] = (None, {})

    def know(self, name: str, keys: tuple[str, ...] | None) -> None:
        """Take the keys a connected source gave, or None: it could not be read, and its values are nobody's."""
        if keys is None:
            self._read.pop(name, None)
        else:
            self._read[name] = keys
        self._listed = (None, {})

    def of(self, registry: Registry) -> Mapping[str, Source]:
        """Return each listed key with its directory."""
        if self._listed[0] is registry:
            return self._listed[1]
        found: dict[str, Source] = {}
        for name, directory in registry.directories.items():
            keys = self._read.get(name, ()) if directory.tool else self._declared_keys(name, directory.values)
            found |= dict.fromkeys(keys, Source("directory", f"directory {name}"))
        found |= {f"e:{user.email.lower()}": USERS for user in registry.users.values() if user.email}
        self._listed = (registry, found)
        return found

    def _declared_keys(self, name: str, values: tuple[str, ...]) -> tuple[str, ...]:
        known = self._declared.get(name)
        if known is None or known[0] != values:
            known = self._declared[name] = (values, keys_of_values(values))
        return known[1]
