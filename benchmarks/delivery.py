"""From sending a command to the delivery of its change to a subscriber, beside the command's own answer, idle."""

import asyncio
import statistics
import time
from pathlib import Path

from benchmarks import shop
from benchmarks.client import Connection, connect
from benchmarks.figures import Figure, Target, Work
from benchmarks.peers import Peers
from benchmarks.processes import gateway
from benchmarks.scale import Scale
from benchmarks.subscribers import Crowd

ANSWER = "its answer"
PAUSE_S = 0.01
CHANGED = 1


async def measure(scale: Scale, folder: Path, peers: Peers) -> list[Work]:
    """Milliseconds to the frame and to the answer: the middle of each round."""
    path = await shop.filled(folder, scale.orders)
    answers: list[float] = []
    frames: list[float] = []
    async with gateway("--store", f"sqlite:///{path}") as server:
        connection, crowd = await connect(server.port), Crowd(server.port, shop.FOLLOW, id=shop.order_id(CHANGED))
        await crowd.grow(1)
        for number in range(scale.rounds + 1):
            pairs = [await _one(connection, crowd) for _ in range(scale.deliveries)]
            if number:
                answers.append(statistics.median(answer for answer, _ in pairs))
                frames.append(statistics.median(frame for _, frame in pairs))
        crowd.close()
        connection.close()
    return [
        Work(
            name="delivery",
            title="send to live delivery, idle",
            unit="ms from sending, half of all",
            figures=[Figure(ANSWER, answers), Figure("gateway", frames)],
            targets=[Target(ANSWER, 2.0)],
        )
    ]


async def _one(connection: Connection, crowd: Crowd) -> tuple[float, float]:
    """Milliseconds until a command is answered, and until its change is delivered."""
    await asyncio.sleep(PAUSE_S)
    request, before = next(shop.adding([CHANGED])), crowd.received
    delivered = asyncio.create_task(crowd.until(before + 1))
    started = time.perf_counter()
    await connection.ask(request)
    answered = time.perf_counter()
    await delivered
    return (answered - started) * 1e3, (crowd.last_at - started) * 1e3
