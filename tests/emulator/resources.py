"""Requests about the account, its databases, containers, partition key ranges and offers."""

from typing import Any

from . import query, sql_run
from .account import Account
from .calls import Call
from .containers import Container
from .errors import bad_request, cross_partition_disabled, resource_not_found
from .indexing import IndexingPolicy
from .keys import Key
from .partitions import Item
from .replies import Reply, listing, resource
from .shelves import Shelf
from .values import loads

_NO_KEY = Key("[]", "")


def _throughput(call: Call) -> dict[str, Any] | None:
    automatic = call.headers.get("x-ms-cosmos-offer-autopilot-settings")
    manual = call.headers.get("x-ms-offer-throughput")
    if automatic:
        settings = loads(automatic)
        maximum = settings.get("maxThroughput", 0)
        if maximum < 1000:
            raise bad_request(f"Requested throughput {maximum} is less than required minimum throughput 1000")
        if maximum % 1000:
            raise bad_request("The autoscale maximum throughput must be a multiple of 1000.")
        return {"offerThroughput": settings["maxThroughput"] // 10, "offerAutopilotSettings": settings}
    if manual:
        if int(manual) < 400 or int(manual) % 100:
            raise bad_request("The offer should have a valid throughput: at least 400, in steps of 100.")
        return {"offerThroughput": int(manual)}
    return None


def _all(call: Call, rid: str, name: str, documents: list[dict[str, Any]]) -> Reply:
    """A list of resources, or a query over them."""
    if call.method == "GET":
        return Reply(200, listing(rid, name, [dict(document) for document in documents]))
    select, parameters = query.parse_body(call.body)
    items = [Item(document["id"], _NO_KEY, n, dict(document), 128, 0) for n, document in enumerate(documents)]
    page = sql_run.run(select, parameters, items, IndexingPolicy(None), len(items) + 1)
    return Reply(200, listing(rid, name, page.values), charge=2.0)


def databases(account: Account, call: Call) -> Reply:
    if len(call.parts) == 1:
        if call.method == "POST" and not call.is_query:
            return resource(account.create_database(call.body, _throughput(call)).document, 201)
        return _all(call, "", "Databases", [database.document for database in account.databases.values()])
    if call.method == "DELETE":
        account.delete_database(call.parts[1])
        return Reply(204)
    return resource(account.database(call.parts[1]).document)


def containers(account: Account, call: Call) -> Reply:
    database = call.parts[1]
    if len(call.parts) == 3:
        if call.method == "POST" and not call.is_query:
            return resource(account.create_container(database, call.body, _throughput(call)).document, 201)
        parent = account.database(database)
        return _all(call, parent.rid, "DocumentCollections", [c.document for c in parent.containers.values()])
    container = account.container(database, call.parts[3])
    if call.method == "DELETE":
        account.delete_container(database, call.parts[3])
        return Reply(204)
    if call.method == "PUT":
        if not isinstance(call.body, dict):
            raise bad_request("The container definition is invalid.")
        container.define(call.body)
    reply = resource(container.document)
    if call.flag("x-ms-documentdb-populatequotainfo"):
        count = sum(len(partition.changes) for partition in container.partitions)
        reply.headers |= {
            "x-ms-resource-usage": f"documentsCount={count};",
            "x-ms-resource-quota": "documentsCount=-1;",
            "x-ms-documentdb-collection-index-transformation-progress": "100",
        }
    if call.flag("x-ms-documentdb-populatepartitionstatistics"):
        statistics = [{"id": one.id, "documentCount": len(one.changes)} for one in container.partitions]
        reply.body = {**container.document, "statistics": statistics}
    return reply


def partition_key_ranges(container: Container, call: Call) -> Reply:
    """The ranges that are newer than the client's etag; 304 when none is."""
    etag = {"etag": f'"{container.generation}"'}
    known = call.headers.get("if-none-match")
    seen = int(known.strip('"')) if known and known.strip('"').isdigit() else 0
    ranges = [partition.document() for partition in container.partitions if partition.born > seen]
    if not ranges:
        return Reply(304, None, etag)
    return Reply(200, listing(container.rid, "PartitionKeyRanges", ranges), etag)


def conflicts(container: Container, call: Call) -> Reply:
    """An account with one region for writes has no conflicts."""
    if len(call.parts) > 5:
        raise resource_not_found("Conflict")
    scoped = "x-ms-documentdb-partitionkey" in call.headers or call.flag("x-ms-documentdb-query-enablecrosspartition")
    if call.method == "POST" and not scoped:
        raise cross_partition_disabled()
    return Reply(200, listing(container.rid, "Conflicts", []))


def offers(account: Account, call: Call) -> Reply:
    if len(call.parts) == 1:
        return _all(call, "", "Offers", list(account.offers.values()))
    if call.method == "PUT":
        return resource(account.replace_offer(call.parts[1], call.body))
    for offer in account.offers.values():
        if call.parts[1].lower() in (offer["id"].lower(), offer["_rid"].lower()):
            return resource(offer)
    raise resource_not_found("Offer")


def shelved(shelf: Shelf, call: Call) -> Reply:
    """Requests about users, permissions, stored procedures, triggers and functions, as resources."""
    if len(call.parts) % 2:
        if call.method != "POST" or call.is_query:
            return _all(call, shelf.owner_rid, shelf.sort.list_name, list(shelf.documents.values()))
        if call.flag("x-ms-documentdb-is-upsert"):
            document, new = shelf.upsert(call.body)
            return resource(document, 201 if new else 200)
        return resource(shelf.create(call.body), 201)
    if call.method == "PUT":
        return resource(shelf.replace(call.parts[-1], call.body))
    if call.method == "DELETE":
        shelf.delete(call.parts[-1])
        return Reply(204)
    return resource(shelf.find(call.parts[-1]))
