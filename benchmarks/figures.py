"""What was measured, and how it is compared: medians of interleaved rounds, and ratios within a round."""

import statistics
from collections.abc import Awaitable, Callable, Mapping

import msgspec

GATEWAY = "gateway"

Measure = Callable[[], Awaitable[float]]
"""Measures one round of one server, in the unit of the work."""


class Figure(msgspec.Struct, frozen=True):
    """What each round of a server measured, in the order of the rounds."""

    server: str
    rounds: list[float]

    @property
    def median(self) -> float:
        """The middle of the rounds."""
        return statistics.median(self.rounds)


class Target(msgspec.Struct, frozen=True, omit_defaults=True):
    """What `of` names is to reach `times` what `floor` has, and `plus` more; without a floor `plus` alone."""

    floor: str | None = None
    times: float = 1.0
    plus: float = 0.0
    at_least: bool = False
    of: str = GATEWAY


class Work(msgspec.Struct, frozen=True):
    """A work, what it took each server, and what the gateway is to reach; what could not be measured is `missing`."""

    name: str
    title: str
    unit: str
    figures: list[Figure]
    targets: list[Target]
    missing: list[str] = []

    def figure(self, server: str | None) -> Figure | None:
        """What was measured of a server, if it was."""
        return next((figure for figure in self.figures if figure.server == server), None)

    def reached(self, target: Target) -> float | None:
        """What is measured in parts of what is to be reached: at most 1 reaches it, or at least 1 if `at_least`.

        A ratio of figures of the same round, for what disturbs a round disturbs both; the median over the rounds.
        None if either is not there, or was too little for the clock.
        """
        measured, floor = self.figure(target.of), self.figure(target.floor)
        if measured is None or (floor is None and target.floor is not None):
            return None
        floors = floor.rounds if floor else [0.0] * len(measured.rounds)
        pairs = zip(measured.rounds, (target.times * other + target.plus for other in floors), strict=True)
        ratios = [mine / bound for mine, bound in pairs if mine and bound]
        return statistics.median(ratios) if ratios else None


async def interleaved(servers: Mapping[str, Measure], rounds: int) -> list[Figure]:
    """The figures of all servers, measured in turn: A B C, A B C, ... One round before several does not count."""
    figures: dict[str, list[float]] = {name: [] for name in servers}
    for _ in range(rounds + (rounds > 1)):
        for name, measure in servers.items():
            figures[name].append(await measure())
    return [Figure(name, measured[-rounds:]) for name, measured in figures.items()]
