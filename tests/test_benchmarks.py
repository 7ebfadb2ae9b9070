"""The page about performance says what was measured, and compares what was measured in the same round."""

import asyncio
import sys

import pytest

from benchmarks.figures import GATEWAY, Figure, Target, Work, interleaved
from benchmarks.picture import drawn
from benchmarks.processes import Server
from benchmarks.report import PAGE, PICTURE, RESULTS, kept, rewritten

ROUNDS = Work("w", "work", "us", [Figure("floor", [10, 20, 40]), Figure(GATEWAY, [12, 30, 44])], [])


def test_the_tables_of_the_page_are_those_of_the_results() -> None:
    assert rewritten(PAGE.read_text()) == PAGE.read_text()


def test_the_picture_is_that_of_the_results() -> None:
    results = kept(RESULTS)
    assert results
    assert drawn(results.works) == PICTURE.read_text()


def test_a_ratio_is_the_middle_of_those_within_rounds() -> None:
    assert ROUNDS.reached(Target("floor")) == pytest.approx(1.2)


def test_a_target_may_add_to_its_floor_or_have_none() -> None:
    assert ROUNDS.reached(Target("floor", times=0.5, plus=10)) == pytest.approx(44 / 30)
    assert ROUNDS.reached(Target(plus=60)) == pytest.approx(0.5)


def test_a_target_beside_what_was_not_measured_is_not_measured() -> None:
    assert ROUNDS.reached(Target("a peer that is not installed")) is None


def test_a_round_that_was_too_short_for_the_clock_does_not_count() -> None:
    figures = [Figure("floor", [0, 20, 40]), Figure(GATEWAY, [12, 0, 50])]
    assert Work("w", "work", "us", figures, []).reached(Target("floor")) == pytest.approx(1.25)
    assert Work("w", "work", "us", [Figure("floor", [0]), Figure(GATEWAY, [1])], []).reached(Target("floor")) is None


GOES_ON = """
import sys, time
for line in sys.stdin:
    for said in (line, ""):  # it is busy before it answers, and for a while after
        until = time.perf_counter() + 0.0005
        while time.perf_counter() < until:
            pass
        print(said, end="", flush=True)
"""


async def test_what_a_process_has_just_done_is_in_its_cpu() -> None:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", GOES_ON, stdin=pipe, stdout=pipe)
    assert process.stdin
    assert process.stdout
    server = Server(process, 0, "")
    try:
        for _ in range(20):
            before = await server.cpu()
            process.stdin.write(b"go on\n")
            assert await process.stdout.readline() == b"go on\n"
            assert await server.cpu() > before
    finally:
        process.stdin.close()
        await process.wait()


async def test_rounds_take_turns_and_the_first_of_several_does_not_count() -> None:
    asked: list[str] = []

    async def ask(server: str) -> float:
        asked.append(server)
        return len(asked)

    figures = await interleaved({"a": lambda: ask("a"), "b": lambda: ask("b")}, 2)
    assert asked == ["a", "b"] * 3
    assert figures == [Figure("a", [3, 5]), Figure("b", [4, 6])]
