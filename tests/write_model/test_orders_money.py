"""Amounts become integer minor units exactly, or are refused; never rounded."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from write_model.orders import EXPONENTS
from write_model.orders.rules import minor_units
from write_model.refusals import Rejected

digits = st.text("0123456789", min_size=1, max_size=40)
zeros = st.integers(0, 300).map("0".__mul__)
decimals = st.builds(
    "{}{}.{}{}{}{}".format,
    st.sampled_from(["", "-"]),
    digits,
    zeros,
    digits | st.just("0"),
    zeros,
    st.just("") | st.integers(-320, 320).map("e{}".format),
)


def exactly(text: str, currency: str) -> int | str:
    """What `minor_units` should say, by rational arithmetic: the amount, or the code."""
    amount = Fraction(text)
    minor = amount * 10 ** EXPONENTS[currency]
    if amount < 0 or amount >= 10**21:
        return "PRICE_OUT_OF_RANGE"
    return minor.numerator if minor.denominator == 1 else "AMOUNT_PRECISION"


def told(text: str, currency: str) -> int | str:
    try:
        return minor_units(Decimal(text), currency, "amount")
    except Rejected as refusal:
        return refusal.code


@settings(deadline=None, max_examples=500)
@given(decimals, st.sampled_from(["JPY", "EUR", "BHD"]))
def test_any_decimal_text_is_converted_exactly_or_refused(text: str, currency: str) -> None:
    assert told(text, currency) == exactly(text, currency)


@settings(deadline=None)
@given(st.integers(0, 10**15), st.sampled_from(sorted(EXPONENTS)), st.integers(0, 50))
def test_minor_units_come_back_as_they_were_written(minor: int, currency: str, more_zeros: int) -> None:
    whole, rest = divmod(minor, 10 ** EXPONENTS[currency])
    places = f"{rest:0{EXPONENTS[currency]}}" if EXPONENTS[currency] else ""
    assert told(f"{whole}.{places}{'0' * more_zeros}", currency) == minor


@pytest.mark.parametrize(
    ("currency", "text", "outcome"),
    [
        ("JPY", "150", 150),
        ("JPY", "150.0", 150),
        ("JPY", "1.5E+2", 150),
        ("JPY", "0.5", "AMOUNT_PRECISION"),
        ("EUR", "1.5", 150),
        ("EUR", "1.50", 150),
        ("EUR", "0.01", 1),
        ("EUR", "0.001", "AMOUNT_PRECISION"),
        ("BHD", "0.001", 1),
        ("BHD", "1.5", 1500),
        ("BHD", "0.0001", "AMOUNT_PRECISION"),
        ("EUR", "-0.00", 0),
        ("EUR", "0E+999999", 0),
        ("EUR", "0E-999999", 0),
        ("EUR", "1E-999999", "AMOUNT_PRECISION"),
        ("EUR", "1E+999999", "PRICE_OUT_OF_RANGE"),
        ("EUR", "999999999999999999999.99", 99999999999999999999999),
        ("EUR", "0.30000000000000000000000000000000000001", "AMOUNT_PRECISION"),
    ],
)
def test_a_currency_has_its_own_number_of_digits(currency: str, text: str, outcome: int | str) -> None:
    assert told(text, currency) == outcome


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("1." + "0" * 10_000, 100),
        ("1" + "0" * 10_000 + "E-10000", 100),
        ("0." + "0" * 149 + "1" + "0" * 100, "AMOUNT_PRECISION"),
        ("0." + "1" * 10_000, "AMOUNT_PRECISION"),
        ("1" * 10_000, "PRICE_OUT_OF_RANGE"),
    ],
    ids=["one", "one with an exponent", "a grain", "a long fraction", "a long number"],
)
def test_a_number_of_any_length_is_judged_by_its_value(text: str, outcome: int | str) -> None:
    assert told(text, "EUR") == outcome


@pytest.mark.parametrize("text", ["NaN", "sNaN", "-NaN", "NaN123", "Infinity", "-Infinity"])
def test_what_is_no_number_is_refused(text: str) -> None:
    assert told(text, "EUR") == "PRICE_OUT_OF_RANGE"


def test_every_currency_has_no_two_or_three_digits() -> None:
    assert set(EXPONENTS.values()) == {0, 2, 3}
    assert all(len(code) == 3 and code.isascii() and code.isupper() for code in EXPONENTS)
