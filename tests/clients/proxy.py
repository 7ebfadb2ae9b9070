"""A TCP proxy in front of a gateway, whose connections a test can cut."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit


class Proxy:
    """Where it listens, and what it does to what passes."""

    def __init__(self, gateway: str) -> None:
        self._host, self._port = urlsplit(gateway).hostname, urlsplit(gateway).port
        self._writers: set[asyncio.StreamWriter] = set()
        self._is_down = self._is_mute = False
        self.url = ""

    def down(self) -> int:
        """Cut all connections, and every new one until `up`. How many there were."""
        self._is_down = True
        for writer in self._writers:
            writer.transport.abort()
        return len(self._writers)

    def mute(self) -> None:
        """What the gateway says is lost until `up`."""
        self._is_mute = True

    def up(self) -> None:
        """Let all pass again."""
        self._is_down = self._is_mute = False

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on what a client and the gateway say, until one of them ends."""
        if self._is_down:
            writer.transport.abort()
            return
        up_reader, up_writer = await asyncio.open_connection(self._host, self._port)
        self._writers |= {writer, up_writer}
        try:
            await asyncio.gather(self._pass(reader, up_writer, False), self._pass(up_reader, writer, True))
        finally:
            self._writers -= {writer, up_writer}

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answers: bool) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                if not (answers and self._is_mute):
                    writer.write(data)
                    await writer.drain()
        writer.close()


@asynccontextmanager
async def proxy(gateway: str) -> AsyncIterator[Proxy]:
    """A proxy in front of the gateway at that address."""
    between = Proxy(gateway)
    server = await asyncio.start_server(between.connected, "127.0.0.1", 0)
    between.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield between
    finally:
        between.down()
        server.close()
        await server.wait_closed()
