"""What Cosmos DB and its SDK raise, as the port's errors.

Facts: `CosmosBatchOperationError` is no `CosmosHttpResponseError`; on its own transport the SDK says "not sent", with
`ServiceRequestError`, of writes that were applied (azure-cosmos 4.17.1, observed). So a write that got no clear answer
is OutcomeUnknown.
"""

import asyncio
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError
from azure.cosmos.exceptions import CosmosBatchOperationError

from store.errors import (
    Conflict,
    ConflictReason,
    OutcomeUnknown,
    StoreError,
    StoreUnusable,
    Throttled,
    TooLarge,
    Unavailable,
)

READ_DEADLINE_S = 15.0
"""However often the SDK asks again: a socket that says nothing does not end its own patience."""
OWNER_MISSING = 1003
"""Substatus of a 404 that is about the container or the database, not about the item."""
SESSION_AHEAD = 1002
"""Substatus of a 404 from replicas that have not seen yet what this session has: it says nothing about the item."""
REASONS: Mapping[int, ConflictReason] = {409: "exists", 412: "changed", 404: "missing"}
BUSY = (410, 429, 449)
"""Not applied, and worth another try: the partition moves (split, merge), units are spent, a write is in the way."""
SETTLED = (400, 401, 403)
"""Further statuses that say for certain that a write was not applied."""

Headers = Mapping[str, Any]
Charge = Callable[[Headers], None]
Kind = type[BaseException] | None


class reading:  # used as a function is; generators would cost more, and most requests fail not
    """Translate what a read raises: nothing it does leaves a doubt. `charge` is told the headers of a refusal."""

    __slots__ = ("_charge", "_timeout", "_what")

    def __init__(self, what: str, charge: Charge | None = None) -> None:
        self._what = what
        self._charge = charge
        self._timeout = asyncio.timeout(READ_DEADLINE_S)

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()

    async def __aexit__(self, kind: Kind, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            await self._timeout.__aexit__(kind, error, at)
        except TimeoutError as late:
            error = late
        match error:
            case HttpResponseError():
                tell(error, self._charge)
                raise _common(error, self._what) or Unavailable(f"{self._what}: {_said(error)}") from error
            case AzureError() | TimeoutError():
                raise Unavailable(f"{self._what}: {_silent(error)}") from error


class writing:  # as well
    """Translate what a batch raises: which condition did not hold, or that nobody knows."""

    __slots__ = ("_charge", "_what")

    def __init__(self, what: str, charge: Charge) -> None:
        self._what = what
        self._charge = charge

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Kind, error: BaseException | None, at: TracebackType | None) -> None:
        match error:
            case CosmosBatchOperationError(status_code=int(status), error_index=int(index)) if status in REASONS:
                tell(error, self._charge)
                raise Conflict(index, REASONS[status]) from error
            case HttpResponseError():
                tell(error, self._charge)
                raise _unsettled(error, self._what) from error
            case AzureError() | TimeoutError():
                raise OutcomeUnknown(f"{self._what}: {_silent(error)}") from error


def _unsettled(error: HttpResponseError, what: str) -> StoreError:
    if error.status_code == 413:
        return TooLarge(f"{what}: more than Cosmos DB takes in one request")
    if error.status_code in SETTLED:
        return _common(error, what) or Unavailable(f"{what}: {_said(error)}")
    return _common(error, what) or OutcomeUnknown(f"{what}: {_said(error)}")


def _common(error: HttpResponseError, what: str) -> StoreError | None:
    """What reads and writes have in common."""
    if isinstance(error, ClientAuthenticationError) and error.status_code is None:
        return StoreUnusable("no identity to show to Cosmos DB: give COSMOS_KEY, or what azure-identity can find")
    match error.status_code:
        case status if status in BUSY:
            return Throttled(f"{what}: Cosmos DB asks for patience", _retry_after(error))
        case 401:
            return StoreUnusable(
                "Cosmos DB refuses the key (401): is COSMOS_KEY the key of this account? "
                "Without a key: has this identity a role there?"
            )
        case 403 if sub_status(error) != 3:  # 3: the region does not take writes at the moment
            return StoreUnusable(f"{what}: Cosmos DB forbids it (403): see the account's firewall and roles")
        case 404 if sub_status(error) == SESSION_AHEAD:
            return Unavailable(f"{what}: no replica is as far as this session yet")
        case 404 if sub_status(error) == OWNER_MISSING:
            return StoreUnusable(f"{what}: the database or the container does not exist; `gateway provision` makes it")
        case _:
            return None


def sub_status(error: HttpResponseError) -> int:
    """The substatus, 0 where there is none."""
    return int(getattr(error, "sub_status", None) or 0)


def tell(error: HttpResponseError, charge: Charge | None) -> None:
    """Have a refusal counted too, if the service said what it cost."""
    if charge and (headers := _headers(error)):
        charge(headers)


def _headers(error: HttpResponseError) -> Headers:
    return getattr(error, "headers", None) or getattr(error.response, "headers", None) or {}


def _retry_after(error: HttpResponseError) -> float:
    """The seconds that the service asks to wait."""
    return float(_headers(error).get("x-ms-retry-after-ms", 20)) / 1000


def _silent(error: Exception) -> str:
    return f"no answer from Cosmos DB ({str(error) or 'in time'})"


def _said(error: HttpResponseError) -> str:
    return f"Cosmos DB answered {error.status_code}/{sub_status(error)}"
