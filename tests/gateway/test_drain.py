"""The end of a process: what streams has a last frame and goes on elsewhere, what was begun is answered."""

import asyncio
import itertools
import json
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.edge import Edge, open_edge
from tests.gateway.raw import RawClient
from tests.gateway.subscribers import OVER, Socket, over_socket
from tests.gateway.test_gone import LARGE, committing, create_large, held_up
from tests.gateway.test_transports import CHANGE, CREATE, EVERY, LIST, ORDER_ID, Over, change, create, frame
from tests.projector.world import PATIENCE_S, until
from tests.schema.api import UUIDS, line, new_order
from tests.served import Served, ask, http, served

CUT = {"websocket": "1012", "events": "cut", "parts": "cut"}
ONE = f'subscription {{ orderUpdated(id: "{ORDER_ID}") {{ version }} }}'


def how(over: Over) -> str:
    return next(CUT[name] for name, one in OVER.items() if one is over)


async def readiness(edge: Edge) -> tuple[int, dict[str, str]]:
    status, text = await edge.get("/readyz")
    return status, json.loads(text)["problems"]


@EVERY
async def test_a_list_has_a_last_frame_with_its_cursor_and_is_cut_for_its_client_to_go_on(over: Over) -> None:
    async with open_edge(drain_s=PATIENCE_S) as edge, over(edge.url, LIST) as client:
        assert frame(await client.next()) == ("SNAPSHOT", [])
        edge.server.should_exit = True
        assert frame(await client.next()) == ("CHANGES", [])
        assert await client.end() == how(over)


@EVERY
async def test_what_has_no_cursor_is_cut_when_all_is_sent(over: Over) -> None:
    async with open_edge(drain_s=PATIENCE_S) as edge:
        await create(edge)
        async with over(edge.url, ONE) as client:
            await client.next()
            edge.server.should_exit = True
            assert await client.end() == how(over)


@EVERY
async def test_what_is_begun_while_draining_is_cut_as_well(tmp_path: Path, over: Over) -> None:
    async with held_open(tmp_path / "store.db") as edge:
        if how(over) == "1012":
            async with edge.websocket() as socket:
                assert await Socket(socket).receive() == 1012
        else:
            async with over(edge.url, LIST) as client:
                assert [frame(await client.next())[0] for _ in range(2)] == ["SNAPSHOT", "CHANGES"]
                assert await client.end() == "cut"


@asynccontextmanager
async def held_open(store: Path, drain_s: float = PATIENCE_S) -> AsyncIterator[Edge]:
    """An edge that drains, and cannot end before a command on a socket of its has; which it does with the context."""
    async with open_edge(store, drain_s=drain_s, projector=False) as edge:
        with held_up(store):
            async with over_socket(edge.url, CREATE, {"input": new_order()}) as socket:
                await until(lambda: committing(edge))
                edge.server.should_exit = True
                await until(lambda: edge.gateway.drain.begun)
                yield edge
                edge.gateway.drain.begin()  # which may be said again
                socket.vanish()


async def test_a_process_that_drains_is_not_ready_and_goes_on_answering(tmp_path: Path) -> None:
    async with held_open(tmp_path / "store.db") as edge:
        assert await readiness(edge) == (503, {"draining": "the process is about to end"})
        assert await edge.ask("{ orders { nodes { id } } }") == {"orders": {"nodes": []}}


async def test_a_command_on_a_socket_is_answered_before_it_is_closed_and_no_other_is_begun(tmp_path: Path) -> None:
    store = tmp_path / "store.db"
    async with open_edge(store, drain_s=PATIENCE_S) as edge:
        with held_up(store) as holder:
            async with over_socket(edge.url, CREATE, {"input": new_order()}) as socket:
                await until(lambda: committing(edge))
                edge.server.should_exit = True
                await until(lambda: edge.gateway.drain.begun)
                payload = {"query": "{ __typename }"}
                await socket.socket.send_json({"type": "subscribe", "id": "2", "payload": payload})
                await socket.socket.send_json({"type": "ping"})
                assert await socket.receive() == {"type": "pong"}
                holder.execute("ROLLBACK")
                assert (await socket.next())["data"]["createOrder"]["__typename"] == "OrderCommandSucceeded"
                assert [await socket.end(), await socket.end()] == ["complete", "1012"]


async def test_a_command_over_http_is_answered_before_the_end(tmp_path: Path) -> None:
    store = tmp_path / "store.db"
    async with open_edge(store) as edge:
        with held_up(store) as holder:
            asking = asyncio.create_task(edge.post({"query": CREATE, "variables": {"input": new_order()}}))
            await until(lambda: committing(edge))
            edge.server.should_exit = True
            await until(lambda: edge.gateway.drain.begun)
            holder.execute("ROLLBACK")
            assert (await asking)[0] == 200


@pytest.mark.parametrize("drain_s", [0, 0.2])
async def test_a_client_that_does_not_read_cannot_hold_up_the_end(drain_s: float) -> None:
    async with asyncio.timeout(PATIENCE_S):
        async with open_edge(drain_s=drain_s) as edge:
            await create_large(edge)
            client = RawClient(edge.url)
            await client.begin(LARGE)
            for quantity in range(3, 20):
                await change(edge, quantity)
        await client.ended()
        client.reset()
        assert edge.server.server_state.connections == set()


async def test_told_twice_by_hand_it_ends_at_once(tmp_path: Path) -> None:
    async with asyncio.timeout(PATIENCE_S):
        async with held_open(tmp_path / "store.db", drain_s=10 * PATIENCE_S) as edge:
            edge.server.handle_exit(signal.SIGINT, None)


# ---------------------------------------------------------------------------------------------- real processes


class Follower:
    """A client that keeps a list of orders from the frames that it is sent, on one connection after another."""

    def __init__(self) -> None:
        self.orders: dict[str, int] = {}
        self.cursor: str | None = None
        self.codes: list[str] = []

    async def follow(self, gateway: Served) -> None:
        """Keep the list, from where it was left, until the socket is closed."""
        async with over_socket(gateway.url, LIST, {"after": self.cursor}) as socket:
            while isinstance(told := await socket.receive(), dict):
                assert told["type"] == "next", told
                self._take(told["payload"]["data"]["customerOrdersUpdated"])
        self.codes.append(str(told))

    async def shows_what_is_there(self, gateway: Served) -> bool:
        """Whether the list is what a fresh query answers."""
        return self.orders == await orders(gateway)

    def _take(self, told: dict[str, Any]) -> None:
        assert told["kind"] == ("CHANGES" if self.cursor else "SNAPSHOT")
        self.cursor = told["cursor"]
        for order in told["orders"]:
            assert self.orders.get(order["id"], 0) < order["version"]
            self.orders[order["id"]] = order["version"]


ALL = '{ customerOrders(customerId: "ada", first: 100) { nodes { id version } } }'


async def orders(gateway: Served) -> dict[str, int]:
    async with http(gateway) as session:
        return {order["id"]: order["version"] for order in (await ask(session, ALL))["customerOrders"]["nodes"]}


async def write(gateway: Served, number: int) -> None:
    """Create an order, and change the first one."""
    async with http(gateway) as session:
        await ask(session, CREATE, input=new_order(orderUuid=UUIDS[number], items=[line()]))
        await ask(session, CHANGE, input={"orderId": ORDER_ID, "sku": "tea", "quantity": number + 10})


async def test_a_rolling_restart_loses_nothing_and_ends_well(store_url: str) -> None:
    follower, number = Follower(), itertools.count(2)
    async with AsyncExitStack() as stack, asyncio.timeout(PATIENCE_S):
        processes = [await stack.enter_async_context(served()) for _ in range(2)]
        await write(processes[0], 1)
        for _ in range(2):
            old, other = processes
            following = asyncio.create_task(follower.follow(old))
            await write(other, next(number))
            await until(partial(follower.shows_what_is_there, other))
            await old.stop()
            assert old.process.returncode == 0
            await following
            processes = [other, await stack.enter_async_context(served())]
            await write(other, next(number))
        following = asyncio.create_task(follower.follow(processes[0]))
        await until(lambda: (len(follower.orders), follower.orders.get(ORDER_ID)) == (5, 6))
        assert await follower.shows_what_is_there(processes[1])
        await processes[0].stop()
        await following
    assert follower.codes == ["1012"] * 3


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
async def test_each_of_several_workers_drains(store_url: str, how: signal.Signals) -> None:
    async with asyncio.timeout(PATIENCE_S), served("--workers", "2") as gateway, AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(over_socket(gateway.url, LIST)) for _ in range(8)]
        for socket in sockets:
            assert frame(await socket.next()) == ("SNAPSHOT", [])
        stopping = asyncio.create_task(gateway.stop(how))
        for socket in sockets:
            assert frame(await socket.next()) == ("CHANGES", [])
            assert await socket.end() == "1012"
        await stopping
    assert gateway.process.returncode == 0
