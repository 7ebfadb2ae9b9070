"""The contract: what clients are promised is a file, and the code prints exactly that file."""

from collections.abc import Iterator
from pathlib import Path

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    build_schema,
)

from tests.schema.api import SCHEMA

CONTRACT = Path(__file__).parents[2] / "schema.graphql"


def test_the_printed_schema_is_the_contract() -> None:
    assert CONTRACT.read_text() == SCHEMA.as_str() + "\n"


def test_everything_in_the_contract_is_described() -> None:
    schema = build_schema(CONTRACT.read_text())
    assert [name for name, description in named(schema) if not (description or "").strip()] == []


def named(schema: GraphQLSchema) -> Iterator[tuple[str, str | None]]:
    """Every type, field, argument, input field and enum value with its description."""
    for type_ in schema.type_map.values():
        if type_.name.startswith("__") or type_.name in ("String", "Int", "Boolean", "ID", "Float"):
            continue
        yield type_.name, type_.description
        match type_:
            case GraphQLObjectType() | GraphQLInterfaceType():
                for field_name, field in type_.fields.items():
                    yield f"{type_.name}.{field_name}", field.description
                    for argument_name, argument in field.args.items():
                        yield f"{type_.name}.{field_name}({argument_name})", argument.description
            case GraphQLInputObjectType():
                for field_name, input_field in type_.fields.items():
                    yield f"{type_.name}.{field_name}", input_field.description
            case GraphQLEnumType() if type_.name in ("OnTimeout", "OrderSortField", "Direction"):
                for value_name, value in type_.values.items():
                    yield f"{type_.name}.{value_name}", value.description
            case _:
                pass
