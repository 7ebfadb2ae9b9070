"""A projection built anew under live commands and continuous reads, and how long each of them noticed.

    .venv/bin/python benchmarks/rebuild.py [--orders 100000]

Fills a SQLite store with orders, projects them, then has `gateway projections rebuild` build the orders' read documents
anew beside the generation that serves, with a second projector, a client that gives commands and one that reads. Each
read must find its order, in a version that is not older than the one seen before. The figures are in
docs/operations/projector.md.
"""

import argparse
import asyncio
import itertools
import random
import statistics
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from gateway.settings import Settings, read_settings
from gateway.wiring import Context, now, overview_of, running_gateway
from read_model.orders import order
from write_model import orders
from write_model.commands import Command
from write_model.handler import execute

GATEWAY = Path(sys.executable).with_name("gateway")
CUSTOMERS = 2_000
AT_ONCE = 64


@dataclass
class Shop:
    """Gives commands, and remembers the version of each order after the last one."""

    context: Context
    versions: dict[str, int] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)

    async def create(self, number: int) -> None:
        customer = f"customer{number % CUSTOMERS}"
        id = f"order:{customer}:{uuid.UUID(int=number)}"
        item = orders.NewItem("tea", "Tea", 1 + number % 5, Decimal("4.50"))
        arguments = {"id": id, "customer_id": customer, "name": customer, "email": f"{customer}@example.com"}
        await self.give(orders.create, id, {**arguments, "currency": "EUR", "items": (item,)})

    async def add(self, id: str) -> None:
        item = orders.NewItem(f"sku{random.randrange(50)}", "Pen", 1, Decimal("1.00"))
        await self.give(orders.add_item, id, {"item": item})

    async def give(self, decide: object, id: str, arguments: dict[str, object]) -> None:
        started = time.perf_counter()
        command: Command[orders.Order, orders.Event] = Command(
            decide=decide,  # type: ignore[arg-type]
            aggregate_id=id,
            partition=id.split(":")[1],
            arguments=arguments,
            id=str(uuid.uuid4()),
            at=now(),
        )
        applied = await execute(self.context.orders, command)
        self.versions[id] = applied.state.version
        self.seconds.append(time.perf_counter() - started)

    async def trade(self, pause_s: float) -> None:
        """Change orders at random, and create some, until cancelled."""
        for number in itertools.count(len(self.versions)):
            await self.create(number)
            for id in random.sample(KNOWN, 4):
                await self.add(id)
            await asyncio.sleep(pause_s)


KNOWN: list[str] = []
"""The orders that were there when the rebuild began."""


@dataclass
class Reader:
    """Reads orders at random; what it finds must exist and not be older than before."""

    context: Context
    seen: dict[str, int] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    async def read(self) -> None:
        while True:
            id = random.choice(KNOWN)
            started = time.perf_counter()
            found = await order(self.context.store, id)
            self.seconds.append(time.perf_counter() - started)
            if found is None or found.version < self.seen.get(id, 1):
                self.wrong.append(f"{id}: {found and found.version}, seen {self.seen.get(id, 1)}")
            else:
                self.seen[id] = found.version
            await asyncio.sleep(0.001)


async def fill(shop: Shop, count: int) -> None:
    numbers = iter(range(count))

    async def one() -> None:
        for number in numbers:
            await shop.create(number)

    await asyncio.gather(*(one() for _ in range(AT_ONCE)))


async def caught_up(settings: Settings, context: Context) -> None:
    overview = overview_of(context.store, settings)
    while any(row.behind for row in await overview.rows() if row.state == "serving"):  # noqa: ASYNC110
        await asyncio.sleep(0.5)


def told(seconds: list[float]) -> str:
    cuts = statistics.quantiles(seconds, n=100)
    half, most = cuts[49] * 1e3, cuts[98] * 1e3
    return f"{len(seconds):,} in all; {half:.1f} ms half, {most:.1f} ms 99 %, {max(seconds) * 1e3:.0f} ms at most"


async def run(count: int, folder: str) -> None:
    settings = read_settings(store_url=f"sqlite:///{folder}/store.db", projector=False)
    async with running_gateway(settings) as gateway:
        context, shop = gateway.context, Shop(gateway.context)
        started = time.perf_counter()
        await fill(shop, count)
        print(f"{count:,} orders created: {count / (time.perf_counter() - started):,.0f}/s")
        projector = await asyncio.create_subprocess_exec(
            GATEWAY, "project", "--store", settings.store_url, stderr=asyncio.subprocess.DEVNULL
        )
        try:
            started = time.perf_counter()
            await caught_up(settings, context)
            took = time.perf_counter() - started
            print(f"projected twice by one process: {4 * count / took:,.0f} changes/s, {took:.0f} s")
            KNOWN.extend(shop.versions)
            shop.seconds.clear()
            reader = Reader(context)
            tasks = [asyncio.create_task(shop.trade(0.05)), asyncio.create_task(reader.read())]
            started = time.perf_counter()
            arguments = "projections", "rebuild", "customer_orders", "--store", settings.store_url
            rebuild = await asyncio.create_subprocess_exec(GATEWAY, *arguments)
            code = await rebuild.wait()
            took = time.perf_counter() - started
            await asyncio.sleep(3)  # the readers turn to the new generation
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            changes = 2 * count + len(shop.seconds)
            print(f"built anew in {took:.1f} s (exit code {code}), about {changes / took:,.0f} changes/s")
            print(f"commands meanwhile: {told(shop.seconds)}")
            print(f"reads meanwhile: {told(reader.seconds)}; wrong: {reader.wrong[:5] or 'none'}")
            await caught_up(settings, context)
        finally:
            projector.terminate()
            await projector.wait()
    diff = await asyncio.create_subprocess_exec(
        GATEWAY, "projections", "diff", "customer_orders", "--sample", "200", "--store", settings.store_url
    )
    sys.exit(await diff.wait() or code or bool(reader.wrong))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, default=100_000)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        asyncio.run(run(chosen.orders, place))
