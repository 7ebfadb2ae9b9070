"""Coroutines that are begun at once, and go on as tasks only where they wait."""

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any

import pytest

from gateway.eager import AT_ONCE, Eager, watched
from projector.tasks import Task

Step = Callable[[], Awaitable[None]]
NAME: ContextVar[str] = ContextVar("name", default="")


@pytest.fixture
async def eager() -> AsyncIterator[Eager]:
    eager = Eager()
    await asyncio.sleep(0)  # its task has begun
    yield eager
    eager.close()


async def begun(eager: Eager, work: Any) -> Task | None:
    """Begin as the loop does, outside of all tasks."""
    done: asyncio.Future[Task | None] = asyncio.get_running_loop().create_future()

    def begin() -> None:
        try:
            done.set_result(eager.begin(work))
        except Exception as error:  # noqa: BLE001
            done.set_exception(error)

    asyncio.get_running_loop().call_soon(begin)
    return await done


async def test_what_waits_for_nothing_is_done_at_once(eager: Eager) -> None:
    seen = []

    async def work() -> None:
        seen.append(asyncio.current_task())

    before = len(asyncio.all_tasks())
    assert await begun(eager, work()) is None
    assert await begun(eager, work()) is None
    assert isinstance(seen[0], asyncio.Task)
    assert seen == [seen[0]] * 2
    assert len(asyncio.all_tasks()) == before


async def test_what_waits_goes_on_as_the_task_that_it_was_begun_as(eager: Eager) -> None:
    seen: list[Any] = []
    gate = asyncio.Event()

    async def work() -> None:
        NAME.set("mine")
        seen.append(asyncio.current_task())
        for step in (gate.wait, lambda: asyncio.sleep(0), lambda: asyncio.sleep(0.001)):
            await step()
            seen.append(asyncio.current_task())
        seen.append(NAME.get())

    task = await begun(eager, work())
    assert task is not None
    assert not task.done()
    gate.set()
    await task
    assert seen == [task] * 4 + ["mine"]
    assert NAME.get() == ""


async def test_several_that_wait_in_one_turn_all_go_on(eager: Eager) -> None:
    gate, done = asyncio.Event(), []

    async def work(number: int) -> None:
        await gate.wait()
        done.append(number)

    tasks: list[Task | None] = []
    asyncio.get_running_loop().call_soon(lambda: tasks.extend(eager.begin(work(number)) for number in range(5)))
    await asyncio.sleep(0.001)
    gate.set()
    await asyncio.gather(*(task for task in tasks if task))
    assert sorted(done) == [0, 1, 2, 3, 4]


async def test_a_turn_of_the_loop_has_an_end(eager: Eager) -> None:
    done: list[int] = []
    tasks: list[Task | None] = []

    async def work(number: int) -> None:
        done.append(number)

    many = 2 * AT_ONCE
    asyncio.get_running_loop().call_soon(lambda: tasks.extend(eager.begin(work(number)) for number in range(many)))
    await asyncio.sleep(0)
    assert done == list(range(AT_ONCE))
    assert tasks[:AT_ONCE] == [None] * AT_ONCE
    assert all(tasks[AT_ONCE:])
    await asyncio.gather(*(task for task in tasks if task))
    assert done == list(range(many))
    assert await begun(eager, work(many)) is None  # another turn


async def test_what_fails_at_once_fails_there_and_what_fails_later_fails_the_task(eager: Eager) -> None:
    async def fail(first: Step | None) -> None:
        if first:
            await first()
        raise ValueError("so it is")

    with pytest.raises(ValueError, match="so it is"):
        await begun(eager, fail(None))
    task = await begun(eager, fail(lambda: asyncio.sleep(0)))
    assert task
    with pytest.raises(ValueError, match="so it is"):
        await task


async def _nothing() -> None:
    pass


async def test_time_limits_hold_from_before_the_first_wait(eager: Eager) -> None:
    ended = []

    async def work() -> None:
        try:
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()
        except TimeoutError:
            ended.append("late")
        async with asyncio.TaskGroup() as group:
            group.create_task(_nothing())

    task = await begun(eager, work())
    assert task
    await task
    assert ended == ["late"]
    assert task.cancelling() == 0


@pytest.mark.parametrize("turns", [0, 1, 2])
@pytest.mark.parametrize("waits_for", ["a future", "its turn"])
async def test_cancelling_reaches_the_coroutine_however_soon_it_comes(eager: Eager, turns: int, waits_for: str) -> None:
    told: list[str] = []

    async def work() -> None:
        try:
            if waits_for == "a future":
                await asyncio.Event().wait()
            for _ in range(100):
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            told.append("cancelled")
            await asyncio.sleep(0)
            told.append("cleared up")
            raise

    tasks: list[Task] = []

    def begin() -> None:
        if task := eager.begin(work()):
            tasks.append(task)
            if not turns:
                task.cancel()

    asyncio.get_running_loop().call_soon(begin)
    for _ in range(turns + 1):
        await asyncio.sleep(0)
    (task,) = tasks
    if turns:
        task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert told == ["cancelled", "cleared up"]
    assert task.cancelled()


async def test_a_task_that_begins_another_goes_on_first(eager: Eager) -> None:
    order = []

    async def work() -> None:
        order.append("begun")

    task = eager.begin(work())  # which this test is
    order.append("went on")
    assert task
    await task
    assert order == ["went on", "begun"]


async def test_what_was_cancelled_is_not_kept_by_its_own_error(eager: Eager) -> None:
    class Thing:
        pass

    async def work(thing: Thing) -> None:
        await asyncio.Event().wait()

    async def gone(wait: Callable[[Thing], Awaitable[Task]]) -> bool:
        thing = Thing()
        there = weakref.ref(thing)
        task = await wait(thing)
        del thing
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        del task
        return there() is None

    async def eagerly(thing: Thing) -> Task:
        task = await begun(eager, work(thing))
        assert task
        return task

    async def watching(thing: Thing) -> Task:
        return asyncio.ensure_future(_awaited(work(thing)))

    gc.disable()
    try:
        assert await gone(eagerly)
        assert await gone(watching)
    finally:
        gc.enable()


async def test_a_reserve_that_was_cancelled_by_mistake_harms_nobody(eager: Eager) -> None:
    async def mistaken() -> None:
        me = asyncio.current_task()
        assert me
        me.cancel()

    async def waits(done: list[str]) -> None:
        await asyncio.sleep(0)
        done.append("done")

    done: list[str] = []
    tasks: list[Task | None] = []
    asyncio.get_running_loop().call_soon(lambda: tasks.extend(map(eager.begin, (mistaken(), waits(done)))))
    await asyncio.sleep(0)
    assert tasks[0] is None
    assert tasks[1]
    await tasks[1]
    done.clear()
    for _ in range(2):
        task = await begun(eager, waits(done))
        assert task
        await task
    assert done == ["done"] * 2


async def test_after_the_end_everything_is_an_ordinary_task() -> None:
    eager = Eager()
    await asyncio.sleep(0)
    eager.close()
    await asyncio.sleep(0)
    task = await begun(eager, _nothing())
    assert task
    await task


@contextmanager
def noting(notes: list[str]) -> Iterator[None]:
    notes.append("in")
    try:
        yield
    except ValueError:
        notes.append("failed")
        raise LookupError from None
    finally:
        notes.append("out")


async def test_the_context_is_entered_where_it_first_has_to_wait() -> None:
    notes: list[str] = []

    async def at_once() -> int:
        return 7

    async def later() -> int:
        notes.append("begun")
        await asyncio.sleep(0)
        return 8

    async def fails() -> int:
        await asyncio.sleep(0)
        raise ValueError

    assert await watched(at_once(), lambda: noting(notes)) == 7
    assert notes == []
    assert await watched(later(), lambda: noting(notes)) == 8
    assert notes == ["begun", "in", "out"]
    with pytest.raises(LookupError):
        await watched(fails(), lambda: noting(notes))
    assert notes[3:] == ["in", "failed", "out"]


async def test_what_is_watched_may_catch_its_cancelling() -> None:
    async def stubborn() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "went on"
        return ""

    task = asyncio.ensure_future(_awaited(stubborn()))
    await asyncio.sleep(0)
    task.cancel()
    assert await task == "went on"


async def _awaited(work: Any) -> Any:
    return await watched(work, lambda: noting([]))
