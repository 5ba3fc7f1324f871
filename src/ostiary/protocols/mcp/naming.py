"""Names on the door to all servers: `server__tool`, and resource addresses that say which server they belong to."""

from collections.abc import Mapping
from typing import Any, Final

SEPARATOR: Final = "__"
PREFIX: Final = "ostiary://"


def joined(server: str, name: str) -> str:
    """Return the name of a server's tool or prompt on the common door."""
    return f"{server}{SEPARATOR}{name}"


def candidates(servers: Mapping[str, Any], name: str) -> list[tuple[str, str]]:
    """Return every (server, name) a joined name could mean; more than one is an ambiguity, never a guess."""
    found = []
    at = name.find(SEPARATOR, 1)
    while at > 0:
        server, rest = name[:at], name[at + len(SEPARATOR) :]
        if rest and server in servers:
            found.append((server, rest))
        at = name.find(SEPARATOR, at + 1)
    return found


def joined_uri(server: str, uri: str) -> str:
    """Return the address of a server's resource on the common door."""
    return f"{PREFIX}{server}/{uri}"


def split_uri(uri: str) -> tuple[str, str]:
    """Return (server, address at the server); empty strings when it is none of ours."""
    if not uri.startswith(PREFIX):
        return "", ""
    server, _, rest = uri[len(PREFIX) :].partition("/")
    return (server, rest) if server and rest else ("", "")


def relabelled(server: str, value: Any) -> Any:
    """Return a result with each resource address in it made one of the common door."""
    if isinstance(value, list):
        return [relabelled(server, item) for item in value]
    if not isinstance(value, dict):
        return value
    made = {key: relabelled(server, item) if key in _HOLDERS else item for key, item in value.items()}
    for key in ("uri", "uriTemplate"):
        if isinstance(made.get(key), str):
            made[key] = joined_uri(server, made[key])
    return made


_HOLDERS = frozenset({"content", "contents", "resource", "resources", "resourceTemplates", "messages"})
