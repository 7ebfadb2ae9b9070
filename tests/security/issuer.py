"""An issuer of tokens: it has keys, and publishes what is public of them on a port of this machine."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.serve import listen

Json = dict[str, Any]

NAME = "https://issuer.example"
AUDIENCE = "orders"
ALGORITHMS = {"rsa": "RS256", "ec": "ES256", "ed": "EdDSA"}

RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()


@dataclass
class Issuer:
    """Its keys by their ids, and what is asked of it; while `broken` it answers 500."""

    keys: dict[str, Any] = field(default_factory=lambda: {"rsa": RSA, "ec": EC, "ed": ED})
    url: str = ""
    asked: int = 0
    broken: bool = False
    answer: Callable[[], web.Response] | None = None

    @property
    def settings(self) -> Json:
        """How a gateway is set that takes its tokens."""
        return {"token_jwks_url": self.url, "token_issuer": NAME, "token_audience": AUDIENCE}

    @property
    def published(self) -> Json:
        return {"keys": [public(id, key) for id, key in self.keys.items()]}

    def token(self, key: str = "rsa", headers: Json | None = None, **claims: Any) -> str:
        """A token; a claim that is None is left out."""
        told = {"kid": key, **(headers or {})}
        headers = {name: value for name, value in told.items() if value is not None}
        return jwt.encode(claims_of(**claims), self.keys[key], ALGORITHMS[key.partition("-")[0]], headers)

    async def respond(self, request: web.Request) -> web.Response:
        self.asked += 1
        if self.broken:
            return web.Response(status=500)
        return self.answer() if self.answer else web.json_response(self.published)


def claims_of(**claims: Any) -> Json:
    """The claims of a token of Alice's, except for these."""
    now = time.time()
    told = {"sub": "alice", "customer": "alice", "iss": NAME, "aud": AUDIENCE, "iat": int(now), "exp": now + 300}
    return {name: value for name, value in (told | claims).items() if value is not None}


def public(id: str, key: Any) -> Json:
    """What is published of a key."""
    told: Json = KINDS[id.partition("-")[0]].to_jwk(key.public_key(), as_dict=True)
    return {"kid": id, "use": "sig", **told}


KINDS: dict[str, Any] = {
    "rsa": jwt.algorithms.RSAAlgorithm,
    "ec": jwt.algorithms.ECAlgorithm,
    "ed": jwt.algorithms.OKPAlgorithm,
}


def by_hand(header: Json | bytes, claims: Json | bytes, secret: bytes | None = None) -> str:
    """A token of any header and claims, signed with HMAC if there is a secret: what no library would make."""
    parts = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, claims)]
    signed = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    mac = hmac.digest(secret, signed, hashlib.sha256) if secret is not None else b""
    return (signed + b"." + base64.urlsafe_b64encode(mac).rstrip(b"=")).decode()


def pem(key: Any) -> bytes:
    """The public half of a key, as it is passed around."""
    text: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return text


@asynccontextmanager
async def open_issuer() -> AsyncIterator[Issuer]:
    """An issuer that is there to be asked, ended with the context."""
    issuer = Issuer()
    app = web.Application()
    app.router.add_get("/keys", issuer.respond)
    runner = web.AppRunner(app)
    await runner.setup()
    listener = listen("127.0.0.1", 0)
    await web.SockSite(runner, listener).start()
    issuer.url = f"http://127.0.0.1:{listener.getsockname()[1]}/keys"
    try:
        yield issuer
    finally:
        await runner.cleanup()
