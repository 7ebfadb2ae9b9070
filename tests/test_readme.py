"""The README's operations, pasted one after another, answer what the README says."""

import json
import re
from pathlib import Path
from typing import Any

from gql import gql

from tests.served import ask, ask_until, http, served, websocket

README = (Path(__file__).parents[1] / "README.md").read_text()
BLOCKS = re.findall(r"```(graphql|json)\n(.*?)```", README, re.DOTALL)
OPERATIONS = {re.findall(r"\w+", text)[1]: text for kind, text in BLOCKS if kind == "graphql"}
CREATED, ORDERS, FOLLOWED, SUBMITTED, CONFLICT = (json.loads(text) for kind, text in BLOCKS if kind == "json")


async def test_the_operations_of_the_readme_answer_what_it_says(store_url: str) -> None:
    async with served() as gateway, http(gateway) as client, websocket(gateway) as live:
        assert await ask(client, OPERATIONS["Create"]) == CREATED
        again: dict[str, Any] = await ask(client, OPERATIONS["Create"])
        assert again == {"createOrder": {**CREATED["createOrder"], "replayed": True}}
        await ask_until(client, OPERATIONS["Orders"], ORDERS)
        updates = live.subscribe(gql(OPERATIONS["Follow"]))
        assert await anext(updates) == FOLLOWED
        assert await ask(client, OPERATIONS["Submit"]) == SUBMITTED
        assert (await anext(updates))["orderUpdated"]["version"] == 2
        await updates.aclose()
        assert await ask(client, OPERATIONS["Submit"]) == CONFLICT
