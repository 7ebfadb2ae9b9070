"""What a client gives, as resolvers take it: by the reference's rules, or not at all.

Variables are converted by msgspec to a struct that is generated from the operation; so are input objects, which are
handed to resolvers instead of the schema's own classes, whose attributes they have. Whatever the reference would
convert further (an integer for an ID, one value for a list of them), or refuse, is refused here.
https://spec.graphql.org/September2025/#sec-Coercing-Variable-Values
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Annotated, Any

import msgspec
import strawberry
from graphql import (
    FieldNode,
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLError,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLScalarType,
    Undefined,
    ValueNode,
    VariableDefinitionNode,
    VariableNode,
    Visitor,
    is_input_type,
    is_non_null_type,
    type_from_ast,
    visit,
)
from graphql.utilities import coerce_input_literal
from strawberry import Schema
from strawberry.types.arguments import StrawberryArgument, convert_argument
from strawberry.types.base import StrawberryObjectDefinition
from strawberry.types.enum import StrawberryEnumDefinition

from gateway.execution.selections import NotCompiled

ABSENT = strawberry.UNSET
BACKREF = "strawberry-definition"
Finish = Callable[[Any], Any]
"""What is left to do with a converted value: parse the scalars in it."""

Int = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
LEAVES: Mapping[str, Any] = {"String": str, "ID": str, "Int": Int, "Boolean": bool}
"""Types of the scalars that JSON has as they are."""


class Refused(Exception):
    """This is not what is usually given; the reference executor knows what to do with it."""


class Variables:
    """The variables of an operation."""

    def __init__(self, schema: Schema, definitions: Sequence[VariableDefinitionNode]) -> None:
        """Raises NotCompiled."""
        types = {one.variable.name.value: _type_of(schema, one) for one in definitions}
        self.defaults = {one.variable.name.value: one.default_value for one in definitions if one.default_value}
        fields, self._finish = [], []
        for number, (name, type_) in enumerate(types.items()):
            attribute = f"v{number}"
            annotation, finish = _converted(type_)
            optional = not is_non_null_type(type_) or name in self.defaults
            default = {"default": ABSENT} if optional else {}
            fields.append((attribute, annotation, msgspec.field(name=name, **default)))
            if finish:
                self._finish.append((attribute, _unless_missing(finish)))
        self.attributes = {name: f"v{number}" for number, name in enumerate(types)}
        self._struct = msgspec.defstruct("Variables", fields, kw_only=True, gc=False)

    def read(self, given: Mapping[str, Any]) -> Any:
        """A struct of their values; ABSENT where one was not given. Raises Refused."""
        try:
            values = msgspec.convert(given, self._struct)
            for attribute, finish in self._finish:
                setattr(values, attribute, finish(getattr(values, attribute)))
        except (msgspec.ValidationError, GraphQLError, UnicodeEncodeError) as error:
            raise Refused(str(error)) from error
        return values


def _type_of(schema: Schema, definition: VariableDefinitionNode) -> GraphQLInputType:
    type_ = type_from_ast(schema._schema, definition.type)
    assert is_input_type(type_)  # the document is valid
    return type_


class Arguments:
    """The arguments of a selected field: constants, and variables."""

    def __init__(self, schema: Schema, field: GraphQLField, node: FieldNode, variables: Variables) -> None:
        """Raises NotCompiled."""
        self.constants: dict[str, Any] = {}
        self._variables: list[tuple[str, str, bool, Any]] = []
        for argument in node.arguments or ():
            known = field.args[argument.name.value]
            name = known.extensions[BACKREF].python_name
            match argument.value:
                case VariableNode(name=variable):
                    attribute = variables.attributes[variable.value]
                    default = variables.defaults.get(variable.value)
                    fallback = constant(schema, known, default) if default else ABSENT
                    self._variables.append((name, attribute, is_non_null_type(known.type), fallback))
                case literal:
                    self.constants[name] = constant(schema, known, literal)

    def read(self, variables: Any) -> dict[str, Any]:
        """The arguments as a resolver takes them; one that was not given is left out. Raises Refused."""
        arguments = self.constants.copy()
        for name, attribute, needed, fallback in self._variables:
            value = getattr(variables, attribute)
            if value is ABSENT:
                value = fallback
            if value is None and needed:
                raise Refused(f"null for {name}")
            if value is not ABSENT:
                arguments[name] = value
        return arguments


def constant(schema: Schema, argument: GraphQLArgument, literal: ValueNode) -> Any:
    """What a resolver is given for a literal. Raises NotCompiled for one with variables in it, and for a wrong one."""
    visit(literal, _NoVariables())
    known: StrawberryArgument = argument.extensions[BACKREF]
    try:
        value = coerce_input_literal(literal, argument.type)
        if value is Undefined:
            raise NotCompiled(f"the value of argument {known.python_name}")
        return convert_argument(value, known.type, schema.schema_converter.scalar_registry, schema.config)
    except (GraphQLError, ValueError) as error:
        raise NotCompiled(f"the value of argument {known.python_name}") from error


class _NoVariables(Visitor):
    def enter_variable(self, *_: object) -> None:
        raise NotCompiled("a variable within the literal of an argument")


def _converted(type_: GraphQLInputType) -> tuple[Any, Finish | None]:
    """What msgspec converts a value to, and what is left to do then."""
    match type_:
        case GraphQLNonNull(of_type=inner):
            return _not_null(inner)
        case _:
            annotation, finish = _not_null(type_)
            return annotation | None, _unless_missing(finish) if finish else None


def _not_null(type_: GraphQLInputType) -> tuple[Any, Finish | None]:
    match type_:
        case GraphQLList(of_type=inner):
            annotation, finish = _converted(inner)
            return list[annotation], _each(finish) if finish else None  # type: ignore[valid-type]
        case GraphQLScalarType(name=name) if name in LEAVES:
            return LEAVES[name], None
        case GraphQLScalarType() if BACKREF in type_.extensions:
            return object, type_.parse_value
        case GraphQLEnumType():
            return enum_class(type_), None
        case GraphQLInputObjectType():
            return _input_struct(type_)
        case _:
            raise NotCompiled(f"input type {type_}")


def enum_class(type_: GraphQLEnumType) -> type[Any]:
    """The enum's class. Raises NotCompiled if its members are not stored by their names."""
    definition: StrawberryEnumDefinition = type_.extensions[BACKREF]
    members: list[Any] = list(definition.wrapped_cls)
    if [member.value for member in members] != list(type_.values):
        raise NotCompiled(f"enum {type_.name}, whose values are not its names")
    return definition.wrapped_cls


@cache
def _input_struct(type_: GraphQLInputObjectType) -> tuple[Any, Finish | None]:
    definition: StrawberryObjectDefinition = type_.extensions[BACKREF]
    if type_.is_one_of:
        raise NotCompiled(f"input {type_.name}, which is one of several")
    names = {field.extensions[BACKREF].python_name: name for name, field in type_.fields.items()}
    fields, finishes = [], []
    for field in definition.fields:
        name = names[field.python_name]
        annotation, finish = _converted(type_.fields[name].type)
        if field.default is not dataclasses.MISSING:
            default = {"default": field.default}
        elif field.default_factory is not dataclasses.MISSING:
            default = {"default_factory": field.default_factory}
        else:
            default = {}
        fields.append((field.python_name, annotation, msgspec.field(name=name, **default)))
        if finish:
            finishes.append((field.python_name, finish))
    struct = msgspec.defstruct(type_.name, fields, kw_only=True, gc=False, forbid_unknown_fields=True)
    return struct, _attributes(finishes) if finishes else None


def _attributes(finishes: list[tuple[str, Finish]]) -> Finish:
    def finish(value: Any) -> Any:
        for name, each in finishes:
            setattr(value, name, each(getattr(value, name)))
        return value

    return finish


def _each(finish: Finish) -> Finish:
    return lambda values: [finish(value) for value in values]


def _unless_missing(finish: Finish) -> Finish:
    return lambda value: value if value is None or value is ABSENT else finish(value)
