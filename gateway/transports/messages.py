"""The messages of graphql-transport-ws that a client may send, and the codes that a socket is closed with.

https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md
"""

from enum import IntEnum
from typing import Annotated, Any

import msgspec

from gateway.execution import Operation
from gateway.json import NotJson, decode

SUBPROTOCOL = "graphql-transport-ws"

Id = Annotated[str, msgspec.Meta(min_length=1)]


class Code(IntEnum):
    """Why a socket was closed."""

    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    INVALID_MESSAGE = 4400
    UNAUTHORIZED = 4401
    FORBIDDEN = 4403
    SUBPROTOCOL_NOT_ACCEPTABLE = 4406
    INIT_TIMEOUT = 4408
    SUBSCRIBER_EXISTS = 4409
    TOO_MANY = 4429
    INTERNAL = 4500


class Closing(Exception):
    """The socket is to be closed with a code and a reason."""

    def __init__(self, code: Code, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class ConnectionInit(msgspec.Struct, tag_field="type", tag="connection_init"):
    payload: dict[str, Any] | None = None


class Ping(msgspec.Struct, tag_field="type", tag="ping"):
    payload: dict[str, Any] | None = None


class Pong(msgspec.Struct, tag_field="type", tag="pong"):
    payload: dict[str, Any] | None = None


class Subscribe(msgspec.Struct, tag_field="type", tag="subscribe"):
    id: Id
    payload: Operation


class Complete(msgspec.Struct, tag_field="type", tag="complete"):
    id: Id


Message = ConnectionInit | Ping | Pong | Subscribe | Complete


def read(text: str | None) -> Message:
    """The message in a text frame; None stands for a binary one. Raises Closing for what is no message."""
    if text is None:
        raise Closing(Code.INVALID_MESSAGE, "Messages are sent as text.")
    try:
        message: Message = msgspec.convert(decode(text), Message)
    except (NotJson, msgspec.ValidationError, UnicodeEncodeError) as error:
        raise Closing(Code.INVALID_MESSAGE, f"This is no message of {SUBPROTOCOL}: {error}") from error
    return message


def text_frame(payload: bytes) -> bytes:
    """A whole text message as it is on its way from a server (RFC 6455, 5.2): the same to every client."""
    size = len(payload)
    if size < 126:
        return b"\x81" + size.to_bytes(1) + payload
    if size < 2**16:
        return b"\x81\x7e" + size.to_bytes(2) + payload
    return b"\x81\x7f" + size.to_bytes(8) + payload
