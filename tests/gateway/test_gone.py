"""Clients that go away or do not read: nobody else notices, and nothing of them stays."""

import asyncio
import gc
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from gateway.limits.configured import Limits
from gateway.settings import Settings
from gateway.transports.websocket import Conversation
from read_model.watches import Watch
from tests.gateway.edge import Edge, open_edge
from tests.gateway.raw import RawClient, text_frame
from tests.gateway.subscribers import over_socket
from tests.gateway.test_transports import CREATE, ORDER_ID, change, create
from tests.projector.world import PATIENCE_S, until
from tests.schema.api import UUIDS, line, new_order

TOKEN = CREATE.replace("__typename", "... on OrderCommandSucceeded { consistencyToken }")
ONE = f'subscription {{ orderUpdated(id: "{ORDER_ID}") {{ version }} }}'
CLIENTS = 1000


async def ways_to_go(edge: Edge, number: int) -> None:
    """Connect, and go at some point of the conversation."""
    client = RawClient(edge.url)
    subscribe = {"type": "subscribe", "id": "1", "payload": {"query": ONE}}
    match number % 10:
        case 0:
            await client.connect()
            await client.write(b"GET /graphql HT")
        case 1:
            await client.handshake()
        case 2:
            await client.handshake()
            await client.send({"type": "connection_init"})
        case 3:
            await client.handshake()
            await client.write(text_frame(b'{"type": "connection_init"}')[:7])
        case 4:
            await client.begin("{ orders { nodes { id } } }")
        case 5:
            await client.connect()
            body = json.dumps({"query": ONE}).encode()
            head = "POST /graphql/stream HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            await client.write(head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        case 6:
            await client.begin(ONE)
            await client.send({**subscribe, "id": "2"})
            await client.receive()
        case _:
            await client.begin(ONE)
    client.reset()


def left(edge: Edge) -> dict[str, int]:
    """What there is of clients."""
    gc.collect()
    objects = gc.get_objects()
    sockets = edge.gateway.telemetry.metrics.registry.get_sample_value("gateway_sockets")
    return {
        "tasks": len(asyncio.all_tasks()),
        "watchers": edge.gateway.context.live.watchers,
        "sockets": int(sockets or 0),
        "held": edge.gateway.drain.held,
        "connections": len(edge.server.server_state.connections),
        "files": len(os.listdir("/proc/self/fd")),
        "conversations": sum(isinstance(one, Conversation) for one in objects),
        "watches": sum(isinstance(one, Watch) for one in objects),
    }


async def test_a_thousand_clients_that_go_abruptly_leave_nothing_behind() -> None:
    async with open_edge() as edge:
        await create(edge)
        await edge.http.close()
        await until(lambda: not edge.server.server_state.connections)
        before = left(edge)
        for begin in range(0, CLIENTS, 50):
            await asyncio.gather(*(ways_to_go(edge, number) for number in range(begin, begin + 50)))
        with suppress(TimeoutError):
            await until(lambda: left(edge) == before)
        assert left(edge) == before


TITLE = "\U0001f375" * 200
ITEMS = [line(f"tea{number}", title=TITLE) for number in range(1, 100)]
FIELDS = " ".join(f"i{number}: items {{ title }}" for number in range(8))
LARGE = f'subscription {{ orderUpdated(id: "{ORDER_ID}") {{ version {FIELDS} }} }}'
"""Of an order of 100 items, about 700 KB a frame."""


async def create_large(edge: Edge) -> None:
    await edge.ask(CREATE, {"input": new_order(orderUuid=UUIDS[1], items=[line(), *ITEMS])})


async def test_a_client_that_does_not_read_delays_nobody_and_gets_fewer_and_newer_frames(edge: Edge) -> None:
    await create_large(edge)
    slow = RawClient(edge.url)
    await slow.begin(LARGE)
    last = 31
    async with over_socket(edge.url, ONE) as quick:
        assert (await quick.next())["data"]["orderUpdated"]["version"] == 1
        for version in range(2, last + 1):
            await change(edge, version + 10)
            assert (await quick.next())["data"]["orderUpdated"]["version"] == version
    versions: list[int] = []
    async with asyncio.timeout(PATIENCE_S):
        while not versions or versions[-1] < last:
            opcode, content = await slow.receive()
            assert opcode == 1
            versions.append(json.loads(content)["payload"]["data"]["orderUpdated"]["version"])
    slow.reset()
    assert versions == sorted(set(versions))
    assert len(versions) < last


async def test_frames_of_several_operations_on_one_slow_socket_come_whole(edge: Edge) -> None:
    await create_large(edge)
    slow = RawClient(edge.url)
    await slow.begin(LARGE)
    for id in ("2", "3", "4"):
        await slow.send({"type": "subscribe", "id": id, "payload": {"query": LARGE}})
    await until(lambda: edge.gateway.context.live.watchers == 4)
    for quantity in range(3, 9):
        await change(edge, quantity)
    latest: dict[str, int] = {}
    async with asyncio.timeout(PATIENCE_S):
        while set(latest.values()) != {7} or len(latest) < 4:
            message = json.loads((await slow.receive())[1])
            latest[message["id"]] = message["payload"]["data"]["orderUpdated"]["version"]
    slow.reset()


async def test_a_query_whose_client_goes_away_is_cancelled() -> None:
    async with open_edge(projector=False) as edge:  # so that nothing is ever shown
        token = (await edge.ask(TOKEN, {"input": new_order(orderUuid=UUIDS[1])}))["createOrder"]["consistencyToken"]
        document = f'{{ order(id: "{ORDER_ID}", consistency: {{after: ["{token}"], waitMs: 10000}}) {{ id }} }}'
        asking = asyncio.create_task(edge.post({"query": document}))
        await until(lambda: edge.gateway.context.live.watchers == 1)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await until(lambda: edge.gateway.context.live.watchers == 0)
        outcome = {"type": "query", "outcome": "CANCELLED"}
        metrics = edge.gateway.telemetry.metrics.registry
        await until(lambda: metrics.get_sample_value("gateway_operations_total", outcome) == 1)


@contextmanager
def held_up(store: Path) -> Iterator[sqlite3.Connection]:
    """A store that takes no writes until the connection's transaction ends."""
    with closing(sqlite3.connect(store, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield other


@pytest.mark.parametrize("way", ["http", "websocket"])
async def test_a_mutation_whose_client_goes_away_is_finished(tmp_path: Path, way: str) -> None:
    store = tmp_path / "store.db"
    variables = {"input": new_order(orderUuid=UUIDS[1])}
    async with open_edge(store, projector=False) as edge:
        with held_up(store):
            if way == "http":
                asking = asyncio.create_task(edge.post({"query": CREATE, "variables": variables}))
                await until(lambda: committing(edge))
                asking.cancel()
                await asyncio.gather(asking, return_exceptions=True)
            else:
                async with over_socket(edge.url, CREATE, variables) as socket:
                    await until(lambda: committing(edge))
                    socket.vanish()
        metrics = edge.gateway.telemetry.metrics.registry
        told = {"type": "mutation", "outcome": "SUCCESS"}
        await until(lambda: metrics.get_sample_value("gateway_operations_total", told) == 1)


def committing(edge: Edge) -> bool:
    """Whether a command has asked the store to commit."""
    return edge.gateway.store.charges["orders", "batch"] > 0


async def test_a_body_that_is_cut_off_is_no_failure_of_ours(edge: Edge, caplog: pytest.LogCaptureFixture) -> None:
    for path in ("/graphql", "/graphql/stream"):
        client = RawClient(edge.url)
        await client.connect()
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{{"
        await client.write(head.encode())
        await until(lambda: edge.server.server_state.tasks)
        client.reset()
        await until(lambda: not edge.server.server_state.tasks)
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


async def test_a_client_that_answers_no_ping_is_let_go_though_it_reads_nothing() -> None:
    async with open_edge() as edge:
        edge.server.config.ws_ping_interval = edge.server.config.ws_ping_timeout = 0.2
        await create_large(edge)
        client = RawClient(edge.url)
        await client.begin(LARGE)
        for quantity in range(3, 20):
            await change(edge, quantity)
        await until(lambda: edge.gateway.context.live.watchers == 0)
        await client.ended()
        client.reset()


async def test_a_client_that_goes_before_it_is_accepted_is_nothing_to_tell_of(edge: Edge) -> None:
    async def gone(message: Any) -> None:
        raise OSError

    gateway = edge.gateway
    scope = {"type": "websocket", "headers": []}
    limits, settings = Limits(), Settings()
    unused: Any = None
    await Conversation(unused, settings, limits, gateway.callers, gateway.drain, scope, unused, gone).run()
    assert gateway.drain.held == 0
