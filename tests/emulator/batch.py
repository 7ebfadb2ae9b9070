"""Transactional batch: all operations of one logical partition take effect, or none does."""

from typing import Any

from . import documents
from .containers import Container
from .documents import Conditions, Outcome
from .errors import ServiceError, bad_request, precondition_failed, too_large
from .faults import OperationFault
from .keys import Key

MAX_OPERATIONS = 100
MAX_BYTES = 2 * 1024 * 1024


def _run(transaction: Any, operation: dict[str, Any]) -> Outcome:
    conditions = Conditions(operation.get("ifMatch"), operation.get("ifNoneMatch"))
    id, body = operation.get("id"), operation.get("resourceBody")
    match operation.get("operationType"):
        case "Create":
            return documents.create(transaction, body)
        case "Upsert":
            return documents.upsert(transaction, body, conditions)
        case "Replace":
            return documents.replace(transaction, str(id), body, conditions)
        case "Read":
            return documents.read(transaction, str(id), conditions)
        case "Delete":
            return documents.delete(transaction, str(id), conditions)
        case "Patch":
            return documents.patch(transaction, str(id), body, conditions)
        case other:
            raise bad_request(f"Unknown batch operation type {other}.")


def execute(
    container: Container, key: Key, operations: Any, size: int, minimal: bool, fault: OperationFault | None = None
) -> tuple[int, list[dict[str, Any]], float]:
    """Status, results and charge of a batch. `fault` makes one operation fail instead of running."""
    if not isinstance(operations, list) or not operations:
        raise bad_request("Batch request has no operations.")
    if len(operations) > MAX_OPERATIONS:
        raise bad_request("Batch request has more operations than what is supported.")
    if size > MAX_BYTES:
        raise too_large()
    transaction = container.transaction(key)
    results: list[dict[str, Any]] = []
    for index, operation in enumerate(operations):
        try:
            if fault is not None and fault.index == index:
                raise fault.error()
            outcome = _run(transaction, operation)
            if outcome.status == 304:
                raise precondition_failed() if operation["operationType"] != "Read" else _not_modified()
        except ServiceError as error:
            return 207, _failed(len(operations), index, error), error.charge
        result: dict[str, Any] = {"statusCode": outcome.status, "requestCharge": outcome.charge}
        if outcome.item is not None:
            result["eTag"] = outcome.item.etag
            if not minimal or operation["operationType"] == "Read":
                result["resourceBody"] = outcome.item.body
        results.append(result)
    transaction.commit()
    return 200, results, round(sum(result["requestCharge"] for result in results), 2)


def _not_modified() -> ServiceError:
    return ServiceError(304, "Not modified")


def _failed(count: int, index: int, error: ServiceError) -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = [{"statusCode": 424, "substatusCode": 0, "requestCharge": 0} for _ in range(count)]
    results[index] = {"statusCode": error.status, "substatusCode": error.substatus, "requestCharge": error.charge}
    if error.status in (429, 449) and "x-ms-retry-after-ms" in error.headers:
        results[index]["retryAfterMilliseconds"] = int(error.headers["x-ms-retry-after-ms"])
    results[index]["message"] = error.message
    return results
