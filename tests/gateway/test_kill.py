"""Projecting processes killed and replaced while commands go on: nothing is lost, doubled, or goes back.

KILL_ROUNDS in the environment says how many are killed.
"""

import asyncio
import itertools
import os
import random
import signal
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gateway.settings import Settings
from gateway.wiring import provision, running_gateway
from projector.orders import PROJECTIONS
from read_model.orders import CUSTOMER_VIEWS, PRODUCT_VIEWS
from store import FeedRange, Start
from tests.emulator import emulator
from tests.gateway.processes import gateway
from tests.projector.workers import is_drained, leases, parked
from tests.projector.world import World, until
from tests.schema.api import Api, Json, line

ROUNDS = int(os.environ.get("KILL_ROUNDS", "6"))
PROCESSES = 5
RANGES = 8
HASTE = {"LEASE_ACQUIRE_S": "0.3", "LEASE_RENEW_S": "1", "LEASE_EXPIRY_S": "5", "CHECKPOINT_S": "0.5"}


@pytest.fixture(params=["file", "cosmos"])
async def settings(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Settings]:
    """A store of eight ranges, which the environment names, and projectors in a hurry."""
    for name, value in HASTE.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("FEED_RANGES", str(RANGES))
    async with AsyncExitStack() as resources:
        if request.param == "file":
            monkeypatch.setenv("STORE_URL", f"sqlite:///{tmp_path}/store.db")
        else:
            server = await resources.enter_async_context(emulator(partitions=RANGES))
            monkeypatch.setenv("STORE_URL", server.url)
            monkeypatch.setenv("COSMOS_KEY", server.key)
            await provision(Settings(), dry_run=False)
        yield Settings(projector=False)


@dataclass
class Shop:
    """Gives commands one after another; `acknowledged` are the order and its version after each."""

    api: Api
    acknowledged: list[tuple[str, int]] = field(default_factory=list)

    async def open(self) -> None:
        chance = random.Random(1)
        for number in itertools.count():
            customer = f"customer{chance.randrange(12)}"
            items = [line(sku, chance.randint(1, 3), "2.50", sku) for sku in chance.sample(["tea", "pot", "cup"], 2)]
            id = await self.api.created(customer, orderUuid=str(uuid.uuid4()), items=items)
            self.acknowledged.append((id, 1))
            for mutation, more in chance.choice(WAYS):
                payload = await self.api.done(mutation, {"orderId": id, **more})
                self.acknowledged.append((id, payload["order"]["version"]))
            if number % 4 == 0:
                await asyncio.sleep(0.01)  # there are others who want the processor


Step = tuple[str, Json]

CANCEL: Step = ("cancelOrder", {"reason": "changed my mind"})
SUBMIT: Step = ("submitOrder", {})
WAYS: list[list[Step]] = [
    [],
    [SUBMIT],
    [SUBMIT, CANCEL],
    [("addItem", {"item": line("pen", 1, "1.00", "Pen")}), SUBMIT],
    [CANCEL],
]


@dataclass
class Watch:
    """Follows all read documents; `back` are those that were seen in an older version than before."""

    world: World
    versions: dict[tuple[str, str, str], int] = field(default_factory=dict)
    back: list[tuple[str, str, str]] = field(default_factory=list)

    async def run(self) -> None:
        cursors: dict[tuple[str, FeedRange], str] = {}
        while True:
            for name in (CUSTOMER_VIEWS.name, PRODUCT_VIEWS.name):
                container = self.world.store.container(name)
                for range_ in await container.feed_ranges():
                    page = await container.changes(range_, cursors.get((name, range_), Start.BEGINNING), 1000)
                    cursors[name, range_] = page.cursor
                    for document in page.documents:
                        key, version = (name, document.partition, document.id), document.decode(dict)["version"]
                        if version < self.versions.get(key, 0):
                            self.back.append(key)
                        self.versions[key] = version
            await asyncio.sleep(0.02)


@dataclass
class Crew:
    """The projecting processes."""

    resources: AsyncExitStack
    members: list[asyncio.subprocess.Process] = field(default_factory=list)

    async def join(self) -> None:
        """One more, which has begun."""
        process = await self.resources.enter_async_context(gateway("project"))
        assert process.stderr
        assert (await process.stderr.readline()).startswith(b"Projecting ")
        self.members.append(process)

    async def kill_one(self) -> None:
        victim = self.members.pop(random.randrange(len(self.members)))
        victim.send_signal(signal.SIGKILL)
        await victim.wait()

    @property
    def alive(self) -> set[int]:
        return {process.pid for process in self.members if process.returncode is None}


@asynccontextmanager
async def crew() -> AsyncIterator[Crew]:
    async with AsyncExitStack() as resources:
        team = Crew(resources)
        await asyncio.gather(*(team.join() for _ in range(PROCESSES)))
        yield team


async def is_shared(world: World, team: Crew) -> bool:
    """Whether the living, and nobody else, have equal shares of each projection's leases."""
    counts: dict[str, Counter[int]] = {projection.key: Counter() for projection in PROJECTIONS}
    for (key, _), lease in (await leases(world)).items():
        if lease.owner is None:
            return False
        counts[key][int(lease.owner.split("/")[1])] += 1
    least, more = divmod(RANGES, PROCESSES)
    equal = [least] * (PROCESSES - more) + [least + 1] * more
    return all(sorted(count.values()) == equal and count.keys() == team.alive for count in counts.values())


async def test_processes_that_are_killed_and_replaced_while_commands_go_on_do_no_harm(settings: Settings) -> None:
    async with running_gateway(settings) as running, crew() as team:
        world, shop = World(running.store), Shop(Api(running))
        watch = Watch(world)
        tasks = [asyncio.create_task(work()) for work in (shop.open, watch.run)]
        try:
            await until(lambda: watch.versions)
            for _ in range(ROUNDS):
                given = len(shop.acknowledged)
                await team.kill_one()
                await team.join()
                await until(lambda: any(task.done() for task in tasks) or len(shop.acknowledged) > given + 20)  # noqa: B023
            tasks[0].cancel()
            await until(lambda: is_drained(world))
            await until(lambda: is_shared(world, team))
            for task in tasks:
                task.cancel()
        finally:
            outcomes = await asyncio.gather(*(asyncio.wait_for(task, 30) for task in tasks), return_exceptions=True)
        assert [outcome for outcome in outcomes if not isinstance(outcome, asyncio.CancelledError)] == []
        assert watch.back == []
        assert team.alive == {process.pid for process in team.members}
        assert [await parked(world, projection) for projection in PROJECTIONS] == [{}, {}]
        histories = {id for name, _, id in await world.views() if name == CUSTOMER_VIEWS.name}
        assert {f"event:{id}:{version}" for id, version in shop.acknowledged} <= histories
        given_in_vain = Counter(document.id for document in await world.feed() if document.id.startswith("cmd:"))
        assert len(given_in_vain) >= len(shop.acknowledged) > 20 * ROUNDS
