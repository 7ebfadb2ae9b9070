"""Traces by OpenTelemetry, sent by OTLP over HTTP; needs the extra `otel`."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any

import msgspec
from opentelemetry import context as current
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import (
    Link,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    format_trace_id,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from gateway.logs import bound
from gateway.tracing import Attributes, Tell, Tracing
from read_model.live import Live
from read_model.watches import Watch
from store import Document

EXPORT_S = 3.0
"""How long an export is tried, also the last one of a process that is told to end."""
PROPAGATOR = TraceContextTextMapPropagator()

_causes: ContextVar[tuple[str, ...]] = ContextVar("causes", default=())
"""The traces of the changes that the current task has taken from its watch and not yet sent on."""


def exporting(endpoint: str, service: str) -> "OpenTelemetry":
    """Spans are sent to the collector at `endpoint`, in batches and from a thread of their own."""
    provider = TracerProvider(resource=Resource.create({"service.name": service}), shutdown_on_exit=False)
    exporter = OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces", timeout=EXPORT_S)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return OpenTelemetry(provider)


class _Traced(msgspec.Struct):
    """Of a command, or of a read document that shows it, the trace."""

    traceparent: Any = None


def _traces(documents: Iterable[Document]) -> tuple[str, ...]:
    """The traces of the documents that have one, each once."""
    traces = (document.decode(_Traced).traceparent for document in documents)
    return tuple(dict.fromkeys(trace for trace in traces if isinstance(trace, str)))


class _Watch(Watch):
    """A watch that notes the traces of what is taken from it."""

    def take(self) -> list[Document]:
        """What has changed so far."""
        documents = super().take()
        _causes.set(_traces(documents))
        return documents


class TracedLive(Live):
    """A live view whose watches note traces."""

    watches = _Watch


class OpenTelemetry(Tracing):
    """Traces by a provider of OpenTelemetry's SDK."""

    on = True
    live = TracedLive

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("gateway")

    def span(self, name: str, **attributes: Attributes) -> AbstractContextManager[Tell]:
        """A span within the current one."""
        return self._span(name, SpanKind.INTERNAL, attributes=attributes)

    @contextmanager
    def _span(
        self,
        name: str,
        kind: SpanKind,
        context: current.Context | None = None,
        links: Sequence[Link] = (),
        attributes: Mapping[str, Attributes] | None = None,
    ) -> Iterator[Tell]:
        """Of an exception its type is told, for its message may tell too much."""
        span = self._tracer.start_span(name, context, kind, attributes, links)
        token = current.attach(set_span_in_context(span, context))
        try:
            with bound(trace_id=format_trace_id(span.get_span_context().trace_id)):
                yield span.set_attributes
        except Exception as error:
            span.set_status(Status(StatusCode.ERROR))
            span.set_attribute("error.type", type(error).__name__)
            raise
        finally:
            if get_current_span() is span:  # not in what another task closes
                current.detach(token)
            span.end()

    @contextmanager
    def request(self, name: str | None, headers: Mapping[str, str]) -> Iterator[None]:
        """Continue the trace of the headers."""
        context = PROPAGATOR.extract(headers)
        if name is None:
            token = current.attach(context)
            try:
                yield
            finally:
                current.detach(token)
        else:
            with self._span(name, SpanKind.SERVER, context):
                yield

    @contextmanager
    def delivery(self) -> Iterator[None]:
        """A span around a frame on its way."""
        links = [Link(cause) for trace in _causes.get() if (cause := _remote(trace)).is_valid]
        _causes.set(())
        with self._span("deliver", SpanKind.PRODUCER, links=links):
            yield

    def projected(self, projection: str, page: Sequence[Document], seconds: float) -> None:
        """A span in each trace, from when the page was begun until now."""
        end = time.time_ns()
        attributes: dict[str, Attributes] = {"projection": projection, "page.changes": len(page)}
        for trace in _traces(page):
            span = self._tracer.start_span(
                "project",
                PROPAGATOR.extract({"traceparent": trace}),
                SpanKind.CONSUMER,
                attributes,
                start_time=end - int(seconds * 1e9),
            )
            span.end(end)

    @property
    def traceparent(self) -> str | None:
        """The current span."""
        carrier: dict[str, str] = {}
        PROPAGATOR.inject(carrier)
        return carrier.get("traceparent")

    def close(self) -> None:
        """Send what is left; nothing is traced any more."""
        self._provider.shutdown()


def _remote(traceparent: str) -> SpanContext:
    return get_current_span(PROPAGATOR.extract({"traceparent": traceparent}, current.Context())).get_span_context()
