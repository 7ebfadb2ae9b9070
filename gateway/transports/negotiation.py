"""Media types of requests and answers. https://graphql.github.io/graphql-over-http/draft/#sec-Media-Types"""

from functools import lru_cache

from gateway.execution import Result

JSON = b"application/json; charset=utf-8"
RESPONSE = b"application/graphql-response+json; charset=utf-8"
"""The media type whose status tells whether the operation was executed."""


@lru_cache(256)
def answer_type(accept: bytes) -> bytes | None:
    """The media type that a client that sends this `Accept` is answered with; None if it accepts neither.

    Who accepts anything, or says nothing, has JSON, as clients had before there was a choice.
    """
    if not accept:
        return JSON
    weights = dict(_weighed(part) for part in accept.lower().split(b","))
    response = weights.get(b"application/graphql-response+json", 0.0)
    json = weights.get(b"application/json", weights.get(b"application/*", weights.get(b"*/*", 0.0)))
    if not response and not json:
        return None
    return RESPONSE if response >= json else JSON


def _weighed(part: bytes) -> tuple[bytes, float]:
    kind, *parameters = (one.strip() for one in part.split(b";"))
    for parameter in parameters:
        if parameter.startswith(b"q="):
            try:
                return kind, min(1.0, max(0.0, float(parameter[2:])))
            except ValueError:
                return kind, 0.0
    return kind, 1.0


@lru_cache(64)
def is_json(content_type: bytes) -> bool:
    """Whether a body of this type is JSON in UTF-8."""
    kind, _, parameters = content_type.partition(b";")
    if kind.strip().lower() != b"application/json":
        return False
    charset = parameters.lower().partition(b"charset=")[2].partition(b";")[0].strip(b' "')
    return charset in (b"", b"utf-8", b"utf8")


def status_of(result: Result, media_type: bytes) -> int:
    """The status of an answer: an operation that was not executed is a 400, to clients that know of it."""
    return 200 if "data" in result or media_type is JSON else 400
