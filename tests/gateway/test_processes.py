"""Processes that share a store: one that only projects, and several that serve the same port."""

import asyncio
import signal
import uuid

import pytest

from gateway.settings import Settings
from gateway.wiring import running_gateway
from tests.gateway.processes import gateway
from tests.projector.world import PATIENCE_S
from tests.schema.api import Api, new_order
from tests.served import ask, http, served

STATUS = """query($id: ID!, $after: [ConsistencyToken!]!) {
  order(id: $id, consistency: {after: $after, waitMs: 10000, onTimeout: ERROR}) { status } }"""


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
async def test_a_projecting_process_projects_what_another_writes_and_ends_when_told(
    store_url: str, how: signal.Signals
) -> None:
    async with running_gateway(Settings(projector=False)) as writing:
        api = Api(writing)
        async with gateway("project") as process:
            assert process.stderr
            assert (await process.stderr.readline()).decode() == f"Projecting {store_url}; Ctrl+C ends it.\n"
            payload = await api.submitted()
            variables = {"id": payload["order"]["id"], "after": [payload["consistencyToken"]]}
            assert await api.ask(STATUS, variables) == {"order": {"status": "SUBMITTED"}}
            process.send_signal(how)
            async with asyncio.timeout(PATIENCE_S):
                _, err = await process.communicate()
            assert (process.returncode, err) == (0, b"")


async def test_a_gateway_whose_store_has_gone_still_ends(store_url: str) -> None:
    async with asyncio.timeout(PATIENCE_S):
        async with running_gateway(Settings()) as running:
            payload = await Api(running).submitted()
            # Once this is answered, the projector holds a lease that it cannot let go of any more.
            await Api(running).ask(STATUS, {"id": payload["order"]["id"], "after": [payload["consistencyToken"]]})
            await running.store.close()


CREATE = """mutation($input: CreateOrderInput!) { createOrder(input: $input) {
  ... on OrderCommandSucceeded { order { id } consistencyToken } } }"""


async def test_several_workers_serve_one_port_and_one_store_and_end_when_told(store_url: str) -> None:
    async with served("--workers", "2") as gateway:
        for _ in range(8):  # each on a connection of its own, which either worker may take
            async with http(gateway) as writer, http(gateway) as reader:
                created = (await ask(writer, CREATE, input=new_order(orderUuid=str(uuid.uuid4()))))["createOrder"]
                after = {"id": created["order"]["id"], "after": [created["consistencyToken"]]}
                assert await ask(reader, STATUS, **after) == {"order": {"status": "DRAFT"}}
        await gateway.stop()
    assert gateway.process.returncode == 0
