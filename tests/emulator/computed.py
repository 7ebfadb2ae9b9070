"""Computed properties: values that a query may name although no item stores them."""

from collections.abc import Iterator
from typing import Any

from . import sql_ast as ast
from .errors import ServiceError, bad_request
from .sql_eval import Row, evaluate
from .sql_parser import parse

MOST = 20
_RESERVED = frozenset({"id", "_rid", "_self", "_etag", "_ts", "_attachments"})
_CHANGING = frozenset({"GETCURRENTDATETIME", "GETCURRENTTIMESTAMP", "GETCURRENTTICKS", "RAND"})


class _View(dict[str, Any]):
    """An item as a query sees it: computed properties answer to their names, but are not among its own."""

    def __init__(self, body: dict[str, Any], computed: dict[str, ast.Select]) -> None:
        super().__init__(body)
        self._computed = computed

    def get(self, name: str, default: Any = None) -> Any:
        select = self._computed.get(name)
        if select is None:
            return super().get(name, default)
        return evaluate(select.columns[0].expression, Row({select.root: dict(self)}, {}))


class ComputedProperties:
    """The computed properties of a container. Raises 400 for definitions that the service refuses."""

    def __init__(self, definitions: Any) -> None:
        if definitions is not None and not isinstance(definitions, list):
            raise _invalid("'computedProperties' is not a list")
        found = [_checked(definition) for definition in definitions or []]
        self._selects = dict(found)
        if len(self._selects) < len(found):
            raise _invalid("the names of computed properties must be unique")
        if len(found) > MOST:
            raise _invalid(f"a container can have at most {MOST} computed properties")
        for name, select in found:
            paths = (ast.path_of(node, select.root) for node in _nodes(select.columns[0].expression))
            if any(path and path[0] in self._selects for path in paths):
                raise _invalid(f"the computed property '{name}' refers to a computed property")

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self._selects)

    def view(self, body: dict[str, Any]) -> dict[str, Any]:
        """`body` as queries see it."""
        return _View(body, self._selects) if self._selects else body


def _invalid(reason: str) -> ServiceError:
    return bad_request(f"One of the specified inputs is invalid: {reason}.")


def _checked(definition: Any) -> tuple[str, ast.Select]:
    """Name and query of a definition: one value of one item, always the same for the same item."""
    name, query = (definition.get(key) if isinstance(definition, dict) else None for key in ("name", "query"))
    if not isinstance(name, str) or not name or not isinstance(query, str):
        raise _invalid("a computed property has a name and a query")
    if name in _RESERVED:
        raise _invalid(f"'{name}' is the name of a system property")
    select = parse(query)
    clauses = (select.where, select.group_by, select.order_by, select.top, select.distinct, select.limit)
    if not select.value or len(select.sources) != 1 or select.sources[0].iterate or any(clauses):
        raise _invalid(f"the query of '{name}' must be SELECT VALUE ... FROM c, without further clauses")
    for node in _nodes(select.columns[0].expression):
        if isinstance(node, ast.Subquery) or (isinstance(node, ast.Call) and node.name in ast.AGGREGATES | _CHANGING):
            raise _invalid(f"the query of '{name}' uses what a computed property cannot be made of")
    return name, select


def _nodes(node: ast.Expression) -> Iterator[ast.Expression]:
    yield node
    for child in ast.children(node):
        yield from _nodes(child)
