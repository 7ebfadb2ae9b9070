"""On the Cosmos DB engine: the gateway's CPU per query by id and per command, beside the SDK's alone.

The service is the test server of this repository, a process of its own on the client's core; the projector runs
elsewhere, so that a command's CPU is the command's.
"""

import asyncio
import itertools
import re
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks import shop
from benchmarks.client import drive
from benchmarks.figures import Target, Work, interleaved
from benchmarks.peers import Peers
from benchmarks.processes import CLIENT_CORES, GATEWAY, Server, gateway, output, python, running
from benchmarks.scale import Scale

CLIENTS = 4
ORDERS = 40
SDK = "azure-cosmos alone"
PLUS_US = 150.0
IDLE_S = 1.0
COMMAND_BYTES, ORDER_BYTES = 450, 650
KEY = re.compile(r"key=(\S+)")


async def measure(scale: Scale, folder: Path, peers: Peers) -> list[Work]:
    """Both costs."""
    async with running(*python("tests.emulator", "--port", "0"), cores=CLIENT_CORES) as emulator:
        key = KEY.search(emulator.said)
        assert key
        url = f"http://127.0.0.1:{emulator.port}/"
        env = {"STORE_URL": url, "COSMOS_KEY": key[1]}
        await output(str(GATEWAY), "provision", env=env)
        async with gateway(env=env) as server:
            await shop.fill(server, ORDERS)
            await shop.caught_up(server)
        async with gateway("--no-projector", env=env) as server:
            return await _works(scale, server, env)


async def _works(scale: Scale, server: Server, env: dict[str, str]) -> list[Work]:
    idle = await idle_cpu(server)
    reads = itertools.cycle(shop.reading(list(range(ORDERS))))
    options = [env["STORE_URL"], str(scale.seconds), str(CLIENTS), str(COMMAND_BYTES), str(ORDER_BYTES)]
    works = []
    for name, title, which, requests in (
        ("cosmos_query", "Cosmos DB engine: query by id", "read", reads),
        ("cosmos_command", "Cosmos DB engine: command", "commit", shop.adding(list(range(ORDERS)))),
    ):
        sdk = python("benchmarks.floors.cosmos", which, *options)
        rounds = {SDK: partial(_alone, sdk, env), "gateway": partial(_cpu, server, requests, scale.seconds, idle)}
        figures = await interleaved(rounds, scale.rounds)
        works.append(Work(name, title, "us of CPU each", figures, [Target(SDK, plus=PLUS_US)]))
    return works


async def idle_cpu(server: Server) -> float:
    """Seconds of CPU that the gateway takes in a second to look at the feeds, asked or not."""
    before, started = await server.cpu(), time.perf_counter()
    await asyncio.sleep(IDLE_S)
    return (await server.cpu() - before) / (time.perf_counter() - started)


async def _alone(command: list[str], env: dict[str, str]) -> float:
    return float(await output(*command, env=env))


async def _cpu(server: Server, requests: Iterator[bytes], seconds: float, idle: float) -> float:
    """Microseconds of the gateway's CPU per request, without those that it takes idle."""
    before = await server.cpu()
    load = await drive(server.port, requests, CLIENTS, seconds)
    return (await server.cpu() - before - idle * load.seconds) / load.count * 1e6
