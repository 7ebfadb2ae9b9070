"""How far the read model is behind is known, whoever projects, and tells whether a process is ready."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.freshness import Freshness
from gateway.keys import KEYS, open_signer
from gateway.settings import read_settings
from gateway.wiring import open_configured_store, overview_of
from projector.overview import Lag
from tests.gateway.edge import Edge, open_edge
from tests.projector.world import PATIENCE_S, World, until
from tests.schema.api import UUIDS, new_order

CREATE = "mutation($input: CreateOrderInput!) { createOrder(input: $input) { __typename } }"


async def readiness(edge: Edge) -> tuple[int, dict[str, Any]]:
    status, text = await edge.get("/readyz")
    return status, json.loads(text)["problems"]


async def test_a_gateway_whose_read_model_is_too_far_behind_is_not_ready_until_it_has_caught_up(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    limits: dict[str, Any] = {"freshness_s": 0.01, "ready_lag_s": 0.001}
    async with open_edge(path, projector=False, **limits) as edge:
        assert await readiness(edge) == (200, {})
        await edge.ask(CREATE, {"input": new_order(orderUuid=UUIDS[1])})

        async def is_behind() -> bool:
            status, problems = await readiness(edge)
            return status == 503 and set(problems) == {"projection customer_orders", "projection product_sales"}

        await until(is_behind)
        _, problems = await readiness(edge)
        assert problems["projection customer_orders"].endswith("s behind, 0.001 s are allowed; nobody projects it")
        _, text = await edge.get("/metrics")
        assert 'gateway_read_model_followed{projection="customer_orders"} 0.0' in text

        async def is_ready() -> bool:
            return (await readiness(edge))[0] == 200

        async with open_edge(path, **limits):
            await until(is_ready)


async def test_a_read_model_that_is_behind_within_the_limit_is_ready(tmp_path: Path) -> None:
    async with open_edge(tmp_path / "store.db", projector=False, freshness_s=0.01, ready_lag_s=0) as edge:
        await edge.ask(CREATE, {"input": new_order()})

        async def is_behind() -> bool:
            return any(lag.seconds > 0 for lag in edge.gateway.freshness.lags.values())

        await until(is_behind)
        assert await readiness(edge) == (200, {})


@pytest.mark.parametrize(
    ("lag", "limit", "told"),
    [
        (Lag(60.0, followed=True), 60.0, None),
        (Lag(75.4, followed=True), 60.0, "75 s behind, 60 s are allowed"),
        (Lag(75.4, followed=False), 0.5, "75 s behind, 0.5 s are allowed; nobody projects it"),
        (Lag(75.4, followed=False), 0.0, None),
    ],
)
async def test_a_lag_beyond_the_limit_is_a_problem(lag: Lag, limit: float, told: str | None) -> None:
    settings = read_settings(store_url="sqlite:///:memory:")
    async with open_configured_store(settings) as store:
        overview = overview_of(store, settings)
        freshness = Freshness(overview, 1, limit, {"sales": lag})
        assert freshness.problems == ({"projection sales": told} if told else {})


async def test_the_projections_are_asked_for_and_followed(edge: Edge) -> None:
    selection = (
        "projections { name generation version state applied behind lagSeconds rate parked ranges { id owner } }"
    )

    async def is_owned() -> bool:
        rows = (await edge.ask(f"{{ {selection} }}"))["projections"]
        return all(len(row["ranges"]) == 4 and all(range_["owner"] for range_ in row["ranges"]) for row in rows)

    await until(is_owned)
    (row, _) = (await edge.ask(f"{{ {selection} }}"))["projections"]
    assert {name: row[name] for name in ("name", "generation", "version", "state", "parked")} == {
        "name": "customer_orders",
        "generation": 1,
        "version": 1,
        "state": "serving",
        "parked": 0,
    }
    async with edge.http.ws_connect(f"{edge.url}/graphql", protocols=["graphql-transport-ws"]) as socket:
        await socket.send_json({"type": "connection_init"})
        await socket.receive_json()
        await socket.send_json(
            {"type": "subscribe", "id": "1", "payload": {"query": f"subscription {{ {selection} }}"}}
        )
        first = (await socket.receive_json())["payload"]["data"]["projections"]
        assert [row["name"] for row in first] == ["customer_orders", "product_sales"]
        await edge.ask(CREATE, {"input": new_order()})
        async with asyncio.timeout(PATIENCE_S):
            while not any(row["applied"] for row in first):
                first = (await socket.receive_json())["payload"]["data"]["projections"]


@pytest.mark.parametrize(
    ("lag", "worker"),
    [
        (Lag(0.0004, followed=True), "RUNNING"),
        (Lag(5.0, followed=True), "RUNNING"),
        (Lag(5.1, followed=True), "LAGGING"),
        (Lag(0.0, followed=False), "STOPPED"),
    ],
)
async def test_a_client_is_told_of_the_projections_that_it_read(lag: Lag, worker: str) -> None:
    settings = read_settings(store_url="sqlite:///:memory:")
    async with open_configured_store(settings) as store:
        lags = {"customer_orders": lag, "product_sales": Lag(9, followed=True)}
        freshness = Freshness(overview_of(store, settings), 1, 0, lags)
        told = freshness.told(["customer_views"])
        assert told == {"customer_orders": {"lagMs": round(lag.seconds * 1000), "worker": worker}}


async def test_the_signing_key_is_made_once_and_kept_or_is_set(tmp_path: Path) -> None:
    kept = read_settings(store_url=f"sqlite:///{tmp_path}/store.db")
    given = read_settings(store_url=kept.store_url, signing_key="k" * 32)
    sealed = []
    for settings in (kept, kept, given, given):
        async with open_configured_store(settings) as store:
            sealed += [(await open_signer(store, settings)).seal(b"about", b"content") for _ in range(2)]
    assert len(set(sealed)) == 2
    assert len(set(sealed[:4])) == len(set(sealed[4:])) == 1


async def test_processes_that_begin_at_once_agree_on_the_key(shared_world: World, other_world: World) -> None:
    settings = read_settings()
    stores = [world.store for world in (shared_world, other_world)]
    for store in stores:
        await store.make(KEYS)
    signers = await asyncio.gather(*(open_signer(store, settings) for store in stores for _ in range(3)))
    assert len({signer.seal(b"about", b"content") for signer in signers}) == 1
