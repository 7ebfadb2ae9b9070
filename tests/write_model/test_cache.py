"""What a process remembers of aggregates is bounded."""

from write_model.cache import AggregateCache


def filled(size: int, *ids: str) -> AggregateCache:
    cache = AggregateCache(size)
    for id in ids:
        cache.put(id, f"state of {id}", f"etag of {id}")
    return cache


def known(cache: AggregateCache, *ids: str) -> list[str]:
    return [id for id in ids if cache.get(id)]


def test_what_was_put_is_known() -> None:
    assert filled(2, "a").get("a") == ("state of a", "etag of a")


def test_what_was_not_put_is_not_known() -> None:
    assert AggregateCache().get("a") is None


def test_the_latest_put_counts() -> None:
    cache = filled(2, "a")
    cache.put("a", "newer", "2")
    assert cache.get("a") == ("newer", "2")


def test_no_more_than_its_size_is_remembered_and_the_oldest_leaves_first() -> None:
    assert known(filled(3, "a", "b", "c", "d", "e"), *"abcde") == ["c", "d", "e"]


def test_what_was_asked_for_recently_stays() -> None:
    cache = filled(2, "a", "b")
    cache.get("a")
    cache.put("c", "state", "etag")
    assert known(cache, *"abc") == ["a", "c"]


def test_what_was_put_again_stays() -> None:
    cache = filled(2, "a", "b", "a")
    cache.put("c", "state", "etag")
    assert known(cache, *"abc") == ["a", "c"]


def test_dropping_forgets_that_id_only_and_may_be_repeated() -> None:
    cache = filled(3, "a", "b")
    cache.drop("a")
    cache.drop("a")
    assert known(cache, "a", "b") == ["b"]
