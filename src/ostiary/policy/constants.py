"""What of a condition is certain without any request: `false`, `1 == 2`, `true || …`."""

from collections.abc import Sequence

from cedarpy import pst

_LITERALS = (pst.BoolLit, pst.LongLit, pst.StringLit)


def truth(clauses: Sequence[pst.Clause]) -> bool | None:
    """Say whether a policy's clauses always hold (True), never do (False), or depend on the request (None)."""
    found = True
    for clause in clauses:
        value = _value(clause.expr)
        holds = (not value if isinstance(clause, pst.Unless) else value) if value is not None else None
        if holds is False:
            return False
        found = found and holds is True
    return True if found else None


def _value(node: object) -> bool | None:
    if isinstance(node, pst.BoolLit):
        return node.value
    if isinstance(node, pst.UnaryOp) and node.op == "not":
        value = _value(node.arg)
        return None if value is None else not value
    if isinstance(node, pst.IfThenElse):
        condition = _value(node.cond)
        return None if condition is None else _value(node.then_expr if condition else node.else_expr)
    return _of_two(node) if isinstance(node, pst.BinaryOp) else None


def _of_two(node: pst.BinaryOp) -> bool | None:
    if node.op in ("and", "or"):
        decides = node.op == "or"
        left, right = _value(node.left), _value(node.right)
        if decides in (left, right):
            return decides
        return None if None in (left, right) else not decides
    if node.op in ("eq", "not_eq") and isinstance(node.left, _LITERALS) and isinstance(node.right, _LITERALS):
        return (node.left == node.right) == (node.op == "eq")
    return None
