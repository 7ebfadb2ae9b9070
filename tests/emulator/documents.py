"""Operations on one item within a transaction, the same for single requests and for those of a batch."""

from dataclasses import dataclass
from typing import Any

from . import charges
from .containers import Transaction
from .errors import already_exists, bad_request, item_not_found, precondition_failed
from .names import check_id
from .partitions import Item
from .patch import apply, meets


@dataclass(frozen=True, slots=True)
class Conditions:
    """Etags that the stored version must have (If-Match) or must not have (If-None-Match); * stands for any."""

    match: str | None = None
    none_match: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an operation answers: a status, the item (None for a delete or a 304) and its charge."""

    status: int
    item: Item | None
    charge: float
    etag: str | None = None


def _same(etag: str, item: Item) -> bool:
    return etag == "*" or etag.strip('"') == item.etag.strip('"')


def _require(conditions: Conditions, item: Item) -> None:
    if conditions.match is not None and not _same(conditions.match, item):
        raise precondition_failed()
    if conditions.none_match is not None and _same(conditions.none_match, item):
        raise precondition_failed()


def _checked(transaction: Transaction, body: Any) -> str:
    """The id of a body that belongs into the transaction's partition."""
    if not isinstance(body, dict):
        raise bad_request("The request payload is invalid: an item must be a JSON object.")
    own = check_id(body.get("id"))
    if transaction.container.key.of_item(body).text != transaction.key.text:
        raise bad_request("PartitionKey extracted from document doesn't match the one specified in the header", 1001)
    return own


def read(transaction: Transaction, id: str, conditions: Conditions) -> Outcome:
    item = transaction.get(id)
    if item is None:
        raise item_not_found()
    if conditions.match is not None and not _same(conditions.match, item):
        raise precondition_failed()
    if conditions.none_match is not None and _same(conditions.none_match, item):
        return Outcome(304, None, charges.NOTHING, item.etag)
    return Outcome(200, item, charges.read(item.size), item.etag)


def create(transaction: Transaction, body: Any) -> Outcome:
    id = _checked(transaction, body)
    if transaction.get(id) is not None:
        raise already_exists()
    item = transaction.put(id, body)
    return Outcome(201, item, charges.create(item.size, item.terms), item.etag)


def upsert(transaction: Transaction, body: Any, conditions: Conditions) -> Outcome:
    """Create or replace. If-Match says nothing about an item that is not there (azure-cosmos-dotnet-v3 issue 1698)."""
    id = _checked(transaction, body)
    before = transaction.get(id)
    if before is None:
        return create(transaction, body)
    _require(conditions, before)
    item = transaction.put(id, body, before)
    return Outcome(200, item, charges.replace(item.size, item.terms), item.etag)


def replace(transaction: Transaction, id: str, body: Any, conditions: Conditions) -> Outcome:
    """Store the next version of an item; a body with another id renames it."""
    own = _checked(transaction, body)
    before = transaction.get(id)
    if before is None:
        raise item_not_found()
    _require(conditions, before)
    if own != id:
        if transaction.get(own) is not None:
            raise already_exists()
        transaction.remove(id)
    item = transaction.put(own, body, before)
    return Outcome(200, item, charges.replace(item.size, item.terms), item.etag)


def delete(transaction: Transaction, id: str, conditions: Conditions) -> Outcome:
    before = transaction.get(id)
    if before is None:
        raise item_not_found()
    _require(conditions, before)
    transaction.remove(id)
    return Outcome(204, None, charges.delete(before.size, before.terms))


def patch(transaction: Transaction, id: str, body: Any, conditions: Conditions) -> Outcome:
    """Apply patch operations, if the item meets the condition given with them."""
    before = transaction.get(id)
    if before is None:
        raise item_not_found()
    _require(conditions, before)
    if not meets(before.body, body.get("condition")):
        raise precondition_failed()
    changed = apply(before.body, body.get("operations"))
    _checked(transaction, changed)
    item = transaction.put(id, changed, before)
    return Outcome(200, item, charges.patch(item.size, item.terms), item.etag)
