"""Tasks that want one key go one after another, and leave nothing behind."""

import asyncio
from contextlib import suppress

import pytest

from store import Turns


async def take(turns: Turns, id: str, log: list[str], name: str, until: asyncio.Event) -> None:
    async with turns.of(id):
        log.append(name)
        await until.wait()


async def settle() -> None:
    """Let every task run until it waits for something."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_turns_on_one_id_are_taken_one_after_another_in_the_order_of_asking() -> None:
    turns, log = Turns(), list[str]()
    gates = [asyncio.Event() for _ in range(3)]
    tasks = [asyncio.create_task(take(turns, "a", log, str(n), gate)) for n, gate in enumerate(gates)]
    for so_far, gate in enumerate(gates, start=1):
        await settle()
        assert log == ["0", "1", "2"][:so_far]
        gate.set()
    await asyncio.gather(*tasks)


async def test_turns_on_different_ids_do_not_wait_for_each_other() -> None:
    turns, log, gate = Turns(), list[str](), asyncio.Event()
    tasks = [asyncio.create_task(take(turns, id, log, id, gate)) for id in "ab"]
    await settle()
    assert log == ["a", "b"]
    gate.set()
    await asyncio.gather(*tasks)


async def test_a_turn_ends_with_an_error() -> None:
    turns = Turns()
    with pytest.raises(ZeroDivisionError):
        async with turns.of("a"):
            raise ZeroDivisionError
    async with turns.of("a"):
        pass


@pytest.mark.parametrize("cancelled", [0, 1, 2], ids=["the holder", "the first in line", "the last in line"])
async def test_who_is_cancelled_leaves_the_line_and_the_others_have_their_turns(cancelled: int) -> None:
    turns, log, gate = Turns(), list[str](), asyncio.Event()
    tasks = [asyncio.create_task(take(turns, "a", log, str(n), gate)) for n in range(3)]
    await settle()
    tasks[cancelled].cancel()
    with suppress(asyncio.CancelledError):
        await tasks[cancelled]
    gate.set()
    others = [task for task in tasks if task is not tasks[cancelled]]
    await asyncio.gather(*others)
    assert [name for name in log if name != str(cancelled)] == [str(n) for n in range(3) if n != cancelled]


async def test_turns_leave_nothing_behind() -> None:
    turns, gate = Turns(), asyncio.Event()
    tasks = [asyncio.create_task(take(turns, f"id{n % 3}", [], "", gate)) for n in range(9)]
    await settle()
    tasks[0].cancel()
    tasks[8].cancel()
    gate.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert not turns


@pytest.mark.parametrize("early", [True, False], ids=["as the one before leaves", "as the turn comes"])
async def test_who_is_cancelled_in_the_moment_of_passing_on_is_and_the_next_has_the_turn(early: bool) -> None:
    turns, log, gate = Turns(), list[str](), asyncio.Event()
    gate.set()
    async with turns.of("a"):
        second, third = (asyncio.create_task(take(turns, "a", log, name, gate)) for name in ("second", "third"))
        await settle()
        if early:
            second.cancel()
    if not early:
        second.cancel()
    await asyncio.wait([second, third])
    assert (second.cancelled(), log, len(turns)) == (True, ["third"], 0)
