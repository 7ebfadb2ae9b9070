"""What was asked for lately stays."""

from gateway.limits.recent import Recent


def test_what_was_asked_for_since_it_was_the_oldest_has_a_second_chance() -> None:
    forgotten: list[str] = []
    recent: Recent[str, str] = Recent(10, forgotten.append)
    for name in "abcdefghij":
        recent.keep(name, name)
    assert (recent.get("a"), recent.get("c"), recent.get("z")) == ("a", "c", None)
    recent.keep("k", "k")
    recent.keep("l", "l")
    assert forgotten == ["b", "d"]
    assert "".join(recent) == "efghijakcl"
    for name in "mnopqr":
        recent.keep(name, name)
    assert forgotten == list("bdefghij")
    recent.keep("s", "s")
    recent.keep("t", "t")
    assert forgotten[-2:] == ["a", "k"]  # it had one


def test_the_newest_stays_also_where_all_others_were_asked_for() -> None:
    recent: Recent[int, int] = Recent(10)
    for number in range(10):
        recent.keep(number, number)
        recent.get(number)
    recent.keep(10, 10)
    assert 10 in recent
    assert 0 not in recent


def test_what_is_too_heavy_is_not_kept_and_what_is_dropped_weighs_nothing() -> None:
    recent: Recent[str, int] = Recent(100)
    recent.keep("heavy", 1, 11)
    assert "heavy" not in recent
    for number in range(10):
        recent.keep(str(number), number, 10)
    recent.drop("9")
    recent.keep("10", 10, 10)
    assert len(list(recent)) == 10
