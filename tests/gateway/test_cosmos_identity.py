"""Without a key the process shows its own identity: a managed one, from the endpoint that the environment names."""

import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from tests.certificates import certificate
from tests.emulator import Emulator, emulator
from tests.gateway.processes import gateway
from tests.served import ask, http, served

TOKEN = "header.payload.signature"


@pytest.fixture
async def identity_endpoint() -> AsyncIterator[str]:
    """What gives a process on App Service the token of its managed identity."""

    async def give(request: web.Request) -> web.Response:
        assert request.headers["X-IDENTITY-HEADER"] == "secret"
        return web.json_response(
            {
                "access_token": TOKEN,
                "expires_on": str(int(time.time()) + 3600),
                "resource": request.query["resource"],
                "token_type": "Bearer",
            }
        )

    app = web.Application()
    app.router.add_get("/token", give)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/token"
    await runner.cleanup()


@pytest.fixture
async def server(tmp_path: Path, identity_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Emulator]:
    """An account behind https, and processes of the gateway that have an identity and no key."""
    trusted, private = certificate(tmp_path)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(trusted, private)
    async with emulator(partitions=2, tls=tls) as server:
        for name, value in {
            "STORE_URL": server.url,
            "SSL_CERT_FILE": str(trusted),
            "IDENTITY_ENDPOINT": identity_endpoint,
            "IDENTITY_HEADER": "secret",
        }.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("COSMOS_KEY", raising=False)
        yield server


async def run(*arguments: str) -> tuple[int | None, str, str]:
    async with gateway(*arguments) as process:
        out, err = await process.communicate()
    assert "nclosed" not in out.decode() + err.decode()
    assert TOKEN not in out.decode() + err.decode()
    return process.returncode, out.decode(), err.decode()


async def test_a_process_with_an_identity_needs_no_key(server: Emulator) -> None:
    server.identities.add(TOKEN)
    assert (await run("provision"))[0] == 0
    code, out, err = await run("check")
    assert (code, err) == (0, "")
    assert server.url in out
    async with served() as process, http(process) as client:
        question = '{ customerOrderSummary(customerId: "ada") { totalOrders } }'
        assert await ask(client, question) == {"customerOrderSummary": None}


async def test_an_identity_that_the_account_does_not_know_is_refused(server: Emulator) -> None:
    code, _, err = await run("check")
    assert code == 1
    assert "refuses" in err
    assert "Traceback" not in err
