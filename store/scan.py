"""All that there is, page by page: the documents of a partition, the changes of a feed up to its end."""

from collections.abc import AsyncIterator

from store.port import Changes, Container, Document, Query, Scope, Start

PAGE = 200


async def documents_of(container: Container, partition: str) -> AsyncIterator[Document]:
    """The documents of a partition, by id. Raises StoreError."""
    after: tuple[str, ...] | None = None
    more = True
    while more:
        page = await container.query(Query(partition, limit=PAGE, after=after))
        for document in page.documents:
            yield document
            after = (document.id,)
        more = page.more


async def changes_up_to_now(container: Container, scope: Scope, after: str | Start) -> AsyncIterator[Changes]:
    """The pages behind `after`, up to what was there when the last of them was read. Raises StoreError."""
    is_last = False
    while not is_last:
        page = await container.changes(scope, after, PAGE)
        if page.documents:
            yield page
        after, is_last = page.cursor, page.is_last
