"""In development: who says nothing may do everything, a header makes them somebody, and tokens can be made."""

import signal
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.identity import Unauthenticated
from gateway.identity.callers import MOST_KNOWN
from gateway.identity.development import Development
from schema.viewer import DEVELOPER, NOBODY, Viewer
from tests.gateway.edge import Edge, open_edge
from tests.gateway.test_cli import Cli
from tests.gateway.test_cli import cli as cli
from tests.security.asking import bearer, named, post
from tests.served import served

ALL = "{ orders { nodes { id } } }"
ORDERS = '{ customerOrders(customerId: "alice") { nodes { id } } }'
SECRET = "a secret of development, of 32 or more"

SAID: list[tuple[str, Viewer]] = [
    ("nobody", NOBODY),
    ("staff", Viewer("staff", "developer")),
    ("staff:carol", Viewer("staff", "carol")),
    ("customer:alice", Viewer("customer", "alice", customer="alice")),
    (" customer:a.b@c ", Viewer("customer", "a.b@c", customer="a.b@c")),
    ("service:robot", Viewer("service", "robot")),
    (
        "service:robot orders:read orders:fulfil",
        Viewer("service", "robot", scopes=frozenset(("orders:read", "orders:fulfil"))),
    ),
]


@pytest.mark.parametrize(("value", "viewer"), SAID)
async def test_a_header_makes_somebody(value: str, viewer: Viewer) -> None:
    assert await Development().viewer(value.encode()) == viewer


ODD = [
    "",
    "alice",
    "customer",
    "customer:",
    "customer:a b",
    "staff:",
    "service:",
    "service:r orders:all",
    "root:x",
    "\xe9",
]


@pytest.mark.parametrize("value", ODD)
async def test_what_names_nobody_is_refused_and_not_taken_for_nothing(edge: Edge, value: str) -> None:
    with pytest.raises(Unauthenticated):
        await Development().viewer(value.encode("latin-1"))
    assert (await post(edge, named(value), ALL)).status == 401


async def test_who_says_nothing_is_a_developer(edge: Edge) -> None:
    assert edge.gateway.context.viewer == DEVELOPER
    assert (await post(edge, {}, ALL)).code is None


async def test_who_is_named_may_do_what_they_may(edge: Edge) -> None:
    assert (await post(edge, named("customer:alice"), ALL)).code == "FORBIDDEN"
    assert (await post(edge, named("customer:alice"), ORDERS)).code is None
    assert (await post(edge, named("customer:bob"), ORDERS)).code == "FORBIDDEN"
    assert (await post(edge, named("nobody"), ORDERS)).code == "UNAUTHENTICATED"


async def test_a_token_is_not_passed_over_where_none_can_be_verified(edge: Edge) -> None:
    assert (await post(edge, bearer("x"), ALL)).status == 401
    assert (await post(edge, {"authorization": "Basic eDp5"}, ALL)).status == 200  # of a proxy, perhaps


@pytest.mark.parametrize(("host", "warned"), [("127.0.0.1", False), ("0.0.0.0", True)])
async def test_a_gateway_that_believes_everyone_warns_of_strangers(
    host: str, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_edge(host=host):
        assert ("whoever reaches 0.0.0.0 may do everything" in caplog.text) is warned


async def test_those_who_asked_lately_are_remembered_within_bounds(edge: Edge) -> None:
    callers = edge.gateway.callers
    first = await callers.of([(b"x-development-identity", b"customer:c0")])
    assert await callers.of([(b"x-development-identity", b"customer:c0")]) is first
    for number in range(MOST_KNOWN + 1):
        await callers.of([(b"x-development-identity", b"customer:c%d" % number)])
    assert len(callers._known) == MOST_KNOWN


# ---------------------------------------------------------------------------------------------------- gateway token

MINTED: list[tuple[list[str], Viewer]] = [
    (["--customer", "alice"], Viewer("customer", "alice", customer="alice")),
    (["--customer", "alice", "--subject", "auth|1"], Viewer("customer", "auth|1", customer="alice")),
    (["--staff"], Viewer("staff", "staff")),
    (["--staff", "--subject", "carol"], Viewer("staff", "carol")),
    (["--service", "robot"], Viewer("service", "robot")),
    (
        ["--service", "robot", "--scope", "orders:read", "--scope", "orders:fulfil"],
        Viewer("service", "robot", scopes=frozenset(("orders:read", "orders:fulfil"))),
    ),
]
NAMED = {"token_issuer": "me", "token_audience": "orders", "token_customer_claim": "c", "token_roles_claim": "r"}


@pytest.mark.parametrize("settings", [{}, NAMED])
@pytest.mark.parametrize(("options", "viewer"), MINTED, ids=range(len(MINTED)))
async def test_a_minted_token_makes_somebody_of_a_gateway_that_is_set_alike(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, options: list[str], viewer: Viewer, settings: dict[str, str]
) -> None:
    set_: dict[str, Any] = {**settings, "token_secret": SECRET}
    for name, value in set_.items():
        monkeypatch.setenv(name.upper(), value)
    code, token, _ = cli("token", *options, "--ttl", "60")
    assert code == 0
    async with open_edge(**set_) as edge:
        context = await edge.gateway.callers.of([(b"authorization", f"Bearer {token.strip()}".encode())])
        assert context.viewer.is_as(viewer)
        assert context.viewer.expires_at
        assert 0 < context.viewer.expires_at - time.time() <= 60 + 30


MEANT = [
    [],
    ["--staff", "--customer", "alice"],
    ["--staff", "--scope", "orders:read"],
    ["--customer", "alice", "--service", "robot"],
    ["--customer", "no one"],
    ["--customer", ""],
    ["--service", ""],
    ["--customer", "alice", "--scope", "orders:read"],
]


@pytest.mark.parametrize("options", MEANT)
def test_a_token_is_for_one(cli: Cli, monkeypatch: pytest.MonkeyPatch, options: list[str]) -> None:
    monkeypatch.setenv("TOKEN_SECRET", SECRET)
    code, out, err = cli("token", *options)
    assert (code, out) == (1, "")
    assert "a token is for one: --customer ID, --staff, or --service NAME" in err


def test_tokens_need_a_secret(cli: Cli) -> None:
    code, _, err = cli("token", "--staff")
    assert (code, "TOKEN_SECRET: must be set" in err) == (1, True)


def test_no_tokens_are_made_in_production(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN_SECRET", SECRET)
    monkeypatch.setenv("GATEWAY_ENV", "production")
    code, out, err = cli("token", "--staff")
    assert (code, out, "not made in production" in err) == (1, "", True)


async def test_secrets_of_the_environment_reach_the_server(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """And are those that were set, not what stands for them where settings are shown."""
    monkeypatch.setenv("TOKEN_SECRET", SECRET)
    monkeypatch.setenv("SIGNING_KEY", SECRET)
    _, token, _ = cli("token", "--customer", "alice")
    async with served("--store", f"sqlite:///{tmp_path}/x.db") as gateway:
        async with aiohttp.ClientSession() as http:
            for headers, status in ((bearer(token.strip()), 200), (bearer(token.strip() + "x"), 401)):
                async with http.post(f"{gateway.url}/graphql", json={"query": ORDERS}, headers=headers) as answer:
                    assert answer.status == status
                    assert ("errors" in await answer.json()) is (status == 401)
        await gateway.stop(signal.SIGTERM)
    assert gateway.process.returncode == 0
