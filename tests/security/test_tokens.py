"""Bearer tokens: those of the issuer are taken, whatever else is made up is a 401, and keys come and go."""

import asyncio
import base64
import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from gateway.identity import Unauthenticated
from gateway.identity.keys import NoKeys, PublishedKeys
from gateway.identity.tokens import Tokens
from gateway.settings import Settings
from schema.viewer import Viewer
from tests.gateway.edge import Edge, open_edge
from tests.projector.world import PATIENCE_S, until
from tests.schema.api import UUIDS, new_order
from tests.security.asking import bearer, post
from tests.security.issuer import ALGORITHMS, AUDIENCE, NAME, RSA, Issuer, by_hand, claims_of, open_issuer, pem, public

ORDERS = '{ customerOrders(customerId: "alice") { nodes { id } } }'
SECRET = "a secret of development, of 32 or more"
OTHER = rsa.generate_private_key(65537, 2048)


# ---------------------------------------------------------------------------------------------------- taken


@pytest.mark.parametrize("key", ALGORITHMS)
async def test_a_token_of_the_issuer_says_who_asks(issuer: Issuer, guarded: Edge, key: str) -> None:
    answer = await post(guarded, bearer(issuer.token(key)), ORDERS)
    assert (answer.status, answer.code) == (200, None)


async def test_a_token_behind_the_body_is_none(issuer: Issuer, guarded: Edge) -> None:
    parts = urlsplit(guarded.url)
    body = json.dumps({"query": ORDERS}).encode()
    head = b"POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    trailer = b"authorization: Bearer %s\r\nconnection: close\r\n\r\n" % issuer.token().encode()
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    async with asyncio.timeout(PATIENCE_S):
        writer.write(head + b"%x\r\n%b\r\n0\r\n%b" % (len(body), body, trailer))
        await reader.readuntil(b'"UNAUTHENTICATED"')
    writer.close()


async def test_the_scheme_may_be_written_in_any_case(issuer: Issuer, guarded: Edge) -> None:
    answer = await post(guarded, {"authorization": f"bEARER {issuer.token()}"}, ORDERS)
    assert answer.code is None


async def test_a_token_that_is_known_is_not_verified_again(
    issuer: Issuer, guarded: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = bearer(issuer.token())
    assert (await post(guarded, headers, ORDERS)).code is None
    monkeypatch.setattr(jwt, "decode", None)
    assert (await post(guarded, headers, ORDERS)).code is None


async def test_clocks_may_differ_a_little(issuer: Issuer, guarded: Edge) -> None:
    now = time.time()
    token = issuer.token(exp=now - 5, iat=int(now) + 5, nbf=int(now) + 5)
    assert (await post(guarded, bearer(token), ORDERS)).code is None


CLAIMS: list[tuple[dict[str, Any], Viewer]] = [
    ({}, Viewer("customer", "alice", customer="alice")),
    ({"sub": "auth|1", "customer": "a.b@c"}, Viewer("customer", "auth|1", customer="a.b@c")),
    ({"roles": ["staff"], "customer": None}, Viewer("staff", "alice")),
    ({"roles": "admin staff"}, Viewer("staff", "alice")),
    ({"roles": ["Staff", 7, None]}, Viewer("customer", "alice", customer="alice")),
    ({"roles": {"staff": True}}, Viewer("customer", "alice", customer="alice")),
    ({"scope": "orders:fulfil"}, Viewer("customer", "alice", customer="alice")),
    (
        {"customer": None, "scope": "orders:read orders:fulfil"},
        Viewer("service", "alice", scopes=frozenset(("orders:read", "orders:fulfil"))),
    ),
    ({"customer": None, "scp": ["orders:read", 1]}, Viewer("service", "alice", scopes=frozenset(("orders:read",)))),
    ({"customer": None, "scope": 7}, Viewer("service", "alice")),
    ({"customer": None}, Viewer("service", "alice")),
]


@pytest.mark.parametrize(("claims", "viewer"), CLAIMS, ids=range(len(CLAIMS)))
async def test_claims_say_who_somebody_is_and_what_they_may_do(
    issuer: Issuer, claims: dict[str, Any], viewer: Viewer
) -> None:
    tokens = Tokens(PublishedKeys(issuer.url), Settings(**issuer.settings))
    told = await tokens.viewer(f"Bearer {issuer.token(**claims)}".encode())
    assert told.is_as(viewer)
    assert told.expires_at
    assert time.time() + 300 < told.expires_at < time.time() + 331


async def test_which_claims_they_are_can_be_set(issuer: Issuer) -> None:
    settings = Settings(**issuer.settings, token_customer_claim="sub", token_roles_claim="https://shop/roles")
    tokens = Tokens(PublishedKeys(issuer.url), settings)
    told = await tokens.viewer(f"Bearer {issuer.token(customer='bob')}".encode())
    assert (told.kind, told.customer) == ("customer", "alice")
    roles: dict[str, Any] = {"https://shop/roles": ["staff"]}
    told = await tokens.viewer(f"Bearer {issuer.token(**roles)}".encode())
    assert told.kind == "staff"


# ---------------------------------------------------------------------------------------------------- refused


def signed(key: Any, algorithm: str, **headers: Any) -> str:
    return jwt.encode(claims_of(), key, algorithm, headers)


def cut(token: str, part: int, value: str) -> str:
    parts = token.split(".")
    parts[part] = value
    return ".".join(parts)


def as_staff(token: str) -> str:
    """The token with another claim, and the signature as it was."""
    claims = claims_of(roles=["staff"])
    return cut(token, 1, base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode())


FORGED: dict[str, tuple[str, Callable[[Issuer], str]]] = {
    "expired": ("expired", lambda issuer: issuer.token(exp=time.time() - 60)),
    "not yet valid": ("not_yet_valid", lambda issuer: issuer.token(nbf=time.time() + 600)),
    "issued in the future": ("not_yet_valid", lambda issuer: issuer.token(iat=int(time.time()) + 600)),
    "another issuer": ("issuer", lambda issuer: issuer.token(iss="https://elsewhere.example")),
    "no issuer": ("claims", lambda issuer: issuer.token(iss=None)),
    "another audience": ("audience", lambda issuer: issuer.token(aud="payroll")),
    "no audience": ("claims", lambda issuer: issuer.token(aud=None)),
    "no expiry": ("claims", lambda issuer: issuer.token(exp=None)),
    "no subject": ("claims", lambda issuer: issuer.token(sub=None)),
    "an empty subject": ("claims", lambda issuer: issuer.token(sub="")),
    "a subject that breaks lines": ("claims", lambda issuer: issuer.token(sub="alice\nstaff")),
    "a customer that cannot be": ("claims", lambda issuer: issuer.token(customer="alice:bob")),
    "a customer that is no text": ("claims", lambda issuer: issuer.token(customer=["alice"])),
    "an expiry that is no number": ("malformed", lambda issuer: issuer.token(exp="soon")),
    "an expiry without end": ("malformed", lambda issuer: issuer.token(exp=float("inf"))),
    "alg none": ("algorithm", lambda issuer: by_hand({"alg": "none", "kid": "rsa"}, claims_of())),
    "alg None": ("algorithm", lambda issuer: by_hand({"alg": "None", "kid": "rsa"}, claims_of())),
    "no alg": ("algorithm", lambda issuer: by_hand({"kid": "rsa"}, claims_of())),
    "the public key taken for a secret": (
        "algorithm",
        lambda issuer: by_hand({"alg": "HS256", "kid": "rsa"}, claims_of(), pem(RSA)),
    ),
    "another algorithm for the same key": ("algorithm", lambda issuer: signed(RSA, "RS512", kid="rsa")),
    "another kind of key than the named one": (
        "algorithm",
        lambda issuer: signed(ec.generate_private_key(ec.SECP256R1()), "ES256", kid="rsa"),
    ),
    "somebody else's key": ("signature", lambda issuer: signed(OTHER, "RS256", kid="rsa")),
    "a key that comes with the token": (
        "unknown_key",
        lambda issuer: signed(OTHER, "RS256", kid="mine", jku="http://127.0.0.1:1/keys"),
    ),
    "an unknown key": ("unknown_key", lambda issuer: signed(OTHER, "RS256", kid="other")),
    "no key": ("unknown_key", lambda issuer: issuer.token(headers={"kid": None})),
    "another claim": ("signature", lambda issuer: as_staff(issuer.token())),
    "no signature": ("signature", lambda issuer: cut(issuer.token(), 2, "")),
    "half a token": ("malformed", lambda issuer: issuer.token().rpartition(".")[0]),
    "no token": ("malformed", lambda issuer: ""),
    "words": ("malformed", lambda issuer: "let me in"),
    "a header that is a list": ("malformed", lambda issuer: by_hand(b"[]", claims_of())),
    "a header that nests": ("malformed", lambda issuer: by_hand(b'{"alg":' + b"[" * 5000, claims_of())),
    "a header with a long number": ("malformed", lambda issuer: by_hand(b'{"a":' + b"1" * 5000 + b"}", {})),
    "a key id that is a number": ("malformed", lambda issuer: by_hand({"alg": "RS256", "kid": 7}, claims_of())),
    "claims that are a list": ("malformed", lambda issuer: jwt.PyJWS().encode(b"[]", RSA, "RS256", {"kid": "rsa"})),
    "too long": ("malformed", lambda issuer: issuer.token(more="x" * 8192)),
}


@pytest.mark.parametrize("name", FORGED)
async def test_a_token_that_proves_nothing_is_a_401_and_nobody(
    issuer: Issuer, guarded: Edge, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    reason, forge = FORGED[name]
    answer = await post(guarded, bearer(forge(issuer)))
    assert (answer.status, answer.code, "data" in answer.body) == (401, "UNAUTHENTICATED", False)
    assert answer.headers["www-authenticate"].startswith('Bearer error="invalid_token", error_description="')
    metrics = guarded.gateway.telemetry.metrics.registry
    assert metrics.get_sample_value("gateway_unauthenticated_total", {"reason": reason}) == 1
    assert "credentials were refused" in caplog.text
    assert (await post(guarded, bearer(issuer.token()), ORDERS)).code is None


@pytest.mark.parametrize("value", ["Basic YWxpY2U6c2VjcmV0", "Bearer", "", "é"])
async def test_other_credentials_are_refused_too(guarded: Edge, value: str) -> None:
    assert (await post(guarded, {"authorization": value})).status == 401


async def test_two_tokens_are_none(issuer: Issuer, guarded: Edge) -> None:
    headers = [("authorization", f"Bearer {issuer.token()}"), ("authorization", f"Bearer {issuer.token(sub='x')}")]
    async with guarded.http.post(f"{guarded.url}/graphql", json={"query": ORDERS}, headers=headers) as answer:
        assert answer.status == 401


async def test_a_token_that_has_expired_since_is_refused(issuer: Issuer) -> None:
    async with open_edge(**issuer.settings, token_leeway_s=0) as edge:
        expires_at = time.time() + 3
        headers = bearer(issuer.token(exp=expires_at))
        assert (await post(edge, headers, ORDERS)).status == 200
        await until(lambda: time.time() > expires_at)
        assert (await post(edge, headers, ORDERS)).status == 401


async def test_without_a_token_nobody_asks(guarded: Edge) -> None:
    answer = await post(guarded, {}, ORDERS)
    assert (answer.status, answer.code) == (200, "UNAUTHENTICATED")
    assert (await post(guarded, {})).body["data"] == {"__typename": "Query"}


async def test_a_header_of_development_says_nothing_where_tokens_are_taken(guarded: Edge) -> None:
    assert (await post(guarded, {"x-development-identity": "staff"}, ORDERS)).code == "UNAUTHENTICATED"


@pytest.mark.parametrize("path", ["/graphql", "/graphql/stream"])
async def test_a_bad_token_is_refused_before_anything_is_read(guarded: Edge, path: str) -> None:
    async with guarded.http.post(guarded.url + path, data=b"what", headers=bearer("x")) as answer:
        assert answer.status == 401


# ---------------------------------------------------------------------------------------------------- keys


async def test_a_key_that_is_new_is_fetched_and_one_that_was_taken_back_is_not_taken_any_more(issuer: Issuer) -> None:
    changed = []
    keys = PublishedKeys(issuer.url, lambda: changed.append(1), pause_s=0)
    assert (await keys.find("rsa"))[1] == "RS256"
    issuer.keys = {"rsa-2": OTHER}
    assert (await keys.find("rsa-2"))[1] == "RS256"
    assert (issuer.asked, changed) == (2, [1])
    with pytest.raises(Unauthenticated, match="not known"):
        await keys.find("rsa")


async def test_tokens_that_are_known_are_verified_again_when_keys_have_changed(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    defaults = PublishedKeys.__init__.__kwdefaults__
    assert defaults
    monkeypatch.setitem(defaults, "pause_s", 0)
    async with open_edge(**issuer.settings) as edge:
        headers = bearer(issuer.token())
        assert (await post(edge, headers, ORDERS)).status == 200
        issuer.keys = {"rsa-2": OTHER}
        assert (await post(edge, headers, ORDERS)).status == 200, "nobody has looked yet"
        assert (await post(edge, bearer(issuer.token("rsa-2")), ORDERS)).status == 200
        assert (await post(edge, headers, ORDERS)).status == 401


async def test_unknown_keys_have_the_issuer_asked_once_in_a_while(issuer: Issuer, guarded: Edge) -> None:
    assert (await post(guarded, bearer(issuer.token()))).status == 200
    for number in range(20):
        assert (await post(guarded, bearer(signed(OTHER, "RS256", kid=f"k{number}")))).status == 401
    assert issuer.asked <= 2


async def test_of_the_address_of_the_keys_nothing_secret_is_logged(
    issuer: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    issuer.broken = True
    address = issuer.url.replace("http://", "http://user:SECRET@")
    keys = PublishedKeys(f"{address}?key=SECRET")
    with pytest.raises(NoKeys) as problem:
        await keys.keep()
    assert f"cannot be fetched from {issuer.url}, so" in caplog.text
    assert "SECRET" not in f"{caplog.text} {problem.value}"


async def test_keys_that_are_known_are_used_while_the_issuer_does_not_answer(
    issuer: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    keys = PublishedKeys(issuer.url, pause_s=0)
    await keys.find("rsa")
    issuer.broken = True
    with pytest.raises(Unauthenticated) as refused:
        await keys.find("rsa-2")
    assert (refused.value.reason, refused.value.code) == ("unavailable", "UNAVAILABLE")
    assert f"the keys of tokens cannot be fetched from {issuer.url}" in caplog.text
    await keys.find("rsa")
    issuer.broken = False
    issuer.keys["rsa-2"] = OTHER
    await keys.find("rsa-2")


async def test_a_gateway_whose_issuer_never_answered_is_not_ready_and_says_try_again(issuer: Issuer) -> None:
    issuer.broken = True
    async with open_edge(**issuer.settings) as edge:
        answer = await post(edge, bearer(issuer.token()))
        assert (answer.status, answer.code, answer.headers["retry-after"]) == (503, "UNAVAILABLE", "10")
        await until(lambda: "token keys" in edge.gateway.supervisor.failing)
        status, told = await edge.get("/readyz")
        assert (status, "token keys" in json.loads(told)["problems"]) == (503, True)


async def test_keys_are_looked_at_again_by_themselves(issuer: Issuer) -> None:
    keys = PublishedKeys(issuer.url, refresh_s=0.01, pause_s=0.01)
    keeping = asyncio.create_task(keys.keep())
    try:
        await until(lambda: issuer.asked > 2)
        issuer.broken = True
        asked = issuer.asked
        await until(lambda: issuer.asked > asked + 2)
        assert not keeping.done()
        assert (await keys.find("ec"))[1] == "ES256"
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


UNUSABLE: dict[str, Callable[[], web.Response]] = {
    "no JSON": lambda: web.Response(body=b"<html>"),
    "no set": lambda: web.json_response([]),
    "no list": lambda: web.json_response({"keys": {}}),
    "nothing": lambda: web.json_response({"keys": []}),
    "a redirect": lambda: web.Response(status=302, headers={"location": "/keys"}),
    "not there": lambda: web.Response(status=204),
    "too long": lambda: web.Response(body=b" " * 1_000_001),
    "a secret": lambda: web.json_response({"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "rsa"}]}),
    "odd ones": lambda: web.json_response({"keys": [7, None, {}, {"kty": "RSA"}, {"kty": "EC", "crv": "P-9"}]}),
}


@pytest.mark.parametrize("name", UNUSABLE)
async def test_what_is_no_set_of_keys_is_not_taken_for_one(name: str) -> None:
    async with open_issuer() as issuer:
        issuer.answer = UNUSABLE[name]
        with pytest.raises(Unauthenticated) as refused:
            await PublishedKeys(issuer.url).find("rsa")
        assert refused.value.reason == "unavailable"


async def test_a_key_that_is_weak_or_for_something_else_is_not_used(issuer: Issuer) -> None:
    published = issuer.published["keys"]
    weak = rsa.generate_private_key(65537, 1024)
    listed = [public("rsa-weak", weak), {**published[0], "kid": "enc", "use": "enc"}, {**published[0], "alg": "RS512"}]
    issuer.answer = lambda: web.json_response({"keys": [*listed, published[1]]})
    keys = PublishedKeys(issuer.url)
    for id in ("rsa-weak", "enc", "rsa"):
        with pytest.raises(Unauthenticated, match="not known"):
            await keys.find(id)
    assert (await keys.find(None))[1] == "ES256"


# ---------------------------------------------------------------------------------------------------- shared secret


async def test_in_development_tokens_may_be_signed_with_a_secret() -> None:
    async with open_edge(token_secret=SECRET) as edge:
        token = jwt.encode({"sub": "alice", "customer": "alice", "exp": time.time() + 60}, SECRET, "HS256")
        assert (await post(edge, bearer(token), ORDERS)).code is None
        for forged in (
            jwt.encode({"sub": "alice", "exp": time.time() + 60}, SECRET[::-1], "HS256"),
            jwt.encode({"sub": "alice", "exp": time.time() + 60}, SECRET * 2, "HS512"),
            by_hand({"alg": "none"}, {"sub": "alice", "exp": time.time() + 60}),
            signed(RSA, "RS256"),
        ):
            assert (await post(edge, bearer(forged))).status == 401
        assert (await post(edge, {}, ORDERS)).code == "UNAUTHENTICATED"


async def test_a_secret_may_go_with_an_issuer_and_an_audience() -> None:
    async with open_edge(token_secret=SECRET, token_issuer=NAME, token_audience=AUDIENCE) as edge:
        assert (await post(edge, bearer(jwt.encode(claims_of(), SECRET, "HS256")))).status == 200
        assert (await post(edge, bearer(jwt.encode(claims_of(aud="x"), SECRET, "HS256")))).status == 401


async def test_a_command_is_carried_out_as_who_the_token_says(issuer: Issuer, guarded: Edge) -> None:
    create = "mutation($input: CreateOrderInput!) { createOrder(input: $input) { __typename } }"
    input = new_order("alice", orderUuid=UUIDS[1])
    answer = await post(guarded, bearer(issuer.token()), create, {"input": input})
    assert answer.body["data"] == {"createOrder": {"__typename": "OrderCommandSucceeded"}}
    answer = await post(guarded, bearer(issuer.token(sub="bob", customer="bob")), create, {"input": input})
    assert answer.code == "FORBIDDEN"
