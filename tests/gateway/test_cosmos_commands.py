"""The command line on Cosmos DB, as processes: what is wrong is named, nothing is left open, and no key is shown."""

from collections.abc import AsyncIterator

import pytest

from tests.emulator import Emulator, emulator
from tests.gateway.processes import gateway
from tests.projector.world import until
from tests.served import ask, http, served

WRONG_KEY = "c3dvcmRmaXNo"


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Emulator]:
    """An account, empty, which the environment names."""
    async with emulator(partitions=2) as server:
        monkeypatch.setenv("STORE_URL", server.url)
        monkeypatch.setenv("COSMOS_KEY", server.key)
        yield server


async def run(*arguments: str) -> tuple[int | None, str, str]:
    """Exit code and both streams of a command."""
    async with gateway(*arguments) as process:
        out, err = await process.communicate()
    assert "nclosed" not in out.decode() + err.decode()
    return process.returncode, out.decode(), err.decode()


async def test_the_account_is_provisioned_checked_and_provisioned_again(server: Emulator) -> None:
    code, _, err = await run("check")
    assert (code, err) == (1, "gateway: database 'gateway' does not exist; `gateway provision` makes it\n")
    code, planned, _ = await run("provision", "--dry-run")
    assert (code, {line.split(": ")[0] for line in planned.splitlines()}) == (0, {"would"})
    code, done, _ = await run("provision")
    assert (code, done) == (0, planned.replace("would: ", "done: "))
    code, again, _ = await run("provision")
    assert (code, {line.split(": ")[0] for line in again.splitlines()}) == (0, {"ok"})
    code, out, _ = await run("check")
    assert (code, out) == (0, f"ok: the settings make sense, and {server.url} is open for reading and writing\n")


async def test_throughput_is_provisioned_as_set(server: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COSMOS_THROUGHPUT", "shared")
    monkeypatch.setenv("COSMOS_AUTOSCALE_MAX", "4000")
    _, done, _ = await run("provision")
    assert done.splitlines()[0] == "done: database 'gateway' is made, autoscale to 4000 RU/s"
    monkeypatch.setenv("COSMOS_THROUGHPUT", "autoscale")
    code, _, err = await run("provision")
    assert (code, err) == (
        1, "gateway: container 'orders' has no throughput of its own, and cannot be given it any more\n"
    )  # fmt: skip


@pytest.mark.parametrize("command", ["check", "serve", "project", "provision"])
async def test_a_wrong_key_is_told_and_not_shown(
    server: Emulator, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("COSMOS_KEY", WRONG_KEY)
    code, out, err = await run(command)
    assert code == 1
    assert "refuses the key (401)" in err
    assert "Traceback" not in err
    assert WRONG_KEY not in out + err


async def test_an_account_that_nobody_answers_for_is_named(server: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORE_URL", "http://127.0.0.1:9/")
    code, _, err = await run("check")
    assert code == 1
    assert "the account at http://127.0.0.1:9/: no answer from Cosmos DB" in err


async def test_a_gateway_serves_and_ends_without_leaving_anything_open(
    server: Emulator, capsys: pytest.CaptureFixture[str]
) -> None:
    await run("provision")
    async with served("--workers", "1") as process, http(process) as client:
        assert await ask(client, '{ customerOrderSummary(customerId: "ada") { totalOrders } }') == {
            "customerOrderSummary": None
        }
    said = capsys.readouterr().out
    assert process.process.returncode == 0
    assert "nclosed" not in said
    assert server.key not in said


async def test_a_projector_ends_without_leaving_anything_open(server: Emulator) -> None:
    await run("provision")
    async with gateway("project") as process:
        await until(lambda: server.counts()["feed"])
        process.terminate()
        _, err = await process.communicate()
    assert process.returncode == 0
    assert "nclosed" not in err.decode()
