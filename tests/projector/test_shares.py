"""Equal shares: whoever looks in turn, from whatever beginning, they come to be equal, and stay as they are."""

from collections import Counter
from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from projector.shares import to_take

WORKERS = [f"worker {number}" for number in range(6)]

Owners = dict[str, str | None]


@st.composite
def beginnings(draw: st.DrawFn, workers: int = 6) -> Owners:
    """Who has which of some leases, perhaps nobody."""
    owners = draw(st.lists(st.sampled_from([None, *WORKERS[:workers]]), min_size=1, max_size=24))
    return {f"lease {number}": owner for number, owner in enumerate(owners)}


def look(owners: Owners, me: str) -> list[str]:
    """One look of a worker, after which it has what it wanted."""
    taken = to_take(owners, me)
    owners.update(dict.fromkeys(taken, me))
    return taken


def settle(owners: Owners, workers: list[str]) -> None:
    """All look in turn until none takes anything; each round brings them nearer, so it cannot take long."""
    for _ in range(2 * len(owners) + 2):
        if [look(owners, worker) for worker in workers] == [[]] * len(workers):
            return
    raise AssertionError(f"no end of taking: {owners}")


def counts(owners: Mapping[str, str | None], workers: list[str]) -> list[int]:
    found = Counter(owners.values())
    return [found[worker] for worker in workers]


def leave(owners: Owners, *gone: str) -> None:
    owners.update({lease: None for lease, owner in owners.items() if owner in gone})


@given(beginnings(), st.permutations(WORKERS))
def test_workers_that_look_in_turn_come_to_equal_shares_and_stay_there(owners: Owners, workers: list[str]) -> None:
    settle(owners, workers)
    found = counts(owners, workers)
    assert sum(found) == len(owners)
    assert max(found) - min(found) <= 1
    then = dict(owners)
    settle(owners, workers[::-1])
    assert owners == then


@given(beginnings(), st.lists(st.sampled_from(WORKERS), max_size=40))
def test_nobody_ever_takes_beyond_an_equal_share_or_from_one_that_has_no_more(owners: Owners, looks: list[str]) -> None:
    for me in looks:
        before, own = dict(owners), counts(owners, [me])[0]
        share = -(-len(owners) // len({owner for owner in owners.values() if owner} | {me}))
        taken = look(owners, me)
        assert not taken or own + len(taken) <= share
        for victim in filter(None, (before[lease] for lease in taken)):
            assert victim != me
            assert counts(before, [victim])[0] > own + 1 or counts(before, [victim])[0] > share
            assert counts(owners, [victim])[0] >= counts(owners, [me])[0] - 1


@given(beginnings(workers=3))
def test_workers_that_join_get_their_share_and_those_that_leave_are_inherited(owners: Owners) -> None:
    settle(owners, WORKERS[:3])
    settle(owners, WORKERS)
    assert max(found := counts(owners, WORKERS)) - min(found) <= 1
    leave(owners, *WORKERS[1:4])
    left = [WORKERS[0], *WORKERS[4:]]
    settle(owners, left)
    assert max(found := counts(owners, left)) - min(found) <= 1
    assert sum(found) == len(owners)


@given(beginnings(workers=3))
def test_only_the_fewest_leases_move_when_a_worker_joins(owners: Owners) -> None:
    leave(owners, *WORKERS[3:])
    settle(owners, WORKERS[:3])
    before = dict(owners)
    settle(owners, WORKERS[:4])
    moved = {lease for lease, owner in owners.items() if owner != before[lease]}
    assert {owners[lease] for lease in moved} <= {WORKERS[3]}
    assert len(moved) <= -(-len(owners) // 4)


def test_what_is_free_is_taken_at_one_look_and_what_is_not_one_at_a_time() -> None:
    free: Owners = {f"lease {number}": None for number in range(8)}
    assert len(look(free, "a")) == 8
    assert [len(look(free, "b")) for _ in range(5)] == [1, 1, 1, 1, 0]


def test_two_who_look_at_the_same_time_rarely_want_the_same() -> None:
    owners: Owners = {f"lease {number}": None for number in range(100)} | {"taken": "c"}
    wants = {tuple(to_take(owners, "a")) for _ in range(3)}
    assert len(wants) == 3


def test_no_leases_are_nothing_to_take() -> None:
    assert to_take({}, "a") == []
