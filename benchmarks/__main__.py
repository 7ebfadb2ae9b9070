"""`python -m benchmarks [smoke|quick|full|growth|report] [--only WORK ...]`

`full` writes results.json, the picture and the tables of docs/performance.md; `growth` growth.json and its tables;
`report` only writes picture and tables anew. The others print what they measured.
"""

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop

from benchmarks import commands, cosmos, delivery, fanout, growth, overload, queries, replay, report
from benchmarks.figures import Work
from benchmarks.peers import Peers
from benchmarks.processes import CLIENT_CORES
from benchmarks.scale import SCALES, Scale

Measured = Callable[[Scale, Path, Peers], Awaitable[list[Work]]]
WORKS: dict[str, Measured] = {
    "queries": queries.measure,
    "commands": commands.measure,
    "delivery": delivery.measure,
    "fanout": fanout.measure,
    "replay": replay.measure,
    "cosmos": cosmos.measure,
    "overload": overload.measure,
}
WITHIN_S = 300.0
"""What one of them may take."""


async def measure(scale: Scale, only: list[str]) -> list[Work]:
    """All works, or some; each is printed when it is there."""
    works, peers = [], Peers()
    with tempfile.TemporaryDirectory() as folder:
        for name in only or WORKS:
            started = time.perf_counter()
            async with asyncio.timeout(WITHIN_S):
                measured = await WORKS[name](scale, Path(folder), peers)
            for work in measured:
                print(report.told(work), flush=True)
            print(f"({name}: {time.perf_counter() - started:.0f} s)\n", flush=True)
            works += measured
    return works


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("what", choices=[*SCALES, "growth", "report"])
    parser.add_argument("--only", nargs="+", choices=[*WORKS], default=[], metavar="WORK", help=" ".join(WORKS))
    arguments = parser.parse_args()
    os.sched_setaffinity(0, CLIENT_CORES)
    if arguments.what == "growth":
        report.keep_growth(uvloop.run(growth.measure()))
    elif arguments.what != "report":
        works = uvloop.run(measure(SCALES[arguments.what], arguments.only))
        if arguments.what == "full" and not arguments.only:
            report.keep(works)
    if arguments.what in ("full", "growth", "report"):
        report.write()


if __name__ == "__main__":
    main()
