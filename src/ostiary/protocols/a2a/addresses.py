"""Where notifications may be sent: only below an address an operator declared, and never into the house by a name (R-K1)."""

from ipaddress import ip_address
from urllib.parse import SplitResult, unquote, urlsplit

from ostiary.protocols.a2a.cards import same_origin

LOCAL = frozenset({"localhost"})


def place_of(url: str, places: tuple[str, ...]) -> str:
    """Return the declared place that an address lies in; empty when it lies in none."""
    path = _path(url)
    return next((place for place in places if path and same_origin(url, place) and _is_below(path, _path(place))), "")


def is_named(place: str) -> bool:
    """Say whether a declared place goes by a name: then it must lead to a public address, whatever the name server says."""
    host = _split(place).hostname or ""
    try:
        ip_address(host)
    except ValueError:
        return host not in LOCAL
    return False


def _path(url: str) -> str:
    """Return the path of an address; empty for one whose segments two readers could understand differently."""
    path = _split(url).path or "/"
    plain = unquote(path)
    if "%" in plain or "\\" in plain or plain.count("/") != path.count("/") or any(part in {".", ".."} for part in plain.split("/")):
        return ""
    return path if plain.isascii() and plain.isprintable() else ""


def _is_below(path: str, place: str) -> bool:
    return path == place or path.startswith(place if place.endswith("/") else f"{place}/")


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")
