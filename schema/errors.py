"""Errors on their way out: expected ones with a code, unexpected ones masked by an id that the log has."""

import logging
from secrets import token_hex

from graphql import GraphQLError, ValueNode

from read_model.questions import Unanswered
from store import StoreError, Throttled
from write_model.refusals import Contended

log = logging.getLogger(__name__)

LONGEST = 2_000
"""Characters of a message that a client is sent."""


def coded(error: GraphQLError) -> GraphQLError:
    """The error as the client may see it: with a `code` in its extensions, and nothing that is not its business.

    What was wrong with the request before a resolver was called is told as it is.
    """
    if error.original_error is None:
        error.extensions = error.extensions or {"code": "BAD_INPUT"}
        error.message = shortened(error.message)
        return error
    message, extensions = told(error)
    return GraphQLError(
        message,
        nodes=error.nodes,
        source=error.source,
        positions=error.positions,
        path=error.path,
        extensions=extensions,
    )


def told(error: GraphQLError) -> tuple[str, dict[str, object]]:
    """What a client is told of an error that came from a resolver: the message, and the extensions with its code."""
    match error.original_error:
        case Unanswered(code=code, message=message):
            return message, {"code": code}
        case GraphQLError():
            return shortened(error.message), {"code": "BAD_INPUT"}
        case Contended() | Throttled():
            return "The order is busy; try again.", {"code": "BUSY"}
        case StoreError() as failure:
            log.error("the store failed a request: %s", failure, exc_info=failure)
            return "The store cannot answer at the moment; try again.", {"code": "UNAVAILABLE"}
        case ValueError() if error.nodes and all(isinstance(node, ValueNode) for node in error.nodes):
            # graphql-core reads an integer of any length in a document before it looks whether it is one of ours.
            return "A number in the document is too long to be read.", {"code": "BAD_INPUT"}
        case unexpected:
            id = token_hex(8)
            log.error("unexpected error %s: %s", id, unexpected, exc_info=unexpected)
            return f"Unexpected error {id}.", {"code": "INTERNAL", "id": id}


def shortened(message: str) -> str:
    """The message, which may show all of what was given."""
    return f"{message[:LONGEST]}…" if len(message) > LONGEST else message
