"""From an operation to its plan, or to the reason why it has none."""

from collections.abc import Callable, Sequence
from inspect import isfunction, signature
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLField,
    GraphQLObjectType,
    GraphQLOutputType,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    get_named_type,
    get_nullable_type,
    is_abstract_type,
    is_leaf_type,
    is_nullable_type,
    is_object_type,
)
from strawberry import Schema
from strawberry.types.field import StrawberryField

from gateway.execution.arguments import BACKREF, Arguments, Variables
from gateway.execution.plans import Plan, Resolved
from gateway.execution.selections import NotCompiled, Selections
from gateway.execution.shapes import Shape, ShapeBuilder, not_null, source_of

Views = dict[type, type | None]
"""By read document: the struct that it can be decoded to; None where it is not direct, or selected in several ways."""


def compile_plan(
    schema: Schema, document: DocumentNode, operation: OperationDefinitionNode, switches: dict[str, bool]
) -> Plan:
    """The plan of a valid operation, its switches set. Raises NotCompiled."""
    if operation.directives:
        raise NotCompiled("a directive of the operation")
    variables = Variables(schema, operation.variable_definitions or ())
    fragments = {one.name.value: one for one in document.definitions if isinstance(one, FragmentDefinitionNode)}
    compiler = _Compiler(schema, Selections(schema._schema, fragments, switches), variables)
    roots = compiler.roots(operation)
    return Plan(variables, roots, compiler.structs)


class _Compiler:
    def __init__(self, schema: Schema, selections: Selections, variables: Variables) -> None:
        self._schema = schema
        self._selections = selections
        self._variables = variables
        self.structs = 1
        """Generated so far, that of the variables among them."""

    def roots(self, operation: OperationDefinitionNode) -> dict[str, Resolved | str]:
        type_ = self._schema._schema.get_root_type(operation.operation)
        assert type_
        fields = self._selections.fields(type_, [operation.selection_set])
        if operation.operation is not OperationType.QUERY and len(fields) != 1:
            raise NotCompiled(f"a {operation.operation.value} of {len(fields)} fields")
        roots: dict[str, Resolved | str] = {}
        for key, nodes in fields.items():
            name = nodes[0].name.value
            if name == "__typename" and operation.operation is not OperationType.SUBSCRIPTION:
                roots[key] = type_.name
            elif name.startswith("__"):
                raise NotCompiled("introspection")
            else:
                roots[key] = self._resolved(type_, name, nodes)
        return roots

    def _resolved(self, parent: GraphQLObjectType, name: str, nodes: Sequence[FieldNode]) -> Resolved:
        field = parent.fields[name]
        sets = [node.selection_set for node in nodes if node.selection_set]
        type_ = get_named_type(field.type)
        views: Views = {}
        shapes: list[Shape] = []
        targets: dict[type, type] = {}
        target: Any = None
        if not is_abstract_type(type_):
            if is_object_type(type_):
                shapes.append(self._shape(type_, sets, views))
            target = not_null(get_nullable_type(field.type), shapes[0].struct if shapes else None)
        elif get_nullable_type(field.type) is not type_:
            raise NotCompiled(f"{parent.name}.{name}, a list of {type_.name}")
        else:
            for possible in self._schema._schema.get_possible_types(type_):
                shapes.append(self._shape(possible, sets, views))
                targets |= dict.fromkeys((source_of(possible), shapes[-1].struct), shapes[-1].struct)
        return Resolved(
            name=f"{parent.name}.{name}",
            resolver=_resolver(parent, name, field),
            arguments=Arguments(self._schema, field, nodes[0], self._variables),
            nullable=is_nullable_type(field.type),
            target=target,
            targets=targets,
            shapes=tuple(shapes),
            views={view: struct for view, struct in views.items() if struct} if self._reads(parent) else {},
        )

    def _reads(self, parent: GraphQLObjectType) -> bool:
        """Whether fields of a type are read from documents, rather than what a command or a source gives."""
        return parent not in (self._schema._schema.mutation_type, self._schema._schema.subscription_type)

    def _shape(self, type_: GraphQLObjectType, sets: Sequence[SelectionSetNode], views: Views) -> Shape:
        builder = ShapeBuilder(type_)
        for key, nodes in self._selections.fields(type_, sets).items():
            name = nodes[0].name.value
            if name == "__typename":
                builder.typename(key)
                continue
            field = type_.fields[name]
            if field.extensions[BACKREF].base_resolver:
                builder.late(key, self._resolved(type_, name, nodes))
                continue
            builder.plain(key, name, field.type, self._inner(type_, name, field.type, nodes, views))
        shape = builder.build()
        self.structs += 1
        view = source_of(type_)
        views[view] = shape.struct if shape.direct and view not in views else None
        return shape

    def _inner(
        self,
        parent: GraphQLObjectType,
        name: str,
        type_: GraphQLOutputType,
        nodes: Sequence[FieldNode],
        views: Views,
    ) -> Shape | None:
        named = get_named_type(type_)
        if is_leaf_type(named):
            return None
        if not is_object_type(named):
            raise NotCompiled(f"{parent.name}.{name}, which is of several types")
        return self._shape(named, [node.selection_set for node in nodes if node.selection_set], views)


def _resolver(parent: GraphQLObjectType, name: str, field: GraphQLField) -> Callable[..., Any]:
    """The function that resolves a field, if nothing else has a say in it. Raises NotCompiled."""
    definition: StrawberryField = field.extensions[BACKREF]
    if not definition.base_resolver or definition.extensions or definition.permission_classes:
        raise NotCompiled(f"{parent.name}.{name}, which has no plain resolver")
    resolver = definition.base_resolver.wrapped_func
    if not isfunction(resolver) or list(signature(resolver).parameters)[:2] != ["self", "info"]:
        raise NotCompiled(f"{parent.name}.{name}, whose resolver does not take `self` and `info` first")
    return resolver
