"""Token buckets and counts: what is there is given, and what was given comes back."""

import pytest

from gateway.limits import rates
from gateway.limits.rates import Held, Rate


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_what_is_left_is_given_and_more_comes_with_time() -> None:
    clock = Clock()
    rate = Rate(10, burst=20, clock=clock)
    assert [rate.take("a", 15), rate.take("a", 5), rate.take("a", 1)] == [0, 0, 0.1]
    clock.now = 0.5
    assert rate.take("a", 6) == pytest.approx(0.1)
    assert rate.take("a", 5) == 0
    clock.now = 100
    assert [rate.take("a", 20), rate.take("a", 1)] == [0, 0.1]


def test_each_key_has_its_own() -> None:
    rate = Rate(1, burst=1, clock=Clock())
    assert [rate.take("a", 1), rate.take("b", 1), rate.take("a", 1)] == [0, 0, 1]


def test_what_costs_more_than_there_ever_is_costs_all_of_it() -> None:
    rate = Rate(1, burst=5, clock=Clock())
    assert [rate.take("a", 100), rate.take("a", 100)] == [0, 5]


def test_who_has_not_asked_lately_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "MAX_KEYS", 2)
    rate = Rate(1, burst=1, clock=Clock())
    for key in ("a", "b", "c"):
        assert rate.take(key, 1) == 0
    assert [rate.take("c", 1), rate.take("a", 1)] == [1, 0]


def test_as_many_are_held_as_may_be() -> None:
    held = Held(3, 2)
    assert [held.take(key) for key in "aaabb"] == [True, True, False, True, False]
    held.give("a")
    assert [held.take(key) for key in "ba"] == [True, False]
    assert held.total == 3


def test_any_number_is_held_where_there_is_no_bound() -> None:
    held = Held(0, 0)
    assert all(held.take("a") for _ in range(1_000))
