"""`gateway dead-letters`: what could not be projected; looked at, tried again, or given up."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gateway.options import StoreOption, named
from gateway.settings import Settings, read_settings
from projector.dead_letters import DEAD_LETTERS, DeadLetter, DeadLetters
from projector.generations import Generations, Refused
from projector.orders import PROJECTIONS
from projector.projection import Projection
from store import Store

app = typer.Typer(
    help="Dead letters: what could not be projected; look at it, try it again, or give it up.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

NameOption = Annotated[
    str | None, typer.Option("--projection", metavar="NAME", help="One projection; all of them without it.")
]
KeyArgument = Annotated[
    str, typer.Argument(metavar="KEY", help="What is parked, as `gateway dead-letters list` has it.")
]


@dataclass(frozen=True, slots=True)
class Shelf:
    """The dead letters of one generation of a projection."""

    store: Store
    projection: Projection[Any, Any]
    letters: DeadLetters

    async def retry(self, key: str) -> DeadLetter | None:
        """Project what is parked under a key; the letter, if it failed again."""
        source = self.store.container(self.projection.source)
        target = await self.store.make(self.projection.container)
        return await self.letters.retry(key, self.projection, source, target)


@app.command("list")
def list_letters(
    projection: NameOption = None,
    discarded: Annotated[bool, typer.Option("--discarded", help="Those that were given up, with the reasons.")] = False,
    store: StoreOption = None,
) -> None:
    """List the keys that are parked."""
    asyncio.run(_list(read_settings(store_url=store), projection, discarded))


@app.command()
def show(key: KeyArgument, projection: NameOption = None, store: StoreOption = None) -> None:
    """Print a dead letter as JSON, with the document that failed and the ids of all that wait."""
    asyncio.run(_show(read_settings(store_url=store), projection, key))


@app.command()
def retry(
    key: Annotated[str | None, typer.Argument(metavar="[KEY]", help="What is parked.", show_default=False)] = None,
    all_keys: Annotated[bool, typer.Option("--all", help="Everything that is parked.")] = False,
    projection: NameOption = None,
    store: StoreOption = None,
) -> None:
    """Project what is parked, with this program; exit code 1 if it fails again."""
    if (key is None) is not all_keys:
        raise Refused("say what to retry: a key, or --all")
    if not asyncio.run(_retry(read_settings(store_url=store), projection, key)):
        raise typer.Exit(1)


@app.command()
def discard(
    key: KeyArgument,
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept with the letter.", show_default=False)],
    projection: NameOption = None,
    store: StoreOption = None,
) -> None:
    """Give up what is parked: it is never projected. Later changes of the key are projected again."""
    if not reason.strip():
        raise Refused("say why, in --reason: whoever looks later will want to know")
    asyncio.run(_discard(read_settings(store_url=store), projection, key, reason))


async def _list(settings: Settings, name: str | None, discarded: bool) -> None:
    columns = ("projection", "key", "waiting", "error", "attempts", "first seen", "last seen")
    table = Table(*columns, *(("reason",) if discarded else ()), box=None)
    for column in table.columns:
        column.overflow = "fold"
    async with _shelves(settings, name) as shelves:
        for shelf in shelves:
            async for letter in (shelf.letters.discarded if discarded else shelf.letters).all():
                numbers = (f"{len(letter.documents):,}", letter.error, str(letter.attempts))
                cells = (shelf.projection.key, letter.key, *numbers, letter.first_seen, letter.last_seen)
                table.add_row(*map(escape, (*cells, *((letter.reason or "",) if discarded else ()))))
    if table.row_count:
        Console().print(table)
    else:
        typer.echo("nothing was given up" if discarded else "nothing is parked: all that came could be projected")


async def _show(settings: Settings, name: str | None, key: str) -> None:
    async with _shelves(settings, name) as shelves:
        found = [(shelf, letter) for shelf in shelves if (letter := await shelf.letters.get(key))]
    if not found:
        raise _unknown(key)
    for shelf, letter in found:
        told = {"projection": shelf.projection.key, **msgspec.to_builtins(letter)}
        typer.echo(msgspec.json.format(msgspec.json.encode(told), indent=2).decode())


async def _retry(settings: Settings, name: str | None, key: str | None) -> bool:
    """Whether all that was to be tried could be projected."""
    tried, well = 0, True
    async with _shelves(settings, name) as shelves:
        for shelf in shelves:
            for letter in [letter async for letter in shelf.letters.all() if key in (None, letter.key)]:
                tried += 1
                failed = await shelf.retry(letter.key)
                well = well and failed is None
                told = f"failed again: {failed.error}" if failed else f"projected, documents: {len(letter.documents):,}"
                typer.echo(f"{shelf.projection.key} {letter.key}: {told}")
    if not tried and key is not None:
        raise _unknown(key)
    if not tried:
        typer.echo("nothing is parked")
    return well


async def _discard(settings: Settings, name: str | None, key: str, reason: str) -> None:
    async with _shelves(settings, name) as shelves:
        given_up = [shelf.projection.key for shelf in shelves if await shelf.letters.discard(key, reason)]
    if not given_up:
        raise _unknown(key)
    for projection in given_up:
        typer.echo(f"{projection} {key}: given up; `gateway dead-letters list --discarded` keeps it")


def _unknown(key: str) -> Refused:
    return Refused(f"nothing is parked under {key!r}; `gateway dead-letters list` has what there is")


@asynccontextmanager
async def _shelves(settings: Settings, name: str | None) -> AsyncIterator[list[Shelf]]:
    """The letters of all generations that this program can project, or of those of one projection."""
    from gateway.wiring import now, open_configured_store  # all of the gateway, which takes its time to load

    projections = PROJECTIONS if name is None else (named(name),)
    async with open_configured_store(settings) as store:
        container = store.container(DEAD_LETTERS.name)
        yield [
            Shelf(store, stream, DeadLetters(container, stream.key, now))
            for projection in projections
            for stream in await _streams(store, projection)
        ]


async def _streams(store: Store, projection: Projection[Any, Any]) -> list[Projection[Any, Any]]:
    state = (await Generations(store, projection).read()).state
    numbers = sorted(int(number) for number, version in state.versions.items() if version == projection.version)
    return [projection.of_generation(number) for number in numbers]
