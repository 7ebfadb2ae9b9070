"""What an operation selects of a value, as a struct that is generated from the selection.

A struct has the attributes of what it is converted from, and is written under the keys of the answer. msgspec checks
types and nulls as it converts, so what was converted is a right answer; anything else is for the reference executor.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import msgspec
from graphql import (
    GraphQLEnumType,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLScalarType,
)

from gateway.execution.arguments import BACKREF, LEAVES, enum_class
from gateway.execution.selections import NotCompiled

Fields: TypeAlias = list[tuple[str, Any, Any]]


@dataclass(frozen=True)
class Shape:
    """A selection of an object's fields.

    `direct`: its read document is decoded to it straight from the JSON, which has the names of the answer; what is not
    selected is skipped there. Otherwise, with aliases or fields that are resolved, the document is decoded whole.
    `late` are the attributes to be set when their fields have been resolved, `inner` those that have such within.
    """

    struct: type[msgspec.Struct]
    direct: bool
    late: Mapping[str, Any]
    inner: "Mapping[str, Shape]"

    @property
    def is_late(self) -> bool:
        """Whether there is anything left to resolve in it."""
        return bool(self.late or self.inner)


class ShapeBuilder:
    """Puts a shape together, field by field in the order of the answer."""

    def __init__(self, type_: GraphQLObjectType) -> None:
        self._type = type_
        self._fields: Fields = []
        self._direct = True
        self._late: dict[str, Any] = {}
        self._inner: dict[str, Shape] = {}

    def typename(self, key: str) -> None:
        """The name of the type, which is known."""
        name = self._type.name
        self._add(f"typename{len(self._fields)}", key, Literal[name], default=name)

    def plain(self, key: str, name: str, type_: GraphQLOutputType, inner: Shape | None) -> None:
        """An attribute as it is, or as much of it as is selected. Raises NotCompiled."""
        attribute = self._type.fields[name].extensions[BACKREF].python_name
        if any(attribute == known for known, *_ in self._fields):
            raise NotCompiled(f"{self._type.name}.{name}, which is selected twice under different names")
        self._direct &= key == name and (inner is None or inner.direct)
        if inner and inner.is_late:
            self._inner[attribute] = inner
        optional = {} if isinstance(type_, GraphQLNonNull) else {"default": None}
        self._add(attribute, key, annotation(type_, inner.struct if inner else None), **optional)

    def late(self, key: str, resolved: Any) -> None:
        """A field to be resolved."""
        attribute = f"late{len(self._fields)}"
        self._late[attribute] = resolved
        self._direct = False
        self._add(attribute, key, Any, default=None)

    def build(self) -> Shape:
        """The shape."""
        struct = msgspec.defstruct(self._type.name, self._fields, kw_only=True, gc=False)
        return Shape(struct, self._direct, self._late, self._inner)

    def _add(self, attribute: str, key: str, type_: Any, **default: Any) -> None:
        self._fields.append((attribute, type_, msgspec.field(name=key, **default)))


def annotation(type_: GraphQLOutputType, selected: Any) -> Any:
    """What a value of a type is converted to; `selected` stands for its object. Raises NotCompiled."""
    if isinstance(type_, GraphQLNonNull):
        return not_null(type_.of_type, selected)
    return not_null(type_, selected) | None


def not_null(type_: GraphQLOutputType, selected: Any) -> Any:
    """The same of a type whose null is taken care of."""
    match type_:
        case GraphQLList(of_type=inner):
            return list[annotation(inner, selected)]  # type: ignore[misc]
        case GraphQLObjectType():
            return selected
        case GraphQLEnumType():
            return enum_class(type_)
        case GraphQLScalarType(name=name) if name in LEAVES:
            return LEAVES[name]
        case GraphQLScalarType(extensions=extensions) if BACKREF in extensions and extensions[BACKREF].serialize is str:
            return str
        case _:
            raise NotCompiled(f"type {type_}")


def source_of(type_: GraphQLNamedType) -> type:
    """The class of the values that an object type stands for: a read document, or the schema's own."""
    origin: type = type_.extensions[BACKREF].origin
    return getattr(origin, "view", origin)
