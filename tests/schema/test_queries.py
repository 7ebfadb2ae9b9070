"""Questions: answered from projections, null for what is not there, an error with a code for what makes no sense."""

import pytest

from tests.schema.api import ORDER, UUIDS, Api, Json, everything, line

ORDER_ID = f"order:ada:{UUIDS[1]}"
SALES = everything("ProductSales")
SUMMARY = everything("CustomerOrderSummary")


def dollars(amount: str) -> Json:
    return {"amount": amount, "currency": "USD"}


async def test_an_order_is_null_until_it_is_projected(api: Api) -> None:
    id = await api.created()
    assert await api.order(id) is None
    await api.project()
    assert (await api.order(id) or {})["version"] == 1


async def test_a_summary_adds_up_a_customers_orders(api: Api) -> None:
    for number in (1, 2):
        await api.submitted(number=number)
    latest = await api.created(number=3, currency="EUR")
    await api.created("bob")
    await api.project()
    order = await api.order(latest) or {}
    assert (await api.ask(f'{{ customerOrderSummary(customerId: "ada") {SUMMARY} }}'))["customerOrderSummary"] == {
        "id": "customer:ada",
        "customerId": "ada",
        "totalOrders": 3,
        "totalSpent": [dollars("20.00")],
        "ordersByStatus": [{"status": "DRAFT", "count": 1}, {"status": "SUBMITTED", "count": 2}],
        "lastOrderAt": order["createdAt"],
        "version": 5,
    }


async def test_sales_add_up_what_was_submitted_and_not_cancelled(api: Api) -> None:
    sold = (await api.submitted(number=1))["order"]
    cancelled = await api.submitted("bob", number=2)
    await api.done("cancelOrder", {"orderId": cancelled["order"]["id"], "reason": "late"})
    await api.created("cy", number=3)
    await api.project()
    sales = (await api.ask(f'{{ productSales(sku: "tea") {SALES} }}'))["productSales"]
    assert sales == {
        "id": "product:tea",
        "sku": "tea",
        "title": "Tea",
        "unitsSold": 2,
        "revenue": [dollars("10.00")],
        "orderCount": 1,
        "lastSoldAt": sales["lastSoldAt"],
    }
    assert sales["lastSoldAt"] >= sold["submittedAt"]


NODE = f"""query($id: ID!) {{ node(id: $id) {{ __typename id
  ... on Order {ORDER} ... on CustomerOrderSummary {{ totalOrders }} ... on ProductSales {{ unitsSold }} }} }}"""


async def test_a_node_is_found_by_its_id_whatever_it_is(api: Api) -> None:
    await api.submitted()
    await api.project()
    order, customer, product = [
        (await api.ask(NODE, {"id": id}))["node"] for id in (ORDER_ID, "customer:ada", "product:tea")
    ]
    assert order == {"__typename": "Order", **(await api.order(ORDER_ID) or {})}
    assert customer == {"__typename": "CustomerOrderSummary", "id": "customer:ada", "totalOrders": 1}
    assert product == {"__typename": "ProductSales", "id": "product:tea", "unitsSold": 2}


NOT_THERE = [
    f'node(id: "{ORDER_ID}") {{ id }}',
    'node(id: "customer:nobody") { id }',
    'node(id: "product:nothing") { id }',
    f'order(id: "{ORDER_ID}") {{ id }}',
    'customerOrderSummary(customerId: "nobody") { id }',
    'productSales(sku: "nothing") { id }',
]


@pytest.mark.parametrize("question", NOT_THERE)
async def test_what_is_not_there_is_null(api: Api, question: str) -> None:
    (answer,) = (await api.ask(f"{{ {question} }}")).values()
    assert answer is None


BAD_IDS = [
    *(f'node(id: "{id}") {{ id }}' for id in ("", "x", "order:ada:1", "thing:1", "customer:", "customer:a b", "7")),
    *(f'order(id: "{id}") {{ id }}' for id in ("", "customer:ada", "order:ada:1", ORDER_ID.upper(), f"{ORDER_ID}0")),
    "order(id: 7) { id }",
    'customerOrders(customerId: "") { nodes { id } }',
    'customerOrders(customerId: "order:ada") { nodes { id } }',
    'customerOrderSummary(customerId: "a b") { id }',
    'productSales(sku: "a/b") { id }',
    'orders(filter: {sku: "a b"}) { nodes { id } }',
]


@pytest.mark.parametrize("question", BAD_IDS)
async def test_what_is_no_id_is_an_error(api: Api, question: str) -> None:
    code, _ = await api.refused(f"{{ {question} }}")
    assert code == "BAD_ID"


@pytest.mark.parametrize("id", ["ada", "customer:ada"])
async def test_a_customer_is_named_by_key_or_by_global_id(api: Api, id: str) -> None:
    await api.created()
    await api.project()
    answer = await api.ask(
        "query($id: ID!) { customerOrders(customerId: $id) { nodes { customerId } } "
        "customerOrderSummary(customerId: $id) { id } }",
        {"id": id},
    )
    assert answer == {
        "customerOrders": {"nodes": [{"customerId": "ada"}]},
        "customerOrderSummary": {"id": "customer:ada"},
    }


HISTORY = "query($id: ID!, $first: Int, $after: String) { order(id: $id) { history(first: $first, after: $after) %s } }"
EVENTS = everything("OrderEventConnection")


async def test_the_history_tells_what_happened_in_sentences(api: Api) -> None:
    id = await api.created()
    await api.done("addItem", {"orderId": id, "item": line("jam", title="Jam"), "commandId": UUIDS[9]})
    await api.done("submitOrder", {"orderId": id})
    await api.project()
    history = (await api.ask(HISTORY % EVENTS, {"id": id}))["order"]["history"]
    told = [(event["version"], event["type"], event["summary"]) for event in history["nodes"]]
    assert told == [
        (1, "OrderCreated", "Order created with 1 item"),
        (2, "ItemAdded", "Added 2 x Jam"),
        (3, "OrderSubmitted", "Order submitted"),
    ]
    event = history["nodes"][1]
    assert (event["id"], event["commandId"], event["actor"]) == (f"event:{id}:2", UUIDS[9], None)
    assert [edge["node"] for edge in history["edges"]] == history["nodes"]


async def test_the_history_is_read_in_pages(api: Api) -> None:
    id = await api.created()
    for quantity in range(3, 8):
        await api.done("changeItemQuantity", {"orderId": id, "sku": "tea", "quantity": quantity})
    await api.project()
    versions: list[int] = []
    after: str | None = None
    while True:
        page = (await api.ask(HISTORY % EVENTS, {"id": id, "first": 4, "after": after}))["order"]["history"]
        versions += [event["version"] for event in page["nodes"]]
        assert page["pageInfo"]["hasPreviousPage"] is (after is not None)
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert versions == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("variables", "code"), [({"first": 0}, "BAD_PAGE"), ({"first": 101}, "BAD_PAGE"), ({"after": "x"}, "BAD_CURSOR")]
)
async def test_a_bad_page_of_the_history_is_an_error_and_the_order_null(api: Api, variables: Json, code: str) -> None:
    id = await api.created()
    await api.project()
    result = await api.execute(HISTORY % "{ nodes { id } }", {"id": id, **variables})
    assert result.data == {"order": None}
    assert [(error.path, (error.extensions or {})["code"]) for error in result.errors or []] == [
        (["order", "history"], code)
    ]


@pytest.mark.parametrize(
    "question",
    ['customerOrderSummary(customerId: "product:ada") { id }', 'productSales(sku: "customer:tea") { id }'],
)
async def test_the_id_of_something_else_is_no_customer_and_no_product(api: Api, question: str) -> None:
    answer = await api.execute(f"{{ {question} }}")
    assert answer.errors
    assert [error.extensions for error in answer.errors] == [{"code": "BAD_ID"}]
