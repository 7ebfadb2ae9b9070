"""Credentials that prove nothing, told as the transport has it: they are never as good as none."""

from starlette.types import Scope

from gateway.identity import Unauthenticated
from gateway.transports.messages import Closing, Code
from gateway.transports.requests import Refused
from gateway.wiring import Context, Gateway

EXPIRED = "Token expired"
RETRY_AFTER_S = 10


async def context_of(scope: Scope) -> Context:
    """What the resolvers of a request are given. Raises Refused (RFC 6750, 3)."""
    gateway: Gateway = scope["state"]["gateway"]
    try:
        context = await gateway.callers.of(scope["headers"])
    except Unauthenticated as error:
        if error.reason == "unavailable":
            raise Refused(503, str(error), {"retry-after": str(RETRY_AFTER_S)}, error.code) from error
        challenge = f'Bearer error="invalid_token", error_description="{error}"'
        raise Refused(401, str(error), {"www-authenticate": challenge}, error.code) from error
    scope["viewer"] = context.viewer
    return context


def closing(error: Unauthenticated) -> Closing:
    """How a socket is closed. A client that gets a new token when it is told so will connect again."""
    match error.reason:
        case "expired":
            return Closing(Code.FORBIDDEN, EXPIRED)
        case "unavailable":
            return Closing(Code.TRY_AGAIN_LATER, str(error))
        case _:
            return Closing(Code.UNAUTHORIZED, str(error))
