"""The keys that tokens are verified with: one that is shared, or a set that their issuer publishes (RFC 7517)."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any, Protocol
from urllib.parse import urlsplit

import aiohttp
import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from gateway.identity.refusals import Unauthenticated
from gateway.json import NotJson, decode
from projector.tasks import Task, ended

log = logging.getLogger(__name__)

REFRESH_S = 300.0
"""Seconds between looks at what the issuer publishes."""
PAUSE_S = 10.0
"""Seconds in which the issuer is asked once at most, whatever tokens come."""
TIMEOUT_S = 5.0
MOST_BYTES = 1_000_000
RSA_BITS = 2048
ALGORITHMS = frozenset(("RS256", "ES256", "EdDSA"))

Found = tuple[Any, str]
"""A key, and the one algorithm that it is for."""


class NoKeys(Exception):
    """The issuer has not told any key yet; the message says why."""


class Keys(Protocol):
    """Where keys are found."""

    async def find(self, id: str | None) -> Found:
        """The key of that id. Raises Unauthenticated."""
        ...


class SharedKey:
    """One secret, which both sides have: HMAC with SHA-256."""

    def __init__(self, secret: str) -> None:
        self._found = (secret, "HS256")

    async def find(self, id: str | None) -> Found:
        """The secret, whatever it is called."""
        return self._found


class PublishedKeys:
    """The public keys that the issuer publishes, as they were when it last answered.

    A key that is not known yet has the issuer asked again, not more often than every PAUSE_S; all who wait for that
    share one question. While it does not answer, the keys that are known go on to be used.
    """

    def __init__(
        self,
        url: str,
        changed: Callable[[], None] = lambda: None,
        *,
        refresh_s: float = REFRESH_S,
        pause_s: float = PAUSE_S,
    ) -> None:
        """`changed` is called when a key was replaced or taken back."""
        self.changed = changed
        self._url = url
        parts = urlsplit(url)
        self._shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        self._refresh_s = refresh_s
        self._pause_s = pause_s
        self._keys: Mapping[str | None, jwt.PyJWK] = {}
        self._published: Any = None
        self._problem: str | None = "it was not asked yet"
        self._asked_at: float | None = None
        self._asking: Task | None = None

    async def find(self, id: str | None) -> Found:
        """The key of that id; without one the only key there is. Raises Unauthenticated."""
        key = self._known(id)
        if key is None:
            await self._look_again()
            key = self._known(id)
        if key is None:
            raise Unauthenticated("unavailable" if self._problem else "unknown_key")
        return key, key.algorithm_name

    async def keep(self) -> None:
        """Look at what is published again and again, without end. Raises NoKeys while there has been nothing."""
        try:
            while True:
                await self._look()
                if self._problem and not self._keys:
                    raise NoKeys(self._problem)
                await asyncio.sleep(self._pause_s if self._problem else self._refresh_s)
        finally:
            if self._asking:
                await ended(self._asking)

    def _known(self, id: str | None) -> jwt.PyJWK | None:
        if id is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(id)

    async def _look_again(self) -> None:
        """Look at what is published now, unless that was done just now."""
        now = asyncio.get_running_loop().time()
        if self._asking or self._asked_at is None or now - self._asked_at >= self._pause_s:
            await self._look()

    async def _look(self) -> None:
        """Have what is published taken; all who ask for that meanwhile wait for the same answer."""
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask())
        await asyncio.shield(self._asking)

    async def _ask(self) -> None:
        self._asked_at = asyncio.get_running_loop().time()
        try:
            published = await _fetched(self._url)
            keys = dict(_usable(published))
        except (OSError, aiohttp.ClientError, ValueError) as error:
            self._problem = f"{type(error).__name__}: {_reason(error)}"
            known = "those that are known are used" if self._keys else "no token can be verified"
            log.warning("the keys of tokens cannot be fetched from %s, so %s: %s", self._shown, known, self._problem)
            return
        finally:
            self._asking = None
        before, self._published, self._keys, self._problem = self._published, published, keys, None
        if before not in (None, published):
            log.info("the keys of tokens have changed: %s", ", ".join(map(str, keys)))
            self.changed()


def _reason(error: Exception) -> object:
    """Without the address, which may have a secret in it."""
    match error:
        case aiohttp.ClientResponseError():
            return error.status
        case aiohttp.InvalidURL():
            return "it is no address"
    return error


async def _fetched(url: str) -> Any:
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    async with (
        aiohttp.ClientSession(timeout=timeout, raise_for_status=True) as http,
        http.get(url, allow_redirects=False) as answer,
    ):
        if answer.status != 200:
            raise ValueError(f"the answer is {answer.status}")
        body = bytearray()
        async for chunk in answer.content.iter_any():
            body += chunk
            if len(body) > MOST_BYTES:
                raise ValueError("the answer is too long")
    try:
        return decode(bytes(body))
    except NotJson as error:
        raise ValueError("it is not JSON") from error


def _usable(published: Any) -> list[tuple[str | None, jwt.PyJWK]]:
    """The keys that are for signatures by one of ALGORITHMS, and strong enough."""
    listed = published.get("keys") if isinstance(published, dict) else None
    if not isinstance(listed, list):
        raise ValueError("it is not a set of keys")
    usable = []
    for one in listed:
        try:
            key = jwt.PyJWK(one)
        except (jwt.PyJWTError, ValueError, TypeError, AttributeError):
            continue  # of a kind that we do not know
        weak = isinstance(key.key, RSAPublicKey) and key.key.key_size < RSA_BITS
        if key.algorithm_name in ALGORITHMS and key.public_key_use in (None, "sig") and not weak:
            usable.append((key.key_id, key))
    if not usable:
        raise ValueError("there is no key in it that can be used")
    return usable
