"""What a query tells about its work when the client asks: its metrics, and the indexes it used or could have used."""

import base64
from collections.abc import Iterator, Mapping
from typing import Any

from . import sql_ast as ast
from .containers import Container
from .query import Answer
from .values import dumps

_COMPARISONS = frozenset({"=", "!=", "<", "<=", ">", ">="})
_PRECISE = {"FilterPreciseSet": True, "IndexPreciseSet": True}


def headers(container: Container, answer: Answer, asked: Mapping[str, str]) -> dict[str, str]:
    """The headers for what a request with the headers `asked` wants to know."""
    found = {}
    if asked.get("x-ms-documentdb-populatequerymetrics", "").lower() == "true":
        found["x-ms-documentdb-query-metrics"] = _work(answer)
    if asked.get("x-ms-cosmos-populateindexmetrics", "").lower() == "true":
        by_key = "x-ms-documentdb-partitionkey" in asked
        usage = _indexes(container, answer.select, by_key)
        found["x-ms-cosmos-index-utilization"] = base64.b64encode(dumps(usage)).decode()
    return found


def _work(answer: Answer) -> str:
    """Times are zero but for their sum: there is nothing to be learnt from those of an emulator."""
    output = len(answer.values)
    times = ("queryCompileTimeInMs", "queryLogicalPlanBuildTimeInMs", "queryPhysicalPlanBuildTimeInMs",
             "queryOptimizationTimeInMs", "VMExecutionTimeInMs", "indexLookupTimeInMs", "documentLoadTimeInMs",
             "systemFunctionExecuteTimeInMs", "userFunctionExecuteTimeInMs", "writeOutputTimeInMs")  # fmt: skip
    numbers: dict[str, float] = {"totalExecutionTimeInMs": 0.1} | dict.fromkeys(times, 0.0)
    numbers |= {
        "retrievedDocumentCount": answer.retrieved,
        "retrievedDocumentSize": answer.retrieved_bytes,
        "outputDocumentCount": output,
        "outputDocumentSize": len(dumps(answer.values)) if output else 0,
        "indexUtilizationRatio": min(1.0, output / answer.retrieved) if answer.retrieved else 1.0,
    }
    return ";".join(f"{name}={number}" for name, number in numbers.items())


def _indexes(container: Container, select: ast.Select, by_key: bool) -> dict[str, list[dict[str, Any]]]:
    """The indexes on the paths of WHERE and ORDER BY: used if the container has them, potential if not."""
    kinds = ("UtilizedSingleIndexes", "PotentialSingleIndexes", "UtilizedCompositeIndexes", "PotentialCompositeIndexes")
    found: dict[str, list[dict[str, Any]]] = {kind: [] for kind in kinds}
    if by_key:
        specs = ["/" + "/".join(names) + "/?" for names in container.key.paths]
        found["UtilizedSingleIndexes"] += [_single("", spec) for spec in specs]
    filters = list(_filters(select.where, select.root)) if select.where is not None else []
    orders = [(ast.path_of(order.expression, select.root), order.descending) for order in select.order_by]
    for path, text in [*filters, *((path, "") for path, _ in orders if path)]:
        entry = _single(text, "/" + "/".join(path) + "/?")
        kind = "UtilizedSingleIndexes" if container.policy.indexed(path) else "PotentialSingleIndexes"
        if entry not in found[kind]:
            found[kind].append(entry)
    wanted = {path: False for path, _ in filters} | {path: down for path, down in orders if path}
    if len(wanted) > 1:
        has = container.policy.composite(list(wanted.items()))
        specs = [f"/{'/'.join(path)} {'DESC' if down else 'ASC'}" for path, down in wanted.items()]
        entry = {"IndexSpecs": specs, "IndexPreciseSet": True, "IndexImpactScore": "High"}
        found["UtilizedCompositeIndexes" if has else "PotentialCompositeIndexes"].append(entry)
    return found


def _single(text: str, spec: str) -> dict[str, Any]:
    return {"FilterExpression": text, "IndexSpec": spec, **_PRECISE, "IndexImpactScore": "High"}


def _filters(node: ast.Expression, root: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """The paths that a condition is about, each with the comparison it stands in ("" for another condition)."""
    if isinstance(node, ast.Binary) and node.operator in _COMPARISONS:
        for side, other in ((node.left, node.right), (node.right, node.left)):
            path = ast.path_of(side, root)
            if path is not None and isinstance(other, ast.Constant | ast.Parameter):
                value = dumps(other.value).decode() if isinstance(other, ast.Constant) else other.name
                yield path, f"(ROOT.{'.'.join(path)} {node.operator} {value})"
                return
    path = ast.path_of(node, root)
    if path is not None:
        yield path, ""
        return
    for child in ast.children(node):
        yield from _filters(child, root)
