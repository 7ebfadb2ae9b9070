"""The index on `id`: which items a condition can hold for at all, so that others need not be looked at."""

from typing import Any

from . import sql_ast as ast
from .sql_eval import Row, evaluate


def possible_ids(select: ast.Select, parameters: dict[str, Any]) -> set[Any] | None:
    """The ids that the WHERE clause allows; None if it says nothing about them."""
    return None if select.where is None else _ids(select.where, select.root, Row({}, parameters))


def _ids(node: ast.Expression, root: str, row: Row) -> set[Any] | None:
    if isinstance(node, ast.Logic):
        found = [_ids(operand, root, row) for operand in node.operands]
        known = [ids for ids in found if ids is not None]
        if node.operator == "OR":
            return set().union(*known) if len(known) == len(found) else None
        return set.intersection(*known) if known else None
    if isinstance(node, ast.In):
        return _values(node.value, node.options, root, row)
    if isinstance(node, ast.Binary) and node.operator == "=":
        return _values(node.left, (node.right,), root, row) or _values(node.right, (node.left,), root, row)
    return None


def _values(path: ast.Expression, values: tuple[ast.Expression, ...], root: str, row: Row) -> set[Any] | None:
    if ast.path_of(path, root) != ("id",) or not all(isinstance(v, ast.Constant | ast.Parameter) for v in values):
        return None
    found = [evaluate(value, row) for value in values]
    return {value for value in found if isinstance(value, str)}
