"""The indexing policy: which paths have a range index, and which ORDER BY a composite index can serve."""

from collections.abc import Iterator
from typing import Any

from .errors import bad_request
from .keys import split_path

DEFAULT_POLICY: dict[str, Any] = {
    "indexingMode": "consistent",
    "automatic": True,
    "includedPaths": [{"path": "/*"}],
    "excludedPaths": [{"path": '/"_etag"/?'}],
}
_ALWAYS = {("id",), ("_ts",)}


def _pattern(path: str) -> tuple[list[str], bool]:
    """The names of an indexing path, and whether it covers what lies below (ends in *)."""
    names = split_path(path)
    if not names or names[-1] not in ("?", "*"):
        raise bad_request(f"The indexing path '{path}' could not be accepted. Please ensure that it ends in /? or /*.")
    return names[:-1], names[-1] == "*"


def _paths(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Paths without the index kinds of old; the root is written with its star."""
    return [{"path": "/*" if entry["path"] == "/" else entry["path"]} for entry in entries]


class IndexingPolicy:
    """A policy document, normalised as the service returns it. Wildcards do not cover the `computed` properties."""

    def __init__(self, policy: dict[str, Any] | None, computed: frozenset[str] = frozenset()) -> None:
        self._computed = computed
        self.document = {**DEFAULT_POLICY, **(policy or {})}
        self.document["automatic"] = bool(self.document.get("automatic", True))
        included, excluded = _paths(self.document["includedPaths"]), _paths(self.document["excludedPaths"])
        self.document["indexingMode"] = str(self.document["indexingMode"]).lower()
        if self.document["indexingMode"] == "consistent":
            paths = [entry["path"] for entry in included + excluded]
            if "/*" not in paths:
                raise bad_request(
                    'The special mandatory indexing path "/" is not provided in any of the path type sets. '
                    "Please provide this path in one of the sets."
                )
            if '/"_etag"/?' not in paths:
                excluded.append({"path": '/"_etag"/?'})
        self.document |= {"includedPaths": included, "excludedPaths": excluded}
        self._rules = [(*_pattern(entry["path"]), True) for entry in included]
        self._rules += [(*_pattern(entry["path"]), False) for entry in excluded]
        self._composites = [
            [(tuple(split_path(part["path"])), part.get("order", "ascending").lower()) for part in index]
            for index in self.document.get("compositeIndexes", [])
        ]
        if any(len(index) < 2 for index in self._composites):
            raise bad_request("The number of paths in a composite index must be at least 2.")

    def indexed(self, path: tuple[str, ...]) -> bool:
        """Whether the value at `path` has a range index: the most precise rule decides."""
        if self.document["indexingMode"] != "consistent":
            return False
        if path in _ALWAYS:
            return True
        if path[0] in self._computed:
            return self.explicit(path)
        best, answer = (-1, False), False
        for names, below, included in self._rules:
            matches = path[: len(names)] == tuple(names) and (below or len(path) == len(names))
            if matches and (len(names), not below) > best:
                best, answer = (len(names), not below), included
        return answer

    def explicit(self, path: tuple[str, ...]) -> bool:
        """Whether a rule names `path` itself; ORDER BY then returns items without a value there as well."""
        return path in _ALWAYS or any(tuple(names) == path and included for names, _, included in self._rules)

    def composite(self, order: list[tuple[tuple[str, ...], bool]]) -> bool:
        """Whether a composite index has exactly these (path, descending), all directions as they are or reversed."""
        wanted = [(path, "descending" if down else "ascending") for path, down in order]
        reverse = [(path, "ascending" if down else "descending") for path, down in order]
        return any(index in (wanted, reverse) for index in self._composites)

    def terms(self, body: dict[str, Any]) -> int:
        """How many index entries an item has."""
        leaves = list(_leaves(body, ()))
        single = sum(1 for path in leaves if self.indexed(path))
        present = set(leaves)
        return single + sum(1 for index in self._composites if index[0][0] in present)


def _leaves(value: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(inner, (*path, name))
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner, (*path, "[]"))
    else:
        yield path
