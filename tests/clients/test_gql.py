"""The recipe for gql, run against a served gateway through a proxy that cuts its connections."""

import asyncio
import re
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.clients import gql_orders
from tests.clients.gql_orders import CREATE, Order, Orders
from tests.clients.proxy import Proxy, proxy
from tests.served import Served, ask, http, served

PAGE = Path(__file__).parents[2] / "docs/clients/gql.md"
LAMP = {"sku": "LAMP-1", "title": "Desk lamp", "quantity": 1, "unitPrice": "19.90"}


class Desk:
    """A client and all that it showed."""

    def __init__(self, gateway: Served, between: Proxy) -> None:
        self.gateway, self.between = gateway, between
        self.customer_id = f"customer-{uuid.uuid4()}"
        self.pictures: list[list[Order]] = []
        self.frames: list[dict[str, Any]] = []
        self.orders = Orders(between.url, self.customer_id, self.pictures.append, self.frames.append)
        self.create, self.submit = self.orders.create, self.orders.submit

    def statuses(self) -> list[tuple[int, str]]:
        """What is shown now."""
        return [(order["version"], order["status"]) for order in self.orders.shown()]

    async def others_create(self) -> str:
        """Past the proxy, as somebody else would."""
        customer = {"name": "Somebody else", "email": "else@example.com"}
        values = {"customerId": self.customer_id, "customer": customer, "items": [LAMP]}
        async with http(self.gateway) as session:
            return str((await ask(session, CREATE, input=values))["outcome"]["order"]["id"])


@pytest.fixture
async def desk(store_url: str) -> AsyncIterator[Desk]:
    """A client behind a proxy; afterwards, that nothing came twice and nothing went back."""
    async with served() as gateway, proxy(gateway.url) as between:
        desk = Desk(gateway, between)
        async with desk.orders:
            await until(lambda: bool(desk.frames))
            yield desk
    assert [frame["kind"] for frame in desk.frames] == ["SNAPSHOT"] + ["CHANGES"] * (len(desk.frames) - 1)
    versions: dict[str, int] = {}
    for order in (order for frame in desk.frames for order in frame["orders"]):
        assert order["version"] > versions.get(order["id"], 0)
        versions[order["id"]] = order["version"]
    for picture in desk.pictures:
        assert len({order["id"] for order in picture}) == len(picture)


async def until(condition: Callable[[], bool]) -> None:
    """Resolves once the condition holds."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110  another process
            await asyncio.sleep(0.01)


def test_the_code_of_the_page_is_all_of_the_client() -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert "\n\n".join(blocks) == Path(gql_orders.__file__).read_text()


async def test_an_order_is_shown_before_its_answer_and_is_there_once_after_answer_and_frame(desk: Desk) -> None:
    outcome = await desk.create([LAMP])
    assert desk.pictures[1] == [{"id": outcome["order"]["id"], "version": 0, "status": "DRAFT", "itemCount": 1}], (
        "the first is the snapshot's"
    )
    assert outcome["__typename"] == "OrderCommandSucceeded"
    await until(lambda: len(desk.frames) > 1)
    assert desk.frames[1]["orders"] == [outcome["order"]]
    assert desk.orders.shown() == [outcome["order"]]


async def test_what_somebody_else_does_is_shown(desk: Desk) -> None:
    id = await desk.others_create()
    await until(lambda: [order["id"] for order in desk.orders.shown()] == [id])


async def test_what_is_refused_is_taken_back(desk: Desk) -> None:
    refused = await desk.create([{**LAMP, "quantity": 0}])
    assert refused["__typename"] == "CommandRejected"
    assert [len(picture) for picture in desk.pictures] == [0, 1, 0]

    order = (await desk.create([LAMP]))["order"]
    for version, typename in [(1, "CommandRejected"), (7, "VersionConflict")]:
        begun = len(desk.pictures)
        outcome = await desk.submit({**order, "version": version})
        assert outcome["__typename"] == typename
        assert "SUBMITTED" in [shown["status"] for picture in desk.pictures[begun:] for shown in picture]
        assert desk.statuses() == [(1, "DRAFT")]


async def test_after_a_cut_the_list_goes_on_behind_its_cursor(desk: Desk) -> None:
    mine = (await desk.create([LAMP]))["order"]["id"]
    await until(lambda: len(desk.frames) > 1)
    assert desk.between.down() > 0
    theirs = await desk.others_create()
    before = len(desk.frames)
    desk.between.up()
    await until(lambda: len(desk.orders.shown()) == 2)
    assert [order["id"] for frame in desk.frames[before:] for order in frame["orders"]] == [theirs]
    assert [order["id"] for order in desk.orders.shown()] == [mine, theirs]


async def test_a_command_whose_answer_was_lost_is_sent_again_and_has_one_effect(desk: Desk) -> None:
    desk.between.mute()
    creating = asyncio.create_task(desk.create([LAMP]))
    await until(lambda: len(desk.orders.shown()) == 1)
    [order] = desk.orders.shown()
    async with http(desk.gateway) as session, asyncio.timeout(60):
        while (await ask(session, "query ($id: ID!) { order(id: $id) { id } }", id=order["id"]))["order"] is None:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert desk.statuses() == [(0, "DRAFT")]
    desk.between.down()
    desk.between.up()
    outcome = await creating
    assert outcome["replayed"] is True
    await until(lambda: len(desk.frames) > 1)
    assert desk.statuses() == [(1, "DRAFT")]
