"""The account: its databases with their containers, and the offers (throughput) of both."""

from collections.abc import Callable, Sequence
from typing import Any

from .containers import Container
from .errors import already_exists, bad_request, owner_not_found, resource_not_found
from .names import check_name, new_etag, rid_of
from .shelves import SORTS, Shelf

PARTITION_THROUGHPUT = 10_000
"""Units per second that one physical partition can serve; a container gets more when its throughput needs them."""
INITIAL_THROUGHPUT = 6_000
"""Units per second that a new container's partitions are planned for, when its throughput is not automatic."""


class Database:
    """A database, its containers by name, its users, and the permissions of each by the user's resource id."""

    def __init__(self, id: str, rid: str, clock: Callable[[], float]) -> None:
        self.rid = rid
        self.containers: dict[str, Container] = {}
        self.containers_made = 0
        self.document: dict[str, Any] = {
            "id": id, "_rid": rid, "_self": f"dbs/{rid}/", "_etag": new_etag(), "_ts": int(clock()),
            "_colls": "colls/", "_users": "users/",
        }  # fmt: skip
        self.users = Shelf(SORTS["users"], rid, self.document["_self"], clock)
        self.permissions: dict[str, Shelf] = {}
        self._clock = clock

    def permissions_of(self, user: str) -> Shelf:
        """The permissions of a user."""
        owner = self.users.find(user)
        if owner["_rid"] not in self.permissions:
            self.permissions[owner["_rid"]] = Shelf(SORTS["permissions"], owner["_rid"], owner["_self"], self._clock)
        return self.permissions[owner["_rid"]]


class Account:
    """Everything the server holds. Names may be given as names or as resource ids."""

    def __init__(self, partitions: int, clock: Callable[[], float]) -> None:
        self.partitions = partitions
        self.clock = clock
        self.databases: dict[str, Database] = {}
        self.offers: dict[str, dict[str, Any]] = {}
        self.databases_made = 0
        self.offers_made = 0

    @staticmethod
    def document(url: str) -> dict[str, Any]:
        """The account document of a server at `url`."""
        region = [{"name": "Emulator", "databaseAccountEndpoint": url}]
        return {
            "_self": "", "id": "emulator", "_rid": "emulator.documents.local", "media": "//media/",
            "_dbs": "//dbs/", "writableLocations": region, "readableLocations": region,
            "enableMultipleWriteLocations": False,
            "userReplicationPolicy": {"asyncReplication": False, "minReplicaSetSize": 1, "maxReplicasetSize": 4},
            "userConsistencyPolicy": {"defaultConsistencyLevel": "Session"},
            "systemReplicationPolicy": {"minReplicaSetSize": 1, "maxReplicasetSize": 4},
            "readPolicy": {"primaryReadCoefficient": 1, "secondaryReadCoefficient": 1},
            "queryEngineConfiguration": "{}",
        }  # fmt: skip

    # ------------------------------------------------------------------------------------------ databases

    def database(self, name: str) -> Database:
        for database in self.databases.values():
            if name in (database.document["id"], database.rid):
                return database
        raise resource_not_found("Database")

    def create_database(self, definition: Any, throughput: dict[str, Any] | None) -> Database:
        id = check_name(definition.get("id") if isinstance(definition, dict) else None)
        if id in self.databases:
            raise already_exists()
        self.databases_made += 1
        database = Database(id, rid_of(self.databases_made), self.clock)
        self.databases[id] = database
        if throughput:
            self._offer(database.document, throughput)
        return database

    def delete_database(self, name: str) -> None:
        database = self.database(name)
        del self.databases[database.document["id"]]
        for rid in [database.rid, *(container.rid for container in database.containers.values())]:
            self._forget_offers(rid)

    # ------------------------------------------------------------------------------------------ containers

    def container(self, database: str, name: str, owner: bool = False) -> Container:
        """The container of that name. `owner`: the request is about something in it, hence 404/1003 if missing."""
        for container in self.database(database).containers.values():
            if name in (container.document["id"], container.rid):
                return container
        raise owner_not_found() if owner else resource_not_found("Collection")

    def create_container(self, database: str, definition: Any, throughput: dict[str, Any] | None) -> Container:
        parent = self.database(database)
        id = check_name(definition.get("id") if isinstance(definition, dict) else None)
        partitions = max(self.partitions, _initial_partitions(throughput or {}))
        container = Container(definition, parent.rid, parent.containers_made + 1, partitions, self.clock)
        if id in parent.containers:
            raise already_exists()
        parent.containers[id] = container
        parent.containers_made += 1
        shared = any(offer["offerResourceId"] == parent.rid for offer in self.offers.values())
        if throughput or not shared:
            self._offer(container.document, throughput or {"offerThroughput": 400})
        return container

    def delete_container(self, database: str, name: str) -> None:
        container = self.container(database, name)
        del self.database(database).containers[container.document["id"]]
        self._forget_offers(container.rid)

    def link(self, parts: Sequence[str]) -> list[str]:
        """The parts of a link with the names of database and container, where there is one, as resource ids."""
        link = list(parts)
        for database in self.databases.values():
            if link[1:2] in ([database.rid], [database.document["id"]]):
                link[1] = database.rid
                for container in database.containers.values():
                    if link[2:4] in (["colls", container.rid], ["colls", container.document["id"]]):
                        link[3] = container.rid
        return link

    # ------------------------------------------------------------------------------------------ offers

    def _offer(self, resource: dict[str, Any], content: dict[str, Any]) -> None:
        self.offers_made += 1
        rid = rid_of(self.offers_made)
        self.offers[rid] = {
            "resource": resource["_self"], "offerType": "Invalid", "offerResourceId": resource["_rid"],
            "offerVersion": "V2", "content": content, "id": rid, "_rid": rid, "_self": f"offers/{rid}/",
            "_etag": new_etag(), "_ts": int(self.clock()),
        }  # fmt: skip

    def _forget_offers(self, rid: str) -> None:
        self.offers = {key: offer for key, offer in self.offers.items() if offer["offerResourceId"] != rid}

    def replace_offer(self, rid: str, body: Any) -> dict[str, Any]:
        for key, offer in self.offers.items():
            if key.lower() == rid.lower() or offer["id"] == rid:
                if not isinstance(body, dict) or not isinstance(body.get("content"), dict):
                    raise bad_request("The offer is invalid.")
                offer |= {"content": body["content"], "_etag": new_etag()}
                self._grow(offer["offerResourceId"], body["content"].get("offerThroughput") or 0)
                return offer
        raise resource_not_found("Offer")

    def _grow(self, rid: str, throughput: int) -> None:
        """Split the widest partitions of a container until it has as many as the throughput needs."""
        for database in self.databases.values():
            for container in database.containers.values():
                while container.rid == rid and len(container.partitions) < -(-throughput // PARTITION_THROUGHPUT):
                    container.split(max(container.partitions, key=lambda one: one.width).id)


def _initial_partitions(offer: dict[str, Any]) -> int:
    if "offerAutopilotSettings" in offer:
        return int(-(-offer["offerAutopilotSettings"]["maxThroughput"] // PARTITION_THROUGHPUT))
    return int(-(-offer.get("offerThroughput", 0) // INITIAL_THROUGHPUT))
