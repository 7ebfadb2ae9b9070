"""The supervisor: a loop that fails is run again, and what failed can be seen."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from gateway import supervisor as supervising
from gateway.supervisor import Loop, Supervisor
from tests.projector.world import PATIENCE_S, until

NEVER_S = 1000.0


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervising, "FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(supervising, "LONGEST_PAUSE_S", 0.004)


@pytest.fixture
def _long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervising, "FIRST_PAUSE_S", NEVER_S)


@asynccontextmanager
async def supervised(**loops: Loop) -> AsyncIterator[Supervisor]:
    supervisor = Supervisor()
    supervisor.start(loops.items())
    try:
        yield supervisor
    finally:
        async with asyncio.timeout(PATIENCE_S):
            await supervisor.stop()


async def forever() -> None:
    await asyncio.Event().wait()


def failing(times: float, how: Callable[[], None]) -> tuple[Loop, list[int]]:
    """A loop that fails that many times and runs from then on, and the list of its runs."""
    runs: list[int] = []

    async def loop() -> None:
        runs.append(len(runs))
        if len(runs) <= times:
            return how()
        return await forever()

    return loop, runs


def fail() -> None:
    raise ValueError("no such luck")


def end() -> None:
    pass


@pytest.mark.parametrize("how", [fail, end])
async def test_a_loop_that_fails_or_ends_is_run_again(how: Callable[[], None]) -> None:
    loop, runs = failing(3, how)
    async with supervised(loop=loop) as supervisor:
        await until(lambda: len(runs) == 4)
        assert (supervisor.alive, supervisor.failing, supervisor.states["loop"].failures) == (True, {}, 3)


@pytest.mark.usefixtures("_long_pauses")
@pytest.mark.parametrize(("how", "told"), [(fail, "ValueError: no such luck"), (end, "it ended")])
async def test_a_loop_that_waits_to_be_run_again_is_failing(how: Callable[[], None], told: str) -> None:
    loop, _ = failing(1, how)
    async with supervised(loop=loop, other=forever) as supervisor:
        await until(lambda: supervisor.failing)
        assert (supervisor.failing, supervisor.alive) == ({"loop": told}, True)


async def test_the_pauses_grow_up_to_the_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def noted(delay: float) -> None:
        pauses.append(delay)
        await sleep(0)

    loop, runs = failing(5, fail)
    monkeypatch.setattr("gateway.supervisor.asyncio.sleep", noted)
    async with supervised(loop=loop):
        while len(runs) < 6:
            await sleep(0)
    assert pauses == [0.001, 0.002, 0.004, 0.004, 0.004]


async def test_a_loop_that_ran_steadily_begins_with_the_short_pause_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervising, "STEADY_S", 0.0)
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def noted(delay: float) -> None:
        pauses.append(delay)
        await sleep(0)

    loop, runs = failing(3, fail)
    monkeypatch.setattr("gateway.supervisor.asyncio.sleep", noted)
    async with supervised(loop=loop):
        while len(runs) < 4:
            await sleep(0)
    assert pauses == [0.001, 0.001, 0.001]


async def test_one_failing_loop_leaves_the_others_running() -> None:
    broken, broken_runs = failing(float("inf"), fail)
    steady, steady_runs = failing(0, fail)
    async with supervised(broken=broken, steady=steady):
        await until(lambda: len(broken_runs) > 5)
        assert len(steady_runs) == 1


async def test_a_failure_is_logged_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    loop, runs = failing(1, fail)
    async with supervised(projector=loop):
        await until(lambda: len(runs) == 2)
    assert "projector failed" in caplog.text
    assert "ValueError: no such luck" in caplog.text


@pytest.mark.usefixtures("_long_pauses")
async def test_stopping_ends_running_and_waiting_loops_and_lets_them_finish() -> None:
    finished = []

    async def tidy() -> None:
        try:
            await forever()
        finally:
            await asyncio.sleep(0)
            finished.append(True)

    broken, runs = failing(1, fail)
    async with supervised(tidy=tidy, broken=broken) as supervisor:
        await until(lambda: runs)
        tasks = [state.task for state in supervisor.states.values()]
    assert finished == [True]
    assert all(task.cancelled() for task in tasks)


async def test_stopping_ends_a_loop_that_fails_on_its_way_out() -> None:
    runs = []

    async def clumsy() -> None:
        runs.append(True)
        try:
            await forever()
        finally:
            if len(runs) == 1:
                fail()

    async with supervised(clumsy=clumsy) as supervisor:
        await until(lambda: runs)
    assert (len(runs), supervisor.states["clumsy"].task.cancelled()) == (1, True)


async def test_a_loop_that_is_gone_for_good_shows_that_the_process_is_not_alive() -> None:
    async with supervised(
        **{f"loop{number}": forever for number in itertools.islice(itertools.count(), 3)}
    ) as supervisor:
        task = supervisor.states["loop1"].task
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert not supervisor.alive
