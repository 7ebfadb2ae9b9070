"""Query plans: which queries a gateway cannot serve over several partitions, and how a client fans them out.

A rewritten query answers per partition with rows of orderByItems and payload, or with partial aggregates.
"""

from typing import Any

from . import sql_ast as ast
from .errors import bad_request
from .sql_run import number_of

FILTER = "{documentdb-formattableorderbyquery-filter}"
_NAMES = {"COUNT": "Count", "SUM": "Sum", "MIN": "Min", "MAX": "Max", "AVG": "Average", "COUNTIF": "CountIf"}


def aggregates(select: ast.Select) -> list[ast.Call]:
    return [call for column in select.columns for call in ast.aggregates_in(column.expression)]


def needs_plan(select: ast.Select) -> bool:
    """Whether a gateway refuses to serve this over several partitions."""
    return bool(
        select.order_by or select.top or select.offset or select.distinct or select.group_by or aggregates(select)
    )


def not_servable() -> Exception:
    return bad_request(
        "The provided cross partition query can not be directly served by the gateway. This is a first chance "
        "(internal) exception that all newer clients will know how to handle gracefully.",
        1004,
    )


def plan(select: ast.Select, parameters: dict[str, Any], supported: str, epk: str | None = None) -> dict[str, Any]:
    """The plan of a query for a client with the `supported` features. 400 if one is missing that it needs.

    `epk` is the place of the one logical partition that the query is about, if it is.
    """
    if select.group_by and "GroupBy" not in [name.strip() for name in supported.split(",")]:
        raise bad_request("Query contains the following features, which the calling client does not support: GroupBy")
    offset, limit = number_of(select.offset, parameters, "OFFSET"), number_of(select.limit, parameters, "LIMIT")
    order_by = [] if aggregates(select) else select.order_by
    distinct = "None" if not select.distinct else "Ordered" if select.order_by else "Unordered"
    return {
        "partitionedQueryExecutionInfoVersion": 2,
        "queryInfo": {
            "distinctType": distinct,
            "top": number_of(select.top, parameters, "TOP"),
            "offset": offset,
            "limit": limit,
            "orderBy": ["Descending" if order.descending else "Ascending" for order in order_by],
            "orderByExpressions": [order.text for order in order_by],
            "groupByExpressions": [],
            "groupByAliases": [],
            "aggregates": [_NAMES[call.name] for call in aggregates(select)] if select.value else
            sorted({_NAMES[call.name] for call in aggregates(select)}),
            "groupByAliasToAggregateType": {},
            "rewrittenQuery": rewritten(select, parameters),
            "hasSelectValue": select.value,
            "dCountInfo": None,
            "hasNonStreamingOrderBy": False,
        },
        "queryRanges": [
            {
                "min": "" if epk is None else epk,
                "max": "FF" if epk is None else epk,
                "isMinInclusive": True,
                "isMaxInclusive": epk is not None,
            }
        ],
    }  # fmt: skip


def _projection(select: ast.Select) -> str:
    """What the query selects, as one value."""
    if select.star:
        return select.root
    if select.value:
        return select.columns[0].text
    return "{" + ", ".join(f'"{column.alias}": {column.text}' for column in select.columns) + "}"


def rewritten(select: ast.Select, parameters: dict[str, Any]) -> str:
    """The query to run on each partition, or "" if it is the query itself."""
    where = f"\nWHERE {select.where_text}" if select.where_text else ""
    tail = ""
    offset, limit = number_of(select.offset, parameters, "OFFSET"), number_of(select.limit, parameters, "LIMIT")
    ordered_distinct = select.distinct and select.order_by
    if limit is not None and not ordered_distinct:
        tail = f"\nOFFSET 0 LIMIT {(offset or 0) + limit}"
    top = number_of(select.top, parameters, "TOP")
    head = "" if top is None or ordered_distinct else f"TOP {top} "
    if select.order_by and not aggregates(select):
        where = f"\nWHERE ({select.where_text}) AND ({FILTER})" if select.where_text else f"\nWHERE ({FILTER})"
        orders = ", ".join(f"{order.text} {'DESC' if order.descending else 'ASC'}" for order in select.order_by)
        items = ", ".join(f'{{"item": {order.text}}}' for order in select.order_by)
        rows = f"{select.root}._rid, [{items}] AS orderByItems, {_projection(select)} AS payload"
        return f"SELECT {head}{rows}\nFROM {select.from_text}{where}\nORDER BY {orders}{tail}"
    calls = aggregates(select)
    if select.value and len(calls) == 1 and calls[0] == select.columns[0].expression:
        text = select.columns[0].text
        if calls[0].name == "AVG":
            argument = text[text.index("(") : text.rindex(")") + 1]
            text = f'{{"sum": SUM{argument}, "count": COUNT{argument}}}'
        return f'SELECT VALUE [{{"item": {text}}}]\nFROM {select.from_text}{where}'
    if limit is not None:
        distinct = "DISTINCT " if select.distinct else ""
        columns = ", ".join(f"{c.text}" if select.value else f"{c.text} AS {c.alias}" for c in select.columns)
        projection = "*" if select.star else f"VALUE {columns}" if select.value else columns
        return f"SELECT {distinct}{head}{projection}\nFROM {select.from_text}{where}{tail}"
    return ""
