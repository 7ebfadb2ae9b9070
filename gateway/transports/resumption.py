"""Streams that go on after a cut: the cursor that a client sends back, and the one that is in a result."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import msgspec
from graphql import (
    ArgumentNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    NamedTypeNode,
    NameNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    VariableDefinitionNode,
    VariableNode,
    print_ast,
)

from gateway.execution import Executor, Operation, Result

AFTER = "after"
CURSOR = "cursor"
VARIABLE = "__lastEventId"


def continued(executor: Executor, operation: Operation, cursor: str) -> Operation:
    """The operation, made to go on after `cursor`, if it is a subscription that can and does not say so itself."""
    prepared = executor.prepared(operation)
    if prepared is None or (field := _root_field(executor, prepared.definition)) is None:
        return operation
    variables = operation.variables or {}
    match next((argument.value for argument in field.arguments or () if argument.name.value == AFTER), None):
        case VariableNode(name=NameNode(value=name)) if variables.get(name) is None:
            return msgspec.structs.replace(operation, variables={**variables, name: cursor})
        case None:
            query = _with_argument(prepared.document, prepared.definition, field)
            return msgspec.structs.replace(operation, query=query, variables={**variables, VARIABLE: cursor})
        case _:
            return operation


class Cursors:
    """Finds the cursor in the results of an operation."""

    def __init__(self, executor: Executor, operation: Operation) -> None:
        self._executor = executor
        self._operation = operation

    def of(self, result: Result) -> str | None:
        """The field `cursor` of the one root field, under whatever name; None where that was not selected."""
        value: Any = result.get("data")
        if not value:
            return None
        field, key = self._path or ("", "")
        frame = value.get(field)
        cursor = frame.get(key) if isinstance(frame, Mapping) else getattr(frame, CURSOR, None)
        return cursor if isinstance(cursor, str) else None

    @cached_property
    def _path(self) -> tuple[str, str] | None:
        """Where the cursor is. Asked for only of what was executed, so that no fragment has itself in it."""
        prepared = self._executor.prepared(self._operation)
        if prepared is None or (field := _root_field(self._executor, prepared.definition)) is None:
            return None
        cursors = (one for one in _fields(prepared.document, field.selection_set) if one.name.value == CURSOR)
        cursor = next(cursors, None)
        return (_key(field), _key(cursor)) if cursor else None


def _root_field(executor: Executor, definition: OperationDefinitionNode) -> FieldNode | None:
    """The one root field of a subscription, if it can be continued."""
    subscription = executor.schema._schema.subscription_type
    match definition.selection_set.selections:
        case (FieldNode() as field,) if definition.operation.value == OperationType.SUBSCRIPTION.value and subscription:
            known = subscription.fields.get(field.name.value)
            return field if known and AFTER in known.args else None
        case _:
            return None


def _with_argument(document: DocumentNode, definition: OperationDefinitionNode, field: FieldNode) -> str:
    """The document with the argument `after` given by a variable of ours."""
    variable = VariableNode(name=NameNode(value=VARIABLE))
    argument = ArgumentNode(name=NameNode(value=AFTER), value=variable)
    declared = VariableDefinitionNode(variable=variable, type=NamedTypeNode(name=NameNode(value="String")))
    asked = replace(
        definition,
        variable_definitions=(*(definition.variable_definitions or ()), declared),
        selection_set=SelectionSetNode(selections=(replace(field, arguments=(*(field.arguments or ()), argument)),)),
    )
    definitions = tuple(asked if one is definition else one for one in document.definitions)
    return print_ast(replace(document, definitions=definitions))


def _fields(document: DocumentNode, selections: SelectionSetNode | None) -> Iterator[FieldNode]:
    """The fields that are selected, fragments spread out."""
    for selection in selections.selections if selections else ():
        match selection:
            case FieldNode():
                yield selection
            case InlineFragmentNode(selection_set=inner):
                yield from _fields(document, inner)
            case FragmentSpreadNode(name=NameNode(value=name)):
                for one in document.definitions:
                    if isinstance(one, FragmentDefinitionNode) and one.name.value == name:
                        yield from _fields(document, one.selection_set)


def _key(field: FieldNode) -> str:
    return (field.alias or field.name).value
