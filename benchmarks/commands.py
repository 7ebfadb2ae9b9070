"""A mutation, an item added to an order, by 16 clients at a time, durable before it is answered. Commands per second.

The gateway projects each of them in the same process meanwhile. Beside it the same written by hand, without the read
documents and with them: how near to a loop that only commits a server in Python can come.
"""

from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from functools import partial
from pathlib import Path

from benchmarks import shop
from benchmarks.client import drive
from benchmarks.figures import Figure, Target, Work, interleaved
from benchmarks.peers import Peers
from benchmarks.processes import Server, gateway, output, python, running
from benchmarks.queries import same_answers
from benchmarks.rows import copied, for_peers, sizes
from benchmarks.scale import Scale

CLIENTS = 16
LOOP, YOGA = "bare group commit", "Yoga, better-sqlite3"
BY_HAND, PROJECTED = "bare ASGI, by hand, commit alone", "bare ASGI, by hand, projected too"


async def measure(scale: Scale, folder: Path, peers: Peers) -> list[Work]:
    """Commands per second of the gateway, of a loop that only commits, and of a server with GraphQL on SQLite."""
    path = await shop.filled(folder, scale.orders)
    command, order = sizes(path)
    options = [str(folder), str(scale.seconds), str(CLIENTS), str(command), str(order)]
    async with AsyncExitStack() as stack:
        servers = {
            BY_HAND: await stack.enter_async_context(by_hand("commit", copied(path, folder / "commit.db"))),
            PROJECTED: await stack.enter_async_context(by_hand("project", copied(path, folder / "project.db"))),
            "gateway": await stack.enter_async_context(gateway("--store", f"sqlite:///{path}")),
            **await peers.started(stack, {YOGA: "yoga-commands"}, {**for_peers(path), "OWN": str(folder / "yoga.db")}),
        }
        requests = {name: shop.adding(list(range(1, scale.orders))) for name in servers}
        await same_answers(servers, next(shop.adding([0])))
        cpu: dict[str, list[float]] = {name: [] for name in servers}
        rounds = {
            name: partial(rate, server, requests[name], scale.seconds, cpu[name]) for name, server in servers.items()
        }
        figures = await interleaved({LOOP: partial(loop, options), **rounds}, scale.rounds)
    return [
        Work(
            name="commands",
            title="mutation, 16 clients, durable",
            unit="commands per second",
            figures=figures,
            targets=[Target(LOOP, 1 / 2.5, at_least=True), Target(YOGA, at_least=True)],
            missing=peers.missing(YOGA),
        ),
        Work(
            name="commands_cpu",
            title="the same, projection included",
            unit="us of CPU per command",
            figures=[Figure(name, measured[-scale.rounds :]) for name, measured in cpu.items()],
            targets=[],
        ),
    ]


def by_hand(kind: str, path: Path) -> AbstractAsyncContextManager[Server]:
    """The server that is written by hand, on a file of its own."""
    return running(*python("benchmarks.floors.commands", kind, str(path)))


async def loop(options: list[str]) -> float:
    """Commands per second that the bare loop commits."""
    return float(await output(*python("benchmarks.floors.commit", *options)))


async def rate(server: Server, requests: Iterator[bytes], seconds: float, cpu: list[float]) -> float:
    """Commands per second that the server answers; microseconds of CPU for each are added to `cpu`."""
    before = await server.cpu()
    load = await drive(server.port, requests, CLIENTS, seconds, good=shop.SUCCEEDED)
    cpu.append((await server.cpu() - before) / load.count * 1e6)
    return load.count / load.seconds
