"""What several subscribers are to have alike is encoded once, and every one of them has all that is theirs."""

from contextlib import AsyncExitStack
from typing import Any

import pytest
from aiohttp import ClientWebSocketResponse
from msgspec.structs import replace

from gateway.execution.plans import Plan
from gateway.transports.messages import text_frame
from read_model.orders import CUSTOMER_VIEWS, OrderView
from store import Upsert
from tests.gateway.edge import Edge
from tests.projector.world import until
from tests.read_model.shelf import an_order
from tests.schema.api import UUIDS

LIST = "subscription($id: ID!) { customerOrdersUpdated(customerId: $id) { kind orders { id version } cursor } }"
ORDER = "subscription($id: ID!) { orderUpdated(id: $id) { version statusDisplay } }"
KINDS = "subscription($id: ID!) { customerOrdersUpdated(customerId: $id) { kind orders { createdAt } } }"
DRAFTS = "subscription { ordersUpdated(filter: {status: [DRAFT]}) { kind orders { id version } } }"


def versions(frames: list[Any]) -> list[int]:
    return [frame["payload"]["data"]["orderUpdated"]["version"] for frame in frames]


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[bytes | None]:
    """What was encoded to be shared."""
    made: list[bytes | None] = []
    encode = Plan._encoded

    def noted(self: Plan, event: Any) -> bytes | None:
        made.append(encode(self, event))
        return made[-1]

    monkeypatch.setattr(Plan, "_encoded", noted)
    return made


def order_at(version: int, number: int = 1) -> OrderView:
    return replace(an_order(number, version=version), id=f"order:ada:{UUIDS[number]}")


class Followers:
    """Sockets, each with a subscription that has had its first frame, if there is one."""

    def __init__(self, edge: Edge, resources: AsyncExitStack) -> None:
        self._edge = edge
        self._resources = resources
        self.sockets: list[ClientWebSocketResponse] = []

    async def follow(self, query: str, variables: Any = None, id: str = "1", *, first: bool = True) -> None:
        socket = await self._resources.enter_async_context(self._edge.websocket())
        await socket.send_json({"type": "connection_init"})
        await socket.receive_json()
        payload = {"query": query, "variables": variables}
        await socket.send_json({"type": "subscribe", "id": id, "payload": payload})
        if first:
            await socket.receive_json()
        self.sockets.append(socket)
        live = self._edge.gateway.context.live
        await until(lambda: live.watchers == len(self.sockets))

    async def change(self, version: int, number: int = 1) -> None:
        order = order_at(version, number)
        container = self._edge.gateway.store.container(CUSTOMER_VIEWS.name)
        await container.commit("ada", [Upsert(order.id, order)])

    async def frames(self) -> list[Any]:
        return [await socket.receive_json() for socket in self.sockets]


async def test_those_who_ask_for_the_same_are_sent_what_was_encoded_once(
    edge: Edge, encoded: list[bytes | None]
) -> None:
    async with AsyncExitStack() as resources:
        followers = Followers(edge, resources)
        for id in ("1", "1", "two"):
            await followers.follow(LIST, {"id": "ada"}, id)
        await followers.follow(KINDS, {"id": "ada"})
        for version in range(1, 4):
            await followers.change(version)
            one, other, two, kinds = await followers.frames()
            assert (one, two) == (other, {**one, "id": "two"})
            frame = one["payload"]["data"]["customerOrdersUpdated"]
            assert (frame["kind"], [order["version"] for order in frame["orders"]]) == ("CHANGES", [version])
            assert list(kinds["payload"]["data"]["customerOrdersUpdated"]["orders"][0]) == ["createdAt"]
        assert len(encoded) == 3 * 2


async def test_an_order_is_followed_by_many_from_its_first_version_on(edge: Edge, encoded: list[bytes | None]) -> None:
    id = order_at(1).id
    async with AsyncExitStack() as resources:
        followers = Followers(edge, resources)
        for _ in range(3):
            await followers.follow(ORDER, {"id": id}, first=False)
        for version in (1, 2):
            await followers.change(version)
            assert versions(await followers.frames()) == [version] * 3
    assert len(encoded) == 2


async def test_who_has_seen_a_version_is_not_sent_it_with_the_others(edge: Edge, encoded: list[bytes | None]) -> None:
    query = "subscription($id: ID!, $since: Int) { orderUpdated(id: $id, sinceVersion: $since) { version } }"
    id = order_at(1).id
    async with AsyncExitStack() as resources:
        followers = Followers(edge, resources)
        for since in (0, 5):
            await followers.follow(query, {"id": id, "since": since}, first=False)
        await followers.change(5)
        assert (await followers.sockets[0].receive_json())["payload"]["data"]["orderUpdated"] == {"version": 5}
        await followers.change(6)
        assert versions(await followers.frames()) == [6, 6]


async def test_a_list_with_a_filter_is_told_to_each_by_itself(edge: Edge, encoded: list[bytes | None]) -> None:
    async with AsyncExitStack() as resources:
        followers = Followers(edge, resources)
        for _ in range(2):
            await followers.follow(DRAFTS)
        await followers.change(1)
        told = [frame["payload"]["data"]["ordersUpdated"] for frame in await followers.frames()]
        assert [frame["kind"] for frame in told] == ["CHANGES", "CHANGES"]
    assert encoded == []


async def test_what_cannot_be_shared_is_answered_by_the_reference_executor(edge: Edge) -> None:
    async with AsyncExitStack() as resources:
        followers = Followers(edge, resources)
        await followers.follow(ORDER, {"id": order_at(1).id}, first=False)
        await followers.change(2**31)  # no version that GraphQL's Int can be
        (message,) = await followers.frames()
        assert message["payload"]["data"] == {"orderUpdated": None} or message["payload"]["data"] is None
        assert message["payload"]["errors"][0]["path"] == ["orderUpdated", "version"]


async def test_a_document_that_cannot_be_read_ends_the_streams_that_are_to_show_it_and_no_others(edge: Edge) -> None:
    async with AsyncExitStack() as resources:
        followers = Followers(edge, resources)
        for _ in range(2):
            await followers.follow(ORDER, {"id": order_at(1).id}, first=False)
        await followers.follow(ORDER, {"id": order_at(1, 2).id}, first=False)
        container = edge.gateway.store.container(CUSTOMER_VIEWS.name)
        await container.commit("ada", [Upsert(order_at(1).id, {"kind": "order"})])
        await followers.change(1, 2)
        *failed, other = await followers.frames()
        assert versions([other]) == [1]
        assert [message["payload"]["errors"][0]["extensions"]["code"] for message in failed] == ["INTERNAL"] * 2


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
async def test_a_frame_is_read_by_a_client_that_is_not_ours(size: int) -> None:
    from websockets.frames import Frame, Opcode
    from websockets.streams import StreamReader

    reader = StreamReader()
    reader.feed_data(text_frame(b"x" * size))
    parsing = Frame.parse(reader.read_exact, mask=False)
    with pytest.raises(StopIteration) as parsed:
        next(parsing)
    frame: Frame = parsed.value.value
    assert (frame.opcode, frame.fin, len(frame.data)) == (Opcode.TEXT, True, size)
