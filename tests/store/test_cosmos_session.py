"""The session of a process with a container: the newest token of each physical partition."""

from store.cosmos.session import MOST_RANGES, TOKEN, Session


def told(*tokens: str) -> str | None:
    """What requests are given once answers have had these tokens."""
    session = Session()
    for token in tokens:
        session.note({TOKEN: token})
    given: str | None = session.options.get("session_token")
    return given


def test_the_newest_token_of_each_range_is_kept() -> None:
    assert told() is None
    assert told("0:0#9#1=-1") == "0:0#9#1=-1"
    assert told("0:0#9#1=-1", "1:0#5#1=-1", "0:0#10#1=-1", "0:0#9#1=-1") == "0:0#10#1=-1,1:0#5#1=-1"
    assert told("0:0#9#1=-1,1:0#5#1=-1", "1:0#6#1=-1") == "0:0#9#1=-1,1:0#6#1=-1"


def test_a_version_counts_more_than_a_number() -> None:
    assert told("0:0#900#1=-1", "0:1#3#1=-1", "0:0#901#1=-1") == "0:1#3#1=-1"
    assert told("0:-1#9", "0:-1#12") == "0:-1#12"


def test_what_is_no_token_is_passed_over() -> None:
    assert told("", "0", "0:9", "0:x#9", "0:0#x") is None
    session = Session()
    session.note({})
    assert session.options == {}


def test_of_too_many_ranges_none_is_told() -> None:
    tokens = [f"{number}:0#7#1=-1" for number in range(MOST_RANGES + 1)]
    assert told(*tokens[:-1]) == ",".join(tokens[:-1])
    assert told(*tokens) is None
