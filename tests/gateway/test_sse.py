"""Server-sent events, beyond what every transport does."""

import json
from typing import Any

import pytest

from tests.gateway.edge import Edge
from tests.gateway.subscribers import EVENTS, Events, over_events
from tests.gateway.test_transports import CREATE, LIST, ORDER_ID, create, frame
from tests.projector.world import until
from tests.schema.api import UUIDS, new_order

ACCEPT = {"accept": EVENTS}
BARE = 'subscription { customerOrdersUpdated(customerId: "ada") { kind cursor orders { id version } } }'
ALIASED = """subscription { list: customerOrdersUpdated(customerId: "ada") { ...frame } }
  fragment frame on OrdersFrame { kind orders { id version } ... { at: cursor } }"""


async def test_the_answer_is_not_to_be_kept_or_gathered_by_anyone_on_the_way(edge: Edge) -> None:
    async with over_events(edge.url, LIST) as client:
        headers = client.answer.headers
        assert (headers["cache-control"], headers["x-accel-buffering"]) == ("no-cache", "no")


async def test_a_subscription_is_begun_by_get_as_a_browser_does(edge: Edge) -> None:
    async with edge.http.get(f"{edge.url}/graphql/stream", params={"query": LIST}, headers=ACCEPT) as answer:
        client = Events(answer)
        assert frame(await client.next()) == ("SNAPSHOT", [])


async def test_a_query_and_a_mutation_have_one_event_and_the_end(edge: Edge) -> None:
    async with over_events(edge.url, "{ __typename }") as client:
        assert (await client.next())["data"] == {"__typename": "Query"}
        assert client.id is None
        assert await client.end() == "complete"
    async with over_events(edge.url, CREATE, {"input": new_order()}) as client:
        assert (await client.next())["data"] == {"createOrder": {"__typename": "OrderCommandSucceeded"}}
        assert await client.end() == "complete"


@pytest.mark.parametrize("query", ["{", "{ nothing }", "query a { __typename } query b { __typename }"])
async def test_a_document_that_cannot_be_executed_is_told_in_an_event(edge: Edge, query: str) -> None:
    async with over_events(edge.url, query) as client:
        result = await client.next()
        assert (list(result), len(result["errors"])) == (["errors"], 1)


@pytest.mark.parametrize("query", [BARE, LIST])
async def test_each_event_has_the_cursor_of_its_frame_as_its_id(edge: Edge, query: str) -> None:
    async with over_events(edge.url, query) as client:
        for number in (1, 2):
            result = await client.next()
            assert client.id == result["data"]["customerOrdersUpdated"]["cursor"]
            await create(edge, number)


async def test_the_cursor_is_found_under_another_name_and_in_fragments(edge: Edge) -> None:
    async with over_events(edge.url, ALIASED) as client:
        result = await client.next()
        assert client.id == result["data"]["list"]["at"]


@pytest.mark.parametrize(
    "query", [BARE.replace("cursor ", ""), f'subscription {{ orderUpdated(id: "{ORDER_ID}") {{ version }} }}']
)
async def test_a_frame_without_its_cursor_has_no_id(edge: Edge, query: str) -> None:
    async with over_events(edge.url, query) as client:
        await create(edge)
        await client.next()
        assert client.id is None


@pytest.mark.parametrize("query", [BARE, LIST, ALIASED])
async def test_the_last_event_id_is_the_cursor_to_go_on_after(edge: Edge, query: str) -> None:
    async with over_events(edge.url, query, last_event_id="not of ours") as client:
        (told,) = (await client.next())["data"].values()
        assert told["kind"] == "RESET"


LITERAL = BARE.replace('"ada"', '"ada", after: null')


@pytest.mark.parametrize(
    ("query", "variables", "kind"), [(LIST, {"after": "mine"}, "RESET"), (LITERAL, None, "SNAPSHOT")]
)
async def test_what_the_client_says_itself_goes_first(edge: Edge, query: str, variables: Any, kind: str) -> None:
    async with over_events(edge.url, query, variables, last_event_id="not of ours") as client:
        (told,) = (await client.next())["data"].values()
        assert told["kind"] == kind


@pytest.mark.parametrize(
    "query",
    ["{", "{ orders(first: 1) { pageInfo { hasNextPage } } }", 'subscription { orderUpdated(id: "x") { id } }'],
)
async def test_the_last_event_id_changes_nothing_where_nothing_can_be_continued(edge: Edge, query: str) -> None:
    results = []
    for cursor in (None, "not of ours"):
        async with over_events(edge.url, query, last_event_id=cursor) as client:
            result = await client.next()
            result.get("extensions", {}).pop("freshness", None)  # which may have been looked at meanwhile
            results.append(result)
    assert results[0] == results[1]


@pytest.mark.parametrize(
    ("body", "content_type", "accept", "status"),
    [
        (b"nonsense", "application/json", EVENTS, 400),
        (b'{"query": 5}', "application/json", EVENTS, 400),
        (b'{"query": "{ __typename }"}', "text/plain", EVENTS, 415),
        (b'{"query": "{ __typename }"}', "application/json", "application/json", 406),
    ],
)
async def test_what_is_no_request_for_events_is_refused_in_json(
    edge: Edge, body: bytes, content_type: str, accept: str, status: int
) -> None:
    headers = {"content-type": content_type, "accept": accept}
    async with edge.http.post(f"{edge.url}/graphql/stream", data=body, headers=headers) as answer:
        assert (answer.status, answer.content_type) == (status, "application/json")
        assert json.loads(await answer.text())["errors"][0]["message"]


async def test_a_mutation_is_not_begun_by_get(edge: Edge) -> None:
    params = {"query": "mutation { __typename }"}
    async with edge.http.get(f"{edge.url}/graphql/stream", params=params, headers=ACCEPT) as answer:
        assert (answer.status, answer.headers["allow"]) == (405, "POST")


async def test_another_method_is_not_allowed(edge: Edge) -> None:
    async with edge.http.put(f"{edge.url}/graphql/stream") as answer:
        assert (answer.status, answer.headers["allow"]) == (405, "GET, POST")


async def test_a_mutation_is_finished_though_its_client_goes_away(edge: Edge) -> None:
    async with over_events(edge.url, CREATE, {"input": new_order(orderUuid=UUIDS[1])}) as client:
        client.vanish()
    metrics = edge.gateway.telemetry.metrics.registry
    told = {"type": "mutation", "outcome": "SUCCESS"}
    await until(lambda: metrics.get_sample_value("gateway_operations_total", told) == 1)
