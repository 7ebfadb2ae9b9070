"""What a document holds, counted before it is validated: each of its selections is looked at once.

Validation takes a time that is quadratic in some of this, and what fragments spread is exponential in their number.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    parse,
)

from gateway.limits.bounds import Bounds

INTROSPECTION = ("__schema", "__type")
ABORTED = "Parsing aborted."
"""What graphql-core says of a document that is too large or too deep to be parsed, rather than wrong."""


class Size(NamedTuple):
    """Of what is selected, with what its fragments spread."""

    depth: int = 0
    selections: int = 0
    aliases: int = 0


def parsed(text: str, bounds: Bounds) -> DocumentNode:
    """The document of a text, within bounds. Raises GraphQLError with a code, and RecursionError."""
    if len(text) > bounds.characters:
        raise _beyond("characters", bounds.characters)
    try:
        document = parse(text, max_lexical_tokens=bounds.tokens, max_comments=bounds.tokens)
    except GraphQLError as error:
        error.extensions = {"code": "DOCUMENT_LIMIT" if ABORTED in error.message else "GRAPHQL_PARSE_FAILED"}
        raise
    _Counted(document, bounds).check()
    return document


class _Counted:
    def __init__(self, document: DocumentNode, bounds: Bounds) -> None:
        self._bounds = bounds
        self._operations = [one for one in document.definitions if isinstance(one, OperationDefinitionNode)]
        fragments = [one for one in document.definitions if isinstance(one, FragmentDefinitionNode)]
        self._fragments = {one.name.value: one for one in fragments}
        for one in fragments:
            if self._fragments[one.name.value] is not one:  # it would not be counted
                raise _invalid(f"There can be only one fragment named '{one.name.value}'.", one)
        self._reached: set[str] = set()
        self._sizes: dict[str, Size] = {}
        self._open: set[str] = set()
        self._directives = 0

    def check(self) -> None:
        """Raises GraphQLError."""
        self._within("operations", len(self._operations))
        self._within("fragments", len(self._fragments))
        for name in self._fragments:
            self._of_fragment(name)
        for operation in self._operations:
            self._directives += len(operation.directives or ())
            for definition in operation.variable_definitions or ():
                self._directives += len(definition.directives or ())
            self._of(operation.selection_set)
        self._within("directives", self._directives)
        # Nothing is spread more often than `selections` says, so that from here on fragments may be.
        compared = sum(self._compared([operation.selection_set]) for operation in self._operations)
        for name, fragment in self._fragments.items():
            if name not in self._reached:
                compared += self._compared([fragment.selection_set])
        self._within("compared", compared)

    def _of(self, selected: SelectionSetNode | None) -> Size:
        depth = selections = aliases = 0
        for selection in selected.selections if selected else ():
            self._directives += len(selection.directives or ())
            match selection:
                case FieldNode(name=name, alias=alias, selection_set=inner):
                    if name.value in INTROSPECTION and not self._bounds.introspection:
                        raise GraphQLError(
                            "Introspection is switched off.", selection, extensions={"code": "INTROSPECTION_OFF"}
                        )
                    size = self._of(inner)
                    depth = max(depth, size.depth + 1)
                    aliases += size.aliases + (alias is not None)
                case InlineFragmentNode(selection_set=inner):
                    size = self._of(inner)
                    depth = max(depth, size.depth)
                    aliases += size.aliases
                case FragmentSpreadNode(name=name):
                    size = self._of_fragment(name.value)
                    depth = max(depth, size.depth)
                    aliases += size.aliases
            selections += size.selections + 1
        self._within("depth", depth)
        self._within("selections", selections)
        self._within("aliases", aliases)
        return Size(depth, selections, aliases)

    def _of_fragment(self, name: str) -> Size:
        fragment = self._fragments.get(name)
        if fragment is None:  # validation tells
            return Size()
        if name in self._open:
            raise _invalid(f"Cannot spread fragment '{name}' within itself.", fragment)
        if name not in self._sizes:
            self._open.add(name)
            self._directives += len(fragment.directives or ())
            self._sizes[name] = self._of(fragment.selection_set)
            self._open.discard(name)
        return self._sizes[name]

    def _compared(self, sets: Sequence[SelectionSetNode]) -> int:
        """How many pairs of fields, and of fragments, validation must compare where these sets are merged."""
        fields: dict[str, list[FieldNode]] = {}
        spread: set[str] = set()
        for field in self._merged(sets, spread):
            fields.setdefault((field.alias or field.name).value, []).append(field)
        self._reached |= spread
        pairs = _pairs(len(spread))
        for nodes in fields.values():
            pairs += _pairs(len(nodes))
            if inner := [node.selection_set for node in nodes if node.selection_set]:
                pairs += self._compared(inner)
        return pairs

    def _merged(self, sets: Sequence[SelectionSetNode], spread: set[str]) -> Iterator[FieldNode]:
        for selection in (selection for selected in sets for selection in selected.selections):
            match selection:
                case FieldNode():
                    yield selection
                case InlineFragmentNode(selection_set=inner):
                    yield from self._merged([inner], spread)
                case FragmentSpreadNode(name=name) if name.value in self._fragments and name.value not in spread:
                    spread.add(name.value)
                    yield from self._merged([self._fragments[name.value].selection_set], spread)

    def _within(self, what: str, count: int) -> None:
        most: int = getattr(self._bounds, what)
        if count > most:
            raise _beyond(what, most)


def _pairs(count: int) -> int:
    return count * (count - 1) // 2


TOLD = {
    "characters": "The document has more than {} characters.",
    "operations": "The document has more than {} operations.",
    "fragments": "The document has more than {} fragments.",
    "directives": "The document has more than {} directives.",
    "depth": "The document selects more than {} levels deep.",
    "selections": "An operation selects more than {} fields, fragments spread out.",
    "aliases": "An operation has more than {} aliases, fragments spread out.",
    "compared": "The document selects the same fields too often: more than {} pairs must be compared.",
}


def _invalid(message: str, fragment: FragmentDefinitionNode) -> GraphQLError:
    """What validation would tell, were it not that it takes too long."""
    return GraphQLError(message, fragment, extensions={"code": "GRAPHQL_VALIDATION_FAILED"})


def _beyond(what: str, most: int) -> GraphQLError:
    return GraphQLError(TOLD[what].format(most), extensions={"code": "DOCUMENT_LIMIT"})
