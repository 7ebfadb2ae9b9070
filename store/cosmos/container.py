"""One container on Cosmos DB: commits as batches that are sent once, questions, and the change feed."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import msgspec
from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import CosmosResourceNotFoundError

from store.cosmos import feed
from store.cosmos.errors import OWNER_MISSING, SESSION_AHEAD, Headers, reading, sub_status, tell, writing
from store.cosmos.session import Session
from store.cosmos.sql import compile_count, compile_query, in_order
from store.errors import Throttled
from store.port import (
    Changes,
    Condition,
    ContainerSpec,
    Create,
    Delete,
    Document,
    Etag,
    FeedRange,
    Page,
    Query,
    Replace,
    Scope,
    Start,
    Upsert,
    Write,
    check_writes,
)
from store.signal import Signal

BUSY_DEADLINE_S = 5.0
"""How long a request is tried again while the service asks for patience."""
POLL_S = 0.25
"""Seconds after which another process may have committed something."""
SUB_STATUS = "x-ms-substatus"
SENT_ONCE: dict[str, Any] = {"retry_connect": 0, "retry_read": 0, "retry_write": 0}

T = TypeVar("T")


class CosmosContainer:
    """One container of an account; see `store.port.Container` for its promises."""

    def __init__(
        self,
        charge: Callable[[str, str, Headers], None],
        proxy: ContainerProxy,
        spec: ContainerSpec,
        poll_s: float | None = None,
    ) -> None:
        self._poll_s = poll_s
        self.spec = spec
        self._note_charge = charge
        self._name = f"container {spec.name!r}"
        self._proxy = proxy
        self._signal = Signal()
        self._session = Session()

    async def warm(self) -> None:
        """Have the SDK learn what it needs to know of the container before the first request is in a hurry."""
        await self.feed_ranges()
        await self.read("-", "-")

    async def read(self, partition: str, id: str) -> Document | None:
        """The document as it is now, or None."""
        try:
            return await self._patiently(partial(self._read, partition, id))
        except UnicodeEncodeError as error:
            raise ValueError("an id or a partition key holds a lone surrogate") from error

    async def query(self, query: Query) -> Page:
        """The page that `query` asks for."""
        if query.partition is None:
            answers = await self._of_all_ranges(lambda range_: self._ask(query, feed_range=feed.to_sdk(range_)))
            found = in_order(query, [document for answer in answers for document in answer])
        else:
            found = await self._ask(query, partition_key=query.partition)
        return Page(found[: query.limit], more=len(found) > query.limit)

    async def count(self, where: tuple[Condition, ...] = ()) -> int:
        """How many documents meet the conditions, over all partitions."""
        text, parameters = compile_count(where)

        async def one(range_: FeedRange) -> int:
            async with reading(self._name, self._charge("query")):
                options = {**self._options("query"), "feed_range": feed.to_sdk(range_)}
                numbers: Any = self._proxy.query_items(text, parameters=parameters, **options)
                return sum([int(number) async for number in numbers])

        return sum(await self._of_all_ranges(one))

    async def commit(self, partition: str, writes: Sequence[Write]) -> list[Etag | None]:
        """Apply all `writes` or none; see the port. Tried again for a while when the service asks for patience."""
        check_writes(partition, writes)
        operations = [self._operation(partition, write) for write in writes]
        etags = await self._patiently(partial(self._send, partition, operations))
        self._signal.notify()
        return etags

    async def feed_ranges(self) -> list[FeedRange]:
        """The ranges that together are the container: its physical partitions."""
        async with reading(self._name):
            return [feed.range_of(found) async for found in self._proxy.read_feed_ranges()]

    def range_of(self, partition: str, ranges: Sequence[FeedRange]) -> FeedRange:
        """Which of the ranges the partition's hash lies in."""
        return feed.range_around(partition, ranges)

    async def parts_of(self, range: FeedRange) -> list[FeedRange]:
        """The range itself, or the parts of it that lie in different physical partitions now."""
        return feed.parts_of(range, await self.feed_ranges())

    async def changes(self, scope: Scope, after: str | Start, limit: int = 100) -> Changes:
        """What changed in `scope` behind `after`; see the port."""
        while True:
            bodies, reached = await feed.read_page(self._proxy, scope, after, limit, self._hook("feed"))
            cursor = feed.confined(reached, scope)
            inside = bodies if cursor == reached else feed.within(scope, bodies, self.spec.partition_key)
            if inside or not bodies:
                return Changes(cursor, [self._document(body) for body in inside])
            after = cursor

    async def backlog(self, scope: FeedRange, after: str | Start) -> int:
        """How many commits there are in the scope's physical partition behind `after`; the service counts no finer.

        The first document that is not delivered yet tells its LSN, the answer's session token the latest one.
        """
        if after is Start.NOW:
            return 0
        told: list[Mapping[str, Any]] = []

        def hook(headers: Mapping[str, Any], body: object) -> None:
            self._charge("feed")(headers)
            told.append(headers)

        bodies, _ = await feed.read_page(self._proxy, scope, after, 1, hook)
        if not bodies:
            return 0
        latest = int(told[-1]["x-ms-session-token"].split(":")[-1].split("#")[1])
        return max(latest - int(bodies[0]["_lsn"]) + 1, 1)

    async def wait_for_changes(self, seen: int, timeout: float, range: FeedRange | None = None) -> int:
        """Wait for a commit here. One elsewhere is not heard of, so after a while there may have been one."""
        count = await self._signal.wait(seen, min(timeout, self._poll_s or POLL_S))
        if count == seen:
            self._signal.notify()
        return self._signal.count

    async def _patiently(self, request: Callable[[], Awaitable[T]]) -> T:
        """What the request answers, tried again for BUSY_DEADLINE_S while it is refused for lack of time."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + BUSY_DEADLINE_S
        attempt = 0
        while True:
            try:
                return await request()
            except Throttled as busy:
                attempt += 1
                pause = busy.retry_after + random.uniform(0, 0.01 * 2 ** min(attempt, 6))
                if loop.time() + pause > deadline:
                    raise
                await asyncio.sleep(pause)

    async def _read(self, partition: str, id: str) -> Document | None:
        charge = self._charge("read")
        async with reading(self._name, charge):
            try:
                body = await self._proxy.read_item(id, partition, **self._options("read"))
            except CosmosResourceNotFoundError as error:
                if sub_status(error) in (OWNER_MISSING, SESSION_AHEAD):
                    raise
                tell(error, charge)
                return None
        return self._document(dict(body))

    async def _ask(self, query: Query, **scope: Any) -> list[Document]:
        """One document more than the page holds, if there are that many in the scope."""
        text, parameters = compile_query(query)
        options = self._options("query") | scope
        found: list[Document] = []
        async with reading(self._name, self._charge("query")):
            items = self._proxy.query_items(text, parameters=parameters, max_item_count=query.limit + 1, **options)
            async for body in items:
                found.append(self._document(body))
                if len(found) > query.limit:
                    break
        return found

    async def _of_all_ranges(self, ask: Callable[[FeedRange], Awaitable[T]]) -> list[T]:
        """What all physical partitions answer, asked at the same time; again if one of them has split meanwhile.

        The SDK would ask them in turn, and repeat rows when a partition splits (4.17.1, observed).
        """
        while True:
            ranges = await self.feed_ranges()
            answers = await asyncio.gather(*map(ask, ranges))
            if ranges == await self.feed_ranges():
                return answers

    async def _send(self, partition: str, operations: list[Any]) -> list[Etag | None]:
        with writing(self._name, self._charge("batch")):
            results = await self._proxy.execute_item_batch(operations, partition, **self._options("batch"), **SENT_ONCE)
        return [result.get("eTag") for result in results]

    def _operation(self, partition: str, write: Write) -> Any:
        match write:
            case Create(id, body, ttl):
                return ("create", (self._body(partition, id, body, ttl),))
            case Replace(id, body, etag, ttl) | Upsert(id, body, str(etag), ttl):
                return ("replace", (id, self._body(partition, id, body, ttl)), {"if_match_etag": etag})
            case Upsert(id, body, _, ttl):
                return ("upsert", (self._body(partition, id, body, ttl),))
            case Delete(id, etag):
                return ("delete", (id,), {"if_match_etag": etag})

    def _body(self, partition: str, id: str, body: Any, ttl: int | None) -> dict[str, Any]:
        document: dict[str, Any] = {**msgspec.to_builtins(body), "id": id, self.spec.partition_key: partition}
        if ttl is not None:
            document["ttl"] = ttl
        return document

    def _document(self, body: dict[str, Any]) -> Document:
        expires = body["_ts"] + body["ttl"] if "ttl" in body else None
        return Document(body[self.spec.partition_key], body["id"], body["_etag"], body, expires)

    def _options(self, kind: str) -> dict[str, Any]:
        return {"response_hook": self._hook(kind), **self._session.options}

    def _charge(self, kind: str) -> Callable[[Headers], None]:
        return partial(self._note, kind)

    def _hook(self, kind: str) -> Any:
        return lambda headers, body: self._note(kind, headers)

    def _note(self, kind: str, headers: Headers) -> None:
        """Take note of what an answer, or a refusal, tells of the session and of its cost."""
        if headers.get(SUB_STATUS) == str(SESSION_AHEAD):
            self._session.forget()
        else:
            self._session.note(headers)
        self._note_charge(self.spec.name, kind, headers)
