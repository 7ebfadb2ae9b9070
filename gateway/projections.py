"""`gateway projections`: how they are, building one anew beside the one that serves, going back, and comparing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from gateway.options import StoreOption, named
from gateway.settings import Settings, read_settings
from gateway.supervisor import Supervisor
from projector.generations import Generations, Refused
from projector.overview import Row
from projector.projection import Projection
from projector.rebuild import Progress as Reached
from projector.rebuild import compare, wait_until_served
from store import Store

app = typer.Typer(
    help="Projections: how they are, building one anew, going back, comparing with the write model.",
    no_args_is_help=False,
    rich_markup_mode="rich",
)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The projection, as `gateway projections` lists it.")]


LISTED = 20
"""Characters of ranges that are listed by their names."""


@app.callback(invoke_without_command=True)
def show(
    context: typer.Context,
    watch: Annotated[bool, typer.Option("--watch", help="Look again every second, until Ctrl+C.")] = False,
    store: StoreOption = None,
) -> None:
    """Without a command: a table of all projections and their generations."""
    if context.invoked_subcommand is None:
        asyncio.run(_show(read_settings(store_url=store), watch))


@app.command()
def rebuild(name: NameArgument, store: StoreOption = None) -> None:
    """Build a projection anew, from the beginning, beside the one that serves; then have it serve.

    Reads and writes go on. The new generation is compared with the write model before it serves, and the one before is
    kept until `drop-old`. Interrupted, it goes on in any projector; run it again to watch.
    """
    asyncio.run(_rebuild(read_settings(store_url=store), named(name)))


@app.command()
def rollback(name: NameArgument, store: StoreOption = None) -> None:
    """Have the previous generation serve again; it has been followed all the time."""
    asyncio.run(_roll_back(read_settings(store_url=store), named(name)))


@app.command("drop-old")
def drop_old(name: NameArgument, store: StoreOption = None) -> None:
    """Drop the generations that do not serve, with all that is in them."""
    asyncio.run(_drop_old(read_settings(store_url=store), named(name)))


@app.command()
def diff(
    name: NameArgument,
    sample: Annotated[int | None, typer.Option(min=1, help="How many partitions to compare; all without it.")] = None,
    store: StoreOption = None,
) -> None:
    """Compare read documents with a fresh projection of the write model, and name each difference.

    Exit code 1 if there is one. Commands may go on: what is on its way to the read documents is no difference.
    """
    differing = asyncio.run(_diff(read_settings(store_url=store), named(name), sample))
    for difference in differing:
        typer.echo(str(difference))
    if differing:
        raise typer.Exit(1)
    typer.echo(f"{name}: no difference")


async def _show(settings: Settings, watch: bool) -> None:
    async with _opened(settings) as store:
        from gateway.wiring import overview_of

        overview = overview_of(store, settings)
        if not watch:
            Console().print(_table(await overview.rows()))
            return
        with Live(_table(await overview.rows()), auto_refresh=False) as live:
            while True:
                await asyncio.sleep(1)
                live.update(_table(await overview.rows()), refresh=True)


def _table(rows: list[Row]) -> Table:
    columns = "projection", "generation", "version", "state", "applied", "behind", "lag", "rate", "parked", "ranges"
    table = Table(*columns, box=None)
    for row in rows:
        ranges: dict[str, list[str]] = {}
        for id, owner in row.ranges.items():
            ranges.setdefault(owner or "nobody", []).append(id)
        table.add_row(
            row.name,
            str(row.generation),
            str(row.version),
            row.state,
            f"{row.applied:,}",
            f"{row.behind:,}",
            f"{row.lag:,.1f} s",
            f"{row.rate:,.0f}/s",
            f"{row.parked:,}",
            "\n".join(f"{owner}: {_listed(ids)}" for owner, ids in ranges.items()),
        )
    return table


def _listed(ranges: list[str]) -> str:
    """The ranges, or how many there are where they have long names."""
    listed = ", ".join(ranges)
    return listed if len(listed) <= LISTED else f"{len(ranges)} ranges"


async def _rebuild(settings: Settings, projection: Projection[Any, Any]) -> None:
    async with _projecting(settings) as store:
        generations = Generations(store, projection)
        state = (await generations.ensure()).state
        if state.problem:
            raise Refused(f"generation {state.building} did not come to serve: {state.problem}; see `drop-old`")
        generation = state.switching or state.building
        if generation is None:
            generation = (await generations.rebuild()).building
        assert generation is not None
        with _progress() as bar:
            task = bar.add_task(f"{projection.name}, generation {generation}", rate="", total=None)
            problem = await wait_until_served(store, projection, generation, partial(_tell, bar, task))
        if problem:
            raise Refused(f"generation {generation} was built, but does not serve: {problem}")
        typer.echo(f"generation {generation} of {projection.name} serves; `rollback` goes back, `drop-old` tidies up")


async def _roll_back(settings: Settings, projection: Projection[Any, Any]) -> None:
    async with _projecting(settings) as store:
        generation = await Generations(store, projection).roll_back()
        await wait_until_served(store, projection, generation, lambda reached: None)
        typer.echo(f"generation {generation} of {projection.name} serves again")


async def _drop_old(settings: Settings, projection: Projection[Any, Any]) -> None:
    async with _opened(settings) as store:
        dropped = await Generations(store, projection).drop_old()
    named = ", ".join(map(str, dropped))
    typer.echo(f"dropped of {projection.name}: {f'generation {named}' if dropped else 'nothing'}")


async def _diff(settings: Settings, projection: Projection[Any, Any], sample: int | None) -> list[Any]:
    async with _opened(settings) as store:
        state = (await Generations(store, projection).read()).state
        return list(await compare(store, projection.of_generation(state.serving), sample))


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[Store]:
    from gateway.wiring import open_configured_store  # all of the gateway, which takes its time to load

    async with open_configured_store(settings) as store:
        yield store


@asynccontextmanager
async def _projecting(settings: Settings) -> AsyncIterator[Store]:
    """The store, with a projector of this process beside those that there are."""
    from gateway.wiring import start_projector

    async with _opened(settings) as store:
        supervisor = Supervisor()
        start_projector(store, settings, supervisor)
        try:
            yield store
        finally:
            await supervisor.stop()


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(), console=Console(stderr=True),
    )  # fmt: skip


def _tell(bar: Progress, task: Any, reached: Reached) -> None:
    seconds = bar.tasks[task].elapsed or 0
    rate = f"{reached.applied / seconds:,.0f} changes/s" if seconds else ""
    bar.update(task, completed=reached.applied, total=reached.applied + reached.behind, rate=rate)
