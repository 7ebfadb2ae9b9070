"""A subscriber that stops reading while changes pass, and what it costs the process and the others.

    .venv/bin/python benchmarks/slow_reader.py [--changes 100000]

One client follows all orders and stops reading after the first frame; another goes on. So many changes of 500 orders
are written to the read model meanwhile. Told are the memory of the process before and after, the frames of each client,
and how long a change took to the client that reads, alone and beside the other. Afterwards the first client reads
on, and must end with the latest version of every order. The figures are in docs/transports.md.
"""

import argparse
import asyncio
import resource
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import aiohttp
import uvicorn

from gateway.app import create_app
from gateway.serve import listen
from gateway.server import Server, WebSocketProtocol
from gateway.settings import Settings
from read_model.orders import CUSTOMER_VIEWS
from store import Upsert

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.read_model.shelf import an_order

ORDERS = 500
FOLLOW = "subscription { ordersUpdated { kind cursor orders { id version status statusDisplay createdAt updatedAt } } }"


class Client:
    """Follows all orders; `versions` is its list, `seconds` how long each change took to it."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self.versions: dict[str, int] = {}
        self.frames = 0
        self.resets = 0
        self.seconds: list[float] = []

    async def begin(self) -> None:
        await self._socket.send_json({"type": "connection_init"})
        await self._socket.receive_json()
        await self._socket.send_json({"type": "subscribe", "id": "1", "payload": {"query": FOLLOW}})
        await self.read()

    async def read(self) -> None:
        message: dict[str, Any] = await self._socket.receive_json()
        if message["type"] != "next":
            return
        frame = message["payload"]["data"]["ordersUpdated"]
        self.frames += 1
        self.resets += frame["kind"] == "RESET"
        for order in frame["orders"]:
            self.versions[order["id"]] = order["version"]

    async def read_until(self, done: asyncio.Event, sent: dict[str, tuple[int, float]]) -> None:
        while not done.is_set():
            await self.read()
            if self.versions.get(NEWEST) == sent.get(NEWEST, (0, 0.0))[0]:
                self.seconds.append(time.perf_counter() - sent[NEWEST][1])


NEWEST = an_order(0).id


def megabytes() -> float:
    """Memory of this process now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


async def run(changes: int) -> None:
    app = create_app(Settings(store_url="sqlite:///:memory:", projector=False, log_level="warning"))
    listener = listen("127.0.0.1", 0)
    config = uvicorn.Config(app, ws=WebSocketProtocol, lifespan="on", log_config=None)
    server = Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/graphql"
    async with aiohttp.ClientSession() as http:
        while not server.started:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        container = app.state.gateway.store.container(CUSTOMER_VIEWS.name)
        sent: dict[str, tuple[int, float]] = {}
        versions = dict.fromkeys(range(ORDERS), 0)

        async def write(count: int) -> None:
            for turn in range(count // ORDERS):
                for number in versions:
                    versions[number] += 1
                    order = an_order(number, version=versions[number])
                    sent[order.id] = versions[number], time.perf_counter()
                    await container.commit("ada", [Upsert(order.id, order)])
                    if number % 10 == 0:
                        await asyncio.sleep(0)
                if sys.stderr.isatty():
                    print(f"\r{(turn + 1) * ORDERS:,}", end="", file=sys.stderr)

        async def measured(client: Client, count: int) -> None:
            client.seconds.clear()
            done = asyncio.Event()
            reading = asyncio.create_task(client.read_until(done, sent))
            started = time.perf_counter()
            await write(count)
            took = time.perf_counter() - started
            while client.versions.get(NEWEST) != versions[0]:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            done.set()
            reading.cancel()
            half = statistics.median(client.seconds) * 1000
            print(
                f"  {count / took:,.0f} changes/s; to the client that reads: {half:.1f} ms half, {client.frames} frames"
            )

        protocols = ["graphql-transport-ws"]
        async with http.ws_connect(url, protocols=protocols, max_msg_size=0) as quick_socket:
            quick = Client(quick_socket)
            await quick.begin()
            await measured(quick, changes // 10)  # everything is in use once
            print(f"alone, {megabytes():.0f} MB:")
            await measured(quick, changes)
            async with http.ws_connect(url, protocols=protocols, max_msg_size=0) as slow_socket:
                slow = Client(slow_socket)
                await slow.begin()
                transport: Any = slow_socket._response.connection.transport  # type: ignore[union-attr]
                transport.pause_reading()
                print(f"beside one that does not read, {megabytes():.0f} MB:")
                await measured(quick, changes)
                print(f"  then {megabytes():.0f} MB")
                transport.resume_reading()
                while any(slow.versions.get(an_order(number).id) != version for number, version in versions.items()):
                    await slow.read()
                print(f"the one that did not read then got all in {slow.frames} frames, {slow.resets} resets")
        server.should_exit = True
        await serving


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--changes", type=int, default=100_000)
    asyncio.run(run(parser.parse_args().changes))
