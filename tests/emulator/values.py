"""JSON values as the service knows them: numbers are doubles, `UNDEFINED` is the absence of a value.

Values are ordered across types (undefined, null, false, true, numbers, strings, arrays, objects) and compared within
one type only.
"""

import json
from typing import Any, Final

from .errors import bad_request

EXACT = 2**53


class Undefined:
    """The type of UNDEFINED."""

    def __repr__(self) -> str:
        return "undefined"

    def __bool__(self) -> bool:
        return False


UNDEFINED: Final = Undefined()


def _number(text: str) -> int | float:
    value = float(text)
    return int(value) if value.is_integer() and abs(value) <= EXACT else value


def _no_constant(name: str) -> None:
    raise ValueError(name)


_DECODER = json.JSONDecoder(parse_int=_number, parse_float=_number, parse_constant=_no_constant)


def loads(text: bytes | str) -> Any:
    """The value that `text` is. Raises the service's 400 when it is not JSON."""
    try:
        return _DECODER.decode(text.decode("utf-8") if isinstance(text, bytes) else text)
    except ValueError as error:
        raise bad_request("The request payload is invalid. Ensure to provide a valid request payload.") from error


def dumps(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def canonical(value: Any) -> str:
    """Equal for equal values, whatever the order of their properties."""
    return json.dumps(value, ensure_ascii=True, sort_keys=True, separators=(",", ":"))


def type_rank(value: Any) -> int:
    match value:
        case Undefined():
            return 0
        case None:
            return 1
        case bool():
            return 2
        case int() | float():
            return 3
        case str():
            return 4
        case list():
            return 5
        case _:
            return 6


def sort_key(value: Any) -> tuple[Any, ...]:
    """A key that orders values of all types."""
    rank = type_rank(value)
    if rank in (0, 1):
        return (rank,)
    if rank == 4:
        return (rank, value.encode("utf-8", "surrogatepass"))
    if rank == 5:
        return (rank, [sort_key(element) for element in value])
    if rank == 6:
        return (rank, canonical(value))
    return (rank, value)


def equal(left: Any, right: Any) -> Any:
    """Whether two values are equal; undefined if either is."""
    if left is UNDEFINED or right is UNDEFINED:
        return UNDEFINED
    rank = type_rank(left)
    if rank != type_rank(right):
        return False
    if rank >= 5:
        return canonical(left) == canonical(right)
    return bool(left == right)


def compare(left: Any, right: Any) -> int | None:
    """-1, 0 or 1 for two values of one ordered type; None where the comparison is undefined."""
    rank = type_rank(left)
    if rank != type_rank(right) or rank in (0, 5, 6):
        return None
    a, b = sort_key(left), sort_key(right)
    return (a > b) - (a < b)
