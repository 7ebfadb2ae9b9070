"""A query request: which items it is about, what the gateway refuses, and the page with its continuation."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import charges, plan, sql_ast, sql_run
from .containers import Container
from .errors import bad_request, cross_partition_disabled
from .keys import Key
from .partitions import RING_END, Item, Partition
from .sql_eval import Row, evaluate
from .sql_parser import parse
from .values import UNDEFINED, canonical, loads

DEFAULT_PAGE = 100
DYNAMIC_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Answer:
    """A page of a query, the partition that served it, its charge, the continuation header, and what was loaded."""

    select: sql_ast.Select
    values: list[Any]
    partition: Partition
    charge: float
    continuation: str | None
    retrieved: int = 0
    retrieved_bytes: int = 0


def page_size(headers: Mapping[str, str]) -> int:
    try:
        size = int(headers.get("x-ms-max-item-count", DEFAULT_PAGE))
    except ValueError as error:
        raise bad_request("The value of x-ms-max-item-count is invalid.") from error
    if size == 0 or size < -1:
        raise bad_request("The value of x-ms-max-item-count is invalid.")
    return DYNAMIC_PAGE if size == -1 else min(size, DYNAMIC_PAGE)


def parse_body(body: Any) -> tuple[sql_ast.Select, dict[str, Any]]:
    """The statement and the parameters of a query request."""
    if isinstance(body, str):
        body = {"query": body}
    if not isinstance(body, dict) or not isinstance(body.get("query"), str):
        raise bad_request("The request payload is invalid. Ensure to provide a valid query.")
    given = body.get("parameters") or []
    if not isinstance(given, list) or not all(isinstance(p, dict) and "name" in p and "value" in p for p in given):
        raise bad_request("The query parameters are invalid.")
    return parse(body["query"]), {parameter["name"]: parameter["value"] for parameter in given}


def fixed_key(container: Container, select: sql_ast.Select, parameters: dict[str, Any]) -> Key | None:
    """The one logical partition that the WHERE clause allows, if it names one by equality on every key path."""
    fixed: dict[tuple[str, ...], Any] = {}
    pending = [select.where] if select.where is not None else []
    while pending:
        node = pending.pop()
        if isinstance(node, sql_ast.Logic) and node.operator == "AND":
            pending += node.operands
        elif isinstance(node, sql_ast.Binary) and node.operator == "=":
            for side, other in ((node.left, node.right), (node.right, node.left)):
                path = sql_ast.path_of(side, select.root)
                if path is not None and isinstance(other, sql_ast.Constant | sql_ast.Parameter):
                    fixed[path] = evaluate(other, Row({}, parameters))
    values = [fixed.get(tuple(names), UNDEFINED) for names in container.key.paths]
    if any(value is UNDEFINED or isinstance(value, dict | list) for value in values):
        return None
    return container.key.key(values)


def _encode(state: dict[str, Any] | None) -> str | None:
    return None if state is None else base64.b64encode(canonical(state).encode()).decode()


def _decode(token: str | None) -> dict[str, Any] | None:
    if not token:
        return None
    try:
        state = loads(base64.b64decode(token, validate=True))
    except ValueError as error:
        raise bad_request("Invalid continuation token.") from error
    if not isinstance(state, dict):
        raise bad_request("Invalid continuation token.")
    return state


def answer(container: Container, body: Any, headers: Mapping[str, str]) -> Answer:
    """The page that a query request asks for."""
    select, parameters = parse_body(body)
    state, size = _decode(headers.get("x-ms-continuation")), page_size(headers)
    target = scope(container, headers)
    if target is None:
        if plan.needs_plan(select):
            raise plan.not_servable()
        key = fixed_key(container, select, parameters)
        if key is None:
            if headers.get("x-ms-documentdb-query-enablecrosspartition", "").lower() != "true":
                raise cross_partition_disabled()
            return _across(container, select, parameters, size, state)
        target = container.partition(key), container.logical(key)
    partition, items = target
    page = sql_run.run(select, parameters, items, container.policy, size, state, container.computed.view)
    return _answer(select, page, partition, page.continuation)


def _answer(
    select: sql_ast.Select, page: sql_run.Page, partition: Partition, following: dict[str, Any] | None
) -> Answer:
    """Nothing is loaded for a count: the index answers it."""
    calls = plan.aggregates(select)
    loaded = (page.scanned, page.scanned_bytes)
    if calls and all(call.name == "COUNT" for call in calls):
        loaded = (0, 0)
    return Answer(select, page.values, partition, charges.query(page.sizes, page.scanned), _encode(following), *loaded)


def scope(container: Container, headers: Mapping[str, str]) -> tuple[Partition, list[Item]] | None:
    """The items that the headers of a request confine it to, with their partition; None for the whole container."""
    header = headers.get("x-ms-documentdb-partitionkey")
    range_id = headers.get("x-ms-documentdb-partitionkeyrangeid")
    if header is not None:
        key = container.key.of_header(header)
        if key.prefix:
            raise bad_request("Partition key provided is only a prefix of the container's partition key.", 1001)
        return container.partition(key), container.logical(key)
    if range_id is not None:
        partition = container.partition_by_id(range_id)
        low, high = headers.get("x-ms-start-epk", ""), headers.get("x-ms-end-epk", RING_END)
        return partition, list(container.within(partition, low, high))
    return None


def _across(
    container: Container, select: sql_ast.Select, parameters: dict[str, Any], size: int, state: dict[str, Any] | None
) -> Answer:
    """A page of a plain filter as the gateway serves it: one partition per request, even if it has nothing."""
    low = state["low"] if state else ""
    inner = state["inner"] if state else None
    partition = next(one for one in container.partitions if one.high > low)
    items = container.within(partition, low)
    page = sql_run.run(select, parameters, items, container.policy, size, inner, container.computed.view)
    following: dict[str, Any] | None = None
    if page.continuation is not None:
        following = {"low": low, "inner": page.continuation}
    elif partition.high != RING_END:
        following = {"low": partition.high, "inner": None}
    return _answer(select, page, partition, following)
