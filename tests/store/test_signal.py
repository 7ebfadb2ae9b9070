"""Who waits for changes is woken by the next one, after a while, or not at all if it has gone."""

import asyncio

import pytest

from store.signal import Signal

LONG_S = 60.0


async def waiting(signal: Signal, count: int) -> list[asyncio.Task[int]]:
    """So many tasks that wait for what comes."""
    tasks = [asyncio.create_task(signal.wait(signal.count, LONG_S)) for _ in range(count)]
    await asyncio.sleep(0)
    return tasks


async def test_all_who_wait_are_woken_and_who_has_not_seen_it_does_not_wait() -> None:
    signal = Signal()
    seen, tasks = signal.count, await waiting(signal, 3)
    signal.notify()
    assert await asyncio.gather(*tasks) == [seen + 1] * 3
    assert await signal.wait(seen, LONG_S) == seen + 1


async def test_nothing_comes_for_a_while() -> None:
    signal = Signal()
    assert await signal.wait(signal.count, 0.01) == signal.count


async def test_who_goes_away_leaves_the_others_waiting() -> None:
    signal = Signal()
    gone, stays = await waiting(signal, 2)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    signal.notify()
    assert await stays == signal.count


async def test_who_is_woken_and_cancelled_at_once_is_cancelled() -> None:
    signal = Signal()
    (both,) = await waiting(signal, 1)
    signal.notify()
    both.cancel()
    with pytest.raises(asyncio.CancelledError):
        await both
