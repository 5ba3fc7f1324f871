"""What an expression reads: the paths into the context that a policy mentions."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from cedarpy import pst

Path = tuple[str, ...]
"""A path into the context, as `("arguments", "amount")`; the empty path is all of it."""


def mentions(node: Any) -> Iterator[Path]:
    """Yield every path into the context that a policy can read."""
    if isinstance(node, pst.HasAttr) and (base := context_path(node.base)) is not None:
        yield base + node.attrs
        return
    path = context_path(node)
    if path is not None:
        yield path
        return
    for part in _parts(node):
        yield from mentions(part)


def context_path(node: Any) -> Path | None:
    """Return the path that an expression reads from the context, None when it is not simply that."""
    names: list[str] = []
    while isinstance(node, pst.GetAttr):
        names.append(node.attr)
        node = node.base
    return tuple(reversed(names)) if isinstance(node, pst.Var) and node.name == "context" else None


def walk(node: Any) -> Iterator[Any]:
    """Yield every node of a policy."""
    yield node
    for part in _parts(node):
        yield from walk(part)


def _parts(node: Any) -> Iterable[Any]:
    if isinstance(node, tuple):
        return node
    if isinstance(node, Mapping):
        return node.values()
    return [getattr(node, name) for name in _names(type(node))]


def _names(kind: type[Any]) -> tuple[str, ...]:
    names = _FIELDS.get(kind)
    if names is None:
        names = _FIELDS[kind] = tuple(each.name for each in fields(kind)) if is_dataclass(kind) else ()
    return names


_FIELDS: dict[type[Any], tuple[str, ...]] = {}
