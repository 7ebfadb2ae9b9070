"""Operations as clients may send them: generated from the schema, with values that are right, odd or wrong."""

import json
from collections.abc import Callable
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLInterfaceType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLUnionType,
    get_named_type,
    is_leaf_type,
)
from hypothesis import strategies as st

from gateway.execution import Operation
from tests.schema.api import ADDRESS, SCHEMA, UUIDS, line, new_order

ORDER, OTHER = f"order:ada:{UUIDS[1]}", f"order:bob:{UUIDS[2]}"
Composite = GraphQLObjectType | GraphQLInterfaceType | GraphQLUnionType

VALUES: dict[str, list[Any]] = {
    "id": [ORDER, ORDER, OTHER, f"order:ada:{UUIDS[9]}", "customer:ada", "product:tea", "x", 5, None],
    "customerId": ["ada", "ada", "bob", "customer:ada", "nobody", "", 5, 1.5, None],
    "sku": ["tea", "tea", "product:tea", "cup", "no such", None],
    "first": [1, 2, 50, None, 0, 101, 2**31, 1.0, "1", True],
    "last": [1, None, 0, "x"],
    "after": [None, "x", ""],
    "before": [None, "x"],
    "filter": [
        {},
        {"status": ["DRAFT", "SUBMITTED"]},
        {"status": "DRAFT"},
        {"status": []},
        {"status": ["NOPE"]},
        {"createdFrom": "2020-01-01T00:00:00Z", "sku": "tea"},
        {"createdFrom": "then"},
        {"unknown": 1},
        None,
    ],
    "orderBy": [{"field": "TOTAL"}, {"field": "CREATED_AT", "direction": "ASC"}, {"direction": "ASC"}, None],
    "consistency": [{"after": [], "waitMs": 0}, {"after": ["forged"]}, {"after": "forged"}, {"after": None}, None],
    "snapshot": [0, 1, 50, None, -1, "x"],
    "sinceVersion": [0, 1, None, "x"],
    "input": [None, {}, "x"],
}
CUSTOM = {"commandId": UUIDS[5].upper(), "orderId": ORDER}
INPUTS: dict[str, list[Any]] = {
    "createOrder": [
        new_order("cy", orderUuid=UUIDS[3], items=[line()], shippingAddress=ADDRESS),
        new_order("cy", items=line(), currency="EUR", shippingAddress=None),
        new_order("cy", currency=None),
        {**new_order(), "customerId": 5},
        new_order("", unknown=1),
    ],
    "addItem": [
        {"orderId": ORDER, "item": line("cup", price=3)},
        CUSTOM | {"item": line("cup"), "expectedVersion": None},
        {"orderId": ORDER, "item": line("cup", price=2.5), "expectedVersion": 1},
        {"orderId": ORDER, "item": line("cup", quantity=2**31)},
        {"orderId": ORDER, "item": line("cup", quantity=1.0), "expectedVersion": 7},
        {"orderId": f"order:ada:{UUIDS[9]}", "item": line("cup")},
        {"orderId": ORDER, "item": None},
    ],
    "setPaymentMethod": [CUSTOM | {"method": "CARD"}, CUSTOM | {"method": "card"}, CUSTOM | {"method": 1}],
    "submitOrder": [CUSTOM, {"orderId": OTHER, "commandId": "no uuid"}, {"orderId": 7}],
}


@st.composite
def operations(draw: Callable[..., Any], kind: str) -> Operation:
    """An operation of that kind; by far the most of its documents are valid."""
    root = {
        "query": SCHEMA._schema.query_type,
        "mutation": SCHEMA._schema.mutation_type,
        "subscription": SCHEMA._schema.subscription_type,
    }[kind]
    assert root
    return _Writer(draw).operation(kind, root)


class _Writer:
    def __init__(self, draw: Callable[..., Any]) -> None:
        self._draw = draw
        self._variables: dict[str, tuple[str, Any]] = {}
        self._fragments: list[str] = []

    def _one(self, *choices: Any) -> Any:
        return self._draw(st.sampled_from(choices))

    def operation(self, kind: str, root: GraphQLObjectType) -> Operation:
        names = [name for name in root.fields if name != "projections" and (kind != "mutation" or name in INPUTS)]
        roots = self._draw(st.lists(st.sampled_from(names), min_size=1, max_size=3 if kind == "query" else 1))
        fields = [self._field(root, name, self._one("", f"r{number}: ")) for number, name in enumerate(roots)]
        if kind == "query":
            fields += self._one([], ["__typename"])
        declared = ", ".join(f"${name}: {type_}" for name, (type_, _) in self._variables.items())
        head = f"{kind} q({declared})" if declared else f"{kind} q"
        document = " ".join([f"{head} {{ {' '.join(fields)} }}", *self._fragments])
        values = {name: value for name, (_, value) in self._variables.items() if value is not ...}
        return Operation(document, operation_name=self._one(None, "q"), variables=values)

    def _field(self, parent: Composite, name: str, alias: str) -> str:
        assert not isinstance(parent, GraphQLUnionType)
        field = parent.fields[name]
        arguments = [self._argument(name, *one) for one in field.args.items()]
        given = ", ".join(argument for argument in arguments if argument)
        type_ = get_named_type(field.type)
        selected = "" if is_leaf_type(type_) else self._selection(type_)
        return f"{alias}{name}{f'({given})' if given else ''} {self._switch()} {selected}"

    def _argument(self, field: str, name: str, argument: GraphQLArgument) -> str:
        needed = isinstance(argument.type, GraphQLNonNull)
        if not needed and self._one(True, True, False):
            return ""
        values = INPUTS.get(field, VALUES["input"]) if name == "input" else VALUES[name]
        value = self._one(*values) if self._one(True, False) else values[0]
        if self._one(False, False, True):
            return f"{name}: {_literal(value)}"
        variable = f"v{len(self._variables)}"
        default = self._one("", "", f" = {_literal(values[0])}")
        self._variables[variable] = f"{argument.type}{default}", self._one(value, value, value, ...)
        return f"{name}: ${variable}"

    def _selection(self, type_: Composite) -> str:
        return "{ " + " ".join(self._part(type_) for _ in range(self._draw(st.integers(1, 4)))) + " }"

    def _part(self, type_: Composite) -> str:
        if isinstance(type_, GraphQLUnionType) or (isinstance(type_, GraphQLInterfaceType) and self._one(True, False)):
            inner = self._one(*SCHEMA._schema.get_possible_types(type_))
            return str(self._one("__typename", f"... on {inner.name} {self._switch()} {self._selection(inner)}"))
        match self._draw(st.integers(0, 9)):
            case 0:
                return str(self._one("__typename", "kind: __typename"))
            case 1:
                return f"... {self._switch()} {self._selection(type_)}"
            case 2:
                name = f"F{len(self._fragments)}"
                self._fragments.append("")
                self._fragments[int(name[1:])] = f"fragment {name} on {type_.name} {self._selection(type_)}"
                return f"...{name} {self._switch()}"
            case 3:
                name = self._one(*type_.fields)
                return self._field(type_, name, self._one(f"{name}2", "other", "id") + ": ")
            case _:
                return self._field(type_, self._one(*type_.fields), "")

    def _switch(self) -> str:
        if self._one(*[False] * 9, True):
            directive, value = self._one("skip", "include"), self._one(True, False)
            if self._one(True, False):
                return f"@{directive}(if: {_literal(value)})"
            self._variables[f"s{len(self._variables)}"] = "Boolean!", value
            return f"@{directive}(if: $s{len(self._variables) - 1})"
        return ""


def _literal(value: Any) -> str:
    match value:
        case dict():
            return "{" + ", ".join(f"{name}: {_literal(inner)}" for name, inner in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(_literal, value)) + "]"
        case str() if value.isupper() and value.replace("_", "").isalpha() and value not in ("EUR", "USD", "DE"):
            return value
        case _:
            return json.dumps(value)
