"""Tasks are seen to end, whatever happens to whoever waits for them."""

import asyncio
import gc
from contextlib import suppress

import pytest

from projector.tasks import NotYet, end, ended, first_of, to_the_end
from tests.projector.world import PATIENCE_S, until


class Tidy:
    """Work that takes its time to tidy up."""

    def __init__(self) -> None:
        self.tidying, self.go, self.tidied = asyncio.Event(), asyncio.Event(), False

    async def run(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await self.tidy()

    async def tidy(self) -> None:
        self.tidying.set()
        await self.go.wait()
        self.tidied = True


async def test_who_is_cancelled_while_it_ends_a_task_lets_it_tidy_up_and_then_ends() -> None:
    tidy = Tidy()
    task = asyncio.create_task(tidy.run())
    await asyncio.sleep(0)
    waiting = asyncio.create_task(ended(task))
    await tidy.tidying.wait()
    for _ in range(2):
        waiting.cancel()
        await asyncio.sleep(0)
    assert not waiting.done()
    tidy.go.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert (tidy.tidied, task.cancelled()) == (True, True)


async def test_a_task_whose_own_time_is_up_in_the_moment_in_which_it_is_told_to_end_ends() -> None:
    async def look_again_and_again() -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(0.001):
                    await asyncio.Event().wait()

    task = asyncio.create_task(look_again_and_again())
    while not task.cancelling():  # noqa: ASYNC110  # by the timeout, and the task has not heard of it yet
        await asyncio.sleep(0)
    async with asyncio.timeout(PATIENCE_S):
        await ended(task)
    assert task.cancelled()


async def test_ending_what_has_ended_or_failed_is_no_error() -> None:
    async def fail() -> None:
        raise ValueError

    tasks = [asyncio.create_task(fail()), asyncio.create_task(asyncio.sleep(0))]
    await until(lambda: all(task.done() for task in tasks))
    await ended(*tasks)
    await ended()
    assert isinstance(tasks[0].exception(), ValueError)


async def test_what_must_not_be_left_half_done_is_done_though_cancelled() -> None:
    tidy = Tidy()
    doing = asyncio.create_task(to_the_end(tidy.tidy()))
    await tidy.tidying.wait()
    doing.cancel()
    await asyncio.sleep(0)
    tidy.go.set()
    with pytest.raises(asyncio.CancelledError):
        await doing
    assert tidy.tidied


@pytest.mark.parametrize("turns", [0, 1, 2])
async def test_what_fails_as_who_waits_is_cancelled_is_not_said_to_have_been_overlooked(turns: int) -> None:
    told, go = list[object](), asyncio.Event()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))

    async def fail() -> None:
        await go.wait()
        raise ValueError

    doing = asyncio.create_task(to_the_end(fail()))
    for _ in range(2):
        await asyncio.sleep(0)
    go.set()
    for _ in range(turns):
        await asyncio.sleep(0)
    doing.cancel()
    await asyncio.wait([doing])
    assert doing.cancelled()
    del doing
    gc.collect()
    assert not told


async def test_what_takes_too_long_goes_on() -> None:
    tidy = Tidy()
    work = asyncio.create_task(tidy.tidy())
    with pytest.raises(NotYet):
        await to_the_end(work, 0.001)
    tidy.go.set()
    await work
    assert tidy.tidied


async def test_the_first_that_fails_ends_the_others() -> None:
    tidy = Tidy()
    tidy.go.set()

    async def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await first_of(tidy.run(), fail())
    assert tidy.tidied


async def test_a_task_that_was_told_to_end_before_is_waited_for_and_not_disturbed() -> None:
    tidy = Tidy()
    task = asyncio.create_task(tidy.run())
    await asyncio.sleep(0)
    end(task)
    await tidy.tidying.wait()
    waiting = asyncio.create_task(ended(task))
    await asyncio.sleep(0)
    assert not waiting.done()
    tidy.go.set()
    await waiting
    assert (tidy.tidied, task.cancelled()) == (True, True)
