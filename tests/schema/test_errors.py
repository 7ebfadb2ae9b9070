"""Errors on their way out: expected ones with a code, unexpected ones as an id that the log explains."""

import logging
from dataclasses import replace
from typing import Any

import pytest
from graphql import GraphQLError

from read_model.orders import CUSTOMER_VIEWS
from schema.errors import told
from store import OutcomeUnknown, StoreError, Throttled, TooLarge, Unavailable, Upsert
from tests.schema.api import UUIDS, Api, new_order, the_error
from write_model.refusals import Contended

ORDER_ID = f"order:ada:{UUIDS[1]}"
SECRET = "the password is swordfish"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Unavailable(SECRET), "UNAVAILABLE"),
        (OutcomeUnknown(SECRET), "UNAVAILABLE"),
        (TooLarge(SECRET), "UNAVAILABLE"),
        (StoreError(SECRET), "UNAVAILABLE"),
        (Throttled(SECRET, 1), "BUSY"),
        (Contended(SECRET), "BUSY"),
        (KeyError(SECRET), "INTERNAL"),
        (ValueError(SECRET), "INTERNAL"),
    ],
)
def test_what_went_wrong_inside_is_told_by_a_code_and_without_details(error: Exception, code: str) -> None:
    message, extensions = told(GraphQLError(SECRET, original_error=error))
    assert extensions["code"] == code
    assert SECRET not in message + str(extensions)


ASKING: list[tuple[str, Any]] = [
    (f'{{ order(id: "{ORDER_ID}") {{ id }} }}', None),
    (f'{{ node(id: "{ORDER_ID}") {{ id }} }}', None),
    ("{ orders { nodes { id } } }", None),
    ('{ customerOrderSummary(customerId: "ada") { id } }', None),
    ('{ productSales(sku: "tea") { id } }', None),
    (f'mutation {{ submitOrder(input: {{orderId: "{ORDER_ID}"}}) {{ __typename }} }}', None),
    (
        "mutation($input: CreateOrderInput!) { createOrder(input: $input) { __typename } }",
        {"input": new_order(commandId=UUIDS[1])},
    ),
]


@pytest.mark.parametrize(("document", "variables"), ASKING, ids=range(len(ASKING)))
async def test_a_store_that_cannot_answer_is_unavailable(
    api: Api, document: str, variables: Any, caplog: pytest.LogCaptureFixture
) -> None:
    await api.gateway.store.close()
    code, message = await api.refused(document, variables)
    assert (code, message) == ("UNAVAILABLE", "The store cannot answer at the moment; try again.")
    assert "the store failed a request" in caplog.text


async def test_a_subscription_to_a_store_that_cannot_answer_is_unavailable(api: Api) -> None:
    await api.gateway.store.close()
    async with api.follow("subscription { ordersUpdated { kind } }") as stream:
        assert the_error(await stream.next_result())[0] == "UNAVAILABLE"
    assert api.watchers == 0


async def test_an_unexpected_error_of_a_query_is_an_id_that_the_log_explains(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    await api.gateway.store.container(CUSTOMER_VIEWS.name).commit("ada", [Upsert(ORDER_ID, {"kind": SECRET})])
    result = await api.execute(f'{{ order(id: "{ORDER_ID}") {{ version }} }}')
    (error,) = result.errors or []
    assert error.extensions
    assert error.extensions["code"] == "INTERNAL"
    assert error.message == f"Unexpected error {error.extensions['id']}."
    assert (SECRET in str(error), error.path) == (False, ["order"])
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert str(error.extensions["id"]) in record.getMessage()
    assert record.exc_info
    assert SECRET in str(record.exc_info[1])


async def test_an_unexpected_error_of_a_command_is_masked_too(api: Api) -> None:
    def broken() -> str:
        raise RuntimeError(SECRET)

    broken_api = Api(replace(api.gateway, context=replace(api.context, new_id=broken)))
    code, message = await broken_api.refused(
        "mutation($input: CreateOrderInput!) { createOrder(input: $input) { __typename } }", {"input": new_order()}
    )
    assert (code, SECRET in message) == ("INTERNAL", False)


async def test_an_unexpected_error_ends_a_stream_with_an_error_and_no_details(live: Api) -> None:
    async with live.follow("subscription { ordersUpdated { kind } }") as stream:
        await stream.next()
        await live.gateway.store.container(CUSTOMER_VIEWS.name).commit("ada", [Upsert(ORDER_ID, {"kind": SECRET})])
        code, message = the_error(await stream.next_result())
    assert (code, SECRET in message) == ("INTERNAL", False)
    assert live.watchers == 0


async def test_an_error_in_one_field_leaves_the_others_alone(api: Api) -> None:
    await api.created()
    await api.project()
    result = await api.execute(f'{{ a: order(id: "x") {{ id }} b: order(id: "{ORDER_ID}") {{ version }} }}')
    assert result.data == {"a": None, "b": {"version": 1}}
    assert the_error(result)[0] == "BAD_ID"


async def test_each_unexpected_error_has_an_id_of_its_own(api: Api) -> None:
    await api.gateway.store.container(CUSTOMER_VIEWS.name).commit("ada", [Upsert(ORDER_ID, {})])
    asked = f'order(id: "{ORDER_ID}") {{ version }}'
    result = await api.execute(f"{{ a: {asked} b: {asked} }}")
    assert len({(error.extensions or {})["id"] for error in result.errors or []}) == 2
