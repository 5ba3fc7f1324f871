"""What an expression reads: the paths into the context that a policy mentions, the zones it names."""

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


def resource_zones(node: pst.Template) -> frozenset[str]:
    """Return the zones that a policy names: in the resource of its scope, or as `resource in Zone::"x"` in a `when`.

    What stands under `!`, in an `unless` or about the principal does not count: an exception is no permission to enter.
    """
    found = {*_zones(node.resource.entity)} if isinstance(node.resource, pst.ScopeEq | pst.ScopeIn | pst.ScopeIsIn) else set()
    for clause in node.clauses:
        if isinstance(clause, pst.When):
            found.update(_said(clause.expr))
    return frozenset(found)


def _said(node: Any) -> Iterator[str]:
    """Yield the zones that an expression says the resource is in, in one of its cases."""
    if isinstance(node, pst.BinaryOp) and node.op in ("and", "or"):
        yield from _said(node.left)
        yield from _said(node.right)
    elif isinstance(node, pst.BinaryOp) and node.op == "in" and node.left == _RESOURCE:
        yield from _zones(node.right)
    elif isinstance(node, pst.Is) and node.base == _RESOURCE and node.in_expr is not None:
        yield from _zones(node.in_expr)
    elif isinstance(node, pst.IfThenElse):
        for part in (node.cond, node.then_expr, node.else_expr):
            yield from _said(part)


def _zones(node: Any) -> Iterator[str]:
    for part in node.elements if isinstance(node, pst.Set) else (node,):
        uid = part.value if isinstance(part, pst.EntityLit) else part
        if isinstance(uid, pst.EntityUid) and str(uid.type) == "Zone":
            yield uid.id


_RESOURCE = pst.Var("resource")


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
