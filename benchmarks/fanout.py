"""One change delivered to thousands of subscribers, CPU per message; and what memory those take who only wait."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import msgspec

from benchmarks import shop
from benchmarks.client import ask, data, graphql, post
from benchmarks.figures import Figure, Measure, Target, Work, interleaved
from benchmarks.peers import Peers
from benchmarks.processes import Server, gateway, python, running
from benchmarks.scale import Scale
from benchmarks.subscribers import Crowd, most

RAW, PEER = "raw ASGI, text sent as it is", "graphql-ws on ws"
CHANGED = 2
SETTLE_S = 1.0


async def measure(scale: Scale, folder: Path, peers: Peers) -> list[Work]:
    """Both works."""
    path = await shop.filled(folder, scale.orders)
    return [await _fan_out(scale, path, peers), await _memory(scale, path, peers)]


async def _servers(stack: AsyncExitStack, path: Path, peers: Peers) -> tuple[dict[str, Server], bytes]:
    """The servers that can be subscribed to, and the order that changes, as the peer is told of it."""
    servers = {
        RAW: await stack.enter_async_context(running(*python("benchmarks.floors.sockets"))),
        "gateway": await stack.enter_async_context(gateway("--store", f"sqlite:///{path}")),
        **await peers.started(stack, {PEER: "graphql-ws"}, {}),
    }
    order = await an_order(servers["gateway"])
    if PEER in servers:
        await ask(servers[PEER].port, post(order))
    return servers, order


async def _fan_out(scale: Scale, path: Path, peers: Peers) -> Work:
    async with AsyncExitStack() as stack:
        servers, sample = await _servers(stack, path, peers)
        count = min(scale.subscribers, most() // len(servers))
        crowds = {name: Crowd(server.port, shop.FOLLOW, id=shop.order_id(CHANGED)) for name, server in servers.items()}
        for crowd in crowds.values():
            stack.callback(crowd.close)
            await crowd.grow(count)
        commands = shop.adding([CHANGED])
        changes: dict[str, Callable[[], bytes]] = {
            RAW: lambda: post(crowds["gateway"].last),
            "gateway": lambda: next(commands),
            PEER: lambda: post(sample),
        }
        rounds: dict[str, Measure] = {
            name: partial(cpu_per_message, servers[name], crowds[name], count, changes[name], scale.changes)
            for name in servers
        }
        figures = await interleaved(rounds, scale.rounds)
        same_frames(crowds)
    return Work(
        name="fan_out",
        title=f"fan-out to {count:,} subscribers",
        unit="us of CPU per message",
        figures=figures,
        targets=[Target(RAW, 1.25)],
        missing=peers.missing(PEER),
    )


async def cpu_per_message(server: Server, crowd: Crowd, count: int, change: Callable[[], bytes], changes: int) -> float:
    """Microseconds of the server's CPU per message, what makes the change included."""
    before = await server.cpu()
    for _ in range(changes):
        expected = crowd.received + count
        await ask(server.port, change())
        await crowd.until(expected)
    return (await server.cpu() - before) / (changes * count) * 1e6


async def an_order(server: Server) -> bytes:
    """The order that changes, as subscribers ask for it, in JSON."""
    query = shop.FOLLOW.replace("subscription", "query").replace("orderUpdated", "order")
    answer = await data(server.port, graphql(query, id=shop.order_id(CHANGED)))
    return msgspec.json.encode(answer["order"])


def same_frames(crowds: dict[str, Crowd]) -> None:
    """See that a peer's frames have what the gateway's have, in the same order. Raises AssertionError."""
    frames = [msgspec.json.decode(crowd.last)["payload"]["data"]["orderUpdated"] for crowd in crowds.values()]
    fields = [list(frame) for frame in frames]
    assert all(field == fields[0] for field in fields), f"frames differ: {fields}"


async def _memory(scale: Scale, path: Path, peers: Peers) -> Work:
    count = min(scale.idle, most())
    async with AsyncExitStack() as stack:
        servers, _ = await _servers(stack, path, peers)
        figures = [Figure(name, [await memory_of_each(server, count)]) for name, server in servers.items()]
    return Work(
        name="memory",
        title=f"memory of {count:,} idle subscribers",
        unit="kB each",
        figures=figures,
        targets=[Target(plus=40.0)],
        missing=peers.missing(PEER),
    )


async def memory_of_each(server: Server, count: int) -> float:
    """Kilobytes by which each of so many subscribers makes the process larger."""
    crowd = Crowd(server.port, shop.FOLLOW, id=shop.order_id(CHANGED))
    some = min(10, count // 2)
    await crowd.grow(some)  # what the first one needs, all others share
    before = server.memory()
    await crowd.grow(count)
    await asyncio.sleep(SETTLE_S)
    assert not crowd.lost, f"{crowd.lost} subscribers were dropped"
    after = server.memory()
    crowd.close()
    return (after - before) / (count - some) / 1e3
