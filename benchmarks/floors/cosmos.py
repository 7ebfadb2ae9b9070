"""The SDK alone: items read, and batches of two written, on its own transport, without what that does for nothing.

    COSMOS_KEY=... python -m benchmarks.floors.cosmos read|commit URL SECONDS CLIENTS COMMAND_BYTES ORDER_BYTES

Prints microseconds of CPU for each.
"""

import asyncio
import os
import sys
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import uvloop
from aiohttp import ClientSession, DummyCookieJar, TCPConnector
from azure.core.pipeline.transport import AioHttpTransport
from azure.cosmos import PartitionKey
from azure.cosmos.aio import ContainerProxy, CosmosClient

Work = Callable[[int], Awaitable[None]]


async def cost(work: Work, seconds: float, clients: int) -> float:
    """Microseconds of CPU that a piece of work takes, done by so many at a time."""
    done, until = 0, time.perf_counter() + seconds

    async def one(number: int) -> None:
        nonlocal done
        while time.perf_counter() < until:
            await work(number)
            done += 1

    before = time.process_time()
    await asyncio.gather(*(one(number) for number in range(clients)))
    return (time.process_time() - before) / done * 1e6


async def measured(
    which: str, container: ContainerProxy, seconds: float, clients: int, command: int, order: int
) -> float:
    """The cost of a read, or of a batch."""
    etags: dict[int, str] = {}

    def item(id: str, partition: str, size: int) -> dict[str, Any]:
        return {"id": id, "customerId": partition, "text": "x" * size}

    async def create(number: int) -> None:
        created = await container.create_item(item("order", f"customer{number}", order), no_response=False)
        etags[number] = created["_etag"]

    async def read(number: int) -> None:
        await container.read_item("order", f"customer{number}")

    async def commit(number: int) -> None:
        partition = f"customer{number}"
        operations: list[Any] = [
            ("create", (item(str(uuid.uuid4()), partition, command),)),
            ("replace", ("order", item("order", partition, order)), {"if_match_etag": etags[number]}),
        ]
        results = await container.execute_item_batch(operations, partition)
        etags[number] = str(results[1]["eTag"])

    for number in range(clients):
        await create(number)
    work = {"read": read, "commit": commit}[which]
    await cost(work, seconds / 2, clients)
    return await cost(work, seconds, clients)


async def main(which: str, url: str, seconds: str, clients: str, command: str, order: str) -> None:
    """Connect, make a container, and measure."""
    connector = TCPConnector(limit=200)
    async with ClientSession(connector=connector, auto_decompress=False, cookie_jar=DummyCookieJar()) as session:
        transport = AioHttpTransport(session=session, session_owner=False, use_env_settings=False)
        key = os.environ["COSMOS_KEY"]
        async with CosmosClient(url, key, transport=transport, no_response_on_write=True) as client:
            database = await client.create_database_if_not_exists("floor")
            name = f"floor{uuid.uuid4()}"
            container = await database.create_container(name, PartitionKey(path="/customerId"))
            print(await measured(which, container, float(seconds), int(clients), int(command), int(order)))
            await database.delete_container(name)


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
