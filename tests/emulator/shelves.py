"""Shelves: small resources kept by id below an owner: users, permissions, stored procedures, triggers, functions."""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .errors import already_exists, bad_request, resource_not_found
from .names import check_id, new_etag


@dataclass(frozen=True, slots=True)
class Sort:
    """A sort of resource: what links, lists and errors call it, what it must have, the top digit of its ids.

    `choices` are the properties with a fixed set of values, and their values.
    """

    segment: str
    list_name: str
    error_name: str
    digit: int
    required: tuple[str, ...] = ()
    choices: tuple[tuple[str, tuple[str, ...]], ...] = ()


_TRIGGERS = (
    ("triggerType", ("pre", "post")),
    ("triggerOperation", ("all", "create", "update", "delete", "replace", "upsert")),
)
SORTS = {
    sort.segment: sort
    for sort in (
        Sort("users", "Users", "User", 0),
        Sort("permissions", "Permissions", "Permission", 3, ("resource",), (("permissionMode", ("all", "read")),)),
        Sort("sprocs", "StoredProcedures", "StoredProcedure", 8, ("body",)),
        Sort("triggers", "Triggers", "Trigger", 7, ("body",), _TRIGGERS),
        Sort("udfs", "UserDefinedFunctions", "UserDefinedFunction", 6, ("body",)),
    )
}


class Shelf:
    """The resources of one sort below the owner with that resource id and link."""

    def __init__(self, sort: Sort, owner_rid: str, owner_link: str, clock: Callable[[], float]) -> None:
        self.sort = sort
        self.owner_rid = owner_rid
        self.documents: dict[str, dict[str, Any]] = {}
        self.made = 0
        self._link = f"{owner_link}{sort.segment}/"
        self._clock = clock

    def find(self, name: str) -> dict[str, Any]:
        """The resource of that id or resource id."""
        for document in self.documents.values():
            if name in (document["id"], document["_rid"]):
                return document
        raise resource_not_found(self.sort.error_name)

    def create(self, definition: Any) -> dict[str, Any]:
        id = self._checked(definition)
        if id in self.documents:
            raise already_exists()
        self.made += 1
        number = (self.sort.digit << 60 | self.made).to_bytes(8, "big")
        rid = base64.b64encode(base64.b64decode(self.owner_rid, b"+-") + number, b"+-").decode()
        return self._store(definition, rid)

    def replace(self, name: str, definition: Any) -> dict[str, Any]:
        """Store the next version of a resource; a definition with another id renames it."""
        id, before = self._checked(definition), self.find(name)
        if id != before["id"] and id in self.documents:
            raise already_exists()
        del self.documents[before["id"]]
        return self._store(definition, before["_rid"])

    def upsert(self, definition: Any) -> tuple[dict[str, Any], bool]:
        """The stored resource, and whether it is new."""
        id = self._checked(definition)
        if id in self.documents:
            return self.replace(id, definition), False
        return self.create(definition), True

    def delete(self, name: str) -> None:
        del self.documents[self.find(name)["id"]]

    def _checked(self, definition: Any) -> str:
        if not isinstance(definition, dict):
            raise bad_request("The request payload is invalid. Ensure to provide a valid request payload.")
        for name in self.sort.required:
            if not isinstance(definition.get(name), str) or not definition[name]:
                raise bad_request(
                    f"The input content is invalid because the required properties - '{name}; ' - are missing"
                )
        for name, values in self.sort.choices:
            if str(definition.get(name)).lower() not in values:
                raise bad_request(f"The input value for '{name}' is invalid.")
        return check_id(definition.get("id"))

    def _store(self, definition: dict[str, Any], rid: str) -> dict[str, Any]:
        document = {
            **{name: value for name, value in definition.items() if not name.startswith("_")},
            "_rid": rid, "_self": f"{self._link}{rid}/", "_etag": new_etag(), "_ts": int(self._clock()),
        }  # fmt: skip
        if self.sort.segment == "users":
            document["_permissions"] = "permissions/"
        self.documents[document["id"]] = document
        return document
