"""JSON as it comes from clients, who send anything, and as it goes to them."""

import json
from typing import Any

import msgspec


class NotJson(Exception):
    """This cannot be read as JSON; the message says so to the client."""


def decode(text: str | bytes) -> Any:
    """The value. Raises NotJson, also for what is no UTF-8, nests too deep, or has numbers that are too long."""
    try:
        if isinstance(text, bytes):  # of which Python would guess the encoding
            text = text.decode("utf-8-sig")
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise NotJson("This is not JSON that can be read.") from error


def encode(value: Any) -> bytes:
    """The value in UTF-8; what has no place there (a lone half of a surrogate pair) is escaped."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return json.dumps(msgspec.to_builtins(value)).encode()


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no number in JSON")
