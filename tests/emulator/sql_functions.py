"""The functions of the query language. One that does not fit its arguments is undefined."""

import math
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from .values import UNDEFINED, dumps, equal, sort_key, type_rank

Function = Callable[..., Any]


def is_number(value: Any) -> bool:
    return type_rank(value) == 3


def like(value: Any, pattern: Any, escape: str | None = None) -> Any:
    """LIKE: % any text, _ any character, [a-c] and [^a-c] one of a set."""
    if not isinstance(value, str) or not isinstance(pattern, str):
        return UNDEFINED
    expression, position = "", 0
    while position < len(pattern):
        char = pattern[position]
        if escape and char == escape and position + 1 < len(pattern):
            position += 1
            expression += re.escape(pattern[position])
        elif char == "%":
            expression += ".*"
        elif char == "_":
            expression += "."
        elif char == "[" and "]" in pattern[position + 1 :]:
            end = pattern.index("]", position + 1)
            expression += f"[{pattern[position + 1 : end]}]"
            position = end
        else:
            expression += re.escape(char)
        position += 1
    return re.fullmatch(expression, value, re.DOTALL) is not None


def _strings(test: Callable[[str, str], bool]) -> Function:
    def function(value: Any, other: Any, ignore_case: Any = False) -> Any:
        if not isinstance(value, str) or not isinstance(other, str):
            return UNDEFINED
        return test(value.lower(), other.lower()) if ignore_case is True else test(value, other)

    return function


def _on(kind: type | tuple[type, ...], function: Callable[[Any], Any]) -> Function:
    def checked(value: Any) -> Any:
        return (
            function(value) if isinstance(value, kind) and (kind is bool or not isinstance(value, bool)) else UNDEFINED
        )

    return checked


def _array_contains(array: Any, wanted: Any, partial: Any = False) -> Any:
    if not isinstance(array, list) or wanted is UNDEFINED:
        return UNDEFINED
    if partial is True and isinstance(wanted, dict):
        return any(
            isinstance(e, dict) and all(equal(e.get(k, UNDEFINED), v) is True for k, v in wanted.items()) for e in array
        )
    return any(equal(element, wanted) is True for element in array)


def _substring(text: Any, start: Any, length: Any) -> Any:
    if not isinstance(text, str) or not is_number(start) or not is_number(length):
        return UNDEFINED
    begin = max(0, int(start))
    return text[begin : begin + max(0, int(length))]


def _slice(array: Any, start: Any, length: Any = None) -> Any:
    if not isinstance(array, list) or not is_number(start):
        return UNDEFINED
    begin = int(start) if start >= 0 else max(0, len(array) + int(start))
    return array[begin:] if length is None else array[begin : begin + max(0, int(length))]


def _to_string(value: Any) -> Any:
    if value is UNDEFINED or isinstance(value, str):
        return value
    return dumps(value).decode()


def _to_number(value: Any) -> Any:
    try:
        number = float(value) if isinstance(value, str) else None
    except ValueError:
        number = None
    if number is None:
        return UNDEFINED
    return int(number) if number.is_integer() else number


def _concat(*values: Any) -> Any:
    return "".join(values) if all(isinstance(value, str) for value in values) else UNDEFINED


def _array_concat(*values: Any) -> Any:
    return [e for value in values for e in value] if all(isinstance(v, list) for v in values) else UNDEFINED


def _replace(text: Any, old: Any, new: Any) -> Any:
    return text.replace(old, new) if all(isinstance(v, str) for v in (text, old, new)) else UNDEFINED


def _regex(text: Any, pattern: Any, flags: Any = "") -> Any:
    if not isinstance(text, str) or not isinstance(pattern, str):
        return UNDEFINED
    modes = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL, "x": re.VERBOSE}
    return re.search(pattern, text, sum(modes.get(flag, 0) for flag in flags)) is not None


_NUMBER = (int, float)
FUNCTIONS: dict[str, Function] = {
    "STARTSWITH": _strings(str.startswith),
    "ENDSWITH": _strings(str.endswith),
    "CONTAINS": _strings(lambda value, other: other in value),
    "STRINGEQUALS": _strings(lambda value, other: value == other),
    "INDEX_OF": lambda text, part: text.find(part) if isinstance(text, str) and isinstance(part, str) else UNDEFINED,
    "UPPER": _on(str, str.upper),
    "LOWER": _on(str, str.lower),
    "LENGTH": _on(str, len),
    "TRIM": _on(str, str.strip),
    "LTRIM": _on(str, str.lstrip),
    "RTRIM": _on(str, str.rstrip),
    "REVERSE": _on(str, lambda text: text[::-1]),
    "LEFT": lambda text, n: _substring(text, 0, n),
    "RIGHT": lambda text, n: text[-int(n) :] if isinstance(text, str) and is_number(n) and n > 0 else UNDEFINED,
    "SUBSTRING": _substring,
    "CONCAT": _concat,
    "REPLACE": _replace,
    "REGEXMATCH": _regex,
    "TOSTRING": _to_string,
    "TONUMBER": _to_number,
    "STRINGTONUMBER": _to_number,
    "ARRAY_CONTAINS": _array_contains,
    "ARRAY_LENGTH": _on(list, len),
    "ARRAY_CONCAT": _array_concat,
    "ARRAY_SLICE": _slice,
    "IS_DEFINED": lambda value: value is not UNDEFINED,
    "IS_NULL": lambda value: value is None,
    "IS_STRING": lambda value: isinstance(value, str),
    "IS_NUMBER": is_number,
    "IS_INTEGER": lambda value: is_number(value) and float(value).is_integer(),
    "IS_BOOL": lambda value: isinstance(value, bool),
    "IS_ARRAY": lambda value: isinstance(value, list),
    "IS_OBJECT": lambda value: isinstance(value, dict),
    "IS_PRIMITIVE": lambda value: type_rank(value) in (1, 2, 3, 4),
    "ABS": _on(_NUMBER, abs),
    "CEILING": _on(_NUMBER, math.ceil),
    "FLOOR": _on(_NUMBER, math.floor),
    "ROUND": _on(_NUMBER, lambda value: math.floor(abs(value) + 0.5) * (1 if value >= 0 else -1)),
    "SQRT": _on(_NUMBER, lambda value: math.sqrt(value) if value >= 0 else UNDEFINED),
    "POWER": lambda base, power: base**power if is_number(base) and is_number(power) else UNDEFINED,
    "IIF": lambda test, then, other: then if test is True else other,
    "GETCURRENTTIMESTAMP": lambda: int(time.time() * 1000),
    "GETCURRENTDATETIME": lambda: datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f0Z"),
}


def aggregate(name: str, values: list[Any]) -> Any:
    """The aggregate of the defined ones among `values`."""
    defined = [value for value in values if value is not UNDEFINED]
    if name == "COUNT":
        return len(defined)
    if name == "COUNTIF":
        return sum(1 for value in defined if value is True)
    if name in ("MIN", "MAX"):
        usable = [value for value in defined if type_rank(value) <= 4]
        if not usable:
            return UNDEFINED
        return min(usable, key=sort_key) if name == "MIN" else max(usable, key=sort_key)
    if not all(is_number(value) for value in defined):
        return UNDEFINED
    if name == "SUM":
        return sum(defined)
    return sum(defined) / len(defined) if defined else UNDEFINED
