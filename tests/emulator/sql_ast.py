"""The syntax tree of a query."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Constant:
    value: Any


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str


@dataclass(frozen=True, slots=True)
class Name:
    """An alias from the FROM clause."""

    name: str


@dataclass(frozen=True, slots=True)
class Member:
    """`of.name`, `of["name"]` or `of[0]`."""

    of: Expression
    name: Expression


@dataclass(frozen=True, slots=True)
class Unary:
    operator: str
    operand: Expression


@dataclass(frozen=True, slots=True)
class Binary:
    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Logic:
    """AND or OR of all `operands`; flat, since clients send chains of a thousand."""

    operator: str
    operands: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class In:
    value: Expression
    options: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Between:
    value: Expression
    low: Expression
    high: Expression


@dataclass(frozen=True, slots=True)
class Like:
    value: Expression
    pattern: Expression
    escape: Expression | None


@dataclass(frozen=True, slots=True)
class Conditional:
    test: Expression
    then: Expression
    other: Expression


@dataclass(frozen=True, slots=True)
class Call:
    """A function call; `name` is in upper case."""

    name: str
    arguments: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class ArrayOf:
    elements: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class ObjectOf:
    properties: tuple[tuple[str, Expression], ...]


@dataclass(frozen=True, slots=True)
class Subquery:
    """`mode`: exists, array or scalar."""

    mode: str
    select: Select


Expression = (
    Constant | Parameter | Name | Member | Unary | Binary | Logic | In | Between | Like | Conditional | Call | ArrayOf
    | ObjectOf | Subquery
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Column:
    """One expression of the SELECT list with the property it becomes, and its text."""

    expression: Expression
    alias: str
    text: str


@dataclass(frozen=True, slots=True)
class Source:
    """A binding of the FROM clause. `path` None: the item itself; `iterate`: each element of the array at `path`."""

    alias: str
    path: Expression | None
    iterate: bool


@dataclass(frozen=True, slots=True)
class Order:
    expression: Expression
    descending: bool
    text: str


@dataclass(slots=True)
class Select:
    """A SELECT statement. The `_text` fields are the clauses as they were written, for rewriting."""

    distinct: bool = False
    top: Expression | None = None
    value: bool = False
    star: bool = False
    columns: list[Column] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)
    from_text: str = ""
    where: Expression | None = None
    where_text: str = ""
    group_by: list[Expression] = field(default_factory=list)
    order_by: list[Order] = field(default_factory=list)
    offset: Expression | None = None
    limit: Expression | None = None

    @property
    def root(self) -> str:
        return self.sources[0].alias if self.sources else "c"


AGGREGATES = frozenset({"COUNT", "SUM", "MIN", "MAX", "AVG", "COUNTIF"})


def children(node: Expression) -> tuple[Expression, ...]:
    match node:
        case Member(of, name):
            return (of, name)
        case Unary(_, operand):
            return (operand,)
        case Binary(_, left, right):
            return (left, right)
        case Logic(_, operands):
            return operands
        case In(value, options):
            return (value, *options)
        case Between(value, low, high):
            return (value, low, high)
        case Like(value, pattern, _):
            return (value, pattern)
        case Conditional(test, then, other):
            return (test, then, other)
        case Call(_, arguments):
            return arguments
        case ArrayOf(elements):
            return elements
        case ObjectOf(properties):
            return tuple(value for _, value in properties)
        case _:
            return ()


def aggregates_in(node: Expression) -> list[Call]:
    """The aggregate calls in an expression, not those of its subqueries."""
    if isinstance(node, Call) and node.name in AGGREGATES:
        return [node]
    return [call for child in children(node) for call in aggregates_in(child)]


def path_of(node: Expression, root: str) -> tuple[str, ...] | None:
    """The property names of `root.a.b`, or None if the expression is something else."""
    names: list[str] = []
    while isinstance(node, Member):
        if not isinstance(node.name, Constant):
            return None
        names.append(node.name.value if isinstance(node.name.value, str) else "[]")
        node = node.of
    return tuple(reversed(names)) if isinstance(node, Name) and node.name == root and names else None
