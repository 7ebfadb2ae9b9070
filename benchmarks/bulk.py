"""Read documents loaded in bulk, through the store's port: those of one customer, again and again for others."""

import asyncio
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec

from benchmarks import shop
from benchmarks.processes import gateway
from benchmarks.rows import READ_TABLE, opened
from read_model.orders import CUSTOMER_VIEWS
from store import Upsert, open_store

AT_ONCE = 64


async def loaded(folder: Path, orders: int) -> Path:
    """A store that has so many orders to be read, 20 for each customer, and none to be changed."""
    templates = _templates(await shop.filled(folder, shop.PER_CUSTOMER))
    path = folder / f"bulk{orders}.db"
    async with gateway("--store", f"sqlite:///{path}"):
        pass  # makes what there is besides
    store = await open_store(f"sqlite:///{path}", [CUSTOMER_VIEWS])
    container, customers = store.container(CUSTOMER_VIEWS.name), iter(range(orders // shop.PER_CUSTOMER))

    async def load() -> None:
        for number in customers:
            writes = [Upsert(id, msgspec.Raw(body)) for id, body in _documents(templates, number)]
            await container.commit(shop.customer(number * shop.PER_CUSTOMER), writes)

    try:
        await asyncio.gather(*(load() for _ in range(AT_ONCE)))
    finally:
        await store.close()
    return path


def _templates(path: Path) -> list[bytes]:
    """The read documents of the first customer's orders, by their numbers."""
    with closing(opened(path)) as db:
        pick = f"SELECT CAST(body AS BLOB) FROM {READ_TABLE} WHERE id = ?"
        return [bytes(db.execute(pick, (shop.order_id(n),)).fetchone()[0]) for n in range(shop.PER_CUSTOMER)]


def _documents(templates: list[bytes], customer: int) -> Iterator[tuple[str, bytes]]:
    """The same orders as of another customer: ids and documents."""
    for number, template in enumerate(templates):
        other = customer * shop.PER_CUSTOMER + number
        body = template.replace(shop.customer(0).encode(), shop.customer(other).encode())
        yield (
            shop.order_id(other),
            body.replace(str(uuid.UUID(int=number)).encode(), str(uuid.UUID(int=other)).encode()),
        )
