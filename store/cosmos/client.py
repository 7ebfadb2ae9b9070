"""One client of an account for the process and its loop: tuned, and closed with all that it holds."""

import binascii
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from azure.core.settings import settings
from azure.cosmos.aio import CosmosClient

from store.cosmos.errors import reading
from store.cosmos.transport import Transport
from store.errors import StoreUnusable

READ_TIMEOUT_S = 6.0
"""The service gives up after 5 seconds; see its documentation of request time-outs."""
CONNECT_TIMEOUT_S = 3.0
CONNECTIONS = 200
"""Requests of this process at the same time; others wait."""


@asynccontextmanager
async def connect(url: str, key: str | None) -> AsyncIterator[CosmosClient]:
    """A client of the account at `url`, closed at the end.

    It shows `key`, or without one the process' own identity (azure-identity, the extra `azure`). Raises StoreUnusable
    for a refused key or identity, Unavailable when nothing answers.
    """
    # Otherwise the SDK asks the environment several times for each request.
    settings.tracing_enabled = settings.tracing_enabled()
    async with _credential(key) as credential, Transport(CONNECTIONS) as transport:
        with _reading_the_key():
            client = CosmosClient(
                url,
                credential,
                transport=transport,
                connection_timeout=CONNECT_TIMEOUT_S,
                read_timeout=READ_TIMEOUT_S,
                no_response_on_write=True,
            )
        try:
            with _reading_the_key():
                async with reading(f"the account at {url}"):
                    await client.__aenter__()
            yield client
        finally:
            await client.close()


@contextmanager
def _reading_the_key() -> Iterator[None]:
    """The SDK decodes the key when it is given, or when it first signs with it."""
    try:
        yield
    except (ValueError, binascii.Error) as error:
        raise StoreUnusable("COSMOS_KEY is not a key of Cosmos DB (base64)") from error


@asynccontextmanager
async def _credential(key: str | None) -> AsyncIterator[Any]:
    if key:
        yield key
        return
    try:
        from azure.identity.aio import DefaultAzureCredential
    except ImportError as error:
        raise StoreUnusable("give COSMOS_KEY, or install azure-identity to use the process' own identity") from error
    async with DefaultAzureCredential() as credential:
        yield credential
