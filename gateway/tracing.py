"""What the gateway calls to be traced. Here nothing is; `gateway.otel` traces, and is imported only if that is set."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from gateway.settings import Settings
from read_model.live import Live
from store import Document

Attributes = str | int | bool
Tell = Callable[[Mapping[str, Any]], None]
"""Adds attributes to a span."""


class Tracing:
    """Traces nothing."""

    on = False
    live: type[Live] = Live
    """The live view: one that remembers which traces the changes come from, where there are traces."""

    def span(self, name: str, **attributes: Attributes) -> AbstractContextManager[Tell]:
        """A span within the current one, while in the context; what is logged there carries the trace's id."""
        return nullcontext(_nothing)

    def request(self, name: str | None, headers: Mapping[str, str]) -> AbstractContextManager[object]:
        """While in the context, continue the trace that the headers name, if they do; `name` gives it a span."""
        return nullcontext()

    def delivery(self) -> AbstractContextManager[object]:
        """A span around a frame on its way, with links to the commands that caused it."""
        return nullcontext()

    def projected(self, projection: str, page: Sequence[Document], seconds: float) -> None:
        """The traces of the commands in this page have been projected, which took so long and is done now."""

    @property
    def traceparent(self) -> str | None:
        """The current span (W3C Trace Context), if there is one."""
        return None

    def close(self) -> None:
        """Send what is left, and let go."""


def open_tracing(settings: Settings) -> Tracing:
    """Spans to the configured endpoint, or none."""
    if settings.otel_exporter_otlp_endpoint is None:
        return Tracing()
    from gateway.otel import exporting

    return exporting(settings.otel_exporter_otlp_endpoint, settings.otel_service_name)


def _nothing(attributes: Mapping[str, Any]) -> None:
    pass
