"""Stores to move documents between, and files made by hand."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from gateway.bars import bars
from gateway.transfer import Imported, Trailer, export_container, import_container
from store import Changes, Container, ContainerDelegate, Scope, Start
from tests.engines import opened
from tests.projector.world import Bodies, World, bodies, item, open_world, order_id
from write_model import orders

Json = dict[str, Any]

PAIRS = [("memory", "cosmos"), ("cosmos", "memory")]
"""From which engine to which."""


async def export(source: World | Container, file: Path, **options: Any) -> Trailer:
    """Export what is in a world, or its container."""
    container = source.aggregates.container if isinstance(source, World) else source
    with bars(Console(quiet=True)) as progress:
        return await export_container(container, file, "here", progress, **options)


async def import_(target: World | Container, file: Path) -> Imported:
    """Import into a world, or its container."""
    container = target.aggregates.container if isinstance(target, World) else target
    with bars(Console(quiet=True)) as progress:
        return await import_container(container, file, progress)


@asynccontextmanager
async def world_on(name: str) -> AsyncIterator[World]:
    """A world in an empty store of that engine."""
    async with opened(name) as engine:
        yield await open_world(engine)


async def shop(world: World, customers: int = 3) -> None:
    """Orders that went different ways, with ids of commands that sort against their time, and some without effect."""
    for number in range(customers):
        customer = f"customer-{number}"
        sold, called_off, begun = (order_id(customer, which) for which in ("sold", "called-off", "begun"))
        await world.give(orders.create, sold, items=(item("tea", 2),), command_id="z")
        await world.give(orders.create, called_off, items=(item("tea"), item("pot")), command_id="y")
        await world.give(orders.submit, sold, command_id="x")
        await world.give(orders.submit, called_off, command_id="w")
        await world.give(orders.cancel, called_off, command_id="v")
        await world.give(orders.record_payment, sold, command_id="u")
        await world.give(orders.create, begun, items=(), command_id="t")
        await world.give(orders.set_shipping_address, begun, command_id="s")


async def kept(world: World) -> Bodies:
    """The write documents."""
    return await bodies(world.store, orders.CONTAINER.name)


def lines(file: Path) -> list[Json]:
    """What a file holds, the first and the last line too."""
    return [json.loads(line) for line in file.read_bytes().splitlines()]


def documents(file: Path) -> dict[tuple[str, str], Json]:
    """The bodies in a file; fails if a document is there twice."""
    found = {(line["partition"], line["id"]): line["body"] for line in lines(file)[1:-1]}
    assert len(found) == len(lines(file)) - 2
    return found


def is_complete(file: Path) -> bool:
    """Whether an export has given the file its name."""
    return file.exists()


def litter(file: Path) -> None:
    """Leave behind what an export leaves that has written more than it has counted."""
    with open(f"{file}.part", "ab") as part:
        part.write(b'{"partition":"cut o')


HEADER: Json = {"format": "gateway-export", "version": 1, "container": "orders"}


def order_line(number: int = 1, **changed: Any) -> Json:
    """A line as an export has it."""
    return {"partition": "ada", "id": f"order:ada:{number}", "body": {"kind": "order", "version": 1}} | changed


def forged(file: Path, *given: Json | bytes, header: Json = HEADER, **last: Any) -> Path:
    """A file with these lines, whose last line is right but for what is given."""
    raw = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in (header, *given)]
    content = b"".join(line + b"\n" for line in raw)
    kinds: dict[str, int] = {}
    for line in given:
        body = line.get("body") if isinstance(line, dict) else None
        kind = body.get("kind", "other") if isinstance(body, dict) else "order"
        kinds[kind] = kinds.get(kind, 0) + 1
    trailer = {"documents": len(given), "kinds": kinds, "sha256": hashlib.sha256(content).hexdigest()} | last
    file.write_bytes(content + json.dumps(trailer).encode() + b"\n")
    return file


class Beside(ContainerDelegate):
    """The container behind it, where something happens beside the reading of each page of the feed."""

    def __init__(self, behind: Container, happens: Callable[[int, Changes], Any]) -> None:
        super().__init__(behind)
        self.pages = 0
        self._happens = happens

    async def changes(self, scope: Scope, after: str | Start, limit: int = 100) -> Changes:
        page = await super().changes(scope, after, limit)
        self.pages += 1
        happened = self._happens(self.pages, page)
        if asyncio.iscoroutine(happened):
            happened = await happened
        return happened or page
