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


class NotYet(Exception):
    """The work was not done in time, and goes on."""


async def to_the_end(work: Coroutine[Any, Any, T] | asyncio.Task[T], within: float | None = None) -> T:
    """Do something that must not be left half done, and return what it returns. Raises what it failed with.

    Raises NotYet where that takes more than `within` seconds; who begins a task then must see it end.
    """
    loop = asyncio.get_running_loop()
    task = work if isinstance(work, asyncio.Task) else loop.create_task(work)
    waiter: asyncio.Future[None] = loop.create_future()

    def wake(_: object = None) -> None:
        if not waiter.done():
            waiter.set_result(None)

    task.add_done_callback(wake)
    timer = None if within is None else loop.call_later(within, wake)
    try:
        await waiter
    except asyncio.CancelledError:
        await _all_done([task], within)
        if task.done() and not task.cancelled():
            task.exception()  # which nobody else is going to look at
        raise
    finally:
        task.remove_done_callback(wake)
        if timer:
            timer.cancel()
    if not task.done():
        raise NotYet
    return task.result()


async def _all_done(tasks: Collection[Task], within: float | None = None) -> bool:
    """Who waits here and is cancelled goes on waiting, and ends after them; whether all are done in time."""
    told_to_end: asyncio.CancelledError | None = None
    until = within and asyncio.get_running_loop().time() + within
    while pending := [task for task in tasks if not task.done()]:
        left = until and until - asyncio.get_running_loop().time()
        if left is not None and left <= 0:
            break
        try:
            await asyncio.wait(pending, timeout=left)
        except asyncio.CancelledError as error:
            told_to_end = error
    if told_to_end:
        raise told_to_end
    return not pending


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
