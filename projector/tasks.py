"""Tasks that must not be left alone: whoever begins them sees them end, also when told to end itself."""

import asyncio
from collections.abc import Collection, Coroutine
from typing import Any, TypeVar
from weakref import WeakSet

Task = asyncio.Task[Any]
T = TypeVar("T")

_told: WeakSet[Task] = WeakSet()
"""Who was told to end. `Task.cancelling` cannot tell: a timeout within the task that has just expired counts too."""


def end(task: Task) -> None:
    """Cancel a task, once however often it is told, so that it can do what it does in the end."""
    if task not in _told:
        _told.add(task)
        task.cancel()


async def ended(*tasks: Task) -> None:
    """Tell the tasks to end, and return when all have."""
    for task in tasks:
        end(task)
    await _all_done(tasks)


async def to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """Do something that must not be left half done, and return what it returns. Raises what it failed with."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await _all_done([task])
        raise


async def _all_done(tasks: Collection[Task]) -> None:
    """Who waits here and is cancelled goes on waiting, and ends after them."""
    told_to_end: asyncio.CancelledError | None = None
    while pending := [task for task in tasks if not task.done()]:
        try:
            await asyncio.wait(pending)
        except asyncio.CancelledError as error:
            told_to_end = error
    if told_to_end:
        raise told_to_end


async def first_done(tasks: Collection[Task], timeout: float) -> None:
    """Wait until one of the tasks is done, or the time in seconds is up."""
    if tasks:
        await asyncio.wait(tasks, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    else:
        await asyncio.sleep(timeout)


async def first_of(*work: Coroutine[Any, Any, None]) -> None:
    """Run all until one ends or fails, then end the others; raises what it failed with."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        await ended(*tasks)
