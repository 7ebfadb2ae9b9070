"""All of the product on Cosmos DB: what each piece of work costs, and what lost answers and splits do not do to it."""

import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from pydantic import SecretStr

from gateway.settings import Settings
from gateway.wiring import Gateway, provision, running_gateway
from projector.apply import apply
from projector.follower import PAGE
from projector.leases import DEFAULT_TIMING, LEASES, LeaseTable, worker_name
from projector.orders import CUSTOMER_ORDERS, PROJECTIONS
from projector.worker import drain
from read_model.orders import CUSTOMER_VIEWS
from read_model.serving import GENERATIONS
from store import Eq, Query, Start
from store.cosmos import CosmosStore
from tests.emulator import Emulator, emulator
from tests.schema.api import UUIDS, Api, Json, line, new_order
from write_model import orders

COSTS = (Path(__file__).parents[2] / "docs" / "cosmos.md").read_text()
WRITE = orders.CONTAINER.name
COMMAND = UUIDS[99]


@pytest.fixture
async def server() -> AsyncIterator[Emulator]:
    async with emulator(partitions=2) as server:
        yield server


@pytest.fixture
async def settings(server: Emulator) -> Settings:
    settings = Settings(store_url=server.url, cosmos_key=SecretStr(server.key), projector=False, freshness_s=3600)
    await provision(settings, dry_run=False)
    return settings


@pytest.fixture
async def gateway(settings: Settings) -> AsyncIterator[Gateway]:
    """A gateway whose read model moves when the test says so."""
    async with running_gateway(settings) as gateway:
        yield gateway


@pytest.fixture
async def store(gateway: Gateway) -> CosmosStore:
    assert isinstance(gateway.store, CosmosStore)
    return gateway.store


@pytest.fixture
def api(gateway: Gateway) -> Api:
    return Api(gateway)


# ---------------------------------------------------------------------------------------------------- lost answers

When = Literal["before", "after"]


async def commands_of(gateway: Gateway, order_id: str) -> int:
    page = await gateway.store.container(WRITE).query(Query("ada", (Eq("kind", "command"), Eq("orderId", order_id))))
    return len(page.documents)


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_create_whose_answer_is_lost_succeeds_once(
    server: Emulator, gateway: Gateway, api: Api, when: When
) -> None:
    server.faults.drop(when, kind="batch")
    payload = await api.done("createOrder", new_order(orderUuid=UUIDS[1], commandId=COMMAND))
    assert (payload["order"]["version"], payload["replayed"]) == (1, False)
    assert await commands_of(gateway, payload["order"]["id"]) == 1


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("known", [True, False])
async def test_a_change_whose_answer_is_lost_succeeds_once(
    server: Emulator, settings: Settings, gateway: Gateway, api: Api, when: When, known: bool
) -> None:
    id = await api.created()
    async with running_gateway(settings) as another:
        server.faults.drop(when, kind="batch")
        api = api if known else Api(another)
        payload = await api.done("addItem", {"orderId": id, "item": line("pen", 1), "commandId": COMMAND})
    (tea, pen) = payload["order"]["items"]
    assert (tea["quantity"], pen["quantity"], payload["order"]["version"]) == (2, 1, 2)
    assert await commands_of(gateway, id) == 2


async def test_a_command_that_is_sent_again_after_a_lost_answer_has_one_effect(server: Emulator, api: Api) -> None:
    id = await api.created()
    again: Json = {"orderId": id, "item": line("pen", 1), "commandId": COMMAND}
    server.faults.drop("after", kind="batch")
    first = await api.done("addItem", again)
    second = await api.done("addItem", again)
    assert (first["replayed"], second["replayed"]) == (False, True)
    assert second["order"] == first["order"]


async def test_a_projection_whose_answer_is_lost_counts_once(server: Emulator, api: Api) -> None:
    await api.submitted()
    server.faults.drop("after", 3, kind="batch")
    await api.project()
    answer = await api.ask(
        '{ productSales(sku: "tea") { unitsSold } customerOrderSummary(customerId: "ada") '
        "{ totalOrders totalSpent { amount } } }"
    )
    assert answer == {
        "productSales": {"unitsSold": 2},
        "customerOrderSummary": {"totalOrders": 1, "totalSpent": [{"amount": "10.00"}]},
    }


async def test_a_feed_that_delivers_twice_counts_once(server: Emulator, api: Api) -> None:
    for number in range(1, 6):
        await api.submitted(number=number)
    server.faults.duplicate_feed(3)
    await api.project()
    assert (await api.ask('{ productSales(sku: "tea") { unitsSold } }'))["productSales"] == {"unitsSold": 10}


async def test_changes_in_quick_succession_are_all_in_the_history(api: Api) -> None:
    """The feed shows an order's latest version only; its commands are documents of their own."""
    id = await api.created()
    for _ in range(3):
        await api.done("addItem", {"orderId": id, "item": line("pen", 1)})
    await api.project()
    answer = await api.ask("query($id: ID!) { order(id: $id) { version history { nodes { version } } } }", {"id": id})
    assert [event["version"] for event in answer["order"]["history"]["nodes"]][-1] == 4
    assert answer["order"]["version"] == 4


async def test_partitions_that_split_and_merge_under_a_projector_lose_and_double_nothing(
    server: Emulator, settings: Settings
) -> None:
    async with running_gateway(settings.model_copy(update={"projector": True})) as gateway:
        api = Api(gateway)
        tokens = []
        for number in range(1, 13):
            customer = f"customer{number}"
            tokens.append((await api.submitted(customer, number=number))["consistencyToken"])
            if number == 4:
                server.split("gateway", WRITE, "0")
                server.split("gateway", CUSTOMER_VIEWS.name, "1")
            if number == 8:
                server.merge("gateway", WRITE, "2", "3")
        sales = await api.ask(
            """query($after: [ConsistencyToken!]!) {
              productSales(sku: "tea", consistency: {after: $after, waitMs: 10000, onTimeout: ERROR}) {
                orderCount unitsSold } }""",
            {"after": tokens},
        )
        assert sales == {"productSales": {"orderCount": 12, "unitsSold": 24}}


async def test_the_order_of_all_orders_holds_over_all_partitions(api: Api, server: Emulator) -> None:
    ids = [await api.created(f"customer{number}", number=number) for number in range(1, 9)]
    await api.project()
    server.split("gateway", CUSTOMER_VIEWS.name, "0")
    answer = await api.ask("{ orders(first: 5) { nodes { id } pageInfo { hasNextPage endCursor } } }")
    assert [order["id"] for order in answer["orders"]["nodes"]] == list(reversed(ids))[:5]


# ---------------------------------------------------------------------------------------------------- tokens, waiting


@pytest.mark.parametrize("wait", [0, 10_000])
async def test_a_token_whose_command_is_projected_is_satisfied_at_once_even_by_who_will_not_wait(
    api: Api, wait: int
) -> None:
    payload = await api.submitted()
    await api.project()
    answer = await api.ask(
        """query($id: ID!, $after: [ConsistencyToken!]!, $wait: Int!) {
          order(id: $id, consistency: {after: $after, waitMs: $wait, onTimeout: ERROR}) { status } }""",
        {"id": payload["order"]["id"], "after": [payload["consistencyToken"]], "wait": wait},
    )
    assert answer == {"order": {"status": "SUBMITTED"}}


# ---------------------------------------------------------------------------------------------------- cost


@dataclass
class Spent:
    """The requests of a piece of work by kind, without the feeds that are followed beside it, and their units."""

    requests: Counter[str] = field(default_factory=Counter)
    units: float = 0.0

    def __str__(self) -> str:
        names = {"batch": "batches", "query": "queries", "read": "reads", "feed": "feed reads"}
        kinds = sorted(self.requests.items(), key=lambda item: list(names).index(item[0]), reverse=True)
        return ", ".join(f"{count} {kind if count == 1 else names[kind]}" for kind, count in kinds if count)


@asynccontextmanager
async def spending(store: CosmosStore, *, feed: bool = False) -> AsyncIterator[Spent]:
    """What is spent in the context, but for looking which generation serves, which goes on beside it."""
    kinds = ("read", "query", "batch", *(("feed",) if feed else ()))
    charges, units = store.charges.copy(), store.units.copy()
    spent = Spent()
    yield spent
    for key, count in (store.charges - charges).items():
        if key[1] in kinds and key[0] != GENERATIONS.name:
            spent.requests[key[1]] += count
            spent.units += store.units[key] - units.get(key, 0.0)


Work = Callable[["Bench"], Awaitable[object]]


@dataclass
class Bench:
    """A gateway with an order of two kinds of items, projected; and one that knows nothing yet."""

    warm: Api
    cold: Api
    id: str

    async def command(self, api: Api, **more: str) -> None:
        await api.done("addItem", {"orderId": self.id, "item": line("pen", 1), **more})

    async def ask(self, document: str) -> None:
        await self.warm.ask(f"{{ {document} }}".replace("$id", f'"{self.id}"'))


WORK: dict[str, Work] = {
    "a command that creates an order": lambda b: b.warm.created(number=7),
    "a command on an order that the process knows": lambda b: b.command(b.warm),
    "a command on another order": lambda b: b.command(b.cold),
    "a command that is sent again": lambda b: b.command(b.warm, commandId=COMMAND),
    "`order(id)`": lambda b: b.ask("order(id: $id) { id status items { sku } }"),
    "`order(id)` with its history": lambda b: b.ask("order(id: $id) { id history { nodes { version } } }"),
    "`customerOrders`": lambda b: b.ask('customerOrders(customerId: "ada", first: 20) { nodes { id } }'),
    "`customerOrderSummary`": lambda b: b.ask('customerOrderSummary(customerId: "ada") { totalOrders }'),
    "`productSales`": lambda b: b.ask('productSales(sku: "tea") { unitsSold }'),
    "`orders`, of all customers, over 2 physical partitions": lambda b: b.ask("orders(first: 20) { nodes { id } }"),
}


@pytest.fixture
async def bench(gateway: Gateway, settings: Settings) -> AsyncIterator[Bench]:
    api = Api(gateway)
    id = await api.created(items=[line("tea"), line("cup", 1, "7.50", "Cup")])
    await api.done("addItem", {"orderId": id, "item": line("pen", 1), "commandId": COMMAND})
    for number in range(2, 7):
        await api.submitted(number=number)
    await api.project()
    async with running_gateway(settings) as another:
        yield Bench(api, Api(another), id)


def documented(work: str) -> str:
    """The row of a piece of work in docs/cosmos.md, without its name."""
    row = re.search(rf"^\| {re.escape(work)} \| (.*) \|$", COSTS, re.MULTILINE)
    assert row, f"docs/cosmos.md does not say what {work} costs"
    return row[1]


@pytest.mark.parametrize("work", WORK)
async def test_work_costs_what_the_documentation_says(bench: Bench, work: str) -> None:
    api = bench.cold if "another" in work else bench.warm
    assert isinstance(api.gateway.store, CosmosStore)
    async with spending(api.gateway.store) as spent:
        await WORK[work](bench)
    assert f"{spent} | {spent.units:.1f}" == documented(work)


async def test_an_idle_feed_range_costs_what_the_documentation_says(store: CosmosStore) -> None:
    container = store.container(CUSTOMER_VIEWS.name)
    scope = (await container.feed_ranges())[0]
    cursor = (await container.changes(scope, Start.NOW)).cursor
    async with spending(store, feed=True) as spent:
        await container.changes(scope, cursor)
    # The live view follows both ranges of two containers beside it.
    assert spent.units / spent.requests["feed"] == 1.0
    assert documented("an idle feed range, each look") == "1 feed read | 1.0"


async def test_projecting_a_page_costs_a_read_and_a_batch_for_each_partition_and_a_checkpoint(
    store: CosmosStore, api: Api
) -> None:
    customers = [f"customer{number}" for number in range(10)]
    for number, customer in enumerate(customers):
        await api.submitted(customer, number=number)
    source = store.container(WRITE)
    changes = 0
    async with spending(store) as spent:
        for scope in await source.feed_ranges():
            page = await source.changes(scope, Start.BEGINNING, PAGE)
            changes += len(page.documents)
            await apply(CUSTOMER_ORDERS, store.container(CUSTOMER_ORDERS.container.name), page.documents)
    assert changes >= 3 * len(customers)
    assert spent.requests["read"] + spent.requests["query"] <= len(customers)
    assert spent.requests["batch"] == len(customers)
    table = LeaseTable(store.container(LEASES.name), CUSTOMER_ORDERS.key, worker_name(), DEFAULT_TIMING)
    await table.look(source)
    lease = await table.take(table.wanted(())[0])
    assert lease
    lease.advance(page.cursor, len(page.documents))
    async with spending(store) as spent:
        await lease.renew()
    assert str(spent) == "1 batch"


async def test_no_work_reads_what_a_container_is(server: Emulator, bench: Bench) -> None:
    before = server.counts()
    for work in WORK.values():
        await work(bench)
    await drain(bench.warm.gateway.store, PROJECTIONS)
    spent = server.counts() - before
    assert [kind for kind in ("account", "database", "container", "offer", "plan") if spent[kind]] == []
