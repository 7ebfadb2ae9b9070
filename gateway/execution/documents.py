"""Documents, each parsed, validated and compiled once; those that were not asked for lately are forgotten."""

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
from gateway.limits.recent import Recent
from gateway.limits.variables import values_in

MAX_WEIGHT = 1_000_000
"""Of all documents that are kept: characters, and OVERHEAD for each. They take up to 75 bytes of memory for each, plans
apart."""
OVERHEAD = 2_000
MAX_INVALID = 600_000
"""What those may weigh that have errors, which are kept apart, so that they drive none out that is of use."""
MAX_STRUCTS = 10_000
"""In the plans of all documents; a plan takes some 5 KB of memory for each."""
MAX_ERRORS = 5
"""Of a document that are told; each may print all of an argument's value, and look for names that were meant."""
VALUES_FOR_ONE = 100
"""Values in variables that cost as much as a document that is read."""
MAX_SWITCHES = 4
"""Variables of @skip and @include in an operation that is compiled: it has a plan for each way that they turn out."""


SetTo = tuple[bool, ...]
"""How switches turn out."""
Plans = Recent[tuple["Prepared", SetTo], Plan | NotCompiled]


class Prepared:
    """An operation of a valid document."""

    def __init__(
        self,
        schema: Schema,
        document: DocumentNode,
        definition: OperationDefinitionNode,
        bounds: Bounds,
        plans: Plans,
    ) -> None:
        self.document = document
        self.definition = definition
        self.kind: OperationType = definition.operation
        self.type: str = definition.operation.value
        self.name = definition.name.value if definition.name else None
        self._schema = schema
        self._bounds = bounds
        self._plans = plans

    def plan(self, variables: Mapping[str, Any]) -> Plan | NotCompiled:
        """The plan for these variables, or why there is none."""
        set_to = self._set_to(variables)
        if isinstance(set_to, NotCompiled):
            return set_to
        plan = self._plans.get((self, set_to))
        if plan is None:
            plan = self._compiled(set_to)
            self._plans.keep((self, set_to), plan, plan.structs if isinstance(plan, Plan) else 1)
        return plan

    def cost(self, variables: Mapping[str, Any]) -> int:
        """What it costs, with its variables, if there are many."""
        cost = self.price.told(variables)["requested"]
        return cost + values_in(variables) // VALUES_FOR_ONE if variables else cost

    def knows_plan(self, variables: Mapping[str, Any]) -> bool:
        """Whether there is nothing left to be compiled for these variables."""
        set_to = self._set_to(variables)
        return isinstance(set_to, NotCompiled) or (self, set_to) in self._plans

    def _set_to(self, variables: Mapping[str, Any]) -> SetTo | NotCompiled:
        switches = self.switches
        if not switches:
            return ()
        if isinstance(switches, NotCompiled):
            return switches
        set_to = tuple([variables.get(name, default) for name, default in switches.items()])
        if not all(value is True or value is False for value in set_to):
            return NotCompiled("a switch that is neither true nor false")
        return set_to

    def _compiled(self, set_to: SetTo) -> Plan | NotCompiled:
        assert not isinstance(self.switches, NotCompiled)
        switches = dict(zip(self.switches, set_to, strict=True))
        try:
            return compile_plan(self._schema, self.document, self.definition, switches)
        except NotCompiled as reason:
            return NotCompiled(*reason.args)  # which does not hold on to where it was raised
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

    def __init__(
        self,
        schema: Schema,
        text: str,
        bounds: Bounds = Bounds(),  # noqa: B008  frozen
        plans: Plans | None = None,
    ) -> None:
        """`plans` are those of all documents."""
        plans = Recent(MAX_STRUCTS) if plans is None else plans
        self._operations: dict[str | None, Prepared] = {}
        """By their names, and by None the only one."""
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
                prepared = Prepared(schema, document, one, bounds, plans)
                self._operations[prepared.name] = prepared
        if len(self._operations) == 1:
            self._operations[None] = next(iter(self._operations.values()))

    @property
    def operations(self) -> Collection[Prepared]:
        """All of them."""
        return dict.fromkeys(self._operations.values())

    def kind(self, name: str | None) -> OperationType | None:
        """What the operation of that name is, or would be if the document were valid; None where there is none."""
        first = next(iter(self._operations.values()), None)
        operation = self._operations.get(name, first if name is None else None)
        return operation.kind if operation else None

    def prepared(self, name: str | None) -> Prepared | None:
        """The operation of that name, without a name the only one, if it can be executed."""
        return None if self.errors else self._operations.get(name)

    def operation(self, name: str | None) -> Prepared:
        """The operation of that name; without a name the only one. Raises NotExecutable."""
        if name in self._operations:
            return self._operations[name]
        if name is None:
            raise NotExecutable("The document has several operations; `operationName` must say which one is meant.")
        raise NotExecutable("The document has no operation of that name.")


class Documents:
    """The documents that were asked for lately."""

    def __init__(self, schema: Schema, bounds: Bounds = Bounds()) -> None:  # noqa: B008  frozen
        self._schema = schema
        self._bounds = bounds
        self._plans: Plans = Recent(MAX_STRUCTS)
        self._valid: Recent[str, Document] = Recent(MAX_WEIGHT, self._forget_plans)
        self._invalid: Recent[str, Document] = Recent(MAX_INVALID)
        self._pinned: dict[str, Document] = {}

    def known(self, text: str) -> Document | None:
        """The document of that text, if it was asked for lately."""
        return self._valid.get(text) or self._pinned.get(text) or self._invalid.get(text)

    def get(self, text: str) -> Document:
        """The document of that text. Raises NotExecutable for none."""
        known = self.known(text)
        if known is not None:
            return known
        if not text:
            raise NotExecutable("The request has no document.")
        document = Document(self._schema, text, self._bounds, self._plans)
        (self._invalid if document.errors else self._valid).keep(text, document, len(text) + OVERHEAD)
        return document

    def pin(self, text: str) -> Document:
        """The document of that text, which is never forgotten."""
        document = self._pinned[text] = Document(self._schema, text, self._bounds, self._plans)
        return document

    def _forget_plans(self, document: Document) -> None:
        """Let go of the plans of a document, which would be kept by them."""
        operations = set(document.operations)
        for key in [key for key in self._plans if key[0] in operations]:
            self._plans.drop(key)
