"""Commands, slow feeds, cuts, resumes and restarts in any order: what clients see is what was promised."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from tests.engines import Engine, on_engines
from tests.schema.api import UUIDS, Api, Json, Told, line, open_api

LIST = """subscription($after: String) {
  customerOrdersUpdated(customerId: "ada", after: $after) { kind cursor orders { id version } } }"""
ALL = '{ customerOrders(customerId: "ada", first: 100) { nodes { id version } } }'
ASK = """query($id: ID!, $after: [ConsistencyToken!]!, $wait: Int!, $late: OnTimeout!) {
  order(id: $id, consistency: {after: $after, waitMs: $wait, onTimeout: $late}) { version } }"""
ORDERS = 3


@dataclass
class Client:
    """Keeps a list by its frames, on one connection after another."""

    orders: dict[str, int] = field(default_factory=dict)
    cursor: str | None = None

    def take(self, frame: Json) -> None:
        if frame["kind"] == "RESET":
            self.orders.clear()
        for order in frame["orders"]:
            assert order["version"] > self.orders.get(order["id"], 0), "a version came twice, or an older one later"
            self.orders[order["id"]] = order["version"]
        self.cursor = frame["cursor"]


class Shop:
    """A gateway that may be started anew, a client that follows it, and what was acknowledged to it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._running = AsyncExitStack()
        self._following = AsyncExitStack()
        self.client = Client()
        self.acknowledged: dict[str, tuple[int, str]] = {}

    async def start(self) -> None:
        """Open the gateway; its read model moves when it is told to."""
        self.api: Api = await self._running.enter_async_context(open_api(self._engine, projector=False))
        await self.resume()

    async def stop(self) -> None:
        await self._following.aclose()
        await self._running.aclose()

    async def resume(self) -> None:
        """Cut the client's connection, and have it come back."""
        await self._following.aclose()
        variables = {"after": self.client.cursor}
        stream = await self._following.enter_async_context(self.api.follow(LIST, variables))
        self._source: AsyncGenerator[Any, None] = stream.source

    async def command(self, number: int) -> None:
        """Create an order, or change it."""
        id = f"order:ada:{UUIDS[number]}"
        if id not in self.acknowledged:
            input = {"customerId": "ada", "customer": {"name": "Ada", "email": "ada@example.com"}}
            done = await self.api.done("createOrder", input | {"orderUuid": UUIDS[number], "items": [line()]})
        else:
            quantity = self.acknowledged[id][0] + 10
            done = await self.api.done("changeItemQuantity", {"orderId": id, "sku": "tea", "quantity": quantity})
        self.acknowledged[id] = done["order"]["version"], done["consistencyToken"]

    async def ask(self, late: str) -> None:
        """Ask for each order with its token: what is answered shows the write, or says that it does not."""
        for id, (version, token) in self.acknowledged.items():
            asked = {"id": id, "after": [token], "wait": 0, "late": late}
            result = await self.api.execute(ASK, asked)
            if result.errors:
                assert (late, (result.errors[0].extensions or {})["code"]) == ("ERROR", "READ_MODEL_LAGGING")
                continue
            found = ((result.data or {})["order"] or {"version": 0})["version"]
            satisfied = (result.extensions or {})["freshness"]["satisfied"]
            assert satisfied is (found >= version)
            assert satisfied or late == "RETURN_STALE"

    async def read(self) -> None:
        """Have the client read a frame, if there is one."""
        coming = asyncio.ensure_future(anext(self._source))
        await asyncio.wait([coming], timeout=0.01)
        if coming.done():
            self._take(Told.of(coming.result()))
        else:
            coming.cancel()
            await asyncio.wait([coming])
            await self.resume()

    async def read_all(self) -> None:
        """Have the client read until it has all that was acknowledged."""
        expected = {id: version for id, (version, _) in self.acknowledged.items()}
        while self.client.orders != expected or self.client.cursor is None:
            async with asyncio.timeout(60):
                self._take(Told.of(await anext(self._source)))

    def _take(self, result: Told) -> None:
        assert not result.errors, result.errors
        self.client.take((result.data or {})["customerOrdersUpdated"])


STEP = st.one_of(
    st.tuples(st.just("command"), st.integers(1, ORDERS)),
    st.tuples(st.sampled_from(["project", "read", "cut", "restart", "ask", "insist"]), st.just(0)),
)


@on_engines(st.lists(STEP, max_size=20), file=30, cosmos=10)
async def test_whatever_happens_the_promises_hold(engine: Engine, steps: list[tuple[str, int]]) -> None:
    shop = Shop(engine)
    await shop.start()
    try:
        for step, number in steps:
            match step:
                case "command":
                    await shop.command(number)
                case "project":
                    await shop.api.project()
                case "read":
                    await shop.read()
                case "cut":
                    await shop.resume()
                case "restart":
                    await shop.stop()
                    await shop.start()
                case "ask":
                    await shop.ask("RETURN_STALE")
                case "insist":
                    await shop.ask("ERROR")
        await shop.api.project()
        await shop.read_all()
        nodes = (await shop.api.ask(ALL))["customerOrders"]["nodes"]
        assert {order["id"]: order["version"] for order in nodes} == shop.client.orders
        await shop.ask("ERROR")
    finally:
        await shop.stop()
