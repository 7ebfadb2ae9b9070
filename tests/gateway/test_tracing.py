"""Traces: one follows a command from the request to the commit, its projection, and the frames that show it."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextvars import Context
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import web
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanContext, StatusCode

from gateway.logs import JsonFormatter
from gateway.otel import OpenTelemetry
from gateway.settings import read_settings
from gateway.telemetry import ObservedOperation, Telemetry
from gateway.tracing import Tracing, open_tracing
from projector.orders import PROJECTIONS
from projector.worker import drain
from read_model.orders import CUSTOMER_VIEWS
from store import Partition, Start, Unavailable, Upsert
from tests.engines import Engine
from tests.gateway.edge import Edge, open_edge
from tests.projector.world import PATIENCE_S, until
from tests.schema.api import UUIDS, new_order
from tests.store.notes import CONTAINERS, NOTES, content, keep
from tests.write_model.desk import BadDays, add_pen, beaten, begun, busy, create, desk, open_orders
from write_model import orders

ORDER_ID = f"order:ada:{UUIDS[1]}"
COMMAND_ID = UUIDS[2]
CREATE = "mutation($input: CreateOrderInput!) { createOrder(input: $input) { __typename } }"
FOLLOW = f'subscription {{ orderUpdated(id: "{ORDER_ID}") {{ version }} }}'
TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-01"


class Spans:
    """What was traced, as soon as it ended."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracing = OpenTelemetry(provider)
        self.telemetry = Telemetry(tracing=self.tracing)

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.exporter.get_finished_spans() if span.name == name]

    def one(self, name: str) -> ReadableSpan:
        (span,) = self.named(name)
        return span


@dataclass(frozen=True)
class Traced:
    """A traced gateway, without a projector."""

    edge: Edge
    spans: Spans

    async def create(self, **headers: str) -> None:
        body = {"query": CREATE, "variables": {"input": new_order(orderUuid=UUIDS[1], commandId=COMMAND_ID)}}
        async with self.edge.http.post(f"{self.edge.url}/graphql", json=body, headers=headers) as answer:
            assert answer.status == 200

    async def stored_traceparent(self) -> Any:
        container = self.edge.gateway.store.container(orders.CONTAINER.name)
        return content(await container.read("ada", f"cmd:{COMMAND_ID}"))["traceparent"]


@pytest.fixture
def spans() -> Spans:
    return Spans()


@pytest.fixture
async def traced(spans: Spans) -> AsyncIterator[Traced]:
    async with open_edge(telemetry=spans.telemetry, projector=False) as edge:
        yield Traced(edge, spans)


def id_of(context: SpanContext | None) -> str:
    assert context is not None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def trace_of(span: ReadableSpan) -> str:
    return id_of(span.context).split("-")[1]


# ---------------------------------------------------------------------------------------------------- one trace


async def test_one_trace_follows_a_command_from_the_request_to_its_projection(traced: Traced) -> None:
    await traced.create(traceparent=TRACEPARENT)
    stored = await traced.stored_traceparent()
    container = traced.edge.gateway.store.container(orders.CONTAINER.name)
    page = (await container.changes(Partition("ada"), Start.BEGINNING)).documents
    traced.spans.telemetry.observer.applied("p@1", page, 0.5)
    names = ["http", "graphql", "command", "store.commit"]
    chain = [traced.spans.one(name) for name in names]
    assert [id_of(span.parent) for span in chain] == [TRACEPARENT, *(id_of(span.context) for span in chain[:-1])]
    assert stored == id_of(chain[2].context)
    projected = traced.spans.one("project")
    assert (id_of(projected.parent), trace_of(projected)) == (stored, TRACE)
    assert projected.start_time is not None
    assert projected.end_time is not None
    assert projected.end_time - projected.start_time == 500_000_000


async def test_what_is_logged_within_a_trace_carries_its_id(spans: Spans) -> None:
    record = logging.LogRecord("gateway", logging.INFO, "x.py", 1, "well", (), None)
    with spans.tracing.request("http", {"traceparent": TRACEPARENT}), spans.tracing.span("command"):
        assert json.loads(JsonFormatter().format(record))["trace_id"] == TRACE
    assert "trace_id" not in JsonFormatter().format(record)


async def test_spans_say_what_became_of_what(traced: Traced) -> None:
    await traced.create()
    command, operation = traced.spans.one("command"), traced.spans.one("graphql")
    assert command.attributes == {"command": "create", "outcome": "SUCCESS", "attempts": 1}
    assert operation.attributes == {"graphql.operation.type": "mutation", "outcome": "SUCCESS"}
    assert traced.spans.one("store.commit").attributes == {"container": "orders", "writes": 2}


@pytest.mark.parametrize("header", ["", "nonsense", "00-0-0-00", f"{TRACEPARENT[:-2]}zz"])
async def test_a_request_without_a_trace_that_can_be_begins_one(traced: Traced, header: str) -> None:
    await traced.create(traceparent=header)
    assert traced.spans.one("http").parent is None


async def test_queries_are_traced_to_the_store_and_health_is_not(traced: Traced) -> None:
    await traced.edge.ask("{ orders { nodes { id } } }")
    await traced.edge.ask(f'{{ order(id: "{ORDER_ID}") {{ id }} }}')
    for path in ("/healthz", "/readyz", "/metrics"):
        await traced.edge.get(path)
    assert traced.spans.one("store.query").attributes == {"container": "customer_views", "documents": 0}
    assert traced.spans.one("store.read").attributes == {"container": "customer_views"}
    assert len(traced.spans.named("http")) == 2


async def test_an_observed_store_passes_everything_on(engine: Engine, spans: Spans) -> None:
    store = await engine.open(CONTAINERS)
    observed = spans.telemetry.store(store)
    assert observed is not store
    await observed.ping()
    inner, container = store.container(NOTES.name), observed.container(NOTES.name)
    await keep(container, "ada", "n1", text="tea")
    assert content(await container.read("ada", "n1")) == content(await inner.read("ada", "n1"))
    assert await container.feed_ranges() == await inner.feed_ranges()
    (change,) = (await container.changes(Partition("ada"), Start.BEGINNING)).documents
    assert change.id == "n1"
    assert await container.wait_for_changes(0, 0) == await inner.wait_for_changes(0, 0)
    assert (observed.charges, observed.units) == (store.charges, store.units)
    await observed.close()
    with pytest.raises(Unavailable):
        await store.ping()


# ---------------------------------------------------------------------------------------------------- what fails


@pytest.mark.usefixtures("_impatient")
async def test_a_command_tells_how_often_it_was_tried(engine: Engine, spans: Spans) -> None:
    container = await open_orders(engine)
    await begun(container)
    await spans.telemetry.execute(desk(BadDays(container, [beaten, busy])), add_pen())
    attributes = spans.one("command").attributes
    assert attributes == {"command": "add_item", "outcome": "SUCCESS", "attempts": 3}
    failed, *_ = spans.named("store.commit")
    assert failed.attributes == {"container": "orders", "writes": 2, "error.type": "Conflict"}


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("write_model.handler.PAUSE_S", 0)


async def test_a_failure_is_told_by_its_type_and_not_by_its_message(engine: Engine, spans: Spans) -> None:
    async def fail(apply: object) -> Any:
        raise Unavailable("ada@example.com lives here")

    with pytest.raises(Unavailable):
        await spans.telemetry.execute(desk(BadDays(await open_orders(engine), [fail])), create())
    command = spans.one("command")
    assert command.status.status_code is StatusCode.ERROR
    assert command.attributes is not None
    assert (command.attributes["outcome"], command.attributes["error.type"]) == ("UNAVAILABLE", "Unavailable")
    assert "ada@" not in "".join(span.to_json() for span in spans.exporter.get_finished_spans())


# ---------------------------------------------------------------------------------------------------- delivered


@pytest.mark.parametrize("nonsense", ["nonsense", 5, None])
async def test_a_frame_links_to_the_command_that_it_shows(traced: Traced, nonsense: Any) -> None:
    await traced.create()
    await drain(traced.edge.gateway.store, PROJECTIONS)
    views = traced.edge.gateway.store.container(CUSTOMER_VIEWS.name)
    view = content(await views.read("ada", ORDER_ID))
    async with traced.edge.http.ws_connect(
        f"{traced.edge.url}/graphql", protocols=["graphql-transport-ws"], headers={"traceparent": TRACEPARENT}
    ) as socket:
        await socket.send_json({"type": "connection_init"})
        await socket.receive_json()
        await socket.send_json({"type": "subscribe", "id": "1", "payload": {"query": FOLLOW}})
        assert (await socket.receive_json())["payload"] == {"data": {"orderUpdated": {"version": 1}}}
        cause = await traced.stored_traceparent()
        assert view["traceparent"] == cause
        await views.commit("ada", [Upsert(ORDER_ID, {**view, "version": 2})])
        assert (await socket.receive_json())["payload"] == {"data": {"orderUpdated": {"version": 2}}}
        await views.commit("ada", [Upsert(ORDER_ID, {**view, "version": 3, "traceparent": nonsense})])
        assert (await socket.receive_json())["payload"] == {"data": {"orderUpdated": {"version": 3}}}
        await socket.send_json({"type": "complete", "id": "1"})
        await until(lambda: len(traced.spans.named("deliver")) == 3)
    links = [[id_of(link.context) for link in span.links] for span in traced.spans.named("deliver")]
    assert links == [[], [cause], []]
    assert {trace_of(span) for span in traced.spans.named("deliver")} == {TRACE}


def test_a_stream_that_another_task_closes_ends_its_span(spans: Spans, caplog: pytest.LogCaptureFixture) -> None:
    operation = ObservedOperation(spans.telemetry, "subscription")
    Context().run(operation.__enter__)
    Context().run(operation.__exit__, GeneratorExit, GeneratorExit(), None)
    assert spans.one("graphql").attributes == {"graphql.operation.type": "subscription", "outcome": "CANCELLED"}
    assert caplog.records == []


# ---------------------------------------------------------------------------------------------------- on and off


async def test_without_an_endpoint_nothing_is_traced() -> None:
    tracing = open_tracing(read_settings())
    assert (type(tracing), tracing.on, tracing.traceparent) == (Tracing, False, None)
    store = object()
    assert Telemetry().store(store) is store  # type: ignore[arg-type]
    Telemetry().observer.applied("p@1", [], 0.1)
    tracing.close()


class Collector:
    """A collector of traces: it counts what it is sent."""

    def __init__(self) -> None:
        self.paths: list[str] = []

    async def take(self, request: web.Request) -> web.Response:
        self.paths.append(request.path)
        return web.Response()


@pytest.fixture
async def collector() -> AsyncIterator[tuple[Collector, str]]:
    collector, app = Collector(), web.Application()
    app.router.add_post("/{path:.*}", collector.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    yield collector, f"http://{host}:{port}"
    await runner.cleanup()


async def test_what_was_traced_is_sent_at_the_end_at_the_latest(collector: tuple[Collector, str]) -> None:
    taken, url = collector
    async with open_edge(otel_exporter_otlp_endpoint=f"{url}/") as edge:
        await edge.ask("{ __typename }")
    assert taken.paths == ["/v1/traces"]


async def test_a_collector_that_is_not_there_holds_nobody_up(caplog: pytest.LogCaptureFixture) -> None:
    async with asyncio.timeout(PATIENCE_S):
        async with open_edge(otel_exporter_otlp_endpoint="http://127.0.0.1:9") as edge:
            await edge.ask("{ __typename }")
    assert "Failed to export" in caplog.text
