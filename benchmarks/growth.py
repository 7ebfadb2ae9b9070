"""How cost grows: with orders, with clients at a time, with subscribers, and with the size of a document."""

import asyncio
import itertools
import random
import statistics
import tempfile
import time
from contextlib import AsyncExitStack, closing
from functools import partial
from pathlib import Path

from benchmarks import bulk, shop
from benchmarks.client import ask, drive
from benchmarks.figures import Figure, Target, Work, interleaved
from benchmarks.processes import Server, gateway
from benchmarks.queries import CLIENTS, TURNS, cpu_per_request
from benchmarks.rows import READ_TABLE, opened
from benchmarks.subscribers import Crowd, most

ORDERS = (1_000, 10_000, 100_000, 1_000_000)
AT_A_TIME = (1, 4, 16, 64)
SUBSCRIBERS = (1, 10, 100, 1_000, 10_000)
ITEMS = (2, 36, 99)
ROUNDS = 5
SECONDS = 1.0
WITHIN_S = 600.0
"""What each part may take."""
FEW = 1_000
"""Orders where their number does not matter."""
BOX = "\N{PACKAGE}"
"""A letter that takes four bytes."""
CPU = "us of CPU per request"
FLAT = Target(f"{ORDERS[0]:,} orders", 1.3, of=f"{ORDERS[-1]:,} orders")


async def measure() -> list[Work]:
    """All of it."""
    works: list[Work] = []
    with tempfile.TemporaryDirectory() as folder:
        for part in (by_orders, by_clients, by_subscribers, by_size):
            started = time.perf_counter()
            async with asyncio.timeout(WITHIN_S):
                works += await part(Path(folder))
            print(f"{part.__name__}: {time.perf_counter() - started:.0f} s", flush=True)
    return works


async def by_orders(folder: Path) -> list[Work]:
    """The two queries over 10^3 to 10^6 orders, each asked for at random."""
    async with AsyncExitStack() as stack:
        servers: dict[str, tuple[Server, list[int]]] = {}
        for count in ORDERS:
            path = await bulk.loaded(folder, count)
            server = await stack.enter_async_context(gateway("--store", f"sqlite:///{path}"))
            servers[f"{count:,} orders"] = server, random.Random(1).sample(range(count), k=min(count, 5_000))
        works = []
        for name, title, requests in (("by_id", "query by id", shop.reading), ("list", "first page", shop.listing)):
            rounds = {
                size: partial(cpu_per_request, server, itertools.cycle(requests(numbers)), SECONDS / TURNS)
                for size, (server, numbers) in servers.items()
            }
            for server, numbers in servers.values():
                await drive(server.port, itertools.cycle(requests(numbers)), CLIENTS, SECONDS)
            works.append(Work(f"{name}_by_orders", title, CPU, await interleaved(rounds, ROUNDS * TURNS), [FLAT]))
    return works


async def by_clients(folder: Path) -> list[Work]:
    """A query and a command by 1 to 64 clients at a time: what they get, and how long they wait."""
    path = await shop.filled(folder, FEW)
    measured: dict[str, dict[str, list[float]]] = {}
    async with gateway("--store", f"sqlite:///{path}") as server:
        kinds = {"query by id": itertools.cycle(shop.reading([*range(FEW)])), "command": shop.adding([*range(FEW)])}
        for _, (kind, requests), clients in itertools.product(range(ROUNDS), kinds.items(), AT_A_TIME):
            load = await drive(server.port, requests, clients, SECONDS)
            cuts = statistics.quantiles(load.each, n=100)
            for unit, value in (
                ("per second", load.count / load.seconds),
                ("ms, half of all", cuts[49] * 1e3),
                ("ms, 99 %", cuts[98] * 1e3),
            ):
                of_unit = measured.setdefault(f"{kind}|{unit}", {})
                of_unit.setdefault(f"{clients} at a time", []).append(value)
    return [
        Work(f"clients {key}", key.split("|")[0], key.split("|")[1], _figures(rounds), [])
        for key, rounds in measured.items()
    ]


async def by_subscribers(folder: Path) -> list[Work]:
    """One change to 1 to 10,000 subscribers: CPU per message, and the time until the last has it."""
    path = await shop.filled(folder, FEW)
    cpu: dict[str, list[float]] = {}
    last: dict[str, list[float]] = {}
    room = {"MAX_CONNECTIONS": str(2 * SUBSCRIBERS[-1])}  # for who gives the commands, too
    async with gateway("--store", f"sqlite:///{path}", env=room) as server:
        crowd = Crowd(server.port, shop.FOLLOW, id=shop.order_id(0))
        commands = shop.adding([0])
        for count in (min(count, most()) for count in SUBSCRIBERS):
            await crowd.grow(count)
            for _ in range(ROUNDS):
                expected, before, started = crowd.received + count, await server.cpu(), time.perf_counter()
                await ask(server.port, next(commands))
                await crowd.until(expected, within_s=120.0)
                size = f"{count:,} subscribers"
                cpu.setdefault(size, []).append((await server.cpu() - before) / count * 1e6)
                last.setdefault(size, []).append((crowd.last_at - started) * 1e3)
        crowd.close()
    return [
        Work("cpu_by_subscribers", "one change, the command included", "us of CPU per message", _figures(cpu), []),
        Work("last_by_subscribers", "the same, until the last has it", "ms", _figures(last), []),
    ]


async def by_size(folder: Path) -> list[Work]:
    """A query and a command on orders of 1 to 100 kB."""
    path = folder / "sizes.db"
    async with gateway("--store", f"sqlite:///{path}") as server:
        numbers = {count: [1_000 * count + number for number in range(CLIENTS * 2)] for count in ITEMS}
        creating = (shop.create(number, items(count)) for count in ITEMS for number in numbers[count])
        await drive(server.port, creating, CLIENTS, good=shop.SUCCEEDED)
        await shop.caught_up(server)
        sizes = {count: f"{_size(path, numbers[count][0]) / 1e3:.0f} kB" for count in ITEMS}
        reads = {
            sizes[count]: partial(cpu_per_request, server, itertools.cycle(shop.reading(numbers[count])), SECONDS)
            for count in ITEMS
        }
        queries = await interleaved(reads, ROUNDS)
        commands = {
            sizes[count]: partial(cpu_per_request, server, shop.adding(numbers[count]), SECONDS) for count in ITEMS
        }
        given = await interleaved(commands, ROUNDS)
    return [
        Work("query_by_size", "query by id", CPU, queries, []),
        Work("command_by_size", "command, projection included", "us of CPU per command", given, []),
    ]


def items(count: int) -> list[dict[str, object]]:
    """So many lines, of titles that are the longer the more there are; the first can be added to."""
    title = "A" * 100 if count < 99 else BOX * 200
    lines = [{"sku": f"SKU-{number:04}", "title": title, "quantity": 1, "unitPrice": "4.50"} for number in range(count)]
    return [dict(shop.ITEMS[0]), *lines[1:]]


def _size(path: Path, number: int) -> int:
    with closing(opened(path)) as db:
        pick = f"SELECT length(CAST(body AS BLOB)) FROM {READ_TABLE} WHERE id = ?"
        return int(db.execute(pick, (shop.order_id(number),)).fetchone()[0])


def _figures(measured: dict[str, list[float]]) -> list[Figure]:
    return [Figure(name, rounds) for name, rounds in measured.items()]
