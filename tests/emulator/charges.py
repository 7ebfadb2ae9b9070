"""Request charges by the documented model: a price per size step, and 0.2 units per indexed term of a write."""

from bisect import bisect_left

_STEPS = [1, 2, 4, 8, 16, 32, 64, 128]
_READ = [1.00, 1.04, 1.14, 1.33, 1.67, 2.19, 4.76, 9.95]
_WRITE = [4.95, 6.29, 6.67, 7.04, 9.52, 11.23, 22.67, 45.34]
_PER_TERM = 0.2

NOTHING = 1.0
"""A point read that finds nothing (404) or nothing newer (304)."""
QUERY = 2.3
"""A query, before its results."""


def _step(prices: list[float], size: int) -> float:
    kilobytes = size / 1024
    index = bisect_left(_STEPS, kilobytes)
    return prices[index] if index < len(_STEPS) else prices[-1] * kilobytes / _STEPS[-1]


def read(size: int) -> float:
    return round(_step(_READ, size), 2)


def create(size: int, terms: int) -> float:
    return round(_step(_WRITE, size) + _PER_TERM * terms, 2)


def replace(size: int, terms: int) -> float:
    return round(2 * create(size, terms), 2)


def patch(size: int, terms: int) -> float:
    return round(1.07 * replace(size, terms), 2)


def delete(size: int, terms: int) -> float:
    return round(1.3 * create(size, terms), 2)


def query(returned: list[int], scanned: int) -> float:
    """A query that returned values of these sizes and had to look at `scanned` items."""
    return round(QUERY + sum(0.3 * read(size) for size in returned) + 0.02 * max(0, scanned - len(returned)), 2)


def feed(returned: list[int]) -> float:
    return round(max(NOTHING, sum(read(size) for size in returned)), 2)
