"""A served process that is asked by up to eight times as many clients as it can serve: what it accepts must stay fast.

Each client asks again as soon as it has its answer, or, where there was too much to do, after about PAUSE_S as it is
told: a half more or less, for those that are refused at the same time should not come back at the same time.
"""

import asyncio
import itertools
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import shop
from benchmarks.client import Connection, WrongAnswer, connect, drive
from benchmarks.figures import Figure, Target, Work
from benchmarks.peers import Peers
from benchmarks.processes import Server, gateway
from benchmarks.scale import Scale

TIMES = (1, 2, 4, 8)
FEW = 16
"""Clients by which it is found how fast the gateway is."""
LAG_S = 0.1
"""MAX_LAG_S as it is in production; as many clients as are served in half of it are those that can be served."""
LIMITS = {"MAX_LAG_S": str(LAG_S), "MAX_COMMANDS": "50"}
PAUSE_S = 1.0
SETTLE_S = 1.5
"""Until those that are refused at first have come back."""
HEALTH = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n"


@dataclass
class Answers:
    """Seconds of each accepted request, and how many were shed, within `seconds` after the first of them."""

    seconds: float = 0.0
    accepted: list[float] = field(default_factory=list)
    shed: int = 0

    def within_ms(self, part: float) -> float:
        """Milliseconds within which such a part of what was accepted was answered."""
        return sorted(self.accepted)[int(len(self.accepted) * part)] * 1e3


FIGURES: dict[str, tuple[str, Callable[[Answers], float], Target | None]] = {
    "p50": ("ms, half of what is accepted", lambda answers: answers.within_ms(0.5), None),
    "p99": ("ms, 99 of 100 accepted", lambda answers: answers.within_ms(0.99), Target("1 x", 3.0, of="8 x")),
    "shed": ("% that is shed", lambda answers: 100 * answers.shed / (answers.shed + len(answers.accepted)), None),
    "goodput": ("accepted per second", lambda answers: len(answers.accepted) / answers.seconds, None),
}


async def measure(scale: Scale, folder: Path, peers: Peers) -> list[Work]:
    """Queries and commands: how soon what is accepted is answered, what is shed, and what is answered in a second."""
    path = await shop.filled(folder, scale.orders)
    numbers = random.Random(1).sample(range(scale.orders), k=min(1_000, scale.orders))
    asked = {
        "queries": (itertools.cycle(shop.listing(numbers)), b'"data":'),
        "commands": (shop.adding(list(range(scale.orders))), shop.SUCCEEDED),
    }
    async with gateway("--store", f"sqlite:///{path}", env=LIMITS) as server:
        return [work for name in asked for work in await _works(name, server, *asked[name], scale)]


async def _works(name: str, server: Server, requests: Iterator[bytes], good: bytes, scale: Scale) -> list[Work]:
    await drive(server.port, requests, FEW, scale.warm, good)
    found = await drive(server.port, requests, FEW, scale.seconds, good)
    clients = max(FEW, round(found.count / found.seconds * LAG_S / 2))
    rounds = {f"{times} x": list[Answers]() for times in TIMES}
    for _ in range(scale.launches):
        for times in TIMES:
            rounds[f"{times} x"].append(await overloaded(server.port, requests, clients * times, 2 * scale.seconds))
    return [
        Work(
            name=f"overload_{name}_{figure}",
            title=f"overload, {name}, {figure}",
            unit=unit,
            figures=[Figure(times, [told(answers) for answers in measured]) for times, measured in rounds.items()],
            targets=[target] if target else [],
        )
        for figure, (unit, told, target) in FIGURES.items()
    ]


async def overloaded(port: int, requests: Iterator[bytes], clients: int, seconds: float) -> Answers:
    """What so many clients are answered that ask all the time. Raises WrongAnswer for all but success and 503."""
    answers = Answers()
    connections = [await connect(port) for _ in range(clients)]
    for connection in connections:  # now it has been accepted
        await connection.ask(HEALTH)
    began = time.perf_counter() + SETTLE_S  # all of them begin at once, which is not what is measured
    try:
        async with asyncio.timeout(60.0 + seconds), asyncio.TaskGroup() as group:
            for connection in connections:
                group.create_task(_ask(connection, requests, began, began + seconds, answers))
    finally:
        for connection in connections:
            connection.close()
    answers.seconds = seconds
    return answers


async def _ask(connection: Connection, requests: Iterator[bytes], began: float, until: float, answers: Answers) -> None:
    while (sent := time.perf_counter()) < until:
        is_shed = False
        try:
            await connection.ask(next(requests))
        except WrongAnswer as wrong:
            if not str(wrong).startswith("HTTP/1.1 503"):
                raise
            is_shed = True
        now = time.perf_counter()
        if began <= now < until:
            if is_shed:
                answers.shed += 1
            else:
                answers.accepted.append(now - sent)
        if is_shed:
            await asyncio.sleep(random.uniform(0.5, 1.5) * PAUSE_S)
