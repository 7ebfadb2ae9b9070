"""Master-key signatures: the server computes the same HMAC as the client and compares."""

import base64
import hashlib
import hmac
from collections.abc import Collection, Mapping, Sequence
from urllib.parse import parse_qsl, unquote

from .errors import ServiceError


def resources_of(parts: Sequence[str]) -> list[tuple[str, str]]:
    """Resource type and link that a request to the path of `parts` may be signed for: by name, or by resource id."""
    if not parts:
        return [("", "")]
    if parts[-1] == "partitionkeydelete":
        return [("colls", "/".join(parts[:-2]))]
    if parts[0] == "offers":
        return [("offers", parts[1].lower() if len(parts) > 1 else "")]
    resource_type, names = (parts[-1], parts[:-1]) if len(parts) % 2 else (parts[-2], parts)
    return [(resource_type, "/".join(names)), (resource_type, names[-1].lower() if names else "")]


def signature(key: str, method: str, resource: tuple[str, str], date: str) -> str:
    """What a client that has `key` sends."""
    resource_type, link = resource
    text = f"{method.lower()}\n{resource_type.lower()}\n{link}\n{date.lower()}\n\n"
    digest = hmac.new(base64.b64decode(key), text.encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


def token_of(headers: Mapping[str, str]) -> dict[str, str]:
    """The fields of the authorization header: type, ver and sig. Raises 401 if there is none."""
    given = headers.get("authorization", "")
    if not given:
        raise ServiceError(
            401, "Required Header authorization is missing. Ensure a valid Authorization token is passed."
        )
    return dict(parse_qsl(unquote(given).replace("+", "%2B"), keep_blank_values=True))


def verify(key: str, token: Mapping[str, str], method: str, parts: Sequence[str], headers: Mapping[str, str]) -> None:
    """Return if the request is signed with `key`; raise 401 otherwise."""
    date, sent = headers.get("x-ms-date", ""), token.get("sig", "").encode()
    expected = [signature(key, method, resource, date).encode() for resource in resources_of(parts)]
    if token.get("type") != "master" or not any(hmac.compare_digest(sent, one) for one in expected):
        raise ServiceError(
            401,
            "The input authorization token can't serve the request. The wrong key is being used or the expected "
            "payload is not built as per the protocol.",
        )


def identify(identities: Collection[str], token: Mapping[str, str]) -> None:
    """Return if the bearer token is one of `identities`; raise 401 otherwise."""
    if token.get("sig") not in identities:
        raise ServiceError(401, "The token is not one of an identity that may use this account.")
