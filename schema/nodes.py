"""What types of several domains share: Node, and the connection, which `read_model.paging.Rows` is shown as."""

from typing import Generic, TypeVar

import strawberry

T = TypeVar("T")


@strawberry.interface(
    description="An object with a globally unique ID. "
    "IDs read `order:<customerId>:<uuid>`, `customer:<customerId>`, `product:<sku>`."
)
class Node:
    id: strawberry.ID = strawberry.field(description="The globally unique ID.")


@strawberry.type(description="Where a page stands in its list.")
class PageInfo:
    has_next_page: bool = strawberry.field(description="Whether rows follow the last one of this page.")
    has_previous_page: bool = strawberry.field(description="Whether rows come before the first one of this page.")
    start_cursor: str | None = strawberry.field(description="The first row's cursor; null for an empty page.")
    end_cursor: str | None = strawberry.field(description="The last row's cursor; null for an empty page.")


@strawberry.type(description="A row of a list, and its place there.")
class Edge(Generic[T]):
    cursor: str = strawberry.field(description="The row's place; `after` and `before` continue from it.")
    node: T = strawberry.field(description="The row.")


@strawberry.type(description="A page of a list.")
class Connection(Generic[T]):
    edges: list[Edge[T]] = strawberry.field(description="The rows with their cursors.")
    nodes: list[T] = strawberry.field(description="The rows.")
    page_info: PageInfo = strawberry.field(description="Where this page stands in the list.")
