"""The change feed in LatestVersion mode: what changed behind an LSN, each item once, in commit order.

A page never cuts a transaction in two: it grows beyond the size asked for instead.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from .containers import Container
from .errors import bad_request
from .partitions import Item, Partition


@dataclass(frozen=True, slots=True)
class FeedPage:
    """Items of one page (none: 304) and the etag to continue with."""

    items: list[Item]
    etag: str

    def documents(self) -> list[dict[str, Any]]:
        return [{**item.body, "_lsn": item.lsn} for item in self.items]


def parse_lsn(etag: str) -> int:
    try:
        return int(etag.strip('"'))
    except ValueError as error:
        raise bad_request(f"The If-None-Match value {etag} is not a continuation of the change feed.") from error


def _since(text: str) -> float:
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        try:
            moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
        except ValueError as error:
            raise bad_request(f"The If-Modified-Since value '{text}' is not a date.") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def page(
    container: Container,
    partition: Partition,
    scope: Callable[[Item], bool],
    size: int,
    none_match: str | None,
    modified_since: str | None,
) -> FeedPage:
    """The next page of `partition`, of the items in `scope`."""
    if none_match == "*":
        return FeedPage([], f'"{partition.lsn}"')
    start = 0 if none_match is None else parse_lsn(none_match)
    found = [item for item in partition.after(start) if scope(item) and container.is_live(item)]
    if modified_since is not None and none_match is None:
        since = _since(modified_since)
        found = [item for item in found if item.body["_ts"] >= since]
    if not found:
        return FeedPage([], f'"{max(partition.lsn, start)}"')
    end = min(size, len(found)) if size > 0 else len(found)
    while end < len(found) and found[end].lsn == found[end - 1].lsn:
        end += 1
    return FeedPage(found[:end], f'"{found[end - 1].lsn}"')
