"""Partition keys: what an item's key is, and where on the hash ring it lies.

The effective partition key (EPK) is computed by the SDK's own hash, so client and server always agree.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from azure.cosmos.partition_key import PartitionKey, _Undefined

from .errors import bad_request
from .values import UNDEFINED, canonical, loads


@dataclass(frozen=True, slots=True)
class Key:
    """A logical partition: its canonical text and its place on the ring. A prefix is the beginning of several."""

    text: str
    epk: str
    prefix: bool = False


def split_path(path: str) -> list[str]:
    """The property names in a path such as /a/b or /"a b"/c."""
    names: list[str] = []
    position = 0
    while position < len(path):
        if path[position] != "/":
            raise bad_request(f"The path '{path}' is not valid.")
        quote = path[position + 1 : position + 2]
        if quote in ('"', "'"):
            end = path.index(quote, position + 2)
            names.append(path[position + 2 : end])
            position = end + 1
        else:
            end = path.find("/", position + 1)
            end = len(path) if end < 0 else end
            names.append(path[position + 1 : end])
            position = end
    return names


def value_at(document: Any, names: Sequence[str]) -> Any:
    """The value at a path of property names, or UNDEFINED."""
    for name in names:
        if not isinstance(document, dict) or name not in document:
            return UNDEFINED
        document = document[name]
    return document


class KeyDefinition:
    """How a container's items get their partition key."""

    def __init__(self, definition: dict[str, Any]) -> None:
        paths = definition.get("paths")
        if not isinstance(paths, list) or not paths or not all(isinstance(p, str) and p.startswith("/") for p in paths):
            raise bad_request("The specified partition key definition is invalid.")
        self.kind = definition.get("kind", "Hash")
        if (self.kind == "Hash" and len(paths) != 1) or (self.kind == "MultiHash" and len(paths) > 3):
            raise bad_request("Too many partition key paths are specified.")
        self.paths = [split_path(path) for path in paths]
        self.version = definition.get("version", 1)

    def of_item(self, body: dict[str, Any]) -> Key:
        """The key of an item; a path without a scalar there counts as undefined."""
        values = [value_at(body, names) for names in self.paths]
        return self.key([{} if value is UNDEFINED or isinstance(value, dict | list) else value for value in values])

    def of_header(self, header: str) -> Key:
        values = loads(header)
        if not isinstance(values, list) or len(values) > len(self.paths):
            raise bad_request(f"Partition key {header} is invalid.", 1001)
        return self.key(values or [{}] * len(self.paths))

    def key(self, values: list[Any]) -> Key:
        """The key of `values`, where {} stands for undefined."""
        return _key(self.kind, self.version, len(self.paths), canonical(values))


@lru_cache(maxsize=100_000)
def _key(kind: str, version: int, paths: int, text: str) -> Key:
    values = [_Undefined() if value == {} else value for value in loads(text)]
    names = ["/p"] * paths
    definition = PartitionKey(path=names if kind == "MultiHash" else "/p", kind=kind, version=version)  # type: ignore[call-overload]
    return Key(text, str(definition._get_effective_partition_key_string(values)).upper(), len(values) < paths)
