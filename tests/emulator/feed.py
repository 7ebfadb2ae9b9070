"""The change feed: what happened behind an LSN, in commit order.

In LatestVersion mode each changed item comes once, as it is now; in AllVersionsAndDeletes mode every version and every
deletion comes, as long as the container keeps them. A page never cuts a transaction in two: it grows beyond the size
asked for instead.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

from .containers import Container
from .errors import bad_request
from .partitions import Change, Item, Partition
from .values import loads

T = TypeVar("T", Item, Change)
Scope = Callable[[Item], bool]


@dataclass(frozen=True, slots=True)
class FeedPage:
    """The entries of one page with the sizes of their items (none: 304), and the etag to continue with."""

    entries: list[dict[str, Any]]
    sizes: list[int]
    etag: str


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


def latest(
    container: Container,
    partition: Partition,
    scope: Scope,
    size: int,
    none_match: str | None,
    modified_since: str | None,
) -> FeedPage:
    """The next page of `partition`, of the items in `scope`."""
    if none_match == "*":
        return FeedPage([], [], f'"{partition.lsn}"')
    start = 0 if none_match is None else parse_lsn(none_match)
    found = [item for item in partition.after(start) if scope(item) and container.is_live(item)]
    if modified_since is not None and none_match is None:
        since = _since(modified_since)
        found = [item for item in found if item.body["_ts"] >= since]
    page, etag = _cut(found, size, max(partition.lsn, start))
    return FeedPage([{**item.body, "_lsn": item.lsn} for item in page], [item.size for item in page], etag)


def everything(container: Container, partition: Partition, scope: Scope, size: int, none_match: str | None) -> FeedPage:
    """The next page of all versions and deletes. Raises 400 where they are not, or no longer, kept."""
    kept = container.keeps
    if kept is None:
        raise bad_request("All Versions and Deletes change feed mode must be enabled on the account or the container.")
    if none_match is None:
        raise bad_request("The change feed of all versions and deletes cannot be read from the beginning.")
    container.expire(partition)
    if none_match == "*":
        return FeedPage([], [], f'"{partition.lsn}"')
    start, oldest = parse_lsn(none_match), container.clock() - kept
    changes = [change for change in partition.log if change.lsn > start]
    if changes and changes[0].at < oldest:
        raise bad_request("The continuation is older than the retention of the change feed.")
    found = [change for change in changes if scope(change.subject)]
    page, etag = _cut(found, size, max(partition.lsn, start))
    names = container.document["partitionKey"]["paths"]
    return FeedPage([_entry(change, names) for change in page], [change.subject.size for change in page], etag)


def _cut(found: Sequence[T], size: int, last: int) -> tuple[Sequence[T], str]:
    """The first `size` of what was found, up to the end of a transaction, and where to continue."""
    if not found:
        return [], f'"{last}"'
    end = min(size, len(found)) if size > 0 else len(found)
    while end < len(found) and found[end].lsn == found[end - 1].lsn:
        end += 1
    return found[:end], f'"{found[end - 1].lsn}"'


def _entry(change: Change, key_paths: list[str]) -> dict[str, Any]:
    """A change as the feed of all versions and deletes has it. Only a deletion shows the version before it."""
    metadata: dict[str, Any] = {"lsn": change.lsn, "crts": int(change.at)}
    if change.before is not None:
        metadata["previousImageLSN"] = change.before.lsn
    if change.after is not None:
        metadata["operationType"] = "create" if change.before is None else "replace"
        return {"current": {**change.after.body, "_lsn": change.lsn}, "metadata": metadata}
    subject = change.subject
    values = loads(subject.key.text)
    key = {path.lstrip("/"): value for path, value in zip(key_paths, values, strict=False) if value != {}}
    metadata |= {"operationType": "delete", "id": subject.id, "partitionKey": key}
    if change.expired:
        metadata["timeToLiveExpired"] = True
    return {"current": {}, "previous": subject.body, "metadata": metadata}
