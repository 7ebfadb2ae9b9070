"""Metrics: what happens is counted under names of ours, and every process can be asked for its own."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import aiohttp
import pytest

from gateway.metrics import Metrics
from gateway.serve import CannotListen, listen_near
from gateway.settings import read_settings
from gateway.supervisor import Supervisor
from gateway.telemetry import Telemetry, outcome_of
from gateway.wiring import CONTAINERS, running_gateway
from store import Container, Document, OutcomeUnknown, Throttled, Unavailable
from tests.engines import Engine
from tests.gateway.edge import Edge, open_edge
from tests.gateway.processes import gateway
from tests.projector.world import PATIENCE_S, until
from tests.schema.api import UUIDS, new_order
from tests.served import served
from tests.write_model.desk import BadDays, add_pen, beaten, begun, command, create, desk, lost, open_orders
from write_model import handler, orders
from write_model.refusals import CommandIdReused, Contended, NotFound, Rejected, VersionConflict

CREATE = "mutation($input: CreateOrderInput!) { createOrder(input: $input) { __typename } }"
FOLLOW = f'subscription {{ orderUpdated(id: "order:ada:{UUIDS[1]}") {{ version }} }}'


def value(metrics: Metrics, name: str, **labels: str) -> float:
    """The sample; 0 where there is none."""
    return metrics.registry.get_sample_value(name, labels) or 0.0


def commands(telemetry: Telemetry, name: str, outcome: str) -> float:
    return value(telemetry.metrics, "gateway_commands_total", command=name, outcome=outcome)


# ---------------------------------------------------------------------------------------------------- commands


@pytest.fixture
async def container(engine: Engine) -> Container:
    return await open_orders(engine)


async def test_a_command_is_counted_by_what_became_of_it_and_timed(container: Container) -> None:
    telemetry, aggregates = Telemetry(), await begun(container)
    submit = command(orders.submit, "c-1")
    await telemetry.execute(aggregates, submit)
    await telemetry.execute(aggregates, submit)
    with suppress(Rejected):
        await telemetry.execute(aggregates, add_pen())
    outcomes = [("submit", "SUCCESS"), ("submit", "REPLAYED"), ("add_item", "WRONG_STATUS")]
    assert [commands(telemetry, *outcome) for outcome in outcomes] == [1, 1, 1]
    assert value(telemetry.metrics, "gateway_command_seconds_count", command="submit") == 2


async def test_a_command_that_is_cut_off_is_counted_as_such(container: Container) -> None:
    telemetry, committing = Telemetry(), asyncio.Event()

    async def hang(apply: Callable[[], Awaitable[Any]]) -> Any:
        committing.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(telemetry.execute(desk(BadDays(container, [hang])), create()))
    await committing.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert commands(telemetry, "create", "CANCELLED") == 1


async def test_the_commits_of_a_command_beyond_its_first_are_counted(
    container: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handler, "PAUSE_S", 0)
    telemetry = Telemetry()
    await begun(container)
    aggregates = desk(BadDays(container, [beaten, beaten]))
    await telemetry.execute(aggregates, add_pen())
    await telemetry.execute(aggregates, add_pen())
    assert value(telemetry.metrics, "gateway_command_retries_total", command="add_item") == 2


async def test_a_command_whose_answer_was_lost_is_counted_once_as_a_success(container: Container) -> None:
    telemetry = Telemetry()
    await telemetry.execute(desk(BadDays(container, [lost])), create())
    assert commands(telemetry, "create", "SUCCESS") == 1


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Rejected("EMPTY_ORDER", "empty"), "EMPTY_ORDER"),
        (NotFound(), "ORDER_NOT_FOUND"),
        (VersionConflict(3), "VERSION_CONFLICT"),
        (CommandIdReused("c"), "COMMAND_ID_REUSED"),
        (Contended("c"), "BUSY"),
        (Throttled("busy", retry_after=0), "BUSY"),
        (OutcomeUnknown("lost"), "UNKNOWN"),
        (Unavailable("gone"), "UNAVAILABLE"),
        (RuntimeError("bug"), "INTERNAL"),
    ],
)
def test_each_failure_of_a_command_has_a_code(error: Exception, code: str) -> None:
    assert outcome_of(error) == code


# ---------------------------------------------------------------------------------------------------- operations


async def test_operations_are_counted_by_type_and_outcome(edge: Edge) -> None:
    await edge.ask("{ __typename }")
    await edge.ask(CREATE, {"input": new_order()})
    for document in ('{ order(id: "x") { id } }', "{ nothing }", "{"):
        await edge.post({"query": document})
    await edge.post({"query": ""})
    metrics = edge.gateway.telemetry.metrics
    counted = {
        (type, outcome): value(metrics, "gateway_operations_total", type=type, outcome=outcome)
        for type in ("query", "mutation", "invalid")
        for outcome in ("SUCCESS", "BAD_ID", "INVALID", "GRAPHQL_PARSE_FAILED", "GRAPHQL_VALIDATION_FAILED")
    }
    assert {key: count for key, count in counted.items() if count} == {
        ("query", "SUCCESS"): 1,
        ("query", "BAD_ID"): 1,
        ("mutation", "SUCCESS"): 1,
        ("invalid", "INVALID"): 1,
        ("invalid", "GRAPHQL_PARSE_FAILED"): 1,
        ("invalid", "GRAPHQL_VALIDATION_FAILED"): 1,
    }
    assert value(metrics, "gateway_operation_seconds_count", type="query") == 2
    assert value(metrics, "gateway_commands_total", command="create", outcome="SUCCESS") == 1


async def test_subscribers_their_frames_and_sockets_are_counted(edge: Edge) -> None:
    metrics = edge.gateway.telemetry.metrics
    async with edge.websocket() as socket:
        await socket.send_json({"type": "connection_init"})
        await socket.receive_json()
        await socket.send_json({"type": "subscribe", "id": "1", "payload": {"query": FOLLOW}})
        await socket.send_json({"type": "subscribe", "id": "2", "payload": {"query": "{ __typename }"}})
        assert [(await socket.receive_json())["type"] for _ in range(2)] == ["next", "complete"]
        await until(lambda: value(metrics, "gateway_live_watchers") == 1)
        assert (value(metrics, "gateway_subscribers"), value(metrics, "gateway_sockets")) == (1, 1)
        assert value(metrics, "gateway_frames_total") == 0
        await edge.ask(CREATE, {"input": new_order(orderUuid=UUIDS[1])})
        assert (await socket.receive_json())["type"] == "next"
        await until(lambda: value(metrics, "gateway_frames_total") == 1)
    await until(lambda: value(metrics, "gateway_sockets") == 0)
    assert (value(metrics, "gateway_subscribers"), value(metrics, "gateway_live_watchers")) == (0, 0)
    assert value(metrics, "gateway_operations_total", type="subscription", outcome="CANCELLED") == 1


async def test_a_subscription_that_is_refused_is_counted_with_its_code(edge: Edge) -> None:
    metrics = edge.gateway.telemetry.metrics
    async with edge.websocket() as socket:
        await socket.send_json({"type": "connection_init"})
        await socket.receive_json()
        payload = {"query": 'subscription { orderUpdated(id: "x") { id } }'}
        await socket.send_json({"type": "subscribe", "id": "1", "payload": payload})
        await socket.receive_json()
        await until(lambda: value(metrics, "gateway_operations_total", type="subscription", outcome="BAD_ID") == 1)
    assert value(metrics, "gateway_subscribers") == 0


# ---------------------------------------------------------------------------------------------------- the store


async def test_requests_to_the_store_and_what_they_cost_are_told(engine: Engine) -> None:
    settings = read_settings(**await engine.provisioned(CONTAINERS), projector=False)
    async with running_gateway(settings) as running:
        metrics = running.telemetry.metrics
        before = value(metrics, "gateway_store_requests_total", container="orders", kind="batch")
        await running.context.execute(running.context.orders, create())
        assert value(metrics, "gateway_store_requests_total", container="orders", kind="batch") == before + 1
        units = value(metrics, "gateway_store_request_units_total", container="orders", kind="batch")
        assert (units > 0) == settings.on_cosmos


async def test_a_loop_that_fails_shows() -> None:
    metrics, supervisor = Metrics(), Supervisor()

    async def fail() -> None:
        raise ValueError("no such luck")

    async with running_gateway(read_settings(store_url="sqlite:///:memory:", projector=False)) as running:
        metrics.watch(running.store, supervisor, running.freshness)
        supervisor.start([("broken", fail)])
        await until(lambda: value(metrics, "gateway_loop_failing", loop="broken") == 1)
        assert value(metrics, "gateway_loop_failures_total", loop="broken") >= 1
        await supervisor.stop()


# ---------------------------------------------------------------------------------------------------- the projector


def test_what_a_projector_tells_is_counted() -> None:
    telemetry = Telemetry()
    observer, metrics = telemetry.observer, telemetry.metrics
    observer.applied("p@1", [Document("ada", str(number), "1", b"{}") for number in range(7)], 0.2)
    observer.retried("p@1", "Conflict")
    observer.parked("p@1")
    observer.lease_moved("p@1", "0", "taken")
    observer.lag("p@1", "0", 1.5)
    assert value(metrics, "gateway_projection_applied_total", projection="p@1") == 7
    for name, told in {"changes": 7, "seconds": 0.2}.items():
        assert value(metrics, f"gateway_projection_batch_{name}_sum", projection="p@1") == told
    assert value(metrics, "gateway_projection_retries_total", projection="p@1", reason="Conflict") == 1
    assert value(metrics, "gateway_dead_letters_total", projection="p@1") == 1
    assert value(metrics, "gateway_lease_moves_total", projection="p@1", how="taken") == 1
    assert value(metrics, "gateway_projection_lag_seconds", projection="p@1", range="0") == 1.5
    assert value(metrics, "gateway_projection_checked_timestamp_seconds", projection="p@1", range="0") > 0


@pytest.mark.parametrize("how", ["released", "lost"])
def test_a_range_that_is_followed_elsewhere_has_no_lag_here(how: Any) -> None:
    telemetry = Telemetry()
    telemetry.observer.lag("p@1", "0", 1.5)
    telemetry.observer.lease_moved("p@1", "0", how)
    telemetry.observer.lease_moved("p@1", "1", how)
    for name in ("gateway_projection_lag_seconds", "gateway_projection_checked_timestamp_seconds"):
        assert telemetry.metrics.registry.get_sample_value(name, {"projection": "p@1", "range": "0"}) is None


# ---------------------------------------------------------------------------------------------------- asked for


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [("text/plain", "text/plain"), ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text")],
)
async def test_metrics_come_in_the_format_that_the_scraper_reads(edge: Edge, accept: str, content_type: str) -> None:
    async with edge.http.get(f"{edge.url}/metrics", headers={"accept": accept}) as answer:
        assert (answer.status, answer.content_type) == (200, content_type)
        assert "gateway_sockets 0.0" in await answer.text()


async def test_metrics_can_be_switched_off() -> None:
    async with open_edge(metrics=False) as edge:
        assert (await edge.get("/metrics"))[0] == 404


async def test_metrics_and_health_can_have_a_port_of_their_own(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "gateway.health")
    async with open_edge(metrics_port=0) as edge:
        (address,) = re.findall(r"Health and metrics on (\S+)", caplog.text)
        for path, status in {"/metrics": 200, "/healthz": 200, "/readyz": 200, "/graphql": 404}.items():
            async with edge.http.get(address + path) as answer:
                assert answer.status == status
    async with aiohttp.ClientSession() as http:
        with pytest.raises(aiohttp.ClientConnectionError):
            await http.get(f"{address}/metrics")


async def test_a_projector_on_its_own_has_metrics_and_health(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METRICS_PORT", "0")
    async with asyncio.timeout(PATIENCE_S), gateway("project") as process, aiohttp.ClientSession() as http:
        assert process.stderr
        said = ""
        while not (found := re.search(r"Health and metrics on (\S+)", said)):
            said = (await process.stderr.readline()).decode()
        async with http.get(f"{found[1]}/healthz") as answer:
            assert answer.status == 200

        async def projecting() -> bool:
            async with http.get(f"{found[1]}/metrics") as answer:
                return 'loop="projector customer_orders"' in await answer.text()

        await until(projecting)
        process.terminate()
        assert await process.wait() == 0


async def test_of_several_workers_none_answers_for_the_others(store_url: str) -> None:
    async with (
        served("--workers", "2") as several,
        aiohttp.ClientSession() as http,
        http.get(f"{several.url}/metrics") as answer,
    ):
        assert answer.status == 404


def test_processes_that_are_set_alike_take_ports_in_turn() -> None:
    with listen_near("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with listen_near("127.0.0.1", port) as second:
            assert port < second.getsockname()[1] < port + 64


def test_an_address_that_cannot_be_had_is_told() -> None:
    with pytest.raises(CannotListen, match="cannot listen on 192\\.0\\.2\\.1"):
        listen_near("192.0.2.1", 0)
