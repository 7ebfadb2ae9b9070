"""What an operation costs: a formula that is made once, with a value as soon as the variables are known."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLNamedType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_introspection_type,
    is_leaf_type,
    is_list_type,
)

from read_model.paging import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE
from schema.costs import COSTS, MUTATION, SUBSCRIPTION, Cost

PAGES = ("first", "last")
"""The arguments that say how many rows a page has."""
FREE, OBJECT, INTROSPECTED = Cost(0), Cost(1), Cost(3)
TYPES, MEMBERS = 40, 4
"""How many types a schema is taken to have, and a type fields and other things: what tools ask costs about 4,500."""


@dataclass(frozen=True)
class Rows:
    """How many rows a page has at most: the largest of what is given, which the resolver may refuse.

    What is no size costs as much as can be: whether it is refused is for others to say.
    """

    literals: Sequence[int]
    variables: Sequence[tuple[str, Any]]
    """Their names and defaults."""

    def of(self, given: Mapping[str, Any]) -> int:
        """With these variables."""
        sizes = list(self.literals)
        for name, default in self.variables:
            match given.get(name, default):
                case bool():  # which is no size, though Python counts it among integers
                    sizes.append(MAX_PAGE_SIZE)
                case int(size):
                    sizes.append(size)
                case float(size) if size.is_integer():
                    sizes.append(int(size))
                case None:
                    pass
                case _:
                    sizes.append(MAX_PAGE_SIZE)
        return min(max(0, *sizes), MAX_PAGE_SIZE) if sizes else DEFAULT_PAGE_SIZE


@dataclass
class Formula:
    """A sum of a constant, and of what is multiplied by the rows of pages whose size depends on variables."""

    constant: int = 0
    pages: "tuple[tuple[Rows, Formula], ...]" = ()

    def of(self, given: Mapping[str, Any]) -> int:
        """Its value."""
        total = self.constant
        for rows, inner in self.pages:
            total += rows.of(given) * inner.of(given)
        return total

    def add(self, other: "Formula", times: int = 1) -> None:
        """Add another one, so many times."""
        self.constant += other.constant * times
        if times == 1:
            self.pages += other.pages
        elif other.pages and times:
            self.pages += ((Rows([times], ()), Formula(0, other.pages)),)

    def add_page(self, rows: Rows, other: "Formula") -> None:
        """Add another one, as often as there are rows."""
        if rows.variables:
            self.pages += ((rows, other),)
        else:
            self.add(other, rows.of({}))


class Price:
    """What an operation costs, as clients are told."""

    def __init__(self, formula: Formula, limit: int) -> None:
        self._formula = formula
        self._limit = limit
        self._fixed = None if formula.pages else {"requested": formula.constant, "limit": limit}

    def told(self, given: Mapping[str, Any]) -> dict[str, int]:
        """`requested` with these variables, and the `limit`."""
        return self._fixed or {"requested": self._formula.of(given), "limit": self._limit}


def price(schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode, limit: int) -> Price:
    """The price of an operation of a valid document, all that may be skipped included."""
    type_ = schema.get_root_type(operation.operation)
    assert type_
    pricing = _Pricing(schema, document, operation)
    return Price(pricing.of(type_, [operation.selection_set]), limit)


class _Pricing:
    def __init__(self, schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode) -> None:
        self._schema = schema
        self._fragments = {
            one.name.value: one for one in document.definitions if isinstance(one, FragmentDefinitionNode)
        }
        self._defaults = {
            one.variable.name.value: int(one.default_value.value)
            for one in operation.variable_definitions or ()
            if isinstance(one.default_value, IntValueNode) and len(one.default_value.value) < 12
        }
        self._roots: dict[GraphQLNamedType, Cost] = {
            type_: cost
            for kind, cost in ((OperationType.MUTATION, MUTATION), (OperationType.SUBSCRIPTION, SUBSCRIPTION))
            if (type_ := schema.get_root_type(kind))
        }

    def of(self, type_: GraphQLNamedType, sets: Sequence[SelectionSetNode], rows: Rows | None = None) -> Formula:
        """The cost of what is selected; of lists in it as often as `rows` says."""
        merged: dict[tuple[str, str], list[FieldNode]] = {}
        parents: dict[str, GraphQLNamedType] = {}
        for parent, node in self._spread(type_, sets):
            parents[parent.name] = parent
            merged.setdefault((parent.name, (node.alias or node.name).value), []).append(node)
        total = Formula()
        for (parent_name, _), nodes in merged.items():
            parent, name = parents[parent_name], nodes[0].name.value
            field = self._schema.get_field(parent, name)  # type: ignore[arg-type]  # it has fields
            assert field  # the document is valid
            cost = self._field(parent, name, field, nodes)
            is_list = is_list_type(get_nullable_type(field.type))
            if is_list and parent_name.startswith("__"):
                total.add(cost, TYPES if name == "types" else MEMBERS)
            elif is_list and rows:
                total.add_page(rows, cost)
            else:
                total.add(cost)
        return total

    def _field(self, parent: GraphQLNamedType, name: str, field: GraphQLField, nodes: Sequence[FieldNode]) -> Formula:
        cost = self._declared(parent, name, field)
        total = Formula(cost.own)
        type_ = get_named_type(field.type)
        if not is_leaf_type(type_):
            paging = [one for one in (*PAGES, cost.page) if one in field.args]
            rows = self._rows(nodes[0], paging) if paging or cost.page else None
            total.add(self.of(type_, [node.selection_set for node in nodes if node.selection_set], rows))
        return total

    def _declared(self, parent: GraphQLNamedType, name: str, field: GraphQLField) -> Cost:
        if is_introspection_type(parent):
            return INTROSPECTED if is_list_type(get_nullable_type(field.type)) else FREE
        free_or_not = FREE if is_leaf_type(get_named_type(field.type)) else OBJECT
        return COSTS.get(f"{parent.name}.{name}") or self._roots.get(parent) or free_or_not

    def _rows(self, node: FieldNode, paging: Sequence[str]) -> Rows:
        literals, variables = [], []
        for argument in node.arguments or ():
            if argument.name.value in paging:
                match argument.value:
                    case IntValueNode(value=digits):
                        literals.append(int(digits) if len(digits) < 12 else MAX_PAGE_SIZE)
                    case VariableNode(name=name):
                        variables.append((name.value, self._defaults.get(name.value)))
        return Rows(literals, variables)

    def _spread(
        self, type_: GraphQLNamedType, sets: Sequence[SelectionSetNode]
    ) -> Iterator[tuple[GraphQLNamedType, FieldNode]]:
        for selection in (selection for selected in sets for selection in selected.selections):
            match selection:
                case FieldNode():
                    yield type_, selection
                case InlineFragmentNode(type_condition=condition, selection_set=inner):
                    yield from self._spread(
                        self._schema.type_map[condition.name.value] if condition else type_, [inner]
                    )
                case FragmentSpreadNode(name=name):
                    fragment = self._fragments[name.value]
                    condition_type = self._schema.type_map[fragment.type_condition.name.value]
                    yield from self._spread(condition_type, [fragment.selection_set])
