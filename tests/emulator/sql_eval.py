"""The value of an expression for one row: undefined spreads, comparisons hold within one type only."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from . import sql_ast as ast
from .sql_functions import FUNCTIONS, aggregate, is_number, like
from .sql_lexer import syntax_error
from .values import UNDEFINED, canonical, compare, equal


@dataclass(slots=True)
class Row:
    """Names bound by FROM, the query's parameters, and the rows of the group that this one stands for."""

    names: dict[str, Any]
    parameters: dict[str, Any]
    group: list[Row] = field(default_factory=list)

    def bind(self, name: str, value: Any) -> Row:
        return Row({**self.names, name: value}, self.parameters, self.group)


def evaluate(node: ast.Expression, row: Row) -> Any:
    return _EVALUATORS[type(node)](node, row)


def _constant(node: ast.Constant, row: Row) -> Any:
    return node.value


def _name(node: ast.Name, row: Row) -> Any:
    if node.name not in row.names:
        if node.name.lower() == "undefined":
            return UNDEFINED
        raise syntax_error(f"Identifier '{node.name}' could not be resolved.")
    return row.names[node.name]


def _parameter(node: ast.Parameter, row: Row) -> Any:
    if node.name not in row.parameters:
        raise syntax_error(f"Parameter '{node.name}' was not supplied.")
    return row.parameters[node.name]


def _logic(node: ast.Logic, row: Row) -> Any:
    """AND is false as soon as one is false, OR true as soon as one is true; else undefined unless all are boolean."""
    decides = node.operator == "OR"
    answer: Any = not decides
    for operand in node.operands:
        value = evaluate(operand, row)
        if value is decides:
            return decides
        if value is not answer:
            answer = UNDEFINED
    return answer


def _in(node: ast.In, row: Row) -> Any:
    value = evaluate(node.value, row)
    if value is UNDEFINED:
        return UNDEFINED
    return any(equal(value, evaluate(option, row)) is True for option in node.options)


def _between(node: ast.Between, row: Row) -> Any:
    value = evaluate(node.value, row)
    low, high = compare(value, evaluate(node.low, row)), compare(value, evaluate(node.high, row))
    if low is None or high is None:
        return False if (low is not None and low < 0) or (high is not None and high > 0) else UNDEFINED
    return low >= 0 and high <= 0


def _like(node: ast.Like, row: Row) -> Any:
    escape = None if node.escape is None else evaluate(node.escape, row)
    return like(evaluate(node.value, row), evaluate(node.pattern, row), escape)


def _array(node: ast.ArrayOf, row: Row) -> Any:
    values = [evaluate(element, row) for element in node.elements]
    return [value for value in values if value is not UNDEFINED]


def _object(node: ast.ObjectOf, row: Row) -> Any:
    made = {name: evaluate(value, row) for name, value in node.properties}
    return {name: value for name, value in made.items() if value is not UNDEFINED}


def _conditional(node: ast.Conditional, row: Row) -> Any:
    return evaluate(node.then if evaluate(node.test, row) is True else node.other, row)


def _member(node: ast.Member, row: Row) -> Any:
    value, name = evaluate(node.of, row), evaluate(node.name, row)
    if isinstance(value, dict) and isinstance(name, str):
        return value.get(name, UNDEFINED)
    if isinstance(value, list) and isinstance(name, int) and not isinstance(name, bool) and 0 <= name < len(value):
        return value[name]
    return UNDEFINED


def _ordered(operator: str, order: int | None) -> Any:
    if order is None:
        return UNDEFINED
    return {"<": order < 0, "<=": order <= 0, ">": order > 0, ">=": order >= 0}[operator]


def _binary(node: ast.Binary, row: Row) -> Any:
    operator, a = node.operator, evaluate(node.left, row)
    if operator == "??":
        return evaluate(node.right, row) if a is UNDEFINED else a
    b = evaluate(node.right, row)
    if operator in ("=", "!="):
        same = equal(a, b)
        return same if operator == "=" or same is UNDEFINED else not same
    if operator in ("<", "<=", ">", ">="):
        return _ordered(operator, compare(a, b))
    if operator == "||":
        return a + b if isinstance(a, str) and isinstance(b, str) else UNDEFINED
    return _arithmetic(operator, a, b)


def _arithmetic(operator: str, a: Any, b: Any) -> Any:
    if not is_number(a) or not is_number(b):
        return UNDEFINED
    match operator:
        case "+":
            return a + b
        case "-":
            return a - b
        case "*":
            return a * b
        case "/" | "%":
            if b == 0:
                return UNDEFINED
            value = a / b if operator == "/" else math.fmod(a, b)
            return int(value) if float(value).is_integer() else value
        case "&":
            return int(a) & int(b)
        case "|":
            return int(a) | int(b)
        case "^":
            return int(a) ^ int(b)
        case "<<":
            return int(a) << int(b)
        case _:
            return int(a) >> int(b)


def _unary(node: ast.Unary, row: Row) -> Any:
    operator, value = node.operator, evaluate(node.operand, row)
    if operator == "NOT":
        return (not value) if isinstance(value, bool) else UNDEFINED
    if not is_number(value):
        return UNDEFINED
    return {"-": -value, "+": value}.get(operator, ~int(value))


def _call(node: ast.Call, row: Row) -> Any:
    name, arguments = node.name, node.arguments
    if name in ast.AGGREGATES:
        if len(arguments) != 1:
            raise syntax_error(f"The {name} function requires 1 argument(s).")
        return aggregate(name, [evaluate(arguments[0], member) for member in row.group])
    function = FUNCTIONS.get(name)
    if function is None:
        raise syntax_error(f"'{name}' is not a recognized built-in function name.")
    try:
        return function(*[evaluate(argument, row) for argument in arguments])
    except TypeError as error:
        raise syntax_error(f"The {name} function has the wrong number of arguments.") from error


def _subquery(node: ast.Subquery, row: Row) -> Any:
    mode, select = node.mode, node.select
    rows: Iterator[Row] = bound(select, row)
    if select.where is not None:
        condition = select.where
        rows = (inner for inner in rows if evaluate(condition, inner) is True)
    if mode == "exists":
        return next(rows, None) is not None
    values = [value for value in project_all(select, list(rows)) if value is not UNDEFINED]
    return values if mode == "array" else next(iter(values), UNDEFINED)


_EVALUATORS: dict[type, Callable[[Any, Row], Any]] = {
    ast.Constant: _constant,
    ast.Parameter: _parameter,
    ast.Name: _name,
    ast.Member: _member,
    ast.Unary: _unary,
    ast.Binary: _binary,
    ast.Logic: _logic,
    ast.In: _in,
    ast.Between: _between,
    ast.Like: _like,
    ast.Conditional: _conditional,
    ast.Call: _call,
    ast.ArrayOf: _array,
    ast.ObjectOf: _object,
    ast.Subquery: _subquery,
}


def bound(select: ast.Select, row: Row) -> Iterator[Row]:
    """The rows that FROM makes of one: each source binds its alias, arrays once per element."""
    rows = [row]
    for source in select.sources:
        if source.path is None:
            continue
        following = []
        for current in rows:
            value = evaluate(source.path, current)
            values = (value if isinstance(value, list) else []) if source.iterate else [value]
            following += [current.bind(source.alias, element) for element in values if element is not UNDEFINED]
        rows = following
    return iter(rows)


def is_grouped(select: ast.Select) -> bool:
    return bool(select.group_by) or any(ast.aggregates_in(column.expression) for column in select.columns)


def project(select: ast.Select, row: Row) -> Any:
    """What SELECT makes of one row; UNDEFINED for a row that yields nothing."""
    if select.star:
        return row.names[select.root]
    if select.value:
        return evaluate(select.columns[0].expression, row)
    made = {column.alias: evaluate(column.expression, row) for column in select.columns}
    return {name: value for name, value in made.items() if value is not UNDEFINED}


def group(select: ast.Select, rows: list[Row]) -> list[Row]:
    """One row per group, each knowing its members. Without GROUP BY all rows are one group, even if there are none."""
    if not select.group_by:
        first = rows[0] if rows else Row({source.alias: UNDEFINED for source in select.sources}, {})
        return [Row(first.names, first.parameters, rows)]
    groups: dict[str, list[Row]] = {}
    for row in rows:
        values = [evaluate(expression, row) for expression in select.group_by]
        label = "|".join("undefined" if value is UNDEFINED else canonical(value) for value in values)
        groups.setdefault(label, []).append(row)
    return [Row(members[0].names, members[0].parameters, members) for members in groups.values()]


def project_all(select: ast.Select, rows: list[Row]) -> list[Any]:
    return [project(select, row) for row in (group(select, rows) if is_grouped(select) else rows)]
