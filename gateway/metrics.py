"""The metrics of this process, in a registry of its own; docs/operations/metrics.md says what each means.

Labels hold names of ours (commands, codes, containers, projections), never what a client sent.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector, disable_created_metrics
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from gateway.freshness import Freshness
from gateway.supervisor import Supervisor
from read_model.live import Live
from store import Store

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500)

disable_created_metrics()  # type: ignore[no-untyped-call]


class Tally(Collector):
    """A counter of what happens on the loop only, and so often that locks would tell."""

    def __init__(self, name: str, meaning: str, *labels: str) -> None:
        self._family = name, meaning, labels
        self.counts: dict[tuple[str, ...], int] = defaultdict(int)
        """By the values of the labels."""

    def collect(self) -> Iterator[Metric]:
        """What was counted."""
        name, meaning, labels = self._family
        family = CounterMetricFamily(name, meaning, labels=labels)
        for values, count in self.counts.items() or [((), 0)] * (not labels):
            family.add_metric(values, count)
        yield family


class Levels(Collector):
    """A gauge, as cheap."""

    def __init__(self, name: str, meaning: str, *labels: str) -> None:
        self._family = name, meaning, labels
        self.values: dict[tuple[str, ...], float] = {}
        """By the values of the labels."""

    def collect(self) -> Iterator[Metric]:
        """What there is."""
        name, meaning, labels = self._family
        family = GaugeMetricFamily(name, meaning, labels=labels)
        for values, level in self.values.items():
            family.add_metric(values, level)
        yield family


class Spread(Collector):
    """A histogram, as cheap: of seconds, or of what the bounds are given for."""

    def __init__(self, name: str, meaning: str, label: str, bounds: Sequence[float] = SECONDS) -> None:
        self._family = name, meaning, label
        self._bounds = bounds
        self._counts: dict[str, list[int]] = {}
        self._sums: dict[str, float] = defaultdict(float)

    def observe(self, value: str, amount: float) -> None:
        """Count something that took so long, or was so much, by the value of the label."""
        counts = self._counts.get(value)
        if counts is None:
            counts = self._counts[value] = [0] * (len(self._bounds) + 1)
        counts[bisect_left(self._bounds, amount)] += 1
        self._sums[value] += amount

    def collect(self) -> Iterator[Metric]:
        """What was counted."""
        name, meaning, label = self._family
        family = HistogramMetricFamily(name, meaning, labels=[label])
        for value, counts in self._counts.items():
            bounds = [*map(floatToGoString, self._bounds), "+Inf"]
            family.add_metric([value], list(zip(bounds, accumulate(counts), strict=True)), self._sums[value])
        yield family


class Metrics:
    """What is counted and timed as it happens. `watch` adds what is looked up when somebody asks."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)

        self.commands = self._tally("gateway_commands", "Commands, by what became of them.", "command", "outcome")
        self.command_seconds = self._spread("gateway_command_seconds", "Time from a command to its outcome.", "command")
        self.command_retries = self._tally(
            "gateway_command_retries", "Commits of a command beyond its first.", "command"
        )
        self.operations = self._tally(
            "gateway_operations", "GraphQL operations that ended, by what became of them.", "type", "outcome"
        )
        self.operation_seconds = self._spread(
            "gateway_operation_seconds", "Time that queries and mutations took.", "type"
        )
        self.executions = self._tally("gateway_executions", "Queries and mutations, by what executed them.", "by")
        self.refused = self._tally("gateway_refused", "Requests that were refused before they were executed.", "code")
        self.sockets = self._gauge("gateway_sockets", "WebSockets that are open.")
        self.subscribers = self._gauge("gateway_subscribers", "Subscriptions that are followed.")
        self.frames = self._tally("gateway_frames", "Frames sent to subscribers.")

        self.denied = self._counter(
            "gateway_denied", "Fields that who asked may not ask for.", "field", "viewer", "code"
        )
        self.unauthenticated = self._counter(
            "gateway_unauthenticated", "Credentials that proved nothing, by why.", "reason"
        )

        self.applied = self._tally("gateway_projection_applied", "Changes that were projected.", "projection")
        self.batch_changes = self._spread("gateway_projection_batch_changes", "Changes in a page.", "projection", SIZES)
        self.batch_seconds = self._spread("gateway_projection_batch_seconds", "Time that a page took.", "projection")
        self.lag = self._levels(
            "gateway_projection_lag_seconds", "Age of the oldest change last found.", "projection", "range"
        )
        self.checked = self._levels(
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

    def _tally(self, name: str, meaning: str, *labels: str) -> Tally:
        tally = Tally(name, meaning, *labels)
        self.registry.register(tally)
        return tally

    def _levels(self, name: str, meaning: str, *labels: str) -> Levels:
        levels = Levels(name, meaning, *labels)
        self.registry.register(levels)
        return levels

    def _spread(self, name: str, meaning: str, label: str, bounds: Sequence[float] = SECONDS) -> Spread:
        spread = Spread(name, meaning, label, bounds)
        self.registry.register(spread)
        return spread

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(name, meaning, labels, registry=self.registry)

    def _gauge(self, name: str, meaning: str, *labels: str) -> Gauge:
        return Gauge(name, meaning, labels, registry=self.registry)


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
