"""What is being executed: at most so much at a time, and nothing for longer than it may take."""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any, TypeVar

from gateway.limits.shed import Shed
from projector.tasks import Task, to_the_end

T = TypeVar("T")


LOOK_S = 0.05
LATE_LOOKS = 3
"""How much more often than not the loop must have been late to have too much to do: once it was garbage. A look that
comes after several were missed counts as all of them."""
MOST_LATE_LOOKS = 2 * LATE_LOOKS


class Running:
    """The queries and commands of a process, and how late its event loop is, which is how long each of them waits.

    All queries may take the same time, so that the first to begin is the first to be late, and one timer is enough.
    """

    def __init__(
        self, at_most: int = 0, seconds: float = 0.0, max_lag_s: float = 0.0, commands_at_most: int = 0
    ) -> None:
        """`at_most` at a time, so many of them commands, each for `seconds`, none that waited `max_lag_s`; 0: any."""
        self._at_most = at_most
        self._commands_at_most = commands_at_most
        self._seconds = seconds
        self._max_lag_s = max_lag_s
        self._late_looks = 0
        self._turn_began: float | None = None
        self._next_look: asyncio.TimerHandle | None = None
        self._queries: dict[Task, float] = {}
        self._commands: set[Task] = set()
        self._late: set[Task] = set()
        self._timer: asyncio.TimerHandle | None = None

    def admit(self, *, command: bool = False) -> None:
        """Raises Shed if there is no room for one more; to be asked before anything is done for it.

        Commands have a bound of their own: each waits for all that wait for the disk with it. What is asked late in a
        turn of the loop has waited since its beginning; what arrives meanwhile waits for its end, and then as long
        again at most.
        """
        if (
            0 < self._at_most <= len(self._queries) + len(self._commands)
            or (command and 0 < self._commands_at_most <= len(self._commands))
            or (self._late_looks >= LATE_LOOKS and self._turn_s() > self._max_lag_s / 2)
        ):
            raise _overloaded()

    def watch(self) -> None:
        """Look from now on how late the loop is."""
        if self._max_lag_s:
            loop = asyncio.get_running_loop()
            due = loop.time() + LOOK_S
            self._next_look = loop.call_at(due, self._look_at_loop, due)

    def _look_at_loop(self, due: float) -> None:
        late_s = asyncio.get_running_loop().time() - due
        missed = 1 + int(late_s / LOOK_S)
        is_late = late_s > self._max_lag_s / 8
        self._late_looks = min(self._late_looks + missed, MOST_LATE_LOOKS) if is_late else max(self._late_looks - 1, 0)
        self.watch()

    def _turn_s(self) -> float:
        """For how long the loop has been at what had arrived when it last looked."""
        now = perf_counter()  # the loop's own time stands still meanwhile
        if self._turn_began is None:
            self._turn_began = now
            asyncio.get_running_loop().call_soon(self._end_turn)
        return now - self._turn_began

    def _end_turn(self) -> None:
        self._turn_began = None

    @contextmanager
    def query(self) -> Iterator[None]:
        """A query of the current task, which is cancelled when its time is up."""
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        assert task
        self._queries[task] = until = loop.time() + self._seconds
        if self._timer is None and self._seconds:
            self._timer = loop.call_at(until, self._look)
        try:
            yield
        finally:
            self._queries.pop(task, None)
            self._late.discard(task)

    def is_late(self) -> bool:
        """Whether the current task was cancelled because its query's time is up, and for nothing else; then it goes
        on."""
        task = asyncio.current_task()
        if task not in self._late:
            return False
        self._late.discard(task)
        return not task.uncancel()

    async def finished(self, command: Coroutine[Any, Any, T]) -> T:
        """What a command returns; it is finished also if the caller is cancelled. Raises NotYet when its time is up."""
        task = asyncio.get_running_loop().create_task(command)
        self._commands.add(task)
        task.add_done_callback(self._commands.discard)
        return await to_the_end(task, self._seconds or None)

    async def close(self) -> None:
        """Wait for the commands that nobody waits for any more."""
        for timer in (self._timer, self._next_look):
            if timer:
                timer.cancel()
        if self._commands:
            await asyncio.wait(self._commands, timeout=self._seconds or None)

    def _look(self) -> None:
        """Cancel what is late, and look again when the next one will be."""
        loop = asyncio.get_running_loop()
        self._timer = None
        for task, until in list(self._queries.items()):
            if until > loop.time():
                self._timer = loop.call_at(until, self._look)
                return
            del self._queries[task]
            self._late.add(task)
            task.cancel()


def _overloaded() -> Shed:
    return Shed("OVERLOADED", "The service has too much to do at the moment; try again.", 1.0)
