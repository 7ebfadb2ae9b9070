"""A request as the service understands it: its kind, the resource it names, its headers and its body."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .documents import Conditions
from .errors import ServiceError
from .values import loads

_ITEM_KINDS = {"GET": "read", "PUT": "replace", "DELETE": "delete", "PATCH": "patch"}


@dataclass(frozen=True, slots=True)
class Call:
    """`parts` are the decoded segments of the path; header names are in lower case."""

    method: str
    parts: list[str]
    headers: Mapping[str, str]
    raw: bytes

    @property
    def body(self) -> Any:
        return loads(self.raw)

    def flag(self, name: str) -> bool:
        return self.headers.get(name, "").lower() == "true"

    @property
    def conditions(self) -> Conditions:
        return Conditions(self.headers.get("if-match"), self.headers.get("if-none-match"))

    @property
    def minimal(self) -> bool:
        """Whether the client does not want written items back."""
        return self.headers.get("prefer", "").replace(" ", "").lower() == "return=minimal"

    @property
    def container(self) -> str | None:
        return self.parts[3] if len(self.parts) > 3 and self.parts[2] == "colls" else None

    @property
    def kind(self) -> str:
        """What is asked for, in one word; raises 404 for a path that the service does not have."""
        match self.parts:
            case []:
                return "account"
            case ["offers"] | ["offers", _]:
                return "offer"
            case ["dbs"] | ["dbs", _]:
                return "database"
            case ["dbs", _, "colls"] | ["dbs", _, "colls", _]:
                return "container"
            case ["dbs", _, "users"] | ["dbs", _, "users", _]:
                return "user"
            case ["dbs", _, "users", _, "permissions"] | ["dbs", _, "users", _, "permissions", _]:
                return "permission"
            case ["dbs", _, "colls", _, "sprocs", _] if self.method == "POST":
                return "execute"
            case ["dbs", _, "colls", _, "sprocs" | "triggers" | "udfs"]:
                return "script"
            case ["dbs", _, "colls", _, "sprocs" | "triggers" | "udfs", _]:
                return "script"
            case ["dbs", _, "colls", _, "pkranges"]:
                return "pkranges"
            case ["dbs", _, "colls", _, "conflicts"] | ["dbs", _, "colls", _, "conflicts", _]:
                return "conflict"
            case ["dbs", _, "colls", _, "operations", "partitionkeydelete"]:
                return "pkdelete"
            case ["dbs", _, "colls", _, "docs", _] if self.method in _ITEM_KINDS:
                return _ITEM_KINDS[self.method]
            case ["dbs", _, "colls", _, "docs"]:
                return self._kind_of_feed()
            case _:
                raise ServiceError(404, "This resource is not known to the emulator.")

    def _kind_of_feed(self) -> str:
        if self.method == "GET":
            return "feed" if "a-im" in self.headers else "list"
        if self.flag("x-ms-cosmos-is-batch-request"):
            return "batch"
        if self.flag("x-ms-cosmos-is-query-plan-request"):
            return "plan"
        if self.is_query:
            return "query"
        return "upsert" if self.flag("x-ms-documentdb-is-upsert") else "create"

    @property
    def is_query(self) -> bool:
        return self.flag("x-ms-documentdb-isquery") or self.headers.get("content-type", "").startswith(
            "application/query+json"
        )
