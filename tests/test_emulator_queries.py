"""Queries within one partition at the emulator, through the real SDK: the language, its types, indexes and paging."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from azure.cosmos.aio import ContainerProxy, CosmosClient
from azure.cosmos.exceptions import CosmosHttpResponseError

from tests.emulator import Emulator, emulator
from tests.emulator.testing import client_of, new_container

DOCUMENTS: list[dict[str, Any]] = [
    {"id": "1", "n": 1, "s": "apple", "b": True, "tags": ["x", "y"], "in": {"deep": {"v": 5}}, "z": None},
    {"id": "2", "n": 2.5, "s": "Banana", "b": False, "tags": [], "in": {"deep": {"v": "five"}}},
    {"id": "3", "n": "2", "s": "apricot", "tags": [{"k": 1, "l": 2}], "group": "g"},
    {"id": "4", "n": -3, "s": "cherry_pie", "value": 7, "group": "g"},
    {"id": "5", "s": "100%"},
]


@pytest.fixture
async def server() -> AsyncIterator[Emulator]:
    async with emulator() as server:
        yield server


@pytest.fixture
async def client(server: Emulator) -> AsyncIterator[CosmosClient]:
    async with client_of(server) as client:
        yield client


@pytest.fixture
async def items(client: CosmosClient) -> ContainerProxy:
    items = await new_container(client)
    for document in DOCUMENTS:
        await items.create_item({**document, "pk": "a"})
    await items.create_item({"id": "1", "pk": "b", "n": 1})
    return items


async def ask(items: ContainerProxy, query: str, **parameters: Any) -> list[Any]:
    given = [{"name": f"@{name}", "value": value} for name, value in parameters.items()]
    return [row async for row in items.query_items(query, parameters=given, partition_key="a")]


async def refusal(items: ContainerProxy, query: str, **parameters: Any) -> CosmosHttpResponseError:
    with pytest.raises(CosmosHttpResponseError) as refused:
        await ask(items, query, **parameters)
    assert refused.value.status_code == 400
    return refused.value


@pytest.mark.parametrize(
    ("condition", "ids"),
    [
        ("c.n = 1", "1"),
        ("c.n = 1.0", "1"),
        ("c.n != 1", "234"),
        ("c.n <> 1", "234"),
        ("c.n > 1", "2"),
        ("c.n >= 1 AND c.n <= 2.5", "12"),
        ("c.n < 'a'", "3"),
        ("NOT c.n > 1", "14"),
        ("NOT (c.b = true)", "2"),
        ("c.n > 2 OR c.b", "12"),
        ("c.n IN (1, '2', -3)", "134"),
        ("c.n NOT IN (1, 2.5)", "34"),
        ("c.n BETWEEN 0 AND 2.5", "12"),
        ("c.n NOT BETWEEN 0 AND 2", "24"),
        ("c.s LIKE 'ap%'", "13"),
        ("c.s LIKE '_pple'", "1"),
        ("c.s LIKE '[a-b]%'", "13"),
        ("c.s LIKE '%!%' ESCAPE '!'", "5"),
        ("c.s NOT LIKE '%a%'", "45"),
        ("STARTSWITH(c.s, 'b')", ""),
        ("STARTSWITH(c.s, 'b', true)", "2"),
        ("startswith(c.s, 'ap')", "13"),
        ("ENDSWITH(c.s, 'e')", "14"),
        ("CONTAINS(c.s, 'an', true)", "2"),
        ("NOT STARTSWITH(c.n, 'x')", "3"),
        ("ARRAY_CONTAINS(c.tags, 'x')", "1"),
        ("ARRAY_CONTAINS(c.tags, {k: 1}, true)", "3"),
        ("ARRAY_CONTAINS(c.tags, {'k': 1})", ""),
        ("ARRAY_CONTAINS(['1', '2'], c.id)", "12"),
        ("IS_DEFINED(c.b)", "12"),
        ("NOT IS_DEFINED(c.n)", "5"),
        ("IS_NULL(c.z)", "1"),
        ("c.z = null", "1"),
        ("c.z != null", ""),
        ("IS_STRING(c.n)", "3"),
        ("IS_NUMBER(c.n)", "124"),
        ("IS_BOOL(c.b) AND IS_ARRAY(c.tags) AND IS_OBJECT(c['in'])", "12"),
        ('c["in"]["deep"].v = 5', "1"),
        ("c['in'].deep.v = 'five'", "2"),
        ("c.value = 7", "4"),
        ("c.tags[0] = 'x'", "1"),
        ("c.tags = []", "2"),
        ("c['in'].deep = {'v': 5}", "1"),
        ("c.n + 1 = 2", "1"),
        ("-c.n = 3", "4"),
        ("c.n % 2 = 1", "1"),
        ("c.s || '!' = 'apple!'", "1"),
        ("LOWER(c.s) = 'banana'", "2"),
        ("LENGTH(c.s) = 4", "5"),
        ("ABS(c.n) = 3", "4"),
        ("(c.missing ?? 9) = 9 AND c.n = 1", "1"),
        ("(c.b ? 'yes' : 'no') = 'yes'", "1"),
        ("EXISTS(SELECT VALUE t FROM t IN c.tags WHERE t = 'y')", "1"),
        ("ARRAY_LENGTH(c.tags) > 1", "1"),
        ("c.missing = 1", ""),
        ("c.missing != 1", ""),
        ("true", "12345"),
        ("c.n", ""),
        ("REGEXMATCH(c.s, '^a.*e$')", "1"),
    ],
)
async def test_a_condition_selects_by_type_and_value(items: ContainerProxy, condition: str, ids: str) -> None:
    assert await ask(items, f"SELECT VALUE c.id FROM c WHERE {condition}") == list(ids)


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("SELECT c.id, c.missing FROM c WHERE c.id = '1'", [{"id": "1"}]),
        ("SELECT c.id AS name, c.n x FROM c WHERE c.id = '1'", [{"name": "1", "x": 1}]),
        ("SELECT c['in'].deep.v FROM c WHERE c.id = '1'", [{"v": 5}]),
        ("SELECT c.n + 1, c.n * 2 FROM c WHERE c.id = '1'", [{"$1": 2, "$2": 2}]),
        ("SELECT VALUE c.n FROM c", [1, 2.5, "2", -3]),
        ("SELECT VALUE {'id': c.id, 'missing': c.missing} FROM c WHERE c.id = '1'", [{"id": "1"}]),
        ("SELECT VALUE [c.id, c.missing] FROM root c WHERE c.id = '1'", [["1"]]),
        ("SELECT TOP 2 VALUE c.id FROM c", ["1", "2"]),
        ("SELECT TOP @n VALUE c.id FROM c", ["1"]),
        ("SELECT VALUE c.id FROM c OFFSET 1 LIMIT 2", ["2", "3"]),
        ("SELECT VALUE c.id FROM c OFFSET @n LIMIT @n", ["2"]),
        ("SELECT DISTINCT VALUE c['group'] FROM c", ["g"]),
        ("SELECT VALUE t FROM c JOIN t IN c.tags WHERE c.id = '1'", ["x", "y"]),
        ("SELECT c.id, t AS tag FROM c JOIN t IN c.tags WHERE c.id = '1' AND t = 'y'", [{"id": "1", "tag": "y"}]),
        ("SELECT VALUE t FROM t IN c.tags WHERE IS_STRING(t)", ["x", "y"]),
        ("SELECT VALUE d FROM c['in'] AS d WHERE d.deep.v = 5", [{"deep": {"v": 5}}]),
        ("SELECT VALUE COUNT(1) FROM c", [5]),
        ("SELECT VALUE COUNT(c.n) FROM c", [4]),
        ("SELECT COUNT(1) FROM c", [{"$1": 5}]),
        ("SELECT COUNT(1) AS n, MIN(c.n) AS low, MAX(c.n) AS high FROM c", [{"n": 5, "low": -3, "high": "2"}]),
        ("SELECT VALUE SUM(c.n) FROM c", []),
        ("SELECT VALUE SUM(c.n) FROM c WHERE IS_NUMBER(c.n)", [0.5]),
        ("SELECT VALUE AVG(c.n) FROM c WHERE c.n IN (1, 2.5)", [1.75]),
        ("SELECT VALUE COUNT(1) FROM c WHERE c.id = 'none'", [0]),
        ("SELECT VALUE MIN(c.n) FROM c WHERE c.id = 'none'", []),
        ("SELECT c['group'], COUNT(1) AS n FROM c GROUP BY c['group']", [{"n": 3}, {"group": "g", "n": 2}]),
        ("select value c.id from c where c.id = '1' -- a comment", ["1"]),
    ],
)
async def test_a_selection_has_its_shape(items: ContainerProxy, query: str, rows: list[Any]) -> None:
    assert await ask(items, query, n=1) == rows


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("CONCAT('a', 'b', c.s)", "abapple"),
        ("SUBSTRING(c.s, 1, 2)", "pp"),
        ("LEFT(c.s, 2) || RIGHT(c.s, 2)", "aple"),
        ("REPLACE(c.s, 'p', 'b')", "abble"),
        ("INDEX_OF(c.s, 'l')", 3),
        ("UPPER(TRIM(' x '))", "X"),
        ("REVERSE('abc')", "cba"),
        ("ToString(c.n) || ToString(c.b)", "1true"),
        ("StringToNumber('2.5') + 1", 3.5),
        ("ARRAY_CONCAT(c.tags, ['z'])", ["x", "y", "z"]),
        ("ARRAY_SLICE(c.tags, 1)", ["y"]),
        ("ARRAY_SLICE(c.tags, -2, 1)", ["x"]),
        ("ARRAY(SELECT VALUE t FROM t IN c.tags WHERE t != 'x')", ["y"]),
        ("(SELECT VALUE COUNT(1) FROM t IN c.tags)", 2),
        ("ROUND(2.5) + FLOOR(1.9) + CEILING(1.1)", 6),
        ("SQRT(16) + POWER(2, 3)", 12),
        ("IIF(c.n = 1, 'one', 'other')", "one"),
        ("7 / 2", 3.5),
        ("7 / 0 ?? 'undefined'", "undefined"),
        ("(6 & 3) + (6 | 1) + (5 ^ 1) + (1 << 3) + (8 >> 2)", 23),
        ("1 + 'a' ?? 'undefined'", "undefined"),
        ("'it\\'s \"quoted\"'", 'it\'s "quoted"'),
    ],
)
async def test_an_expression_has_its_value(items: ContainerProxy, expression: str, value: Any) -> None:
    assert await ask(items, f"SELECT VALUE {expression} FROM c WHERE c.id = '1'") == [value]


async def test_select_star_returns_whole_items_of_the_partition_only(items: ContainerProxy) -> None:
    rows = await ask(items, "SELECT * FROM c WHERE c.n = 1")
    assert rows == [await items.read_item("1", "a")]


async def test_parameters_are_values_never_text(items: ContainerProxy) -> None:
    assert await ask(items, "SELECT VALUE c.id FROM c WHERE c.s = @s", s="' OR true --") == []
    assert await ask(items, "SELECT VALUE c.id FROM c WHERE ARRAY_CONTAINS(@ids, c.id)", ids=["2", "3"]) == ["2", "3"]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT",
        "SELECT * FROM c WHERE",
        "SELECT * FROM c WHERE c.n =",
        "SELECT * FROM c WHERE c.n = 'open",
        "SELECT * FROM c WHERE x.n = 1",
        "SELECT * FROM c WHERE NOSUCH(c.n)",
        "SELECT * FROM c WHERE c.n = @missing",
        "SELECT * FROM c LIMIT",
        "SELECT TOP -1 * FROM c",
        "SELECT * FROM c ORDER BY c.n + 1",
        "DELETE FROM c",
        "SELECT * FROM c; SELECT 1",
    ],
)
async def test_what_is_not_a_query_is_400(items: ContainerProxy, query: str) -> None:
    await refusal(items, query)


# ---------------------------------------------------------------------------------------------------- order


async def test_order_is_by_type_then_value(items: ContainerProxy) -> None:
    for n, value in enumerate([True, None, "b", False, "a", 3, [1]]):
        await items.create_item({"id": f"o{n}", "pk": "a", "o": value})
    values = await ask(items, "SELECT VALUE c.o FROM c ORDER BY c.o")
    assert values == [None, False, True, 3, "a", "b", [1]]
    assert await ask(items, "SELECT VALUE c.o FROM c ORDER BY c.o DESC") == values[::-1]


async def test_one_path_needs_a_range_index(client: CosmosClient) -> None:
    policy = {"includedPaths": [{"path": "/n/?"}], "excludedPaths": [{"path": "/*"}]}
    items = await new_container(client, indexing_policy=policy)
    for id, n in (("1", 2), ("2", 1)):
        await items.create_item({"id": id, "pk": "a", "n": n})
    assert await ask(items, "SELECT VALUE c.id FROM c ORDER BY c.n") == ["2", "1"]
    assert await ask(items, "SELECT VALUE c.id FROM c ORDER BY c.id DESC") == ["2", "1"]
    assert await ask(items, "SELECT VALUE c.id FROM c WHERE c.other = 1") == []
    assert "excluded" in str(await refusal(items, "SELECT * FROM c ORDER BY c.other"))


async def test_several_paths_need_exactly_their_composite_index(client: CosmosClient) -> None:
    composite = [{"path": "/a", "order": "ascending"}, {"path": "/b", "order": "descending"}]
    policy = {"includedPaths": [{"path": "/*"}], "excludedPaths": [], "compositeIndexes": [composite]}
    items = await new_container(client, indexing_policy=policy)
    for id, a, b in (("1", 1, 1), ("2", 1, 2), ("3", 0, 0)):
        await items.create_item({"id": id, "pk": "a", "a": a, "b": b})
    assert await ask(items, "SELECT VALUE c.id FROM c ORDER BY c.a ASC, c.b DESC") == ["3", "2", "1"]
    assert await ask(items, "SELECT VALUE c.id FROM c ORDER BY c.a DESC, c.b") == ["1", "2", "3"]
    for other in ("c.a, c.b", "c.b DESC, c.a", "c.a, c.b DESC, c.id", "c.a DESC, c.b DESC"):
        assert "composite index" in str(await refusal(items, f"SELECT * FROM c ORDER BY {other}"))


# ---------------------------------------------------------------------------------------------------- pages


async def pages(items: ContainerProxy, query: str, size: int, token: str | None = None) -> tuple[list[list[Any]], Any]:
    """The first two pages, and the token behind them."""
    pager: Any = items.query_items(query, partition_key="a", max_item_count=size).by_page(token)
    found: list[list[Any]] = []
    async for page in pager:
        found.append([row async for row in page])
        if len(found) == 2:
            break
    return found, pager.continuation_token


@pytest.mark.parametrize(
    "query",
    [
        "SELECT VALUE c.id FROM c",
        "SELECT VALUE c.id FROM c ORDER BY c.id DESC",
        "SELECT VALUE c.id FROM c ORDER BY c.s",
        "SELECT DISTINCT VALUE c.id FROM c",
        "SELECT TOP 5 VALUE c.id FROM c",
        "SELECT VALUE c.id FROM c OFFSET 0 LIMIT 5",
    ],
)
async def test_pages_continue_where_the_last_one_ended(items: ContainerProxy, query: str) -> None:
    whole = await ask(items, query)
    first, token = await pages(items, query, 2)
    rest, end = await pages(items, query, 2, token)
    assert [len(page) for page in first + rest] == [2, 2, 1]
    assert [row for page in first + rest for row in page] == whole
    assert end is None


async def test_a_page_continues_behind_an_item_that_has_gone(items: ContainerProxy) -> None:
    query = "SELECT VALUE c.id FROM c ORDER BY c.id"
    _, token = await pages(items, query, 2)
    await items.delete_item("4", "a")
    await items.create_item({"id": "0", "pk": "a"})
    assert (await pages(items, query, 2, token))[0] == [["5"]]


async def test_a_made_up_continuation_is_400(items: ContainerProxy) -> None:
    with pytest.raises(CosmosHttpResponseError) as refused:
        await pages(items, "SELECT * FROM c", 2, "nonsense")
    assert refused.value.status_code == 400


async def test_a_count_is_answered_by_the_index(items: ContainerProxy) -> None:
    query: Any = items.query_items("SELECT VALUE COUNT(1) FROM c", partition_key="a", populate_query_metrics=True)
    assert [row async for row in query] == [5]
    assert "retrievedDocumentCount=0" in query.get_response_headers()["x-ms-documentdb-query-metrics"]
