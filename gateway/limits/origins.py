"""Pages of other origins: a browser lets any page send some requests, and says where the page is from."""

from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

SIMPLE = (b"", b"text/plain", b"application/x-www-form-urlencoded", b"multipart/form-data")
"""Media types that a page may send anywhere without asking first. https://fetch.spec.whatwg.org/#cors-safelisted-request-header"""
PREFLIGHTED = (b"apollo-require-preflight", b"x-apollo-operation-name", b"x-graphql-preflight")
"""Headers that a page of another origin cannot send without asking first; the names that Apollo's clients use."""

Headers = Mapping[bytes, bytes]


def is_foreign(headers: Headers, allowed: Collection[str]) -> bool:
    """Whether a page of another origin asks, which is not one of those that may."""
    origin = headers.get(b"origin")
    if origin is None:
        return headers.get(b"sec-fetch-site") in (b"cross-site", b"same-site")
    return not (
        headers.get(b"sec-fetch-site") == b"same-origin"
        or _is_at(origin.decode("latin-1"), headers.get(b"host", b""))
        or origin.decode("latin-1").lower() in allowed
    )


def was_preflighted(headers: Headers) -> bool:
    """Whether the browser has asked before whether the page may send this, as it does for all that is not simple."""
    kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    return kind not in SIMPLE or any(headers.get(name) for name in PREFLIGHTED)


def _is_at(origin: str, host: bytes) -> bool:
    try:
        place = urlsplit(origin).netloc.lower().encode("latin-1")
    except ValueError:  # it is no address
        return False
    return place != b"" and place == host.lower()
