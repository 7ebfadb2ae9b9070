"""Consistency tokens: an answer shows the write that they name, or says that it does not."""

import asyncio
import base64

import pytest

from projector.apply import Failure
from projector.dead_letters import DEAD_LETTERS, DeadLetters
from projector.orders import CUSTOMER_ORDERS, PRODUCT_SALES
from projector.worker import drain
from read_model.consistency import Consistency, token, wait_for
from read_model.signing import Signer
from store import Partition, Start
from tests.engines import opened
from tests.projector.world import PATIENCE_S, until
from tests.schema.api import UUIDS, Api, Json, open_api

ORDER_ID = f"order:ada:{UUIDS[1]}"
WAIT: Json = {"waitMs": 10_000, "onTimeout": "ERROR"}
NO_WAIT: Json = {"waitMs": 0, "onTimeout": "ERROR"}

QUESTIONS: list[tuple[str, Json]] = [
    (f'order(id: "{ORDER_ID}", consistency: $consistency) {{ status }}', {"status": "SUBMITTED"}),
    (
        'customerOrders(customerId: "ada", consistency: $consistency) { nodes { status } }',
        {"nodes": [{"status": "SUBMITTED"}]},
    ),
    (
        'customerOrderSummary(customerId: "ada", consistency: $consistency) { ordersByStatus { status count } }',
        {"ordersByStatus": [{"status": "SUBMITTED", "count": 1}]},
    ),
    ('productSales(sku: "tea", consistency: $consistency) { unitsSold }', {"unitsSold": 2}),
]
questions = pytest.mark.parametrize(("question", "answer"), QUESTIONS, ids=[q.partition("(")[0] for q, _ in QUESTIONS])
ORDER = QUESTIONS[0][0]
SALES = QUESTIONS[3][0]


def asking(question: str) -> str:
    return f"query($consistency: ConsistencyInput) {{ answer: {question} }}"


def forged(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


@questions
async def test_a_query_waits_until_the_write_is_projected_and_is_woken_then(
    api: Api, question: str, answer: Json
) -> None:
    token = (await api.submitted())["consistencyToken"]
    asked = asyncio.create_task(api.ask(asking(question), {"consistency": {"after": [token], **WAIT}}))
    await until(lambda: api.watchers == 1)
    assert not asked.done()
    await api.project()
    async with asyncio.timeout(PATIENCE_S):
        assert (await asked)["answer"] == answer
    assert api.watchers == 0


@questions
async def test_a_query_with_the_token_of_a_command_shows_it_while_a_projector_runs(
    live: Api, question: str, answer: Json
) -> None:
    token = (await live.submitted())["consistencyToken"]
    assert (await live.ask(asking(question), {"consistency": {"after": [token], **WAIT}}))["answer"] == answer


@questions
async def test_a_query_that_insists_is_told_when_the_read_model_lags(api: Api, question: str, answer: Json) -> None:
    token = (await api.submitted())["consistencyToken"]
    consistency = {"after": [token], "waitMs": 1, "onTimeout": "ERROR"}
    assert (await api.refused(asking(question), {"consistency": consistency}))[0] == "READ_MODEL_LAGGING"
    assert api.watchers == 0


@questions
async def test_a_query_that_does_not_insist_gets_what_there_is(api: Api, question: str, answer: Json) -> None:
    await api.created()
    await api.project()
    token = (await api.done("submitOrder", {"orderId": ORDER_ID}))["consistencyToken"]
    stale = (await api.ask(asking(question), {"consistency": {"after": [token], "waitMs": 1}}))["answer"]
    assert stale == (await api.ask(asking(question)))["answer"]
    assert stale != answer


async def test_sales_are_waited_for_beyond_the_order(api: Api) -> None:
    token = (await api.submitted())["consistencyToken"]
    asked = asyncio.create_task(api.ask(asking(SALES), {"consistency": {"after": [token], **WAIT}}))
    await drain(api.gateway.store, [CUSTOMER_ORDERS])
    insisting = {"consistency": {"after": [token], "waitMs": 1, "onTimeout": "ERROR"}}
    assert (await api.refused(asking(SALES), insisting))[0] == "READ_MODEL_LAGGING"
    assert not asked.done()
    await drain(api.gateway.store, [PRODUCT_SALES])
    assert (await asked)["answer"] == {"unitsSold": 2}


async def test_sales_are_waited_for_until_a_cancellation_is_out_of_them(api: Api) -> None:
    await api.submitted()
    await api.project()
    token = (await api.done("cancelOrder", {"orderId": ORDER_ID, "reason": "late"}))["consistencyToken"]
    await drain(api.gateway.store, [CUSTOMER_ORDERS])
    asked = asyncio.create_task(api.ask(asking(SALES), {"consistency": {"after": [token], **WAIT}}))
    await until(lambda: api.watchers == 1)
    await drain(api.gateway.store, [PRODUCT_SALES])
    assert (await asked)["answer"] == {"unitsSold": 0}


async def test_all_tokens_are_waited_for(api: Api) -> None:
    tokens = [(await api.submitted(number=number))["consistencyToken"] for number in (1, 2)]
    await api.project()
    tokens.append((await api.submitted("bob", number=3))["consistencyToken"])
    assert (await api.refused(asking(ORDER), {"consistency": {"after": tokens, **NO_WAIT}}))[0] == "READ_MODEL_LAGGING"
    await api.project()
    assert await api.ask(asking(ORDER), {"consistency": {"after": tokens, **NO_WAIT}})


async def test_the_token_of_an_older_write_is_served_at_once(api: Api) -> None:
    token = (await api.submitted())["consistencyToken"]
    await api.done("cancelOrder", {"orderId": ORDER_ID, "reason": "late"})
    await api.project()
    answer = await api.ask(asking(ORDER), {"consistency": {"after": [token], **NO_WAIT}})
    assert answer == {"answer": {"status": "CANCELLED"}}


@pytest.mark.parametrize(
    "consistency", [None, {"after": []}, {"after": [], "waitMs": None, "onTimeout": None}], ids=str
)
async def test_without_tokens_there_is_nothing_to_wait_for(api: Api, consistency: Json | None) -> None:
    assert await api.ask(asking(ORDER), {"consistency": consistency}) == {"answer": None}


FORGED = [
    "",
    "x",
    "é",
    "\ud800",
    "a" * 1_000_000,
    forged("null"),
    forged("[]"),
    forged('["order:ada:1"]'),
    forged('["customer:ada", 1]'),
    forged('["order:ada", 1]'),
    forged('["order:ada:1", "1"]'),
    forged('["order:ada:1", 1.5]'),
    forged(f'["order:ada:1", {"9" * 5000}]'),
    forged('["order:\\ud800:1", 1]'),
    forged("[" * 100_000),
]


@pytest.mark.parametrize("token", FORGED, ids=range(len(FORGED)))
async def test_what_is_no_token_is_an_error(api: Api, token: str) -> None:
    assert (await api.refused(asking(ORDER), {"consistency": {"after": [token]}}))[0] == "BAD_TOKEN"


async def test_a_token_of_another_gateway_is_an_error(api: Api) -> None:
    foreign = token(Signer(b"another key"), ORDER_ID, 1)
    assert (await api.refused(asking(ORDER), {"consistency": {"after": [foreign]}}))[0] == "BAD_TOKEN"
    ours = token(api.context.signer, ORDER_ID, 1)
    consistency = {"after": [ours], "waitMs": 0, "onTimeout": "RETURN_STALE"}
    assert await api.ask(asking(ORDER), {"consistency": consistency}) == {"answer": None}


@questions
async def test_a_write_that_cannot_be_projected_is_not_waited_for(api: Api, question: str, answer: Json) -> None:
    consistency_token = (await api.submitted())["consistencyToken"]
    for projection in (CUSTOMER_ORDERS, PRODUCT_SALES):
        letters = DeadLetters(api.gateway.store.container(DEAD_LETTERS.name), projection.key, api.context.now)
        source = api.gateway.store.container(projection.source)
        (document, *_) = (await source.changes(Partition("ada"), Start.BEGINNING)).documents
        await letters.park(ORDER_ID, [document], Failure(document, ValueError("poison")), 4)
    consistency = {"after": [consistency_token], "waitMs": 10_000}
    code, message = await api.refused(asking(question), {"consistency": consistency | {"onTimeout": "ERROR"}})
    assert (code, "cannot" in message) == ("READ_MODEL_LAGGING", True)
    result = await api.execute(asking(question), {"consistency": consistency | {"onTimeout": "RETURN_STALE"}})
    assert not result.errors
    assert (result.extensions or {})["freshness"]["satisfied"] is False


@questions
async def test_an_answer_says_how_fresh_it_is(api: Api, question: str, answer: Json) -> None:
    consistency_token = (await api.submitted())["consistencyToken"]
    consistency = {"after": [consistency_token], "waitMs": 0, "onTimeout": "RETURN_STALE"}
    read = "product_sales" if "productSales" in question else "customer_orders"
    await api.gateway.freshness.look()
    for satisfied in (False, True):
        result = await api.execute(asking(question), {"consistency": consistency})
        freshness = (result.extensions or {})["freshness"]
        assert freshness["satisfied"] is satisfied
        assert freshness["projections"][read]["worker"] == "STOPPED"
        assert freshness["projections"][read]["lagMs"] >= 0
        await api.project()


async def test_an_answer_that_reads_no_projection_says_nothing_of_freshness(api: Api) -> None:
    for document in ("{ __typename }", "{ projections { name } }"):
        assert "freshness" not in ((await api.execute(document)).extensions or {})


@pytest.mark.parametrize(("name", "count"), [("memory", 3000), ("cosmos", 100)])
async def test_thousands_wait_at_once_and_each_is_woken(name: str, count: int) -> None:
    async with opened(name) as engine, open_api(engine, projector=False) as api:
        tokens = [(await api.submitted(number=number))["consistencyToken"] for number in range(1, 4)]
        reading = api.context

        async def wait(number: int) -> bool:
            wanted = Consistency([tokens[number % 3]], wait_ms=600_000, insist=True)
            return await wait_for(reading.store, reading.live, reading.parked, wanted, max_wait_ms=600_000)

        waiting = [asyncio.create_task(wait(number)) for number in range(count)]
        await until(lambda: api.watchers == count)
        await api.project()
        assert all(await asyncio.gather(*waiting))
        assert api.watchers == 0


@pytest.mark.parametrize("bad", [{"waitMs": -1}, {"waitMs": 10_001}, {"waitMs": 2**31 - 1}, {"after": ["x"] * 101}])
async def test_more_waiting_than_is_allowed_is_an_error(api: Api, bad: Json) -> None:
    assert (await api.refused(asking(ORDER), {"consistency": {"after": []} | bad}))[0] == "BAD_CONSISTENCY"
