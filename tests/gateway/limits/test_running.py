"""What has too much to do sheds what comes last in a turn of the loop."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import pytest

from gateway.limits.running import LOOK_S, Running
from gateway.limits.shed import Shed
from tests.projector.world import PATIENCE_S, until

LAG_S = 0.02


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    """In a loop that is looked at."""
    running = Running(max_lag_s=LAG_S)
    running.watch()
    yield running
    await running.close()


def admitted(running: Running) -> bool:
    return code_of(running.admit) is None


def code_of(admit: Callable[[], None]) -> str | None:
    try:
        admit()
    except Shed as shed:
        return shed.code
    return None


async def turn(running: Running) -> list[bool]:
    """Whether each of some is admitted that are there at the beginning of a turn, and together take too long."""
    said = []
    for _ in range(4):
        said.append(admitted(running))
        time.sleep(LAG_S)  # noqa: ASYNC251  that is what is tried
    await asyncio.sleep(0)
    return said


async def test_of_a_turn_that_takes_too_long_the_first_are_admitted(running: Running) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while (said := await turn(running)) == [True] * 4:
            pass
        assert (said[-1], code_of(running.admit)) == (False, None)  # another turn, another chance
        assert await turn(running) == [True, False, False, False]


async def test_one_long_turn_sheds_nothing(running: Running) -> None:
    assert await turn(running) == [True] * 4


async def test_a_look_that_comes_very_late_counts_as_all_that_were_missed(running: Running) -> None:
    time.sleep(6 * LOOK_S)  # noqa: ASYNC251
    await asyncio.sleep(0.001)
    assert await turn(running) == [True, False, False, False]


async def test_what_has_passed_in_a_turn_counts_though_the_loops_time_stands_still(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    time.sleep(6 * LOOK_S)  # noqa: ASYNC251
    await asyncio.sleep(0.001)
    loop = asyncio.get_running_loop()
    with monkeypatch.context() as patched:  # as uvloop's does
        now = loop.time()
        patched.setattr(loop, "time", lambda: now)
        said = []
        for _ in range(3):
            said.append(admitted(running))
            time.sleep(LAG_S)  # noqa: ASYNC251
    assert said == [True, False, False]


async def test_a_loop_that_is_not_late_any_more_sheds_nothing(running: Running) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while all(await turn(running)):
            pass

    async def recovered() -> bool:
        await asyncio.sleep(0.5)  # time for nothing to happen
        return all(await turn(running))

    await until(recovered)


async def test_without_a_bound_nothing_is_looked_at() -> None:
    running = Running()
    running.watch()
    assert await turn(running) == [True] * 4
    await running.close()
