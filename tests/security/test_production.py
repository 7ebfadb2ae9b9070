"""GATEWAY_ENV=production: refuses to start without what it needs, and has nothing of development."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway.app import create_app
from gateway.production import NEEDED, check_fit
from gateway.settings import BadSettings, Settings
from tests.gateway.edge import open_edge
from tests.gateway.processes import GATEWAY
from tests.security.asking import bearer, named, post
from tests.security.issuer import Issuer

FIT: dict[str, Any] = {
    "gateway_env": "production",
    "token_jwks_url": "https://issuer.example/keys",
    "token_issuer": "https://issuer.example",
    "token_audience": "orders",
    "signing_key": "k" * 32,
}


def missing(**settings: Any) -> list[str]:
    """What is said to be missing."""
    try:
        check_fit(Settings(**settings))
    except BadSettings as error:
        return str(error).splitlines()[1:]
    return []


def test_nothing_is_needed_in_development() -> None:
    assert missing() == []


def test_what_is_fit_is_said_nothing_of() -> None:
    assert missing(**FIT) == []


UNFIT = [
    ({"token_jwks_url": None}, "TOKEN_JWKS_URL"),
    ({"token_jwks_url": "http://issuer.example/keys"}, "TOKEN_JWKS_URL"),
    ({"token_issuer": None}, "TOKEN_ISSUER"),
    ({"token_audience": None}, "TOKEN_AUDIENCE"),
    ({"signing_key": None}, "SIGNING_KEY"),
]


@pytest.mark.parametrize(("change", "name"), UNFIT)
def test_each_thing_that_is_missing_is_named(change: dict[str, Any], name: str) -> None:
    (line,) = missing(**FIT | change)
    assert line.startswith(f"{name}: ")


def test_a_shared_secret_is_not_for_production() -> None:
    lines = missing(**FIT | {"token_jwks_url": None, "token_secret": "s" * 32})
    assert [line.partition(":")[0] for line in lines] == ["TOKEN_JWKS_URL", "TOKEN_SECRET"]


def test_all_that_is_missing_is_said_at_once() -> None:
    assert len(missing(gateway_env="production")) == 4 <= len(NEEDED)


@pytest.mark.parametrize("url", ["http://localhost:1/keys", "http://127.0.0.1:1/keys", "http://[::1]:1/keys"])
def test_keys_of_this_machine_need_no_tls(url: str) -> None:
    assert missing(**FIT | {"token_jwks_url": url}) == []


def test_there_is_no_application_of_what_is_not_fit() -> None:
    with pytest.raises(BadSettings, match="GATEWAY_ENV=production cannot be served like this"):
        create_app(Settings(gateway_env="production"))


@pytest.mark.parametrize("command", ["serve", "check"])
def test_the_process_says_what_is_missing_and_ends(command: str, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "GATEWAY_ENV": "production",
        "SIGNING_KEY": "swordfish" * 4,
        "TOKEN_SECRET": "swordfish" * 4,
        "STORE_URL": f"sqlite:///{tmp_path}/x.db",
    }
    ended = subprocess.run([GATEWAY, command], env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    for name in ("TOKEN_JWKS_URL", "TOKEN_ISSUER", "TOKEN_AUDIENCE", "TOKEN_SECRET"):
        assert f"{name}: " in ended.stderr
    assert "SIGNING_KEY: " not in ended.stderr
    assert "swordfish" not in ended.stderr + ended.stdout
    assert "Traceback" not in ended.stderr


def settings_of(issuer: Issuer) -> dict[str, Any]:
    return {**issuer.settings, "gateway_env": "production", "signing_key": "k" * 32}


async def test_nobodys_word_is_taken(issuer: Issuer) -> None:
    query = "{ orders { nodes { id } } }"
    async with open_edge(**settings_of(issuer)) as edge:
        for headers in ({}, named("staff"), named("customer:alice")):
            answer = await post(edge, headers, query)
            assert (answer.code, answer.body["data"]) == ("UNAUTHENTICATED", None)
        answer = await post(edge, bearer(issuer.token(roles=["staff"])), query)
        assert answer.body["data"] == {"orders": {"nodes": []}}


def test_what_believes_people_is_not_even_there(tmp_path: Path) -> None:
    """Nothing that opens a gateway in production imports it."""
    program = """
import asyncio, sys
from gateway.settings import read_settings
from gateway.wiring import running_gateway
async def run():
    async with running_gateway(read_settings()) as gateway:
        print(gateway.context.viewer.kind, "gateway.identity.development" in sys.modules)
asyncio.run(run())
"""
    environment = {**os.environ, **{name.upper(): value for name, value in FIT.items()}}
    environment |= {"STORE_URL": f"sqlite:///{tmp_path}/x.db", "TOKEN_JWKS_URL": "http://127.0.0.1:1/keys"}
    ended = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.stdout.split() == ["anonymous", "False"], ended.stderr


@pytest.mark.parametrize("path", ["/", "/desk", "/metrics"])
async def test_what_is_for_trying_is_there_only_if_it_is_set(issuer: Issuer, path: str) -> None:
    async with open_edge(**settings_of(issuer)) as edge:
        assert (await edge.get(path))[0] == 404
    wanted: dict[str, Any] = {"playground": True, "desk": True, "metrics": True}
    async with open_edge(**settings_of(issuer), **wanted) as edge:
        status, text = await edge.get(path)
        assert status == 200 or "not built" in text
