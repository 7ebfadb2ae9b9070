"""One served process, which all attacks of a file go to, and must outlive; and a gateway that takes tokens."""

import os
import re
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.gateway.conftest import edge as edge
from tests.gateway.edge import Edge, open_edge
from tests.gateway.processes import GATEWAY
from tests.schema.conftest import api as api
from tests.security.attacked import Attacked, client_of
from tests.security.issuer import Issuer, open_issuer

ADDRESS = re.compile(r"Serving (http://\S+) from")
SETTINGS = {
    "INTROSPECTION": "false",
    "REQUEST_TIMEOUT_S": "1",
    "SEND_TIMEOUT_S": "1",
    "CORS_ORIGINS": "https://shop.example",
    "SIGNING_KEY": "k" * 32,
}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a gateway is served, with what a developer needs switched off and little patience; and what it logs."""
    store = tmp_path_factory.mktemp("store") / "gateway.db"
    log = Path(f"{store}.log")
    with log.open("w") as stderr:
        process = subprocess.Popen(
            [GATEWAY, "serve", "--port", "0", "--store", f"sqlite:///{store}"],
            stderr=stderr,
            env={**os.environ, **SETTINGS},
        )
    try:
        while not (served := ADDRESS.search(log.read_text())):
            assert process.poll() is None, log.read_text()
            time.sleep(0.05)
        yield served[1]
        assert process.poll() is None, log.read_text()
    finally:
        process.terminate()
        process.wait(30)
    assert "Traceback" not in log.read_text(), log.read_text()
    assert process.returncode == 0


@pytest.fixture
async def attacked(address: str) -> AsyncIterator[Attacked]:
    """The gateway, and somebody else who is served by it, before, while and after it is attacked."""
    async with client_of(address) as attacked, attacked.others():
        yield attacked


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    """An issuer of tokens."""
    async with open_issuer() as issuer:
        yield issuer


@pytest.fixture
async def guarded(issuer: Issuer) -> AsyncIterator[Edge]:
    """A gateway that takes that issuer's tokens."""
    async with open_edge(**issuer.settings) as edge:
        yield edge
