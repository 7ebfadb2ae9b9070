"""The documents that the store's tests keep, and the few steps that most of them share."""

from typing import Any

from store import Container, ContainerSpec, Create, Document, Etag, Index, Query, Scope, Start, Upsert

NOTES = ContainerSpec(
    name="notes",
    partition_key="owner",
    indexes=(
        Index(("rank",)),
        Index(("rank",), across=True),
        Index(("group", "rank")),
        Index(("group", "rank"), across=True),
        Index(("rank",), where=("kind", "task")),
        Index(("at.hour",)),
        Index(("text",)),
    ),
)
TAGS = ContainerSpec(name="tags", partition_key="topic", indexes=(Index(("n",)),))
CONTAINERS = (NOTES, TAGS)

MEGABYTE = 1024 * 1024

HOSTILE = [
    'it\'s "quoted" `so`',
    "'; DROP TABLE c_notes; --",
    "1 OR 1=1",
    ":v2 ?1 @now $limit",
    "%_*[a-z]",
    "Zürich 東京 🛒👩‍👩‍👧",
    "e\u0301 is not \u00e9",
    "\u202eright to left",
    "line\nbreak\ttab\x7f",
    " leading and trailing ",
    "null",
    "é" * 100,
]
HOSTILE_BODIES = [*HOSTILE, "", "NUL\x00inside", "back\\slash/slash?#", "x" * (MEGABYTE // 2)]

HANGS_AFTER = 60.0
"""Seconds after which a test that waits is taken for hanging; nothing is expected to take as long."""


def note(owner: str, id: str, **fields: object) -> dict[str, object]:
    """A body with what every engine needs in it: the id and the partition key."""
    return {"id": id, "owner": owner, **fields}


def create(owner: str, id: str, **fields: object) -> Create:
    return Create(id, note(owner, id, **fields))


async def keep(container: Container, owner: str, *ids: str, ttl: int | None = None, **fields: object) -> list[Etag]:
    """Store, or store anew, the notes `ids` in one commit; the etags."""
    etags = await container.commit(owner, [Upsert(id, note(owner, id, **fields), ttl=ttl) for id in ids])
    return [etag for etag in etags if etag]


def content(document: Document | None) -> dict[str, Any]:
    """The body without what an engine adds to it."""
    assert document is not None
    return document.content()


async def ids(container: Container, query: Query) -> list[str]:
    return [document.id for document in (await container.query(query)).documents]


async def follow(
    container: Container, scope: Scope, after: str | Start = Start.BEGINNING, limit: int = 100
) -> tuple[list[Document], str]:
    """The feed of `scope` page by page until nothing newer is there, and the cursor behind it."""
    found = []
    while (page := await container.changes(scope, after, limit)).documents:
        found += page.documents
        after = page.cursor
    return found, page.cursor


async def follow_all(container: Container) -> list[Document]:
    """The feeds of all ranges, from the beginning."""
    return [document for scope in await container.feed_ranges() for document in (await follow(container, scope))[0]]
