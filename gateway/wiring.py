"""Puts the packages together: which containers there are, who projects, who is live. The one place that knows all."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from rich.console import Console

from gateway.bars import bars
from gateway.drain import Drain
from gateway.freshness import Freshness
from gateway.health import Running, own_port
from gateway.identity import Callers
from gateway.identity.opening import open_callers
from gateway.keys import KEYS, open_signer
from gateway.lab import Lab
from gateway.limits.shared import RATES
from gateway.settings import Settings
from gateway.supervisor import Supervisor
from gateway.telemetry import Telemetry, open_telemetry
from gateway.transfer import Imported, Trailer, export_container, import_container
from projector.dead_letters import DEAD_LETTERS
from projector.leases import LEASES, Timing
from projector.observe import Observer
from projector.orders import PROJECTIONS
from projector.overview import Overview
from projector.worker import Worker
from read_model.consistency import Waits
from read_model.orders import CUSTOMER_VIEWS, PRODUCT_VIEWS
from read_model.serving import GENERATIONS, Serving
from schema.context import Reading
from schema.operations import Operating, ProjectedRange, Projection
from schema.orders.commands import Writing
from schema.scalars import format_date_time
from schema.viewer import NOBODY
from store import ContainerSpec, Store, StoreUnusable, open_store
from store import ProvisionStep as Step
from write_model import orders
from write_model.cache import AggregateCache
from write_model.handler import Aggregates

READ_CONTAINERS = (CUSTOMER_VIEWS, PRODUCT_VIEWS)
CONTAINERS = (orders.CONTAINER, LEASES, DEAD_LETTERS, GENERATIONS, KEYS)
"""What there is whatever is projected and set; the read containers that serve are told by their pointers."""


def containers_of(settings: Settings) -> tuple[ContainerSpec, ...]:
    """What there is as it is set."""
    return (*CONTAINERS, RATES) if settings.rate_shared else CONTAINERS


@dataclass(frozen=True, kw_only=True)
class Context(Reading, Writing, Operating):
    """What every resolver is given."""


@dataclass(frozen=True, kw_only=True)
class Gateway(Running):
    """A running gateway, without its HTTP edge."""

    context: Context
    """What the resolvers of who says nothing of themselves are given."""
    callers: Callers[Context]


def now() -> str:
    """This moment: RFC 3339, UTC, microseconds."""
    return format_date_time(datetime.now(UTC))


def new_id() -> str:
    """A random UUID."""
    return str(uuid.uuid4())


@asynccontextmanager
async def open_configured_store(settings: Settings) -> AsyncIterator[Store]:
    """The configured store with all containers, closed at the end. Raises StoreUnusable."""
    store = await open_store(
        settings.store_url,
        containers_of(settings),
        feed_ranges=settings.feed_ranges,
        key=settings.secret_key,
        database=settings.cosmos_database,
        poll_s=settings.cosmos_poll_s,
    )
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def running_gateway(
    settings: Settings, telemetry: Telemetry | None = None, lab: Lab | None = None
) -> AsyncIterator[Gateway]:
    """The store opened, changes followed, and, if so set, projections kept; all ended in turn at the end."""
    telemetry, lab = telemetry or Telemetry(), lab or Lab()
    async with open_configured_store(settings) as store:
        serving = Serving(store, READ_CONTAINERS)
        await serving.start()
        signer = await open_signer(store, settings)
        live = telemetry.tracing.live(serving, [spec.name for spec in READ_CONTAINERS], signer)
        await live.start()
        supervisor = Supervisor()
        supervisor.start(live.loops())
        if settings.projector:
            start_projector(lab.store(store), settings, supervisor, telemetry.observer)
        overview = overview_of(store, settings)
        freshness = await keep_fresh(store, settings, supervisor)
        aggregates = Aggregates(
            orders.MODEL,
            store.container(orders.CONTAINER.name),
            AggregateCache(settings.aggregate_cache),
            retention=settings.command_retention_s,
        )
        context = Context(
            viewer=NOBODY,
            denied=telemetry.denied,
            store=telemetry.store(serving),
            live=live,
            parked=partial(_is_parked, store, serving),
            freshness=freshness.told,
            max_wait_ms=settings.max_wait_ms,
            waits=Waits(settings.max_waiting),
            orders=aggregates,
            signer=signer,
            now=now,
            new_id=new_id,
            execute=lab.execute(telemetry.execute),
            projections=partial(_projections, overview),
        )
        callers = open_callers(settings, context, supervisor, telemetry.unauthenticated)
        telemetry.metrics.watch(store, supervisor, freshness, live)
        try:
            yield Gateway(
                store=store,
                supervisor=supervisor,
                freshness=freshness,
                telemetry=telemetry,
                drain=Drain(live.drain, settings.drain_s),
                context=callers.nobody,
                callers=callers,
            )
        finally:
            await supervisor.stop()


def start_projector(store: Store, settings: Settings, supervisor: Supervisor, observer: Observer | None = None) -> None:
    """Have the supervisor keep a projector of this process running."""
    worker = Worker(store, PROJECTIONS, timing_of(settings), now=now, observer=observer)
    supervisor.problems = worker.problems
    supervisor.start(worker.loops())


def timing_of(settings: Settings) -> Timing:
    """The intervals of the projector."""
    return Timing(settings.lease_acquire_s, settings.lease_renew_s, settings.lease_expiry_s, settings.checkpoint_s)


def overview_of(store: Store, settings: Settings) -> Overview:
    """How the projections of the store are."""
    return Overview(store, PROJECTIONS, timing_of(settings), now)


async def keep_fresh(store: Store, settings: Settings, supervisor: Supervisor) -> Freshness:
    """Look how far the read model is behind, and have the supervisor keep looking."""
    freshness = Freshness(overview_of(store, settings), settings.freshness_s, settings.ready_lag_s)
    await freshness.look()
    supervisor.start([("freshness", freshness.keep)])
    return freshness


async def _is_parked(store: Store, serving: Serving, container: str, key: str) -> bool:
    """Whether what serves as a read container lacks changes of a key, for they cannot be projected."""
    streams = [one.of_generation(serving.generation(container)) for one in PROJECTIONS if one.target.name == container]
    letters = store.container(DEAD_LETTERS.name)
    return any([await letters.read(stream.key, key) is not None for stream in streams])


async def _projections(overview: Overview) -> list[Projection]:
    return [
        Projection(
            name=row.name,
            generation=row.generation,
            version=row.version,
            state=row.state,
            applied=row.applied,
            behind=row.behind,
            lag_seconds=row.lag,
            rate=row.rate,
            parked=row.parked,
            ranges=[ProjectedRange(id=id, owner=owner) for id, owner in row.ranges.items()],
        )
        for row in await overview.rows()
    ]


async def project(settings: Settings) -> None:
    """Project until cancelled. Raises CannotListen for a port that health and metrics cannot have."""
    telemetry = open_telemetry(settings)
    supervisor = Supervisor()
    try:
        async with open_configured_store(settings) as store:
            try:
                start_projector(store, settings, supervisor, telemetry.observer)
                freshness = await keep_fresh(store, settings, supervisor)
                telemetry.metrics.watch(store, supervisor, freshness)
                running = Running(store=store, supervisor=supervisor, freshness=freshness, telemetry=telemetry)
                async with own_port(settings, running):
                    await asyncio.Event().wait()
            finally:
                await supervisor.stop()
    finally:
        await telemetry.close()


async def export(settings: Settings, file: Path, console: Console) -> Trailer:
    """Export the write model to `file`, with a progress bar; see `export_container` for what holds afterwards."""
    if settings.sqlite_file and not settings.sqlite_file.exists():
        raise StoreUnusable(f"{settings.store_url} does not exist, so there is nothing to export")
    source = f"{settings.store_url} {settings.cosmos_database}" if settings.on_cosmos else settings.store_url
    async with open_configured_store(settings) as store:
        with bars(console) as progress:
            return await export_container(store.container(orders.CONTAINER.name), file, source, progress)


async def import_(settings: Settings, file: Path, console: Console) -> Imported:
    """Import `file` into the write model, with progress bars; see `import_container` for what holds afterwards."""
    async with open_configured_store(settings) as store:
        with bars(console) as progress:
            return await import_container(store.container(orders.CONTAINER.name), file, progress)


async def provision(settings: Settings, *, dry_run: bool) -> list[Step]:
    """Make what the store lacks, and say what was done. Raises StoreUnusable, also for what needs no provisioning."""
    if not settings.on_cosmos:
        raise StoreUnusable(f"{settings.store_url} needs no provisioning: a SQLite store makes itself")
    from store.cosmos import Throughput, connect, provision

    throughput = None
    if settings.cosmos_throughput != "serverless":
        throughput = Throughput(settings.cosmos_autoscale_max, shared=settings.cosmos_throughput == "shared")
    async with connect(settings.store_url, settings.secret_key) as client:
        make = partial(provision, client, settings.cosmos_database, throughput=throughput, dry_run=dry_run)
        steps = await make(containers_of(settings))
        containers: tuple[ContainerSpec, ...] = READ_CONTAINERS
        if not any(step.changes for step in steps):
            async with open_configured_store(settings) as store:
                serving = Serving(store, READ_CONTAINERS)
                numbers = [await serving.learn(spec.name) for spec in READ_CONTAINERS]
            containers = tuple(map(ContainerSpec.of_generation, READ_CONTAINERS, numbers))
        return steps + (await make(containers))[1:]
