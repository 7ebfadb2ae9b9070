"""All orders projected from the beginning of the feed, by `gateway project` alone. Orders per second, and their CPU."""

import asyncio
import shutil
import sqlite3
import tempfile
import time
from pathlib import Path

from benchmarks import shop
from benchmarks.figures import Figure, Target, Work
from benchmarks.peers import Peers
from benchmarks.processes import GATEWAY, gateway, output, python, running
from benchmarks.rows import count
from benchmarks.scale import Scale

LOOP = "bare decode and upsert"
LOOK_S = 0.02
WITHIN_S = 180.0


async def measure(scale: Scale, folder: Path, peers: Peers) -> list[Work]:
    """Orders per second that are projected, beside a loop that decodes as much and writes as much."""
    written = await shop.filled(folder, scale.replayed, "--no-projector")
    projected = await _projected(written, folder)
    documents = count(projected)
    rates: dict[str, list[float]] = {LOOP: [], "gateway": []}
    cpu: dict[str, list[float]] = {LOOP: [], "gateway": []}
    for _ in range(scale.launches):
        printed = await output(*python("benchmarks.floors.replay", str(folder), str(projected)))
        us, seconds = map(float, printed.split())
        cpu[LOOP].append(us / scale.replayed)
        rates[LOOP].append(scale.replayed / seconds)
        us, seconds = await _replay(written, documents)
        cpu["gateway"].append(us / scale.replayed)
        rates["gateway"].append(scale.replayed / seconds)
    return [
        Work(
            name="replay",
            title="projection replay",
            unit="orders per second",
            figures=[Figure(name, measured) for name, measured in rates.items()],
            targets=[Target(LOOP, 1 / 3, at_least=True)],
        ),
        Work(
            name="replay_cpu",
            title="the same",
            unit="us of CPU per order",
            figures=[Figure(name, measured) for name, measured in cpu.items()],
            targets=[],
        ),
    ]


async def _projected(written: Path, folder: Path) -> Path:
    """A copy in which all is projected."""
    path = Path(shutil.copy(written, folder / "projected.db"))
    async with gateway("--store", f"sqlite:///{path}") as server:
        await shop.caught_up(server)
    return path


async def _replay(written: Path, documents: int) -> tuple[float, float]:
    """Microseconds of CPU and seconds that a replay takes, extrapolated from what comes behind its first page."""
    with tempfile.TemporaryDirectory(dir=written.parent) as folder:
        path = Path(shutil.copy(written, folder))
        async with running(GATEWAY, "project", "--store", f"sqlite:///{path}") as worker:
            await _until(path, 1)
            cpu, started, first = await worker.cpu(), time.perf_counter(), _count(path)
            await _until(path, documents)
            seconds = time.perf_counter() - started
            part = max(documents - first, 1) / documents  # a smoke run may find all of it at the first look
            return (await worker.cpu() - cpu) / part * 1e6, seconds / part


async def _until(path: Path, documents: int) -> None:
    async with asyncio.timeout(WITHIN_S):
        while _count(path) < documents:  # noqa: ASYNC110  another process
            await asyncio.sleep(LOOK_S)


def _count(path: Path) -> int:
    try:
        return count(path)
    except sqlite3.OperationalError:  # the table is not there yet
        return 0
