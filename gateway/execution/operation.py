"""What a client asks for, and what it is answered with, on whatever transport."""

from typing import Any

import msgspec

Result = dict[str, Any]
"""`data`, `errors`, `extensions` as in GraphQL's specification (7.1): no `data` where nothing was executed.

What is selected may be structs, which are encoded as the objects that they are.
"""


class Operation(msgspec.Struct, frozen=True, rename="camel"):
    """A document or the id of one, which of its operations is meant, and its variables; as it is written in JSON."""

    query: str = ""
    operation_name: str | None = None
    variables: dict[str, Any] | None = None
    extensions: dict[str, Any] | None = None
    document_id: str | None = None


class NotExecutable(Exception):
    """There is no operation to be executed; the message says why, and `code` says it to programs."""

    def __init__(self, message: str, code: str = "BAD_REQUEST") -> None:
        super().__init__(message)
        self.code = code
