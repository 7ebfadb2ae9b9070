"""Resource tokens: a permission's grant, signed by the server, which therefore keeps no list of them."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

from .account import Account
from .calls import Call
from .errors import ServiceError, bad_request
from .values import canonical, loads

LIFETIME = 3600
_LIFETIMES = range(10, 24 * 3600 + 1)
_READS = frozenset({"read", "query", "plan", "feed", "list", "conflict"})
_PARENTS = frozenset({"database", "container", "pkranges"})
_MASTER_ONLY = frozenset({"database", "container", "offer", "user", "permission"})


def lifetime(headers: Mapping[str, str]) -> int:
    """How many seconds the client wants the tokens in the answer to be valid."""
    wanted = headers.get("x-ms-documentdb-expiry-seconds", str(LIFETIME))
    if not wanted.isdigit() or int(wanted) not in _LIFETIMES:
        raise bad_request("The token expiry must be between 10 seconds and 24 hours.")
    return int(wanted)


def issue(key: str, permission: Mapping[str, Any], until: float) -> str:
    """The token of a permission, good until that time. `key` is the master key."""
    grant = {
        "mode": permission["permissionMode"].lower(),
        "resource": [part for part in permission["resource"].split("/") if part],
        "key": permission.get("resourcePartitionKey"),
        "until": until,
    }
    text = base64.urlsafe_b64encode(canonical(grant).encode()).decode()
    return f"type=resource&ver=1.0&sig={_signature(key, text)};{text};"


def _signature(key: str, text: str) -> str:
    return base64.b64encode(hmac.new(base64.b64decode(key), text.encode(), hashlib.sha256).digest()).decode()


def check(account: Account, key: str, given: str, call: Call) -> None:
    """Return if `given`, the `sig` of a resource token, permits the request; raise 401 or 403 otherwise."""
    signature, _, text = given.rstrip(";").partition(";")
    if not hmac.compare_digest(signature.encode(), _signature(key, text).encode()):
        raise ServiceError(401, "The input authorization token can't serve the request.")
    grant = loads(base64.urlsafe_b64decode(text))
    if account.clock() >= grant["until"]:
        raise ServiceError(403, "The authorization token has expired.")
    if call.kind != "account" and not _permits(account, grant, call):
        raise ServiceError(
            403,
            "Insufficient permissions provided in the authorization header for the corresponding request. "
            "Please retry with another authorization header.",
        )


def _permits(account: Account, grant: dict[str, Any], call: Call) -> bool:
    """A grant is for a resource and what is below it. What is above it may be read: clients need the key's paths."""
    kind, asked, granted = call.kind, account.link(call.parts), account.link(grant["resource"])
    if kind in _PARENTS and call.method == "GET":
        above = asked[:-1] if kind == "pkranges" else asked
        return granted[: len(above)] == above or asked[: len(granted)] == granted
    if kind in _MASTER_ONLY or asked[: len(granted)] != granted:
        return False
    if grant["mode"] == "read" and kind not in _READS and call.method != "GET":
        return False
    key = call.headers.get("x-ms-documentdb-partitionkey")
    return grant["key"] is None or (key is not None and loads(key) == grant["key"])
