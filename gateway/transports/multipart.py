"""Subscriptions as parts of one answer, as Apollo's clients read them.

https://www.apollographql.com/docs/graphos/routing/operations/subscriptions/multipart-protocol
"""

from functools import lru_cache

from gateway.execution import Result
from gateway.json import encode

DELIMITER = b"\r\n--graphql"
RESTART = {"message": "The service restarts; ask again.", "extensions": {"code": "SERVICE_RESTART"}}


class Parts:
    """Results as parts, each with the delimiter behind it: a client reads a part when it has seen its end."""

    media_type = 'multipart/mixed;boundary="graphql";subscriptionSpec=1.0'
    opening = DELIMITER
    ending = b"--\r\n"

    def __init__(self) -> None:
        self.heartbeat = _part(b"{}")
        # An answer that merely ends is complete to Apollo's client; this is an error of the transport to it.
        self.cut = _part(encode({"payload": None, "errors": [RESTART]})) + self.ending

    def write(self, result: Result) -> bytes:
        """A part whose payload the result is."""
        return _part(encode({"payload": result}))


@lru_cache(256)
def accepted(accept: bytes) -> bool:
    """Whether a header `Accept` asks for this."""
    kinds = (kind.replace(b" ", b"").replace(b'"', b"").lower().split(b";") for kind in accept.split(b","))
    return any(kind[0] == b"multipart/mixed" and b"subscriptionspec=1.0" in kind[1:] for kind in kinds)


def _part(body: bytes) -> bytes:
    return b"\r\nContent-Type: application/json\r\n\r\n" + body + DELIMITER
