"""The API's scalars: exact, strict about what they accept, and plain strings in JSON."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal as Number
from typing import Any, NewType

import strawberry
from graphql import GraphQLError
from strawberry.types.scalar import ScalarDefinition

DateTime = NewType("DateTime", str)
UUID = NewType("UUID", str)
Decimal = NewType("Decimal", Number)
ConsistencyToken = NewType("ConsistencyToken", str)

_DECIMAL = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,20})?", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def parse_decimal(value: object) -> Number:
    """A number from a string such as "19.99", or from an integer. Floats are refused: they are not exact."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**20:
        return Number(value)
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        return Number(value)
    raise GraphQLError(f'A Decimal is a string of digits such as "19.99", not {_shown(value)}.')


def parse_uuid(value: object) -> str:
    """A UUID in its usual form, in lower case."""
    if isinstance(value, str) and _UUID.fullmatch(value):
        return value.lower()
    raise GraphQLError(f"A UUID reads 123e4567-e89b-12d3-a456-426614174000, unlike {_shown(value)}.")


def parse_date_time(value: object) -> str:
    """A point in time with its offset, as it is stored: in UTC with microseconds, so that text order is time order.

    Raises GraphQLError for anything that is not RFC 3339 with an offset, or does not exist.
    """
    if isinstance(value, str) and len(value) < 50 and _DATE_TIME.fullmatch(value):
        try:
            return format_date_time(datetime.fromisoformat(value.upper()).astimezone(UTC))
        except (ValueError, OverflowError):
            pass
    raise GraphQLError(f"A DateTime reads 2026-01-31T12:00:00Z, unlike {_shown(value)}.")


def format_date_time(moment: datetime) -> str:
    """RFC 3339 in UTC with microseconds."""
    utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return utc.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _parse_token(value: object) -> str:
    if isinstance(value, str):
        return value
    raise GraphQLError(f"A ConsistencyToken is a string, unlike {_shown(value)}.")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"


def _scalar(name: str, description: str, parse: Any, url: str | None = None) -> ScalarDefinition:
    return strawberry.scalar(name=name, description=description, serialize=str, parse_value=parse, specified_by_url=url)


SCALARS: Mapping[object, ScalarDefinition] = {
    DateTime: _scalar("DateTime", "A point in time: RFC 3339, in UTC.", parse_date_time),
    UUID: _scalar("UUID", "A UUID in its canonical form (RFC 9562).", parse_uuid),
    Decimal: _scalar("Decimal", 'An exact decimal number, as a string: "19.99".', parse_decimal),
    ConsistencyToken: _scalar(
        "ConsistencyToken",
        "Names the write that a command made. Given to a query, the answer shows that write, or says that it does not.",
        _parse_token,
    ),
}
