"""The scalars: what they accept, what they make of it, and that they refuse all else in a sentence."""

import itertools
from decimal import Decimal
from typing import Any

import pytest
from graphql import GraphQLError

from schema.scalars import SCALARS, parse_date_time, parse_decimal, parse_uuid
from tests.schema.api import UUIDS, Api, Json, line, new_order

NAN, INFINITY = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("19.99", "19.99"),
        ("0", "0"),
        ("-1.50", "-1.50"),
        ("007", "7"),
        (7, "7"),
        (-7, "-7"),
        (0, "0"),
        ("1" * 20, "1" * 20),
    ],
)
def test_a_decimal_is_read_exactly_from_digits_and_integers(given: Any, meant: str) -> None:
    assert parse_decimal(given) == Decimal(meant)


BAD_DECIMALS: list[Any] = [
    1.5,
    1.0,
    NAN,
    INFINITY,
    True,
    False,
    10**20,
    -(10**20),
    None,
    [],
    {},
    "",
    " 1",
    "1 ",
    "1\n",
    "+1",
    "1.",
    ".5",
]
BAD_DECIMALS += [
    "1e5",
    "1E5",
    "NaN",
    "Infinity",
    "1,5",
    "1_000",
    "0x10",
    "\u0661",
    "1" * 21,
    "0." + "1" * 21,
    "1" * 1_000_000,
]


@pytest.mark.parametrize("given", BAD_DECIMALS, ids=range(len(BAD_DECIMALS)))
def test_what_is_no_exact_number_is_no_decimal(given: Any) -> None:
    with pytest.raises(GraphQLError, match="A Decimal is a string of digits") as refused:
        parse_decimal(given)
    assert len(refused.value.message) < 200


def test_a_uuid_is_read_in_either_case_and_kept_in_lower_case() -> None:
    assert parse_uuid("123E4567-E89B-12D3-A456-426614174000") == "123e4567-e89b-12d3-a456-426614174000"


BAD_UUIDS: list[Any] = [
    *(None, 1, True, [], "", "x", UUIDS[0] + "0", UUIDS[0] + "\n", UUIDS[0].replace("-", ""), "{" + UUIDS[0] + "}"),
    *("urn:uuid:" + UUIDS[0], UUIDS[0].replace("1", "g"), UUIDS[0].replace("1", "\u0661"), "a" * 1_000_000),
]


@pytest.mark.parametrize("given", BAD_UUIDS, ids=range(len(BAD_UUIDS)))
def test_what_has_not_the_form_of_a_uuid_is_none(given: Any) -> None:
    with pytest.raises(GraphQLError, match="A UUID reads") as refused:
        parse_uuid(given)
    assert len(refused.value.message) < 200


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00.000000Z"),
        ("2026-01-31t12:00:00z", "2026-01-31T12:00:00.000000Z"),
        ("2026-01-31 12:00:00+00:00", "2026-01-31T12:00:00.000000Z"),
        ("2026-01-31T12:00:00+05:30", "2026-01-31T06:30:00.000000Z"),
        ("2026-01-01T00:30:00+01:00", "2025-12-31T23:30:00.000000Z"),
        ("2026-01-31T12:00:00.5-00:00", "2026-01-31T12:00:00.500000Z"),
        ("2024-02-29T23:59:59.123456Z", "2024-02-29T23:59:59.123456Z"),
    ],
)
def test_a_moment_is_kept_in_utc_with_microseconds(given: str, meant: str) -> None:
    assert parse_date_time(given) == meant


BAD_MOMENTS: list[Any] = [
    *(None, 1, 1.5, True, [], "", "now", "2026-01-31", "2026-01-31T12:00:00", "2026-01-31T12:00Z", "20260131T120000Z"),
    *("2026-02-30T12:00:00Z", "2026-13-01T12:00:00Z", "2026-01-31T24:00:01Z", "2026-01-31T12:60:00Z"),
    *("2026-01-31T12:00:00+25:00", "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00", "0000-01-01T00:00:00Z"),
    *("2026-01-31T12:00:00Z\n", "\uff12026-01-31T12:00:00Z", "2026-01-31T12:00:00." + "1" * 1_000_000 + "Z", "\ud800"),
]


@pytest.mark.parametrize("given", BAD_MOMENTS, ids=range(len(BAD_MOMENTS)))
def test_what_is_no_moment_with_an_offset_is_no_date_time(given: Any) -> None:
    with pytest.raises(GraphQLError, match="A DateTime reads") as refused:
        parse_date_time(given)
    assert len(refused.value.message) < 200


def test_moments_sort_as_text_as_they_do_in_time() -> None:
    given = ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000001Z", "2026-01-01T01:00:00+00:30", "2026-01-01T00:30:01Z"]
    assert all(earlier < later for earlier, later in itertools.pairwise(map(parse_date_time, given)))


@pytest.mark.parametrize("given", [None, 1, 1.5, True, [], {}])
def test_a_consistency_token_is_a_string(given: Any) -> None:
    (definition,) = [definition for definition in SCALARS.values() if definition.name == "ConsistencyToken"]
    assert definition.parse_value
    assert definition.parse_value("x") == "x"
    with pytest.raises(GraphQLError, match="A ConsistencyToken is a string"):
        definition.parse_value(given)


@pytest.mark.parametrize("price", ["5", 5, "5.0", "5.00"])
async def test_a_price_may_be_a_string_or_an_integer_and_is_answered_as_a_string(api: Api, price: Any) -> None:
    order = (await api.done("createOrder", new_order(items=[line(price=price)])))["order"]
    assert order["items"][0]["unitPrice"] == {"amount": "5.00", "currency": "USD"}


INPUTS: list[Json] = [
    *({"items": [line(price=price)]} for price in (1.5, NAN, INFINITY, True, "1e5", 10**20, None)),
    *({"items": [line(quantity=quantity)]} for quantity in (2**31, -(2**31) - 1, 1.5, "1", True, None)),
    {"orderUuid": "x"},
    {"commandId": 7},
]


@pytest.mark.parametrize("input", INPUTS, ids=str)
async def test_a_bad_value_in_a_variable_is_an_error_with_a_code(api: Api, input: Json) -> None:
    document = "mutation($input: CreateOrderInput!) { createOrder(input: $input) { __typename } }"
    code, message = await api.refused(document, {"input": new_order() | input})
    assert code == "BAD_INPUT"
    assert "$input" in message


LITERALS = ["1.5", "true", '"1e5"', "NaN", "1e400", "9" * 21, "9" * 5000, "[1, 2]", '{a: "1"}', "null", '"\\ud800"']


@pytest.mark.parametrize("amount", LITERALS, ids=range(len(LITERALS)))
async def test_a_bad_value_in_a_document_is_an_error(api: Api, amount: str) -> None:
    document = 'mutation { recordPayment(input: {orderId: "x", amount: %s, reference: "r"}) { __typename } }'
    result = await api.execute(document % amount)
    assert result.data is None
    assert [error.message[:5] for error in result.errors or []] != []
    assert not any((error.extensions or {}).get("code") == "INTERNAL" for error in result.errors or [])
