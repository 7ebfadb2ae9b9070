"""The metrics of this process, in a registry of its own; docs/operations/metrics.md says what each means.

Labels hold names of ours (commands, codes, containers, projections), never what a client sent.
"""

from collections.abc import Iterator
from typing import Any, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.freshness import Freshness
from gateway.supervisor import Supervisor
from read_model.live import Live
from store import Store

M = TypeVar("M", Counter, Histogram)

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500)

disable_created_metrics()  # type: ignore[no-untyped-call]


class Children(dict[tuple[str, ...], M]):
    """The children of a metric by the values of their labels; to look one up again costs nothing."""

    def __init__(self, metric: M) -> None:
        self._metric: Any = metric

    def __missing__(self, labels: tuple[str, ...]) -> M:
        child: M = self._metric.labels(*labels)
        self[labels] = child
        return child


class Tally(Collector):
    """A counter of what happens on the loop only, and so often that a lock for each would cost too much."""

    def __init__(self, name: str, meaning: str) -> None:
        self._name = name
        self._meaning = meaning
        self.value = 0

    def collect(self) -> Iterator[Metric]:
        """How many there were."""
        yield CounterMetricFamily(self._name, self._meaning, value=self.value)


class Metrics:
    """What is counted and timed as it happens. `watch` adds what is looked up when somebody asks."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)

        self.commands = self._counter("gateway_commands", "Commands, by what became of them.", "command", "outcome")
        self.command_seconds = self._histogram(
            "gateway_command_seconds", "Time from a command to its outcome.", SECONDS, "command"
        )
        self.command_retries = self._counter(
            "gateway_command_retries",
            "Commits of a command beyond its first.",
            "command",
        )
        self.operations = Children(
            self._counter(
                "gateway_operations", "GraphQL operations that ended, by what became of them.", "type", "outcome"
            )
        )
        self.operation_seconds = Children(
            self._histogram("gateway_operation_seconds", "Time that queries and mutations took.", SECONDS, "type")
        )
        self.executions = Children(
            self._counter("gateway_executions", "Queries and mutations, by what executed them.", "by")
        )
        self.sockets = self._gauge("gateway_sockets", "WebSockets that are open.")
        self.subscribers = self._gauge("gateway_subscribers", "Subscriptions that are followed.")
        self.frames = Tally("gateway_frames", "Frames sent to subscribers.")
        self.registry.register(self.frames)

        self.applied = self._counter("gateway_projection_applied", "Changes that were projected.", "projection")
        self.batch_changes = self._histogram(
            "gateway_projection_batch_changes", "Changes in a page.", SIZES, "projection"
        )
        self.batch_seconds = self._histogram(
            "gateway_projection_batch_seconds", "Time that a page took.", SECONDS, "projection"
        )
        self.lag = self._gauge(
            "gateway_projection_lag_seconds", "Age of the oldest change last found.", "projection", "range"
        )
        self.checked = self._gauge(
            "gateway_projection_checked_timestamp_seconds", "When the feed was last looked at.", "projection", "range"
        )
        self.projection_retries = self._counter(
            "gateway_projection_retries", "Partitions that were tried again.", "projection", "reason"
        )
        self.dead_letters = self._counter(
            "gateway_dead_letters", "Changes that went to the dead letters.", "projection"
        )
        self.lease_moves = self._counter("gateway_lease_moves", "Leases taken and given up.", "projection", "how")

    def watch(self, store: Store, supervisor: Supervisor, freshness: Freshness, live: Live | None = None) -> None:
        """From now on tell of these too."""
        self.registry.register(_Looked(store, supervisor, freshness, live))

    def render(self, accept: str) -> tuple[bytes, str]:
        """All metrics as text, in the format that the header `accept` prefers, and its content type."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(name, meaning, labels, registry=self.registry)

    def _gauge(self, name: str, meaning: str, *labels: str) -> Gauge:
        return Gauge(name, meaning, labels, registry=self.registry)

    def _histogram(self, name: str, meaning: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(name, meaning, labels, registry=self.registry, buckets=buckets)


class _Looked(Collector):
    """What others count, read when somebody asks."""

    def __init__(self, store: Store, supervisor: Supervisor, freshness: Freshness, live: Live | None) -> None:
        self._store = store
        self._supervisor = supervisor
        self._freshness = freshness
        self._live = live

    def collect(self) -> Iterator[Metric]:
        requests = CounterMetricFamily("gateway_store_requests", "Requests to the store.", labels=["container", "kind"])
        for key, count in self._store.charges.items():
            requests.add_metric(key, count)
        yield requests
        units = CounterMetricFamily(
            "gateway_store_request_units", "What they cost on Cosmos DB.", labels=["container", "kind"]
        )
        for key, cost in self._store.units.items():
            units.add_metric(key, cost)
        yield units
        failures = CounterMetricFamily("gateway_loop_failures", "Failures of endless loops.", labels=["loop"])
        failing = GaugeMetricFamily("gateway_loop_failing", "1 while a loop waits to be run again.", labels=["loop"])
        for name, state in self._supervisor.states.items():
            failures.add_metric((name,), state.failures)
            failing.add_metric((name,), state.error is not None)
        yield failures
        yield failing
        lags = GaugeMetricFamily("gateway_read_model_lag_seconds", "How far it is behind.", labels=["projection"])
        followed = GaugeMetricFamily("gateway_read_model_followed", "1 while it is projected.", labels=["projection"])
        for name, lag in self._freshness.lags.items():
            lags.add_metric((name,), lag.seconds)
            followed.add_metric((name,), lag.followed)
        yield lags
        yield followed
        if self._live is not None:
            yield GaugeMetricFamily("gateway_live_watchers", "Watches of the live view.", value=self._live.watchers)
