"""`python -m tests.emulator`: serves until it is interrupted, and prints one line when it is ready."""

import argparse
import asyncio
import contextlib
import signal
from pathlib import Path

from . import snapshot
from .server import KEY, PARTITIONS, emulator


async def serve(port: int, partitions: int, key: str, latency: float, data: Path | None) -> None:
    """Serve until a signal comes; with `data`, continue from that file and keep it up to date."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with emulator(partitions=partitions, key=key, port=port, latency=latency) as server:
        keeper: asyncio.Task[None] | None = None
        if data is not None:
            snapshot.read(server.account, data)
            keeper = asyncio.create_task(snapshot.keep(server.account, data))
        print(f"emulator ready: {server.url} key={key}", flush=True)
        await stop.wait()
        if keeper is not None:
            keeper.cancel()
            await asyncio.wait([keeper])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.emulator", description="Azure Cosmos DB for tests.")
    parser.add_argument("--port", type=int, default=8081, help="0 takes a free one (default: %(default)s)")
    parser.add_argument("--partitions", type=int, default=PARTITIONS, help="physical partitions per container")
    parser.add_argument("--key", default=KEY, help="the master key, base64")
    parser.add_argument("--latency", type=float, default=0.0, help="milliseconds that every answer takes at least")
    parser.add_argument("--data", type=Path, help="a file that keeps the account from one run to the next")
    arguments = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(
            serve(arguments.port, arguments.partitions, arguments.key, arguments.latency / 1000, arguments.data)
        )


if __name__ == "__main__":
    main()
