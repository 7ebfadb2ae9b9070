"""The command line. Each command says what it does, and what is wrong in a sentence rather than a traceback."""

import asyncio
import logging.config
import signal
import sys
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.markup import escape

from gateway import dead_letters, logs, projections
from gateway.options import StoreOption
from gateway.production import check_fit
from gateway.settings import BadSettings, Settings, read_settings
from projector.generations import Refused
from store import StoreError

app = typer.Typer(
    name="gateway",
    help="CQRS on Azure Cosmos DB through GraphQL: commands, projections, queries and live updates.\n\n"
    "Begin with [bold]gateway serve[/bold], and [bold]gateway demo[/bold] in another terminal. Settings are "
    "environment variables (docs/settings.md); options given here go first.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(projections.app, name="projections")
app.add_typer(dead_letters.app, name="dead-letters")
T = TypeVar("T")
err = Console(stderr=True, highlight=False, soft_wrap=True)


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="The address to listen on [HOST; 127.0.0.1].")] = None,
    port: Annotated[int | None, typer.Option(help="The port; 0 takes a free one [PORT; 8000].")] = None,
    store: StoreOption = None,
    no_projector: Annotated[
        bool, typer.Option("--no-projector", help="Leave projecting to `gateway project` processes.")
    ] = False,
    workers: Annotated[int, typer.Option(min=1, max=64, help="How many processes share the port and the store.")] = 1,
) -> None:
    """Serve GraphQL over HTTP, WebSocket and server-sent events, with a projector in the same process.

    The playground is at /, GraphQL at /graphql, and /healthz and /readyz are for whoever runs it.
    """
    from gateway import serve as serving
    from gateway.limits.configured import limits_of

    settings = read_settings(store_url=store, host=host, port=port, projector=False if no_projector else None)
    check_fit(settings)
    if workers > 1 and settings.store_url.endswith(":memory:"):
        raise BadSettings("several workers cannot share a store in memory: give --store a file")
    limits_of(settings)
    asyncio.run(_try_store(settings))
    listener = serving.listen(settings.host, settings.port)
    bound_host, bound_port = listener.getsockname()[:2]
    _say(settings, f"Serving http://{bound_host}:{bound_port} from {settings.store_url}; Ctrl+C ends it.")
    serving.serve(settings, listener, workers)


@app.command()
def project(store: StoreOption = None) -> None:
    """Project alone: follow the write model and keep the read model, until told to end.

    Any number of these may run beside each other and beside `gateway serve`: they share the work by leases.
    """
    from gateway.wiring import project as run

    settings = read_settings(store_url=store)
    _say(settings, f"Projecting {settings.store_url}; Ctrl+C ends it.")
    asyncio.run(_until_told(run(settings)))


@app.command()
def demo(
    orders: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many orders to make.")] = 500,
    store: StoreOption = None,
    seed: Annotated[int, typer.Option(help="Another number makes other orders.")] = 1,
) -> None:
    """Load customers, products and orders through the real command path, then say how to look at them."""
    from gateway.demo import load

    asyncio.run(load(read_settings(store_url=store), orders, seed))


@app.command()
def provision(
    store: StoreOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
) -> None:
    """Make the database and its containers on Azure Cosmos DB, or bring their indexes and TTL up to date.

    May be repeated at will. What cannot be changed without losing data, such as a partition key, is refused.
    """
    from gateway.wiring import provision as run

    steps = asyncio.run(run(read_settings(store_url=store), dry_run=dry_run))
    for step in steps:
        mark = ("would: " if dry_run else "done: ") if step.changes else "ok: "
        typer.echo(mark + step.told)


File = Annotated[Path, typer.Argument(metavar="FILE", help="The file, JSON lines.", show_default=False)]


@app.command("export")
def export_(file: File, store: StoreOption = None) -> None:
    """Export the write model, orders and commands, to a file that `gateway import` reads into another store.

    Interrupted, it continues when it is run again; FILE appears when it is complete. What is written to the store
    meanwhile may be missing, so stop `gateway serve` first. The read model is not exported: it is made from the rest.
    """
    from gateway.wiring import export as run

    trailer = _to_the_end(run(read_settings(store_url=store), file, err))
    typer.echo(f"{file}: {_counts(trailer.kinds)}")


@app.command("import")
def import_(file: File, store: StoreOption = None) -> None:
    """Import what `gateway export` wrote. The projector then makes the read model.

    The file is checked before anything is written. Nothing is overwritten: what is there already and is equal counts
    as imported, and what differs is an error. Interrupted, it continues when it is run again. At the end the documents
    in the store are counted.
    """
    from gateway.wiring import import_ as run

    settings = read_settings(store_url=store)
    done = _to_the_end(run(settings, file, err))
    known = f", {done.known:,} of them were there" if done.known else ""
    typer.echo(f"{settings.store_url}: {_counts(done.trailer.kinds)}{known}")


@app.command()
def schema() -> None:
    """Print the GraphQL schema (SDL)."""
    from schema.build import build_schema

    typer.echo(build_schema().as_str())


@app.command()
def explain(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A GraphQL document; - for stdin.", show_default=False)],
) -> None:
    """Say how each operation of a document is executed: by a plan, or by the reference executor, and why.

    The exit code is 0 if all have a plan.
    """
    from gateway.execution import NotExecutable
    from gateway.execution.explain import explained

    try:
        lines = list(explained(sys.stdin.read() if str(file) == "-" else file.read_text()))
    except (OSError, UnicodeDecodeError, NotExecutable) as error:
        err.print(f"[red]gateway:[/red] {escape(f'{file} cannot be explained: {error}')}")
        raise typer.Exit(1) from error
    for line, _ in lines:
        typer.echo(line)
    if not all(is_well for _, is_well in lines):
        raise typer.Exit(1)


@app.command()
def token(
    customer: Annotated[str | None, typer.Option(metavar="ID", help="For this customer.")] = None,
    staff: Annotated[bool, typer.Option("--staff", help="For staff.")] = False,
    service: Annotated[str | None, typer.Option(metavar="NAME", help="For a service of this name.")] = None,
    scope: Annotated[list[str] | None, typer.Option(help="What the service may do; may be repeated.")] = None,
    subject: Annotated[str | None, typer.Option(metavar="NAME", help="Who it is, where that is somebody else.")] = None,
    ttl: Annotated[float, typer.Option(min=1, help="How many seconds it is good for.")] = 3600,
) -> None:
    """Print a bearer token to try things with, signed with TOKEN_SECRET. Refused in production.

    The gateway must be set alike: its issuer, audience and claims are in the token.
    """
    from gateway.identity.minting import mint, somebody

    viewer = somebody(customer=customer, staff=staff, service=service, scopes=scope or (), subject=subject)
    typer.echo(mint(read_settings(), viewer, ttl))


@app.command()
def check(store: StoreOption = None) -> None:
    """Check that the settings make sense and the store can be reached; say what is wrong if not."""
    from gateway.app import executor_of
    from gateway.limits.configured import limits_of

    settings = read_settings(store_url=store)
    check_fit(settings)
    executor_of(limits_of(settings))
    asyncio.run(_try_store(settings))
    typer.echo(f"ok: the settings make sense, and {settings.store_url} is open for reading and writing")


def main() -> None:
    """The entry point: what people can mend is told in a sentence, with exit code 1."""
    from gateway.serve import CannotListen
    from gateway.transfer import TransferFailed

    try:
        app()
    except (BadSettings, StoreError, CannotListen, Refused, TransferFailed) as error:
        err.print(f"[red]gateway:[/red] {escape(str(error))}")
        sys.exit(1)


def _say(settings: Settings, sentence: str) -> None:
    """Have things logged as they are to be logged from now on, and say the first thing: in a log, as a record."""
    logging.config.dictConfig(logs.config(settings.log_level, settings.log_format))
    if settings.log_format == "json":
        logging.getLogger("gateway").info(sentence)
    else:
        err.print(escape(sentence))


async def _try_store(settings: Settings) -> None:
    from gateway.wiring import open_configured_store

    async with open_configured_store(settings) as store:
        await store.ping()


def _to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """What `work` returns; interrupted, it says that it may be run again."""
    try:
        return asyncio.run(work)
    except KeyboardInterrupt as error:
        err.print("Interrupted; run it again to continue.")
        raise typer.Exit(130) from error


def _counts(kinds: dict[str, int]) -> str:
    """As in: 1,234 documents (1,000 command, 234 order)."""
    by_kind = ", ".join(f"{count:,} {kind}" for kind, count in kinds.items())
    return f"{sum(kinds.values()):,} documents" + (f" ({by_kind})" if by_kind else "")


async def _until_told(work: Coroutine[Any, Any, None]) -> None:
    """Run `work` until it ends or the process is told to end, by SIGTERM or SIGINT."""
    task = asyncio.ensure_future(work)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    with suppress(asyncio.CancelledError):
        await task
