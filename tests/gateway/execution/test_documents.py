"""Documents are prepared once, kept within bounds, and never bring anything down."""

import gc
from collections.abc import Iterator
from itertools import product

import pytest
from graphql import OperationType

from gateway.execution import Executor, NotExecutable, Operation
from gateway.execution import documents as documents_module
from gateway.execution.documents import Document, Documents
from gateway.execution.plans import Plan
from gateway.execution.selections import NotCompiled
from gateway.json import encode
from gateway.limits.load import PREPARING, Load
from gateway.limits.rates import Rate
from gateway.transports.requests import charge
from tests.schema.api import EXECUTOR, SCHEMA

NESTED = '{ order(id: "x") { ' + "... { " * 60 + "id" + " }" * 60 + " } }"


def test_a_document_is_prepared_once() -> None:
    documents = Documents(SCHEMA)
    one = documents.get("{ __typename }")
    assert documents.get("{ __typename }") is one
    assert one.operation(None).plan({}) is one.operation(None).plan({})


def test_those_that_were_not_asked_for_lately_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents_module, "MAX_WEIGHT", 180)
    monkeypatch.setattr(documents_module, "OVERHEAD", 0)
    documents = Documents(SCHEMA)
    first, second = documents.get("{ a: __typename }"), documents.get("{ b: __typename }")
    for number in range(20):
        assert documents.get("{ a: __typename }") is first
        documents.get(f"{{ n{number}: __typename }}")
    assert documents.get("{ a: __typename }") is first
    assert documents.get("{ b: __typename }") is not second


def test_a_very_long_document_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents_module, "MAX_WEIGHT", 200)
    monkeypatch.setattr(documents_module, "OVERHEAD", 0)
    documents = Documents(SCHEMA)
    text = "{ long: __typename }" + " " * 10
    assert documents.get(text) is not documents.get(text)


def test_there_is_a_bound_to_how_many_documents_are_kept_however_short_they_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(documents_module, "MAX_WEIGHT", 20_000)
    monkeypatch.setattr(documents_module, "OVERHEAD", 1_900)
    documents = Documents(SCHEMA)
    texts = [f"{{ n{number}: __typename }}" for number in range(20)]
    kept = [documents.get(text) for text in texts]
    assert sum(documents.known(text) is not None for text in texts) == 10
    assert documents.get(texts[0]) is not kept[0]


def test_those_that_have_errors_drive_out_nothing_that_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents_module, "MAX_WEIGHT", 30_000)
    monkeypatch.setattr(documents_module, "MAX_INVALID", 30_000)
    documents = Documents(SCHEMA)
    valid, wrong = documents.get("{ __typename }"), documents.get("{ wrong }")
    assert documents.get("{ wrong }") is wrong
    for number in range(40):
        assert documents.get(f"{{ wrong{number} }}").errors
    assert documents.get("{ __typename }") is valid
    assert documents.get("{ wrong }") is not wrong


def test_what_is_pinned_is_never_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents_module, "MAX_WEIGHT", 30_000)
    documents = Documents(SCHEMA)
    pinned = documents.pin("{ __typename }")
    for number in range(20):
        documents.get(f"{{ n{number}: __typename }}")
    assert documents.known("{ __typename }")
    assert documents.get("{ __typename }") is pinned


SWITCHED = """query %s($a: Boolean!, $b: Boolean!, $c: Boolean!, $d: Boolean!) {
  order(id: "x") { id status @include(if: $a) version @include(if: $b) } __typename @include(if: $c) @skip(if: $d) }"""


def ways() -> Iterator[dict[str, bool]]:
    """All ways that its switches turn out."""
    return (dict(zip("abcd", set_to, strict=True)) for set_to in product((True, False), repeat=4))


def plans_alive() -> int:
    gc.collect()
    return sum(isinstance(one, Plan) for one in gc.get_objects())


def test_there_is_a_bound_to_the_plans_of_all_documents_and_the_others_are_let_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(documents_module, "MAX_STRUCTS", 40)  # of which each plan has two
    before = plans_alive()
    documents = Documents(SCHEMA)
    prepared = [documents.get(SWITCHED % f"q{number}").operation(None) for number in range(4)]
    for one in prepared:
        for way in ways():
            assert isinstance(one.plan(way), Plan)
    assert plans_alive() - before == 20
    kept = [one.knows_plan(way) for one in prepared for way in ways()]
    assert kept == [False] * 44 + [True] * 20
    assert isinstance(prepared[0].plan(next(ways())), Plan)  # it is compiled again


def test_a_document_that_is_forgotten_keeps_no_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents_module, "MAX_WEIGHT", 30_000)
    before = plans_alive()
    documents = Documents(SCHEMA)
    documents.get(SWITCHED % "q").operation(None).plan(next(ways()))
    assert plans_alive() - before == 1
    for number in range(20):
        documents.get(f"{{ n{number}: __typename }}")
    assert plans_alive() == before


class Noting(Load):
    """Charges nobody, and takes note of what it would."""

    def __init__(self) -> None:
        super().__init__(by_identity=Rate(1.0, 1.0))
        self.costs: list[int] = []

    def take(self, scope: object, cost: int) -> None:
        self.costs.append(cost)


async def test_a_plan_that_was_not_made_is_charged_as_something_new() -> None:
    executor = Executor(SCHEMA)
    way, other = list(ways())[:2]
    many = "query(" + "".join(f"$s{n}: Boolean! " for n in range(5)) + ") {"
    many += "".join(f" a{n}: __typename @skip(if: $s{n})" for n in range(5)) + " }"

    async def costs(text: str, variables: dict[str, bool] | None = None, *, planned: bool = False) -> list[int]:
        load = Noting()
        prepared = await charge(load, {}, executor, Operation(text, variables=variables))
        if planned:
            assert prepared
            assert isinstance(prepared.plan(variables or {}), Plan)
        return load.costs

    assert await costs(SWITCHED % "q", way) == [PREPARING, 1]
    assert await costs(SWITCHED % "q", way, planned=True) == [PREPARING, 1]
    assert await costs(SWITCHED % "q", way) == [1]
    assert await costs(SWITCHED % "q", other) == [PREPARING, 1]
    assert await costs(SWITCHED % "q") == [1]  # for which there is none
    assert [await costs(many), await costs(many)] == [[PREPARING, 1], [1]]  # nor for this
    assert [await costs("{ wrong }"), await costs("{ wrong }")] == [[PREPARING, 1], [1]]


def test_an_operation_is_found_by_its_name() -> None:
    document = Document(SCHEMA, "query a { __typename } mutation b { __typename } { __typename }")
    assert document.errors  # one without a name must be alone
    document = Document(SCHEMA, "query a { __typename } mutation b { __typename }")
    assert (document.kind("a"), document.kind("b"), document.kind("c")) == (
        OperationType.QUERY,
        OperationType.MUTATION,
        None,
    )
    assert document.operation("b").name == "b"
    for name in (None, "c"):
        with pytest.raises(NotExecutable):
            document.operation(name)
    assert EXECUTOR.kind(Operation("")) is None


def test_a_switch_that_is_no_boolean_has_no_plan() -> None:
    prepared = Document(SCHEMA, "query($s: Boolean!) { __typename @skip(if: $s) a: __typename }").operation(None)
    plans = [prepared.plan({"s": True}), prepared.plan({"s": False})]
    assert [isinstance(plan, Plan) and list(plan.roots) for plan in plans] == [["a"], ["__typename", "a"]]
    for given in ({}, {"s": None}, {"s": 1}, {"s": "true"}):
        assert isinstance(prepared.plan(given), NotCompiled)


def test_where_the_stack_ends_there_is_an_error_or_no_plan() -> None:
    def at(depth: int) -> object:
        if depth:
            return at(depth - 1)
        document = Document(SCHEMA, NESTED)
        return document.errors or document.operation(None).plan({})

    outcomes = {type(at(depth)) for depth in range(0, 800, 3)}
    assert outcomes == {Plan, list} or outcomes == {Plan, list, NotCompiled}


def test_half_a_character_is_escaped_also_within_structs() -> None:
    assert encode({"data": Operation("\ud800")}) == (
        b'{"data": {"query": "\\ud800", "operationName": null, "variables": null, "extensions": null, '
        b'"documentId": null}}'
    )
