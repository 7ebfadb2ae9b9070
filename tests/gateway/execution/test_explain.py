"""What has no plan is told, with the reason."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli import app


def explain(tmp_path: Path, document: str) -> tuple[int, list[str]]:
    path = tmp_path / "document.graphql"
    path.write_text(document)
    result = CliRunner().invoke(app, ["explain", str(path)])
    return result.exit_code, result.output.splitlines()


ALL = """
query Desk($id: ID!, $history: Boolean!) {
  __typename
  order(id: $id) { id status }
  mine: order(id: $id) { number: version history(first: 5) @include(if: $history) { nodes { type } } }
}
mutation Add($input: AddItemInput!) { addItem(input: $input) { __typename } }
subscription Follow($id: ID!) { orderUpdated(id: $id) { version } }
"""


def test_each_operation_is_told_with_its_plan(tmp_path: Path) -> None:
    assert explain(tmp_path, ALL) == (
        0,
        [
            "query Desk, $history true: by a plan",
            "  __typename: the name of the type",
            "  order: Query.order; of a read document only what is selected is decoded",
            "  mine: Query.order",
            "    then of each: Order.history; of a read document only what is selected is decoded",
            "query Desk, $history false: by a plan",
            "  __typename: the name of the type",
            "  order: Query.order; of a read document only what is selected is decoded",
            "  mine: Query.order",
            "mutation Add: by a plan",
            "  addItem: Mutation.addItem",
            "subscription Follow: by a plan",
            "  orderUpdated: Subscription.orderUpdated",
        ],
    )


SWITCHES = " ".join(f"f{number}: __typename @skip(if: $s{number})" for number in range(5))
DECLARED = ", ".join(f"$s{number}: Boolean!" for number in range(5))


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ("{ __schema { types { name } } }", "introspection"),
        ("{ projections { lagSeconds } }", "type Float"),
        (
            '{ order(id: "x") { a: version b: version } }',
            "Order.version, which is selected twice under different names",
        ),
        (f"query({DECLARED}) {{ {SWITCHES} }}", "more than 4 switches"),
        (
            "query($s: [OrderStatus!]) { orders(filter: {status: $s}) { nodes { id } } }",
            "a variable within the literal of an argument",
        ),
        (
            "mutation($i: AddItemInput!) { a: addItem(input: $i) { __typename } b: addItem(input: $i) { __typename } }",
            "a mutation of 2 fields",
        ),
    ],
)
def test_what_has_no_plan_is_told_why(tmp_path: Path, document: str, reason: str) -> None:
    code, (line, *_) = explain(tmp_path, document)
    assert (code, line.endswith(f": by the reference executor, for {reason}")) == (1, True), line


def test_what_is_wrong_with_a_document_is_told(tmp_path: Path) -> None:
    assert explain(tmp_path, "{ nothing }") == (1, ["Cannot query field 'nothing' on type 'Query'. (line 1)"])
    assert explain(tmp_path, "{") == (1, ["Syntax Error: Expected Name, found <EOF>. (line 1)"])
    assert explain(tmp_path, "")[0] == 1
    assert CliRunner().invoke(app, ["explain", str(tmp_path / "no such file")]).exit_code == 1


def test_a_document_comes_from_stdin_too() -> None:
    result = CliRunner().invoke(app, ["explain", "-"], input="{ __typename }")
    assert (result.exit_code, result.output.splitlines()[0]) == (0, "query (without a name): by a plan")
