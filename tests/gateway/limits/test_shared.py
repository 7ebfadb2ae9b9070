"""Rates that processes on one store share: together they let through what one would, and most of it by themselves."""

import asyncio
import hashlib
import itertools
import logging
import sqlite3
import time
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest

from gateway.limits import shared
from gateway.limits.load import PREPARING
from gateway.limits.rates import Rate
from gateway.limits.shared import AHEAD, RATES, SharedRate
from gateway.settings import Settings
from gateway.wiring import CONTAINERS, containers_of
from store import Container, Store, Upsert
from store.sqlite import open_sqlite
from tests.engines import Engine
from tests.projector.world import PATIENCE_S, until
from tests.served import served

PER_SECOND, BURST = 16.0, 160.0


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "PATIENCE_S", PATIENCE_S)  # a slow machine is no store that fails


class Clock:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


async def opened(engine: Engine) -> Container:
    return (await engine.open([RATES])).container(RATES.name)


async def spent(*rates: SharedRate, cost: float = 1.0, key: str = "ada") -> float:
    """What all give in turn, until none of them gives any more."""
    total = 0.0
    while given := sum([cost for rate in rates if not await rate.take(key, cost)]):
        total += given
    return total


async def refills(rate: SharedRate, expected: float) -> None:
    """Wait until the rate gives again, what is expected at most."""
    total = 0.0

    async def enough() -> bool:
        nonlocal total
        total += await spent(rate)
        return total > expected - 2

    await until(enough)
    assert total <= expected


async def test_processes_together_give_what_one_would_and_more_with_time(shared_engine: Engine) -> None:
    clock, rate = Clock(), Rate(PER_SECOND, BURST)
    one, other = [SharedRate(await opened(shared_engine), "by", rate, clock) for _ in range(2)]
    assert BURST - 2 < await spent(one, other) <= BURST
    assert await one.take("ada", 8) == pytest.approx(8 / PER_SECOND, abs=0.2)
    clock.now += 2
    await refills(one, 2 * PER_SECOND)
    for each in (one, other):
        await each.close()


async def test_processes_that_ask_at_the_same_time_give_no_more(shared_engine: Engine) -> None:
    clock, rate, container = Clock(), Rate(PER_SECOND, BURST), await opened(shared_engine)
    rates = [SharedRate(container, "by", rate, clock) for _ in range(6)]
    given = await asyncio.gather(*[spent(each) for each in rates for _ in range(3)])
    assert BURST / 2 < sum(given) <= BURST
    for each in rates:
        await each.close()


async def test_what_lies_unused_elsewhere_leaves_nearly_all(shared_engine: Engine) -> None:
    clock, rate, container = Clock(), Rate(PER_SECOND, BURST), await opened(shared_engine)
    idle, busy = [SharedRate(container, "by", rate, clock) for _ in range(2)]
    assert await idle.take("ada", 1) == 0
    assert await spent(busy) >= BURST * (1 - AHEAD) - 2
    clock.now += 3600  # now it is full again
    total = await spent(idle, busy)
    assert total <= BURST * (1 + AHEAD)
    for each in (idle, busy):
        await each.close()


async def test_keys_and_rates_have_buckets_of_their_own(engine: Engine) -> None:
    clock, rate, container = Clock(), Rate(PER_SECOND, BURST), await opened(engine)
    one, other = SharedRate(container, "by", rate, clock), SharedRate(container, "at", rate, clock)
    for each, key in itertools.product((one, other), ("ada", "a/b #\ud800")):
        assert await each.take(key, BURST) == 0
        assert await each.take(key, 1) > 0
    for each in (one, other):
        await each.close()


async def test_what_costs_more_than_there_ever_is_costs_all_of_it(engine: Engine) -> None:
    each = SharedRate(await opened(engine), "by", Rate(PER_SECOND, BURST), Clock())
    assert await each.take("ada", 5 * BURST) == 0
    assert await each.take("ada", 5 * BURST) == pytest.approx(BURST / PER_SECOND)
    await each.close()


def requests_to(store: Store) -> int:
    return sum(count for (container, _), count in store.charges.items() if container == RATES.name)


async def test_most_requests_cost_no_request_to_the_store(engine: Engine) -> None:
    store = await engine.open([RATES])
    each = SharedRate(store.container(RATES.name), "by", Rate(1_000, 10_000), Clock())
    assert [await each.take("ada", 1) for _ in range(2_000)] == [0.0] * 2_000
    assert requests_to(store) < 40
    assert await each.take("ada", 7_000) == 0
    await spent(each)
    before = requests_to(store)
    refused = [await each.take("ada", 1) for _ in range(100)]
    assert min(refused) > 0
    assert requests_to(store) - before <= 10
    await each.close()


async def test_a_bucket_that_would_be_full_vanishes(engine: Engine) -> None:
    store = await engine.open([RATES])
    each = SharedRate(store.container(RATES.name), "by", Rate(PER_SECOND, BURST), Clock())
    await each.take("ada", BURST)
    await each.close()
    assert await store.container(RATES.name).count() == 1
    await engine.advance(BURST / PER_SECOND + 3)
    assert await store.container(RATES.name).count() == 0


async def test_clocks_that_differ_give_no_more_than_the_difference_and_once(engine: Engine) -> None:
    behind, ahead, rate, container = Clock(), Clock(), Rate(PER_SECOND, BURST), await opened(engine)
    ahead.now += 2
    rates = [SharedRate(container, "by", rate, clock) for clock in (behind, ahead, behind, ahead)]
    total = sum([await spent(each) for each in rates])
    assert BURST < total <= BURST + 2 * PER_SECOND
    for each in rates:
        await each.close()


async def test_a_store_that_fails_refuses_nobody_and_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    store = await open_sqlite(":memory:", [RATES])
    each = SharedRate(store.container(RATES.name), "by", Rate(PER_SECOND, BURST))
    await store.close()
    with caplog.at_level(logging.WARNING):
        assert await asyncio.gather(*[each.take("ada", BURST) for _ in range(50)]) == [0.0] * 50
    assert [record.getMessage()[:27] for record in caplog.records] == ["for now rates are not share"]
    await each.close()


async def test_a_store_that_hangs_keeps_nobody_waiting_and_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "PATIENCE_S", 0.05)
    monkeypatch.setattr(shared, "OPEN_S", 0.2)
    store = await open_sqlite(str(tmp_path / "store.db"), [RATES])
    rate = SharedRate(store.container(RATES.name), "by", Rate(PER_SECOND, BURST))
    with sqlite3.connect(tmp_path / "store.db", isolation_level=None) as holder:
        holder.execute("BEGIN IMMEDIATE")
        assert [await rate.take(key, BURST) for key in ("ada", "ada", "bob")] == [0, 0, 0]
        holder.execute("ROLLBACK")
    holder.close()
    monkeypatch.setattr(shared, "PATIENCE_S", PATIENCE_S)

    async def refuses() -> bool:
        return await rate.take("ada", BURST) > 0

    await until(refuses)
    await rate.close()
    await store.close()


async def test_what_is_no_bucket_refuses_nobody(engine: Engine) -> None:
    container = await opened(engine)
    id = hashlib.sha256(b"by ada").hexdigest()
    await container.commit(id, [Upsert(id, {"id": id, "client": id, "left": "much"})])
    each = SharedRate(container, "by", Rate(PER_SECOND, BURST))
    assert [await each.take("ada", BURST) for _ in range(3)] == [0, 0, 0]
    await each.close()


def test_the_container_is_there_where_it_is_asked_for() -> None:
    assert containers_of(Settings()) == CONTAINERS
    assert containers_of(Settings(rate_shared=True)) == (*CONTAINERS, RATES)


async def test_two_served_processes_let_through_what_one_would(
    shared_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    per_second = 10
    settings = await shared_engine.provisioned((*CONTAINERS, RATES))
    for name, value in {**settings, "rate_shared": "true", "rate_per_address": str(per_second)}.items():
        monkeypatch.setenv(name.upper(), value)
    async with AsyncExitStack() as stack:
        gateways = [await stack.enter_async_context(served()) for _ in range(2)]
        http = await stack.enter_async_context(aiohttp.ClientSession())

        async def cost_of_answered(url: str) -> int:
            async with http.post(f"{url}/graphql", json={"query": "{ __typename }"}) as answer:
                body = await answer.json()
            if answer.status == 200:
                return int(body["extensions"]["cost"]["requested"]) or 1
            assert (answer.status, body["errors"][0]["extensions"]["code"]) == (429, "RATE_LIMITED")
            return 0

        started, total = time.monotonic(), 2 * PREPARING
        while given := sum([await cost_of_answered(gateway.url) for gateway in gateways]):
            total += given
        burst, seconds = 10 * per_second, time.monotonic() - started
    assert 0.7 * burst <= total <= burst * (1 + 2 * AHEAD) + per_second * seconds
