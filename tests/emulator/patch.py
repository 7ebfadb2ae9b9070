"""Partial updates: add, set, replace, remove, incr and move, in order, on a copy of the item."""

import copy
from typing import Any

from .containers import SYSTEM
from .errors import bad_request
from .sql_eval import Row, evaluate
from .sql_functions import is_number
from .sql_parser import parse_condition

MAX_OPERATIONS = 10


def meets(body: dict[str, Any], condition: Any) -> bool:
    """Whether an item meets the `FROM c WHERE ...` of a conditional patch."""
    if not condition:
        return True
    select = parse_condition(str(condition))
    return select.where is None or evaluate(select.where, Row({select.root: body}, {})) is True


def _names(path: Any) -> list[str]:
    if not isinstance(path, str) or not path.startswith("/") or len(path) < 2:
        raise bad_request(f"The patch path '{path}' is not valid.")
    return [name.replace("~1", "/").replace("~0", "~") for name in path[1:].split("/")]


def _parent(body: Any, names: list[str], path: str) -> Any:
    for name in names[:-1]:
        body = _child(body, name, path)
    return body


def _child(holder: Any, name: str, path: str) -> Any:
    if isinstance(holder, dict) and name in holder:
        return holder[name]
    if isinstance(holder, list) and name.isdigit() and int(name) < len(holder):
        return holder[int(name)]
    raise bad_request(f"For Operation(1): The path '{path}' can only be used on an existing object or array.")


def _store(holder: Any, name: str, value: Any, path: str, insert: bool, create: bool) -> None:
    if isinstance(holder, dict):
        if not create:
            _child(holder, name, path)
        holder[name] = value
    elif isinstance(holder, list):
        if name == "-" and create:
            holder.append(value)
        elif name.isdigit() and int(name) <= len(holder) - (0 if create else 1):
            index = int(name)
            holder[index : index if insert else index + 1] = [value]
        else:
            raise bad_request(f"The array index in the path '{path}' is out of bounds.")
    else:
        raise bad_request(f"The path '{path}' does not lead to an object or array.")


def _remove(holder: Any, name: str, path: str) -> Any:
    value = _child(holder, name, path)
    if isinstance(holder, dict):
        del holder[name]
    else:
        del holder[int(name)]
    return value


def _apply_one(body: dict[str, Any], operation: dict[str, Any]) -> None:
    path = operation.get("path", "")
    names = _names(path)
    if names[0] in ("id", *SYSTEM):
        raise bad_request(f"The path '{path}' cannot be patched.")
    holder, name = _parent(body, names, path), names[-1]
    match str(operation.get("op", "")).lower():
        case "add":
            _store(holder, name, operation.get("value"), path, insert=True, create=True)
        case "set":
            _store(holder, name, operation.get("value"), path, insert=False, create=True)
        case "replace":
            _store(holder, name, operation.get("value"), path, insert=False, create=False)
        case "remove":
            _remove(holder, name, path)
        case "incr" | "increment":
            _increment(holder, name, operation.get("value"), path)
        case "move":
            source = _names(operation.get("from"))
            value = _remove(_parent(body, source, operation["from"]), source[-1], operation["from"])
            _store(_parent(body, names, path), name, value, path, insert=True, create=True)
        case other:
            raise bad_request(f"The patch operation '{other}' is not supported.")


def _increment(holder: Any, name: str, by: Any, path: str) -> None:
    if not is_number(by):
        raise bad_request("The value of an increment must be a number.")
    if isinstance(holder, dict) and name not in holder:
        holder[name] = by
        return
    value = _child(holder, name, path)
    if not is_number(value):
        raise bad_request(f"The value at '{path}' cannot be incremented: it is not a number.")
    _store(holder, name, value + by, path, insert=False, create=False)


def apply(body: dict[str, Any], operations: Any) -> dict[str, Any]:
    """The item as it is after `operations`. Raises 400 if one of them does not fit."""
    if not isinstance(operations, list) or not operations:
        raise bad_request("Patch request has no operations.")
    if len(operations) > MAX_OPERATIONS:
        raise bad_request("The number of patch operations can't exceed 10.")
    changed = copy.deepcopy(body)
    for operation in operations:
        _apply_one(changed, operation)
    return changed
