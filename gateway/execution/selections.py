"""Which fields an operation selects, once its fragments are spread out and its switches are set.

https://spec.graphql.org/September2025/#sec-Field-Collection
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from graphql import (
    BooleanValueNode,
    DirectiveNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    NamedTypeNode,
    Node,
    SelectionNode,
    SelectionSetNode,
    VariableNode,
    Visitor,
    is_abstract_type,
    visit,
)

SWITCHES = ("skip", "include")


class NotCompiled(Exception):
    """There is no plan for this; the message says what the reference executor is needed for."""


@dataclass(frozen=True)
class Selections:
    """The selections of one operation with its switches set: variables of @skip and @include, by their names."""

    schema: GraphQLSchema
    fragments: Mapping[str, FragmentDefinitionNode]
    switches: Mapping[str, bool]

    def fields(self, type_: GraphQLObjectType, sets: Sequence[SelectionSetNode]) -> dict[str, list[FieldNode]]:
        """The fields that are selected of an object, by their keys in the answer and in its order.

        Raises NotCompiled for directives that are no switches.
        """
        collected: dict[str, list[FieldNode]] = {}
        for node in self._spread(type_, sets):
            collected.setdefault(key_of(node), []).append(node)
        return collected

    def _spread(self, type_: GraphQLObjectType, sets: Sequence[SelectionSetNode]) -> Iterator[FieldNode]:
        for selection in (selection for selected in sets for selection in selected.selections):
            if not self._included(selection):
                continue
            match selection:
                case FieldNode():
                    yield selection
                case InlineFragmentNode(type_condition=condition, selection_set=inner):
                    if condition is None or self._applies(condition, type_):
                        yield from self._spread(type_, [inner])
                case FragmentSpreadNode(name=name):
                    fragment = self.fragments[name.value]
                    if fragment.directives:
                        raise NotCompiled(f"a directive of fragment {name.value}")
                    if self._applies(fragment.type_condition, type_):
                        yield from self._spread(type_, [fragment.selection_set])

    def _applies(self, condition: NamedTypeNode, type_: GraphQLObjectType) -> bool:
        conditional = self.schema.type_map[condition.name.value]
        return conditional is type_ or (is_abstract_type(conditional) and self.schema.is_sub_type(conditional, type_))

    def _included(self, selection: SelectionNode) -> bool:
        return all(self._is_on(directive) for directive in selection.directives or ())

    def _is_on(self, directive: DirectiveNode) -> bool:
        name = directive.name.value
        if name not in SWITCHES:
            raise NotCompiled(f"directive @{name}")
        (argument,) = directive.arguments or ()
        match argument.value:
            case BooleanValueNode(value=value):
                is_true = value
            case VariableNode(name=variable):
                is_true = self.switches[variable.value]
            case _:
                raise NotCompiled(f"the condition of @{name}")
        return is_true == (name == "include")


def key_of(node: FieldNode) -> str:
    """The field's name in the answer."""
    return (node.alias or node.name).value


def switches_of(*nodes: Node) -> tuple[str, ...]:
    """The variables that the switches in these parts of a document depend on."""
    found: dict[str, None] = {}

    class Switches(Visitor):
        def enter_directive(self, directive: DirectiveNode, *_: object) -> None:
            if directive.name.value in SWITCHES:
                values = (argument.value for argument in directive.arguments or ())
                found.update({value.name.value: None for value in values if isinstance(value, VariableNode)})

    for node in nodes:
        visit(node, Switches())
    return tuple(found)
