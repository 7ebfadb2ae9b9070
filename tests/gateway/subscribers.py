"""Clients of a subscription on each transport, alike to a test: what comes, how it ends, and two ways to leave."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol

import aiohttp

from tests.gateway.edge import TRANSPORT_WS
from tests.projector.world import PATIENCE_S

MULTIPART = 'multipart/mixed;boundary="graphql";subscriptionSpec=1.0,application/json'
EVENTS = "text/event-stream"
Json = dict[str, Any]


class Subscriber(Protocol):
    """One operation on one connection. Each method waits for PATIENCE_S at most."""

    async def next(self) -> Json:
        """The next result."""
        ...

    async def end(self) -> str:
        """How it ends, with no other result before: "complete", or how it was cut."""
        ...

    async def cancel(self) -> None:
        """Leave as the protocol has it."""
        ...

    def vanish(self) -> None:
        """Leave without a word."""
        ...


class Socket:
    """graphql-transport-ws."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def receive(self) -> Json | int:
        """The next message but pings, or the code that the socket is closed with."""
        async with asyncio.timeout(PATIENCE_S):
            while (message := await self.socket.receive()).type is aiohttp.WSMsgType.TEXT:
                told: Json = message.json()
                if told["type"] != "ping":
                    return told
        assert message.type is aiohttp.WSMsgType.CLOSE, message
        return int(message.data)

    async def next(self) -> Json:
        told = await self.receive()
        assert isinstance(told, dict), told
        assert (told["type"], told["id"]) in (("next", "1"), ("error", "1")), told
        payload: Any = told["payload"]
        return {"errors": payload} if told["type"] == "error" else payload

    async def end(self) -> str:
        told = await self.receive()
        return str(told["type"] if isinstance(told, dict) else told)

    async def cancel(self) -> None:
        await self.socket.send_json({"type": "complete", "id": "1"})

    def vanish(self) -> None:
        _abort(self.socket._response)


class Answer:
    """An answer over HTTP that goes on."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self.answer = answer
        self.heartbeats = 0

    async def cancel(self) -> None:
        self.answer.close()

    def vanish(self) -> None:
        _abort(self.answer)


class Events(Answer):
    """graphql-sse, in its distinct connections mode."""

    async def event(self) -> Json | None:
        """The fields of the next event; None at the end of the answer."""
        async with asyncio.timeout(PATIENCE_S):
            fields: Json = {}
            while line := await self.answer.content.readline():
                match line.decode().rstrip("\n").partition(":"):
                    case ("", "", _) if fields:
                        return fields
                    case ("", ":", _):
                        self.heartbeats += 1
                    case (name, ":", value):
                        fields[name] = value.strip()
        return None

    async def next(self) -> Json:
        fields = await self.event()
        assert fields, "the answer has ended"
        assert fields["event"] == "next", fields
        result: Json = json.loads(fields["data"])
        self.id = fields.get("id")
        return result

    async def end(self) -> str:
        fields = await self.event()
        return str(fields["event"]) if fields else "cut"


class Parts(Answer):
    """Apollo's multipart subscriptions, read as its client does: a part is there when the next delimiter is."""

    delimiter = b"\r\n--graphql"

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        super().__init__(answer)
        self.unread = b""

    async def part(self) -> bytes | None:
        async with asyncio.timeout(PATIENCE_S):
            while self.delimiter not in self.unread:
                if not (chunk := await self.answer.content.readany()):
                    return None
                self.unread += chunk
        part, _, self.unread = self.unread.partition(self.delimiter)
        return part

    async def next(self) -> Json:
        while (part := await self.part()) is not None:
            head, _, body = part.partition(b"\r\n\r\n")
            if body and "payload" in (told := json.loads(body)):
                assert head == b"\r\nContent-Type: application/json"
                payload: Json = told["payload"]
                return payload
            self.heartbeats += body == b"{}"
        raise AssertionError("the answer has ended")

    async def end(self) -> str:
        last = await self.part()
        ended = await self.part() if last else last
        assert (ended, self.unread) == (None, b"--\r\n")
        return "complete" if last is None else self._cut(last)

    def _cut(self, part: bytes) -> str:
        told = json.loads(part.partition(b"\r\n\r\n")[2])
        assert (told["payload"], told["errors"][0]["extensions"]) == (None, {"code": "SERVICE_RESTART"})
        return "cut"


def _abort(answer: aiohttp.ClientResponse) -> None:
    assert answer.connection
    assert answer.connection.transport
    answer.connection.transport.abort()


@asynccontextmanager
async def over_socket(url: str, query: str, variables: Json | None = None) -> AsyncIterator[Socket]:
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{url}/graphql", protocols=[TRANSPORT_WS], max_msg_size=0) as connection,
    ):
        await connection.send_json({"type": "connection_init"})
        socket = Socket(connection)
        assert await socket.receive() == {"type": "connection_ack"}
        payload = {"query": query, "variables": variables}
        await connection.send_json({"type": "subscribe", "id": "1", "payload": payload})
        yield socket


@asynccontextmanager
async def over_events(
    url: str, query: str, variables: Json | None = None, last_event_id: str | None = None
) -> AsyncIterator[Events]:
    body = {"query": query, "variables": variables}
    headers = {"accept": EVENTS} | ({"last-event-id": last_event_id} if last_event_id else {})
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{url}/graphql/stream", json=body, headers=headers) as answer,
    ):
        assert (answer.status, answer.content_type) == (200, EVENTS)
        yield Events(answer)


@asynccontextmanager
async def over_parts(url: str, query: str, variables: Json | None = None) -> AsyncIterator[Parts]:
    body = {"query": query, "variables": variables}
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{url}/graphql", json=body, headers={"accept": MULTIPART}) as answer,
    ):
        assert (answer.status, answer.content_type) == (200, "multipart/mixed")
        yield Parts(answer)


OVER = {"websocket": over_socket, "events": over_events, "parts": over_parts}
