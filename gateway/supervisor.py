"""Keeps endless loops going: one that fails is run again after a pause, and what failed can be seen."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field

from projector.tasks import ended

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 10.0
STEADY_S = 30.0
"""A loop that ran this long before it failed is not one that keeps failing."""

Loop = Callable[[], Awaitable[None]]


@dataclass(slots=True)
class LoopState:
    """How a loop is doing: `error` is what it failed with while it waits to be run again, else None."""

    task: asyncio.Task[None]
    failures: int = 0
    error: str | None = None


@dataclass
class Supervisor:
    """The loops of this process, by name."""

    states: dict[str, LoopState] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)
    """What the loops themselves say that keeps them from a part of their work."""

    def start(self, loops: Iterable[tuple[str, Loop]]) -> None:
        """Run each loop until `stop`."""
        for name, loop in loops:
            task = asyncio.create_task(self._keep_running(name, loop), name=name)
            self.states[name] = LoopState(task)

    async def stop(self) -> None:
        """Cancel the loops and wait for them to end."""
        await ended(*[state.task for state in self.states.values()])

    @property
    def alive(self) -> bool:
        """Whether every loop is running, or will be run again."""
        return not any(state.task.done() for state in self.states.values())

    @property
    def failing(self) -> dict[str, str]:
        """The loops that failed and wait to be run again, with their errors, and their own problems."""
        failed = {name: state.error for name, state in self.states.items() if state.error is not None}
        return {**failed, **self.problems}

    async def _keep_running(self, name: str, loop: Loop) -> None:
        clock = asyncio.get_running_loop()
        pause = FIRST_PAUSE_S
        while True:
            started = clock.time()
            try:
                await loop()
                error = "it ended"
            except Exception as failure:
                log.exception("%s failed", name)
                error = f"{type(failure).__name__}: {failure}"
                if self.states[name].task.cancelling():  # told to end, it failed on the way out: ended it is
                    raise asyncio.CancelledError from failure
            if clock.time() - started >= STEADY_S:
                pause = FIRST_PAUSE_S
            state = self.states[name]
            state.failures += 1
            state.error = error
            await asyncio.sleep(pause)
            state.error = None
            pause = min(pause * 2, LONGEST_PAUSE_S)
