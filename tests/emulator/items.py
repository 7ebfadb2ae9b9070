"""Requests about the items of a container."""

from collections.abc import Callable
from typing import Any

from . import batch, charges, documents, feed, metrics, plan, query
from .calls import Call
from .containers import MAX_ITEM, Container
from .documents import Outcome
from .errors import ServiceError, bad_request, item_not_found, session_not_available, too_large
from .faults import Faults
from .keys import Key
from .partitions import RING_END, Item, Partition
from .replies import Reply, data_headers, listing


class Items:
    """Answers the item requests of one container. `names`: database and container, as the client calls them."""

    def __init__(self, container: Container, names: tuple[str, str], faults: Faults) -> None:
        self.container = container
        self.names = names
        self.faults = faults

    def answer(self, kind: str, call: Call) -> Reply:
        intended = call.headers.get("x-ms-cosmos-intended-collection-rid")
        if intended is not None and intended != self.container.rid:
            raise bad_request("Collection rid in the request does not match that of the collection.", 1024)
        scripts = ("x-ms-documentdb-pre-trigger-include", "x-ms-documentdb-post-trigger-include")
        if kind == "execute" or any(call.headers.get(name) for name in scripts):
            raise bad_request("This server keeps stored procedures, triggers and functions, but does not run them.")
        match kind:
            case "batch":
                return self._batch(call)
            case "query":
                return self._query(call)
            case "plan":
                select, parameters = query.parse_body(call.body)
                supported = call.headers.get("x-ms-cosmos-supported-query-features", "")
                key = query.fixed_key(self.container, select, parameters)
                return Reply(200, plan.plan(select, parameters, supported, key.epk if key else None))
            case "feed":
                return self._feed(call)
            case "list":
                return self._list(call)
            case "pkdelete":
                return self._delete_partition(call)
            case _:
                return self._item(kind, call)

    # ------------------------------------------------------------------------------------------ one item

    def _key(self, call: Call, body: Any = None) -> Key:
        header = call.headers.get("x-ms-documentdb-partitionkey")
        if header is None:
            if isinstance(body, dict):
                return self.container.key.of_item(body)
            raise bad_request("PartitionKey value must be supplied for this operation.")
        key = self.container.key.of_header(header)
        if key.prefix:
            raise bad_request(
                "Partition key provided either doesn't correspond to definition in the collection or doesn't match "
                "partition key field values specified in the document.",
                1001,
            )
        return key

    def _item(self, kind: str, call: Call) -> Reply:
        if len(call.raw) > MAX_ITEM:
            raise too_large()
        body = call.body if kind in ("create", "upsert", "replace", "patch") else None
        transaction = self.container.transaction(self._key(call, body if kind != "patch" else None))
        id = self._id(call, transaction.key)
        partition, conditions = transaction.partition, call.conditions
        run: dict[str, Callable[[], Outcome]] = {
            "read": lambda: documents.read(transaction, id, conditions),
            "create": lambda: documents.create(transaction, body),
            "upsert": lambda: documents.upsert(transaction, body, conditions),
            "replace": lambda: documents.replace(transaction, id, body, conditions),
            "patch": lambda: documents.patch(transaction, id, body, conditions),
            "delete": lambda: documents.delete(transaction, id, conditions),
        }
        item = partition.get(transaction.key, id)
        lags = kind == "read" and self.faults.take("lag", kind, call.container) is not None
        try:
            if kind == "read":
                self._check_session(call, partition, partition.lsn - lags)
                if lags and item is not None and item.lsn == partition.lsn:
                    raise item_not_found()
            outcome = run[kind]()
        except ServiceError as error:
            error.headers |= data_headers(self.container, self.names, partition, lags)
            raise
        transaction.commit()
        headers = data_headers(self.container, self.names, partition, lags)
        if outcome.etag:
            headers["etag"] = outcome.etag
        silent = call.minimal and kind not in ("read", "delete")
        shown = outcome.item.body if outcome.item is not None and not silent else None
        return Reply(outcome.status, shown, headers, outcome.charge)

    def _id(self, call: Call, key: Key) -> str:
        """The id of the item that the path names, by id or (in a link of resource ids) by its resource id."""
        name = call.parts[5] if len(call.parts) > 5 else ""
        if call.parts[3] == self.container.rid:
            return next((item.id for item in self.container.logical(key) if item.body["_rid"] == name), name)
        return name

    def _batch(self, call: Call) -> Reply:
        key = self._key(call)
        fault = self.faults.take("fail_operation", "batch", call.container)
        status, results, charge = batch.execute(self.container, key, call.body, len(call.raw), call.minimal, fault)
        return Reply(status, results, data_headers(self.container, self.names, self.container.partition(key)), charge)

    def _delete_partition(self, call: Call) -> Reply:
        transaction = self.container.transaction(self._key(call))
        for item in self.container.logical(transaction.key):
            transaction.remove(item.id)
        transaction.commit()
        return Reply(200, None, data_headers(self.container, self.names, transaction.partition))

    # ------------------------------------------------------------------------------------------ several items

    def _query(self, call: Call) -> Reply:
        answer = query.answer(self.container, call.body, call.headers)
        self._check_session(call, answer.partition, answer.partition.lsn)
        headers = data_headers(self.container, self.names, answer.partition)
        headers |= {"x-ms-item-count": str(len(answer.values))}
        if answer.continuation is not None:
            headers["x-ms-continuation"] = answer.continuation
        headers |= metrics.headers(self.container, answer, call.headers)
        return Reply(200, listing(self.container.rid, "Documents", answer.values), headers, answer.charge)

    def _list(self, call: Call) -> Reply:
        """All items, partition after partition."""
        everything = {**call.headers, "x-ms-documentdb-query-enablecrosspartition": "true"}
        answer = query.answer(self.container, {"query": "SELECT * FROM c"}, everything)
        headers = data_headers(self.container, self.names, answer.partition)
        if answer.continuation is not None:
            headers["x-ms-continuation"] = answer.continuation
        return Reply(200, listing(self.container.rid, "Documents", answer.values), headers, answer.charge)

    def _feed(self, call: Call) -> Reply:
        partition, scope, label = self._feed_scope(call)
        self._check_session(call, partition, partition.lsn)
        start = call.headers.get("if-none-match")
        if self.faults.take("duplicate_feed", "feed", call.container):
            start = self.container.rewound.get(label, start)
        size = int(call.headers.get("x-ms-max-item-count", "-1"))
        if call.headers["a-im"].lower() == "full-fidelity feed":
            page = feed.everything(self.container, partition, scope, size, start)
        else:
            page = feed.latest(self.container, partition, scope, size, start, call.headers.get("if-modified-since"))
        if page.entries:
            self.container.rewound[label] = start
        headers = data_headers(self.container, self.names, partition) | {"etag": page.etag}
        if not page.entries:
            return Reply(304, None, headers, charges.NOTHING)
        headers["x-ms-item-count"] = str(len(page.entries))
        body = listing(self.container.rid, "Documents", page.entries)
        return Reply(200, body, headers, charges.feed(page.sizes))

    def _feed_scope(self, call: Call) -> tuple[Partition, Callable[[Item], bool], str]:
        header = call.headers.get("x-ms-documentdb-partitionkey")
        if header is not None:
            key = self.container.key.of_header(header)
            if key.prefix:
                raise bad_request("A partition key prefix must be read by its range.", 1001)
            return self.container.partition(key), lambda item: item.key.text == key.text, key.text
        range_id = call.headers.get("x-ms-documentdb-partitionkeyrangeid")
        if range_id is None and len(self.container.partitions) == 1:
            range_id = self.container.partitions[0].id
        if range_id is None:
            raise bad_request("The change feed must be read by partition key range or by partition key.")
        low, high = call.headers.get("x-ms-start-epk", ""), call.headers.get("x-ms-end-epk", RING_END)
        partition = self.container.partition_by_id(range_id)
        return partition, lambda item: low <= item.key.epk < high, f"{range_id}:{low}:{high}"

    def _check_session(self, call: Call, partition: Partition, seen: int) -> None:
        """Raise 404/1002 if the session has seen more of a partition than the replica."""
        if call.headers.get("x-ms-consistency-level", "").lower() == "eventual":
            return
        for token in filter(None, call.headers.get("x-ms-session-token", "").split(",")):
            id, _, vector = token.partition(":")
            parts = vector.split("#")
            if id == partition.id and len(parts) > 1 and parts[1].isdigit() and int(parts[1]) > seen:
                raise session_not_available()
