"""What Cosmos DB and its SDK raise, as the port's errors.

Facts: `CosmosBatchOperationError` is no `CosmosHttpResponseError`; `ServiceRequestError` says "not sent" and is raised
for writes that were applied (azure-cosmos 4.17.1, observed). So a write that got no clear answer is OutcomeUnknown.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from azure.core.exceptions import AzureError, HttpResponseError
from azure.cosmos.exceptions import CosmosBatchOperationError

from store.errors import (
    Conflict,
    OutcomeUnknown,
    StoreError,
    StoreUnusable,
    Throttled,
    TooLarge,
    Unavailable,
)

OWNER_MISSING = 1003
"""Substatus of a 404 that is about the container or the database, not about the item."""
REASONS = {409: "exists", 412: "changed", 404: "missing"}
BUSY = (429, 449)
SETTLED = (400, 401, 403, 410)
"""Statuses that say for certain that a write was not applied."""


@asynccontextmanager
async def reading(what: str) -> AsyncIterator[None]:
    """Translate what a read raises: nothing it does leaves a doubt."""
    try:
        yield
    except HttpResponseError as error:
        raise _common(error, what) or Unavailable(f"{what}: {_said(error)}") from error
    except (AzureError, TimeoutError) as error:
        raise Unavailable(f"{what}: no answer from Cosmos DB") from error


@asynccontextmanager
async def writing(what: str) -> AsyncIterator[None]:
    """Translate what a batch raises: which condition did not hold, or that nobody knows."""
    try:
        yield
    except CosmosBatchOperationError as error:
        if error.status_code in REASONS and error.error_index is not None:
            raise Conflict(error.error_index, REASONS[error.status_code]) from error  # type: ignore[arg-type]
        raise _unsettled(error, what) from error
    except HttpResponseError as error:
        raise _unsettled(error, what) from error
    except (AzureError, TimeoutError) as error:
        raise OutcomeUnknown(f"{what}: no answer from Cosmos DB") from error


def _unsettled(error: HttpResponseError, what: str) -> StoreError:
    if error.status_code == 413:
        return TooLarge(f"{what}: more than Cosmos DB takes in one request")
    if error.status_code in SETTLED:
        return _common(error, what) or Unavailable(f"{what}: {_said(error)}")
    return _common(error, what) or OutcomeUnknown(f"{what}: {_said(error)}")


def _common(error: HttpResponseError, what: str) -> StoreError | None:
    """What reads and writes have in common."""
    match error.status_code:
        case status if status in BUSY:
            return Throttled(f"{what}: Cosmos DB asks for patience", retry_after(error))
        case 401:
            return StoreUnusable("Cosmos DB refuses the key (401): is COSMOS_KEY the key of this account?")
        case 404 if getattr(error, "sub_status", None) == OWNER_MISSING:
            return StoreUnusable(f"{what}: the database or the container does not exist; `gateway provision` makes it")
        case _:
            return None


def retry_after(error: HttpResponseError) -> float:
    """The seconds that the service asks to wait."""
    headers = getattr(error, "headers", None) or getattr(error.response, "headers", None) or {}
    return float(headers.get("x-ms-retry-after-ms", 20)) / 1000


def _said(error: HttpResponseError) -> str:
    return f"Cosmos DB answered {error.status_code}/{getattr(error, 'sub_status', None) or 0}"
