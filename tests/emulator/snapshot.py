"""The whole account as one JSON document, so that a server can be stopped and continued (`--data FILE`)."""

import asyncio
from pathlib import Path
from typing import Any

from .account import Account, Database
from .containers import SCRIPTS, Container
from .keys import Key
from .partitions import Item, Partition
from .shelves import SORTS, Shelf
from .values import dumps, loads

_COUNTERS = ("items_made", "ranges_made", "generation")


def _item(item: Item) -> dict[str, Any]:
    return {name: getattr(item, name) for name in ("id", "number", "body", "size", "terms", "lsn", "expires")} | {
        "key": [item.key.text, item.key.epk]
    }


def _partition(partition: Partition) -> dict[str, Any]:
    fields = {name: getattr(partition, name) for name in ("id", "low", "high", "rid", "parents", "lsn", "born")}
    return fields | {"items": [_item(item) for item in partition.changes.values()]}


def _shelf(shelf: Shelf) -> dict[str, Any]:
    return {"documents": shelf.documents, "made": shelf.made}


def _fill(shelf: Shelf, saved: dict[str, Any]) -> None:
    shelf.documents, shelf.made = saved["documents"], saved["made"]


def dump(account: Account) -> dict[str, Any]:
    """Everything that `load` needs to build the account again."""
    databases = [
        {
            "document": database.document,
            "containers_made": database.containers_made,
            "users": _shelf(database.users),
            "permissions": {rid: _shelf(shelf) for rid, shelf in database.permissions.items()},
            "containers": [
                {
                    "document": container.document,
                    "partitions": [_partition(one) for one in container.partitions],
                    "scripts": {name: _shelf(shelf) for name, shelf in container.scripts.items()},
                }
                | {name: getattr(container, name) for name in _COUNTERS}
                for container in database.containers.values()
            ],
        }
        for database in account.databases.values()
    ]
    made = {"databases_made": account.databases_made, "offers_made": account.offers_made}
    return {"databases": databases, "offers": account.offers, **made}


def load(account: Account, state: dict[str, Any]) -> None:
    """Fill an empty account."""
    account.offers, account.offers_made = state["offers"], state["offers_made"]
    account.databases_made = state["databases_made"]
    for saved in state["databases"]:
        document = saved["document"]
        database = Database(document["id"], document["_rid"], account.clock)
        database.document, database.containers_made = document, saved["containers_made"]
        account.databases[document["id"]] = database
        _fill(database.users, saved["users"])
        for user in database.users.documents.values():
            if user["_rid"] in saved["permissions"]:
                _fill(database.permissions_of(user["_rid"]), saved["permissions"][user["_rid"]])
        for one in saved["containers"]:
            database.containers[one["document"]["id"]] = _container(account, database, one)


def _container(account: Account, database: Database, saved: dict[str, Any]) -> Container:
    container = Container(saved["document"], database.rid, 0, 1, account.clock)
    container.document, container.rid = saved["document"], saved["document"]["_rid"]
    container.link = saved["document"]["_self"]
    for name in _COUNTERS:
        setattr(container, name, saved[name])
    container.scripts = {name: Shelf(SORTS[name], container.rid, container.link, account.clock) for name in SCRIPTS}
    for name, shelf in container.scripts.items():
        _fill(shelf, saved["scripts"][name])
    container.partitions = []
    for one in saved["partitions"]:
        items = one.pop("items")
        partition = Partition(**one)
        for item in items:
            text, epk = item.pop("key")
            partition.put(Item(key=Key(text, epk), **item))
        container.partitions.append(partition)
    return container


def read(account: Account, file: Path) -> None:
    """Fill the account from `file`, if there is one."""
    if file.exists():
        load(account, loads(file.read_bytes()))


def write(account: Account, file: Path) -> None:
    """Replace `file` in one step."""
    fresh = file.with_name(file.name + ".new")
    fresh.write_bytes(dumps(dump(account)))
    fresh.replace(file)


async def keep(account: Account, file: Path, every: float = 1.0) -> None:
    """Write the account to `file` from time to time, until cancelled, and then once more."""
    try:
        while True:
            await asyncio.sleep(every)
            write(account, file)
    finally:
        write(account, file)
