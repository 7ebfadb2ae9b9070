"""Documents are counted exactly: what is at a bound passes, and one more does not."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from graphql import GraphQLError
from hypothesis import given
from hypothesis import strategies as st

from gateway.limits.bounds import Bounds
from gateway.limits.documents import TOLD, parsed

COUNTED: dict[str, Callable[[int], str]] = {
    "characters": lambda n: "{ a }".ljust(n),
    "tokens": lambda n: "{" + " a" * (n - 2) + "}",
    "depth": lambda n: "{ a " * n + "}" * n,
    "selections": lambda n: "{ ...f } fragment f on Query { " + " ".join(f"a{m}" for m in range(n - 1)) + " }",
    "aliases": lambda n: "{" + "".join(f" ... {{ a{m}: a }}" for m in range(n)) + " }",
    "directives": lambda n: "query @a { b" + " @c" * (n - 3) + " ...f @d } fragment f on Query @e { g }",
    "fragments": lambda n: "{ a }" + "".join(f" fragment f{m} on Query {{ a }}" for m in range(n)),
    "operations": lambda n: "".join(f" query q{m} {{ a }}" for m in range(n)),
}


def refused(text: str, bounds: Bounds) -> str | None:
    """Why a document is refused; None if it is not."""
    try:
        parsed(text, bounds)
    except GraphQLError as error:
        return f"{(error.extensions or {})['code']}: {error.message}"
    return None


@pytest.mark.parametrize("name", COUNTED)
def test_what_is_at_a_bound_passes_and_one_more_does_not(name: str) -> None:
    changes: dict[str, Any] = {name: 12}
    bounds = replace(Bounds(), **changes)
    assert refused(COUNTED[name](12), bounds) is None
    why = refused(COUNTED[name](13), bounds) or ""
    assert why.startswith("DOCUMENT_LIMIT: ")
    assert "12" in why


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("{ a b c }", 0),
        ("{ a a a a }", 6),
        ("{ a: b a: c }", 1),
        ("{ a { x } a { x } a { x } }", 3 + 3),
        ("{ a { x x } a { x } }", 1 + 3),
        ("{ a ... { a ... { a } } }", 3),
        ("{ ...f ...g } fragment f on Q { a } fragment g on Q { a }", 1 + 1),
        ("{ ...f ...f } fragment f on Q { a }", 0),
        ("{ a } fragment unused on Q { a a }", 1),
        ("query q { a a } query r { a a }", 2),
    ],
)
def test_pairs_that_validation_compares_are_counted(text: str, pairs: int) -> None:
    assert refused(text, Bounds(compared=pairs)) is None
    if pairs:
        assert "DOCUMENT_LIMIT" in (refused(text, Bounds(compared=pairs - 1)) or "")


def test_every_bound_that_is_counted_is_told_in_words() -> None:
    assert {*COUNTED, "compared"} - set(TOLD) == {"tokens"}  # told by the parser


@given(st.lists(st.lists(st.integers(1, 9), max_size=3), min_size=1, max_size=8))
def test_fragments_count_as_often_as_they_are_spread(spreads: list[list[int]]) -> None:
    """Each fragment spreads some of those behind it, by how far they are behind."""
    last = len(spreads)

    def selected(number: int) -> int:
        later = [number + behind for behind in spreads[number] if number + behind < last]
        return 1 + sum(1 + selected(other) for other in later)

    text = "{ ...f0 }"
    for number, behind in enumerate(spreads):
        later = "".join(f" ...f{number + one}" for one in behind if number + one < last)
        text += f" fragment f{number} on Query {{ a{later} }}"
    count = max(1 + selected(0), *(selected(number) for number in range(last)))
    assert refused(text, Bounds(selections=count, compared=10**9)) is None
    assert "fields" in (refused(text, Bounds(selections=count - 1, compared=10**9)) or "")
