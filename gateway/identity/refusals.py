"""Why it could not be told who asks."""

from collections.abc import Mapping
from typing import Literal

Reason = Literal[
    "malformed", "algorithm", "unknown_key", "signature", "expired", "not_yet_valid", "issuer", "audience", "claims",
    "unavailable",
]  # fmt: skip

MESSAGES: Mapping[Reason, str] = {
    "malformed": "The credentials are not a bearer token that can be read.",
    "algorithm": "The token is signed in a way that is not taken here.",
    "unknown_key": "The token is signed with a key that is not known here.",
    "signature": "The token's signature is wrong.",
    "expired": "The token has expired.",
    "not_yet_valid": "The token is not valid yet.",
    "issuer": "The token is of another issuer.",
    "audience": "The token is for another audience.",
    "claims": "The token lacks a claim that is needed here, or has one that cannot be.",
    "unavailable": "The token cannot be verified at the moment; try again.",
}


class Unauthenticated(Exception):
    """What was given as a proof of who asks proves nothing, for that reason; the message may be told to anyone."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(MESSAGES[reason])
        self.reason: Reason = reason

    @property
    def code(self) -> str:
        """What it is for programs."""
        return "UNAVAILABLE" if self.reason == "unavailable" else "UNAUTHENTICATED"
