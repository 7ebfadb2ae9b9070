"""The lab: what it does to the gateway that it is switched on in, each time for real, and that else there is none."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from gateway import pages
from tests.gateway.edge import Edge, open_edge
from tests.gateway.test_websocket import CREATE, INIT, ORDER_ID, subscribe
from tests.projector.world import until
from tests.schema.api import UUIDS, new_order

FOLLOW = 'subscription { frame: customerOrdersUpdated(customerId: "ada") { orders { version } } }'
SET = """mutation($input: SetShippingAddressInput!) { outcome: setShippingAddress(input: $input) {
  __typename ... on OrderCommandSucceeded { replayed order { version } }
  ... on VersionConflict { currentVersion order { paymentMethod } } } }"""
ADDRESS = {"name": "Ada", "line1": "1 Main Street", "city": "Berlin", "postalCode": "10115", "country": "DE"}
ORDER = f'{{ order(id: "{ORDER_ID}") {{ version }} }}'


@pytest.fixture
async def edge() -> AsyncIterator[Edge]:
    async with open_edge(gateway_lab=True) as edge:
        await edge.ask(CREATE, {"input": new_order(orderUuid=UUIDS[1])})
        await until_version(edge, 1)
        yield edge


async def switch(edge: Edge, **switches: Any) -> dict[str, Any]:
    async with edge.http.post(f"{edge.url}/lab", json=switches) as answer:
        assert answer.status == 200, await answer.text()
        told: dict[str, Any] = await answer.json()
        return told


async def happened(edge: Edge, what: str) -> int:
    return int((await switch(edge))["happened"][what])


async def set_address(edge: Edge, line1: str, **input: Any) -> Any:
    given = {"orderId": ORDER_ID, "address": ADDRESS | {"line1": line1}, **input}
    return (await edge.ask(SET, {"input": given}))["outcome"]


async def until_version(edge: Edge, version: int) -> None:
    while (await edge.ask(ORDER))["order"] != {"version": version}:  # noqa: ASYNC110  the projector is not ours
        await asyncio.sleep(0.02)


@asynccontextmanager
async def following(edge: Edge, version: int = 1) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """A socket with a list that has been sent as it stands, with the order at that version."""
    async with edge.websocket() as socket:
        await socket.send_json(INIT)
        await socket.receive_json()
        await socket.send_json(subscribe(FOLLOW))
        assert await versions(socket) == [version]
        yield socket


async def versions(socket: aiohttp.ClientWebSocketResponse) -> list[int]:
    frame = (await socket.receive_json())["payload"]["data"]["frame"]
    return [order["version"] for order in frame["orders"]]


async def test_without_the_setting_there_is_no_lab() -> None:
    async with open_edge() as edge:
        assert (await edge.get("/lab"))[0] == 404
        async with edge.http.post(f"{edge.url}/lab", json={"conflicts": 1}) as answer:
            assert answer.status == 404


async def test_the_switches_are_off_at_first_and_each_is_changed_for_itself(edge: Edge) -> None:
    status, text = await edge.get("/lab")
    off = {"projectorDelayS": 0, "duplicates": 0, "dropAfterS": 0, "conflicts": 0}
    nothing = {"delayed": 0, "duplicated": 0, "dropped": 0, "conflicted": 0}
    assert (status, json.loads(text)) == (200, off | {"seed": 1729, "happened": nothing})
    await switch(edge, conflicts=2)
    assert await switch(edge, duplicates=0.5) == off | {
        "conflicts": 2,
        "duplicates": 0.5,
        "seed": 1729,
        "happened": nothing,
    }


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b'{"conflicts": -1}', b'{"conflicts": "many"}', b'{"duplicates": 2}', b'{"lights": 1}', b"\xff"],
)
async def test_what_cannot_be_switched_is_refused_and_changes_nothing(edge: Edge, body: bytes) -> None:
    before = await edge.get("/lab")
    headers = {"content-type": "application/json"}
    async with edge.http.post(f"{edge.url}/lab", data=body, headers=headers) as answer:
        assert (answer.status, list(await answer.json())) == (400, ["error"])
    assert await edge.get("/lab") == before


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content-type": "text/plain"}, 403),
        ({"content-type": "application/json", "origin": "http://elsewhere.example"}, 403),
        ({"content-type": "application/json", "origin": "null"}, 403),
        ({"content-type": "application/json", "origin": "{url}"}, 200),
    ],
)
async def test_only_own_pages_switch(edge: Edge, headers: dict[str, str], status: int) -> None:
    sent = {name: value.format(url=edge.url) for name, value in headers.items()}
    async with edge.http.post(f"{edge.url}/lab", data=b'{"conflicts": 1}', headers=sent) as answer:
        assert answer.status == status
    assert (await switch(edge))["conflicts"] == (1 if status == 200 else 0)


async def test_a_body_that_is_larger_than_all_switches_is_not_read(edge: Edge) -> None:
    headers = {"content-type": "application/json"}
    async with edge.http.post(f"{edge.url}/lab", data=b" " * 10_001, headers=headers) as answer:
        assert answer.status == 413


async def test_a_slow_projector_shows_later_what_was_answered_at_once(edge: Edge) -> None:
    await switch(edge, projectorDelayS=60)
    assert (await set_address(edge, "2 Main Street"))["order"] == {"version": 2}
    while not await happened(edge, "delayed"):
        assert (await edge.ask(ORDER))["order"] == {"version": 1}
    assert (await edge.ask(ORDER))["order"] == {"version": 1}
    await switch(edge, projectorDelayS=0.01)
    await until_version(edge, 2)


async def test_a_frame_comes_again_also_behind_newer_ones(edge: Edge) -> None:
    await switch(edge, duplicates=1)
    async with following(edge) as socket:
        await set_address(edge, "2 Main Street")
        assert await versions(socket) == [2]
        assert await versions(socket) in ([1], [2])
        await socket.send_json({"type": "complete", "id": "1"})
    assert await happened(edge, "duplicated") == 1


async def test_the_same_seed_decides_alike_after_each_change(edge: Edge) -> None:
    seen = []
    for before in (1, 7):
        await until_version(edge, before)
        await switch(edge, duplicates=0.5)
        async with following(edge, before) as socket:
            frames = [before]
            for version in range(before + 1, before + 7):
                await set_address(edge, f"{version} Main Street")
                while max(frames) < version:
                    frames += await versions(socket)
            seen.append([version - before for version in frames])
    assert seen[0] == seen[1]
    assert sorted(seen[0]) != list(range(7))


async def test_all_sockets_are_cut_without_a_word(edge: Edge) -> None:
    async with following(edge) as one, following(edge) as two:
        await switch(edge, drop=True)
        assert [(await socket.receive()).type for socket in (one, two)] == [aiohttp.WSMsgType.CLOSED] * 2
        assert [one.close_code, two.close_code] == [1006, 1006]
    await until(lambda: edge.gateway.context.live.watchers == 0)
    assert await happened(edge, "dropped") == 2
    async with following(edge):
        pass


async def test_sockets_are_cut_by_chance(edge: Edge) -> None:
    await switch(edge, dropAfterS=0.05)
    async with edge.websocket() as socket:
        while (await socket.receive()).type is not aiohttp.WSMsgType.CLOSED:
            pass
    await switch(edge, dropAfterS=0)


async def test_a_conflict_is_somebody_elses_change(edge: Edge) -> None:
    await switch(edge, conflicts=1)
    assert await set_address(edge, "2 Main Street", expectedVersion=1) == {
        "__typename": "VersionConflict",
        "currentVersion": 2,
        "order": {"paymentMethod": "CARD"},
    }
    assert (await switch(edge))["conflicts"] == 0
    assert (await set_address(edge, "2 Main Street", expectedVersion=2))["order"] == {"version": 3}


async def test_who_expects_no_version_has_no_conflict_and_a_replay_is_one(edge: Edge) -> None:
    input = {"commandId": UUIDS[2], "expectedVersion": 1}
    assert (await set_address(edge, "2 Main Street", **input))["replayed"] is False
    await switch(edge, conflicts=1)
    assert (await set_address(edge, "3 Main Street"))["order"] == {"version": 3}
    assert (await set_address(edge, "2 Main Street", **input))["replayed"] is True
    assert (await switch(edge))["conflicts"] == 1
    assert (await set_address(edge, "4 Main Street", expectedVersion=4))["__typename"] == "VersionConflict"


async def test_an_order_that_nobody_may_change_has_no_conflict(edge: Edge) -> None:
    cancel = f'mutation {{ cancelOrder(input: {{orderId: "{ORDER_ID}", reason: "x"}}) {{ __typename }} }}'
    await edge.ask(cancel)
    await switch(edge, conflicts=1)
    assert (await set_address(edge, "2 Main Street", expectedVersion=2))["__typename"] == "CommandRejected"
    assert (await switch(edge))["conflicts"] == 1


@pytest.mark.parametrize("lab", [True, False])
async def test_the_desk_is_told_whether_there_is_a_lab(
    lab: bool, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("playground", "desk"):
        (tmp_path / f"{name}.html").write_text("<head></head>")
    (tmp_path / "assets").mkdir()
    monkeypatch.setattr(pages, "STATIC", tmp_path)
    async with open_edge(gateway_lab=lab) as edge:
        assert ('<meta name="lab" content="on" />' in (await edge.get("/desk"))[1]) is lab
        assert (await edge.get("/"))[1] == "<head></head>"
