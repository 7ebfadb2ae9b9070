"""The change feed of one range or one partition, page by page, with cursors that can be kept.

The SDK's own continuation is the cursor. It is taken from a page as it comes, and at the end of the feed from the
headers of the empty answer. Only one range is asked at a time, and only from the beginning or from now: continuations
of several ranges, and of points in time, cannot be resumed (azure-cosmos 4.17.1, observed; #43018).
"""

import base64
import binascii
import json
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any

from azure.cosmos.aio import ContainerProxy
from azure.cosmos.partition_key import PartitionKey

from store.cosmos.errors import reading
from store.errors import CursorInvalid
from store.port import FeedRange, Partition, Scope, Start

JSON = dict[str, Any]


def range_of(feed_range: Mapping[str, Any]) -> FeedRange:
    """The SDK's feed range as the port's."""
    return FeedRange(f"{feed_range['Range']['min']}-{feed_range['Range']['max']}")


def parts_of(range_: FeedRange, ranges: Iterable[FeedRange]) -> list[FeedRange]:
    """Where `range_` meets each of `ranges`."""
    low, high = range_.id.split("-")
    cuts = (other.id.split("-") for other in ranges)
    return [
        FeedRange(f"{start}-{end}")
        for other_low, other_high in cuts
        if (start := max(low, other_low)) < (end := min(high, other_high))
    ]


async def read_page(
    container: ContainerProxy, scope: Scope, after: str | Start, limit: int, hook: Any
) -> tuple[list[JSON], str]:
    """The next page behind `after` and its cursor; both may reach beyond `scope`. Raises CursorInvalid."""
    headers: MutableMapping[str, Any] = {}

    def note(last: MutableMapping[str, Any], body: object) -> None:
        nonlocal headers
        headers = last  # the SDK puts its continuation into this very mapping once the hook has returned
        hook(last, body)

    # After a split the continuation has a part for each half, and can be resumed only once each was asked.
    documents: list[JSON] = []
    options: JSON = {"max_item_count": limit, "response_hook": note}
    if isinstance(after, str):
        options["continuation"] = confined(after, scope)
    else:
        options["start_time"] = "Now" if after is Start.NOW else "Beginning"
        options |= {"partition_key": scope.key} if isinstance(scope, Partition) else {"feed_range": to_sdk(scope)}
    try:
        async with reading("the change feed"):
            pager = container.query_items_change_feed(**options).by_page()
            async for page in pager:
                documents += [document async for document in page]
                cursor = str(pager.continuation_token)  # type: ignore[attr-defined]
                if _is_whole(cursor):
                    return documents, cursor
    except ValueError as error:
        if "rid" not in str(error):  # "Mismatch collection rid", "... container_rid ...": what the SDK says of it
            raise
        raise CursorInvalid(
            "the cursor belongs to another container, or to one that was deleted and made anew; the read model must "
            "be built anew from the beginning"
        ) from error
    return documents, str(headers.get("etag") or after)


def within(scope: Scope, documents: list[JSON], partition_key: str) -> list[JSON]:
    """The documents that lie in `scope`: what lies beyond it belongs to another follower."""
    if isinstance(scope, Partition):
        return documents
    return [document for document in documents if _has(scope, _hash(document[partition_key]))]


def range_around(partition: str, ranges: Iterable[FeedRange]) -> FeedRange:
    """Which of the ranges, that together are the container, a partition lies in."""
    place = _hash(partition)
    return next(range_ for range_ in ranges if _has(range_, place))


def _has(range_: FeedRange, place: str) -> bool:
    low, high = range_.id.split("-")
    return low <= place < high


def _hash(partition: str) -> str:
    """Where a partition lies. The SDK's hash asks for a path, and does not use it."""
    return str(PartitionKey(path="/-")._get_epk_range_for_partition_key(partition).min)


def confined(cursor: str, scope: Scope) -> str:
    """The cursor for that part of its ranges which lies in `scope`. Raises CursorInvalid for what is no cursor.

    When a partition splits, the SDK goes on with both halves whole, even if the range asked for was narrower. A
    follower of a part of a range, or of a partition, in its turn, continues from a cursor of the whole.
    """
    state = _state(cursor)
    reached = state["continuation"]
    if isinstance(scope, Partition):
        if "PK" in reached:
            return cursor
        low = _hash(scope.key)
        high = f"{int(low, 16) + 1:0{len(low)}X}"
        del reached["Range"]
        reached["PK"] = scope.key
    else:
        low, high = scope.id.split("-")
    tokens = reached["continuation"]
    if "PK" not in reached and all(low <= token["range"]["min"] and token["range"]["max"] <= high for token in tokens):
        return cursor
    reached["continuation"] = [
        {**token, "range": {**token["range"], "min": start, "max": end}}
        for token in tokens
        if (start := max(low, token["range"]["min"])) < (end := min(high, token["range"]["max"]))
    ]
    return base64.b64encode(json.dumps(state).encode()).decode()


def _is_whole(cursor: str) -> bool:
    """Whether every range of the cursor was asked, which after a split takes a while."""
    return all(token["token"] for token in _state(cursor)["continuation"]["continuation"])


def _state(cursor: str) -> JSON:
    try:
        state: JSON = json.loads(base64.b64decode(cursor, validate=True))
        for token in state["continuation"]["continuation"]:
            token["range"]["min"], token["range"]["max"], token["token"]
    except (binascii.Error, ValueError, KeyError, TypeError) as error:
        raise CursorInvalid("this is not a cursor of a change feed") from error
    return state


def to_sdk(range_: FeedRange) -> JSON:
    """The port's feed range as the SDK's."""
    low, high = range_.id.split("-")
    return {"Range": {"min": low, "max": high, "isMinInclusive": True, "isMaxInclusive": False}}
