"""Where documents are kept: the port, and the engines behind it. Imports nothing of ours; only it knows a database."""

from collections.abc import Iterable

from store.delegates import ContainerDelegate, StoreDelegate
from store.errors import (
    Conflict,
    CursorInvalid,
    OutcomeUnknown,
    StoreError,
    StoreUnusable,
    Throttled,
    TooLarge,
    Unavailable,
)
from store.port import (
    MAX_WRITES,
    Changes,
    Condition,
    Container,
    ContainerSpec,
    Contains,
    Create,
    Delete,
    Document,
    Eq,
    Etag,
    FeedRange,
    In,
    Index,
    Order,
    Page,
    Partition,
    Prefix,
    ProvisionStep,
    Query,
    Range,
    Replace,
    Scalar,
    Scope,
    Start,
    Store,
    Upsert,
    Write,
    decoded,
)
from store.scan import changes_up_to_now, documents_of
from store.sqlite import open_sqlite
from store.turns import Turns

__all__ = [
    "MAX_WRITES",
    "Changes",
    "Condition",
    "Conflict",
    "Container",
    "ContainerDelegate",
    "ContainerSpec",
    "Contains",
    "Create",
    "CursorInvalid",
    "Delete",
    "Document",
    "Eq",
    "Etag",
    "FeedRange",
    "In",
    "Index",
    "Order",
    "OutcomeUnknown",
    "Page",
    "Partition",
    "Prefix",
    "ProvisionStep",
    "Query",
    "Range",
    "Replace",
    "Scalar",
    "Scope",
    "Start",
    "Store",
    "StoreDelegate",
    "StoreError",
    "StoreUnusable",
    "Throttled",
    "TooLarge",
    "Turns",
    "Unavailable",
    "Upsert",
    "Write",
    "changes_up_to_now",
    "decoded",
    "documents_of",
    "open_store",
]

SQLITE = "sqlite:///"


async def open_store(
    url: str,
    containers: Iterable[ContainerSpec],
    *,
    feed_ranges: int = 4,
    key: str | None = None,
    database: str = "gateway",
    poll_s: float | None = None,
) -> Store:
    """Open the store that `url` names.

    `sqlite:///data/gateway.db` is a file relative to the working directory, `sqlite:////srv/gateway.db` an absolute
    one, `sqlite:///:memory:` a store that lives as long as the process; containers are made where they are missing,
    `feed_ranges` is for a new file. `https://<account>.documents.azure.com:443/` is an account of Azure Cosmos DB,
    with its `key` (None: the identity of the process) and `database`, which must be provisioned, asked every `poll_s`
    seconds for what other processes have committed. Raises StoreUnusable.
    """
    if url.startswith(SQLITE) and len(url) > len(SQLITE):
        return await open_sqlite(url.removeprefix(SQLITE), containers, ranges=feed_ranges)
    if url.startswith(("https://", "http://")):
        from store.cosmos import open_cosmos  # the SDK takes its time to load

        return await open_cosmos(url, key, database, containers, poll_s)
    raise StoreUnusable(f"{url!r} is not a store: write sqlite:///path/to/file.db, or an account's https:// address")
