"""Queries: an order by its id, 12 fields, and a customer's first 20 orders, 10 fields each. CPU per request."""

import itertools
import random
from collections.abc import Iterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

from benchmarks import shop
from benchmarks.client import data, drive
from benchmarks.figures import Measure, Target, Work, interleaved
from benchmarks.peers import Peers
from benchmarks.processes import Server, gateway, python, running
from benchmarks.rows import for_peers
from benchmarks.scale import Scale

CLIENTS = 16
TURNS = 3
"""Each round is so many shorter ones: what disturbs a machine that others use disturbs few of them, or all alike."""
BARE, STARLETTE = "bare ASGI, by hand", "Starlette, by hand"
MERCURIUS, YOGA = "Mercurius with JIT", "Yoga"
DIFFERING = "gateway, no head twice"
"""As `gateway`, whose head is parsed for each request."""
WITHOUT_RATES = "gateway, without rates"
"""As it comes for development, where nobody is charged for what they ask."""
RATES = {"RATE_PER_IDENTITY": "1000000", "RATE_PER_ADDRESS": "1000000"}
"""As in production, but so that one client may ask as much as it can."""


async def measure(scale: Scale, folder: Path, peers: Peers) -> list[Work]:
    """Both queries, asked of all servers over the same file."""
    path = await shop.filled(folder, scale.orders)
    numbers = random.Random(1).sample(range(scale.orders), k=min(1_000, scale.orders))
    async with AsyncExitStack() as stack:
        servers = {
            BARE: await stack.enter_async_context(running(*python("benchmarks.floors.queries", "bare", str(path)))),
            STARLETTE: await stack.enter_async_context(
                running(*python("benchmarks.floors.queries", "starlette", str(path)))
            ),
            "gateway": await stack.enter_async_context(gateway("--store", f"sqlite:///{path}", env=RATES)),
            WITHOUT_RATES: await stack.enter_async_context(gateway("--store", f"sqlite:///{path}")),
            **await peers.started(stack, {MERCURIUS: "mercurius", YOGA: "yoga"}, for_peers(path)),
        }
        return [
            await _work("by_id", "query by id, 12 fields", shop.reading(numbers), 1.25, servers, scale, peers),
            await _work("list", "list of 20 rows, 10 fields", shop.listing(numbers), 1.0, servers, scale, peers),
        ]


async def _work(
    name: str, title: str, requests: list[bytes], times: float, servers: dict[str, Server], scale: Scale, peers: Peers
) -> Work:
    await same_answers(servers, requests[0])
    for process in servers.values():
        await drive(process.port, itertools.cycle(requests), CLIENTS, scale.warm)
    seconds = scale.seconds / TURNS
    rounds: dict[str, Measure] = {
        server: partial(cpu_per_request, process, itertools.cycle(requests), seconds)
        for server, process in servers.items()
    }
    rounds[DIFFERING] = partial(cpu_per_request, servers["gateway"], differing(requests), seconds)
    return Work(
        name=name,
        title=title,
        unit="us of CPU per request",
        figures=await interleaved(rounds, scale.rounds * TURNS),
        targets=[Target(BARE, times), Target(MERCURIUS)],
        missing=peers.missing(MERCURIUS, YOGA),
    )


def differing(requests: list[bytes]) -> Iterator[bytes]:
    """The requests again and again, each with an id of its own."""
    for number, request in enumerate(itertools.cycle(requests)):
        yield request.replace(b"\r\n", b"\r\nx-request-id: %d\r\n" % number, 1)


async def cpu_per_request(server: Server, requests: Iterator[bytes], seconds: float) -> float:
    """Microseconds of the server's CPU per request."""
    before = await server.cpu()
    load = await drive(server.port, requests, CLIENTS, seconds)
    return (await server.cpu() - before) / load.count * 1e6


async def same_answers(servers: dict[str, Server], request: bytes) -> None:
    """See that all servers answer the same data, in the same order. Raises AssertionError."""
    answers: dict[str, str] = {}
    for name, server in servers.items():
        answers[name] = str(await data(server.port, request))
    differing = {name: answer[:300] for name, answer in answers.items() if answer != answers["gateway"]}
    assert not differing, f"answers differ from the gateway's {answers['gateway'][:300]}: {differing}"
