"""Coroutines that are begun at once: one that waits for nothing is done then, and is never a task."""

import asyncio
from asyncio.tasks import _enter_task, _leave_task  # https://docs.python.org/3.11/library/asyncio-extending.html
from collections.abc import Callable, Coroutine, Generator
from contextlib import AbstractContextManager
from contextvars import Context, copy_context
from types import coroutine
from typing import Any, TypeVar

from projector.tasks import Task

T = TypeVar("T")
AT_ONCE, SOME = 64, 32
"""How many are begun at once before others have their turn, and of how many left a new turn is awaited."""
Work = Coroutine[Any, Any, None]


class Eager:
    """Begins coroutines as Python 3.12 begins tasks that are to be eager.

    It has a task in reserve, as which a coroutine is begun; if that has to wait, it goes on as that task. Until there
    is another one in reserve, and after AT_ONCE in a turn of the loop, coroutines are begun as tasks usually are: a
    little later. libuv may go on with tens of thousands of events before it lets anything else have its turn.
    """

    def __init__(self) -> None:
        """Must be called on the event loop."""
        self._loop = asyncio.get_running_loop()
        self._left = AT_ONCE
        self._renew()

    def begin(self, work: Work) -> Task | None:
        """The task that `work` goes on as; None if it is done. Raises what it raises."""
        task = self._task
        self._left -= 1
        if self._left == SOME:
            self._loop.call_soon(self._another_turn)
        if not self._is_ready or self._left < 0 or self._begun.done():
            return self._loop.create_task(work)
        try:
            _enter_task(self._loop, task)
        except RuntimeError:  # called by a task
            return self._loop.create_task(work)
        try:
            waits_for = self._context.run(work.send, None)
        except StopIteration:
            return None
        finally:
            _leave_task(self._loop, task)
        self._begun.set_result((work, waits_for))
        self._renew()
        return task

    def _another_turn(self) -> None:
        self._left = AT_ONCE

    def close(self) -> None:
        """Have nothing in reserve any more."""
        self._is_ready = False
        self._task.cancel()

    def _renew(self) -> None:
        self._is_ready = False
        self._context: Context = copy_context()
        self._begun: asyncio.Future[tuple[Work, Any]] = self._loop.create_future()
        self._task = self._loop.create_task(self._reserved(self._begun), context=self._context)

    async def _reserved(self, begun: asyncio.Future[tuple[Work, Any]]) -> None:
        self._is_ready = True
        told_to_end: list[BaseException] = []
        try:
            await begun
        except asyncio.CancelledError as error:
            if begun.cancelled():  # nothing is to be begun any more; or by mistake, of what did not have to wait
                self._is_ready = False
                raise
            told_to_end.append(error)
        work, waits_for = begun.result()
        if told_to_end and waits_for is not None and waits_for.cancel():
            told_to_end.clear()
        await _go_on(work, waits_for, told_to_end)


@coroutine
def watched(work: Coroutine[Any, Any, T], by: Callable[[], AbstractContextManager[None]]) -> Generator[Any, Any, T]:
    """What `work` returns: as awaiting it, but in a context from where it first has to wait."""
    try:
        waits_for = work.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    with by():
        return (yield from _on(work, waits_for))


@coroutine
def _go_on(work: Work, waits_for: Any, errors: list[BaseException]) -> Generator[Any, Any, None]:
    yield from _on(work, waits_for, errors.pop() if errors else None)


def _on(work: Coroutine[Any, Any, T], waits_for: Any, error: BaseException | None = None) -> Generator[Any, Any, T]:
    """Go on, as `yield from` does, with a coroutine that waits for something, or is to be told of an error."""
    sent: Any = None
    try:
        while True:
            if error is None:
                try:
                    sent = yield waits_for
                except BaseException as raised:  # noqa: BLE001
                    error = raised
            try:
                waits_for = work.send(sent) if error is None else work.throw(error)
            except StopIteration as done:
                result: T = done.value
                return result
            error = None
    finally:
        error = None  # which would keep itself, by its traceback
