"""`gateway demo`: orders through the real command path, and how to look at them."""

import re
from collections import Counter
from pathlib import Path

import pytest

from gateway.demo import load
from gateway.settings import Settings
from gateway.wiring import running_gateway
from tests.schema.api import Api, Json

PAGE = """query($after: String) { orders(first: 100, after: $after) {
  nodes { id status customerId total { currency } } pageInfo { hasNextPage endCursor } } }"""


async def everybodys(api: Api) -> list[Json]:
    found: list[Json] = []
    after = None
    while True:
        page = (await api.ask(PAGE, {"after": after}))["orders"]
        found += page["nodes"]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            return found


async def test_what_the_demo_says_agrees_with_what_queries_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(store_url=f"sqlite:///{tmp_path}/store.db")
    await load(settings, 30, seed=1)
    said = capsys.readouterr().out
    assert f"gateway serve --store {settings.store_url}" in said
    commands = re.search(r"30 orders by (\d+) commands: (.*)\.\n", said)
    document = re.search(r"^query \{.*^\}", said, re.MULTILINE | re.DOTALL)
    assert commands
    assert document
    told = {status.upper(): int(count) for count, status in re.findall(r"(\d+) (\w+)", commands[2])}
    async with running_gateway(settings) as gateway:
        api = Api(gateway)
        orders = await everybodys(api)
        assert Counter(told) == Counter(order["status"] for order in orders)
        assert sum(told.values()) == 30
        assert await commands_kept(api, orders) == int(commands[1])
        answers = await api.ask(document[0])
        shown = answers["customerOrders"]["nodes"]
        assert answers["order"]["history"]["nodes"]
        assert answers["productSales"]["unitsSold"] > 0
        customer = answers["order"] and shown[0]["id"].split(":")[1]
        mine = [order for order in orders if order["customerId"] == customer]
        assert answers["customerOrderSummary"]["totalOrders"] == len(mine)
        assert len(shown) == min(3, len(mine))


async def commands_kept(api: Api, orders: list[Json]) -> int:
    """How many steps the histories of the orders have."""
    count = 0
    for order in orders:
        document = "query($id: ID!) { order(id: $id) { history(first: 100) { nodes { id } } } }"
        count += len((await api.ask(document, {"id": order["id"]}))["order"]["history"]["nodes"])
    return count


async def test_a_second_demo_adds_the_same_orders_again(tmp_path: Path) -> None:
    settings = Settings(store_url=f"sqlite:///{tmp_path}/store.db")
    counts = []
    for _ in range(2):
        await load(settings, 10, seed=7)
        async with running_gateway(settings) as gateway:
            counts.append(Counter((order["customerId"], order["status"]) for order in await everybodys(Api(gateway))))
    assert counts[1] == counts[0] + counts[0]


async def test_a_demo_of_one_order_works(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    await load(Settings(store_url=f"sqlite:///{tmp_path}/store.db"), 1, seed=3)
    assert "1 orders by" in capsys.readouterr().out
