"""Documents, each parsed, validated and compiled once; those that were not asked for lately are forgotten."""

from collections import OrderedDict
from collections.abc import Collection, Mapping
from functools import cached_property
from typing import Any

from graphql import (
    BooleanValueNode,
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLError,
    OperationDefinitionNode,
    OperationType,
    validate,
)
from strawberry import Schema

from gateway.execution.compiler import compile_plan
from gateway.execution.operation import NotExecutable
from gateway.execution.plans import Plan
from gateway.execution.selections import NotCompiled, switches_of
from gateway.limits.bounds import Bounds
from gateway.limits.cost import Price, price
from gateway.limits.documents import parsed

MAX_CHARACTERS = 1_000_000
"""In all documents that are kept; what is made of them takes some fifty times as much memory."""
MAX_ERRORS = 5
"""Of a document that are told; each may print all of an argument's value, and look for names that were meant."""
MAX_SWITCHES = 4
"""Variables of @skip and @include in an operation that is compiled: it has a plan for each way that they turn out."""


class Prepared:
    """An operation of a valid document."""

    def __init__(
        self, schema: Schema, document: DocumentNode, definition: OperationDefinitionNode, bounds: Bounds
    ) -> None:
        self.document = document
        self.definition = definition
        self.kind: OperationType = definition.operation
        self.name = definition.name.value if definition.name else None
        self._schema = schema
        self._bounds = bounds
        self._plans: dict[tuple[Any, ...], Plan | NotCompiled] = {}

    def plan(self, variables: Mapping[str, Any]) -> Plan | NotCompiled:
        """The plan for these variables, or why there is none."""
        switches = self.switches
        if isinstance(switches, NotCompiled):
            return switches
        set_to = tuple([variables.get(name, default) for name, default in switches.items()]) if switches else ()
        if set_to and not all(value is True or value is False for value in set_to):
            return NotCompiled("a switch that is neither true nor false")
        plan = self._plans.get(set_to)
        if plan is None:
            plan = self._plans[set_to] = self._compiled(dict(zip(switches, set_to, strict=True)))
        return plan

    def _compiled(self, switches: dict[str, bool]) -> Plan | NotCompiled:
        try:
            return compile_plan(self._schema, self.document, self.definition, switches)
        except NotCompiled as reason:
            return reason
        except RecursionError:
            return NotCompiled("selections that are nested too deeply")

    @cached_property
    def price(self) -> Price:
        """What it costs."""
        return price(self._schema._schema, self.document, self.definition, self._bounds.cost)

    @cached_property
    def switches(self) -> dict[str, bool | None] | NotCompiled:
        """The variables that say what is skipped and included, with their defaults."""
        fragments = (one for one in self.document.definitions if isinstance(one, FragmentDefinitionNode))
        names = switches_of(self.definition, *fragments)
        if len(names) > MAX_SWITCHES:
            return NotCompiled(f"more than {MAX_SWITCHES} switches")
        defaults = {
            one.variable.name.value: one.default_value.value
            for one in self.definition.variable_definitions or ()
            if isinstance(one.default_value, BooleanValueNode)
        }
        return {name: defaults.get(name) for name in names}


class Document:
    """A document: its operations, and what is wrong with it."""

    def __init__(self, schema: Schema, text: str, bounds: Bounds = Bounds()) -> None:  # noqa: B008  frozen
        self._operations: dict[str | None, Prepared] = {}
        try:
            document = parsed(text, bounds)
            self.errors = validate(
                schema._schema, document, max_errors=MAX_ERRORS, hide_suggestions=not bounds.suggestions
            )
        except GraphQLError as error:
            self.errors = [error]
            return
        except RecursionError:
            self.errors = [GraphQLError("The document is nested too deeply.", extensions={"code": "DOCUMENT_LIMIT"})]
            return
        for fault in self.errors:
            fault.extensions = {"code": "GRAPHQL_VALIDATION_FAILED"}
        for one in document.definitions:
            if isinstance(one, OperationDefinitionNode):
                prepared = Prepared(schema, document, one, bounds)
                self._operations[prepared.name] = prepared

    @property
    def operations(self) -> Collection[Prepared]:
        """All of them."""
        return self._operations.values()

    def kind(self, name: str | None) -> OperationType | None:
        """What the operation of that name is, or would be if the document were valid; None where there is none."""
        operation = next(iter(self._operations.values()), None) if name is None else self._operations.get(name)
        return operation.kind if operation else None

    def operation(self, name: str | None) -> Prepared:
        """The operation of that name; without a name the only one. Raises NotExecutable."""
        if name is None and len(self._operations) == 1:
            return next(iter(self._operations.values()))
        if name is None:
            raise NotExecutable("The document has several operations; `operationName` must say which one is meant.")
        if name not in self._operations:
            raise NotExecutable("The document has no operation of that name.")
        return self._operations[name]


class Documents:
    """The documents that were asked for lately."""

    def __init__(self, schema: Schema, bounds: Bounds = Bounds()) -> None:  # noqa: B008  frozen
        self._schema = schema
        self._bounds = bounds
        self._known: OrderedDict[str, Document] = OrderedDict()
        self._characters = 0

    def knows(self, text: str) -> bool:
        """Whether the document of that text was asked for lately."""
        return text in self._known

    def get(self, text: str) -> Document:
        """The document of that text. Raises NotExecutable for none."""
        known = self._known.get(text)
        if known is not None:
            self._known.move_to_end(text)
            return known
        if not text:
            raise NotExecutable("The request has no document.")
        document = Document(self._schema, text, self._bounds)
        if len(text) <= MAX_CHARACTERS // 10:
            self._known[text] = document
            self._characters += len(text)
            while self._characters > MAX_CHARACTERS:
                forgotten, _ = self._known.popitem(last=False)
                self._characters -= len(forgotten)
        return document
