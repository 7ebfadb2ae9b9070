"""Documents are prepared once, kept within bounds, and never bring anything down."""

import pytest
from graphql import OperationType

from gateway.execution import NotExecutable, Operation
from gateway.execution import documents as documents_module
from gateway.execution.documents import Document, Documents
from gateway.execution.plans import Plan
from gateway.execution.selections import NotCompiled
from gateway.json import encode
from tests.schema.api import EXECUTOR, SCHEMA

NESTED = '{ order(id: "x") { ' + "... { " * 60 + "id" + " }" * 60 + " } }"


def test_a_document_is_prepared_once() -> None:
    documents = Documents(SCHEMA)
    one = documents.get("{ __typename }")
    assert documents.get("{ __typename }") is one
    assert one.operation(None).plan({}) is one.operation(None).plan({})


def test_those_that_were_not_asked_for_lately_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents_module, "MAX_CHARACTERS", 180)
    documents = Documents(SCHEMA)
    first, second = documents.get("{ a: __typename }"), documents.get("{ b: __typename }")
    for number in range(20):
        assert documents.get("{ a: __typename }") is first
        documents.get(f"{{ n{number}: __typename }}")
    assert documents.get("{ a: __typename }") is first
    assert documents.get("{ b: __typename }") is not second


def test_a_very_long_document_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents_module, "MAX_CHARACTERS", 200)
    documents = Documents(SCHEMA)
    text = "{ long: __typename }" + " " * 10
    assert documents.get(text) is not documents.get(text)


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
