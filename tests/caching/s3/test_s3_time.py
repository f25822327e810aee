"""What is over, and what need not be sent again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from askonce.caching._s3_bucket import Bucket
from askonce.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from askonce.caching.s3_cache import S3Cache
    from support.kinds.kind import Clock
    from support.s3_servers import S3Server

    MakeCache = Callable[..., S3Cache]


def test_who_reads_what_is_over_deletes_it(
    server: S3Server, on: MakeCache, path: str, clock: Clock
) -> None:
    cache = on(server)
    cache.set_cache("ns:1", 1, ttl=10)
    clock.now += 9.75
    assert cache.get_cache("ns:1") == 1
    clock.now += 0.25
    assert server.names(path) != []
    assert cache.get_cache("ns:1") is None
    assert server.names(path) == []


def test_what_is_over_was_not_there_to_be_deleted(
    server: S3Server, on: MakeCache, path: str, clock: Clock
) -> None:
    cache = on(server)
    cache.set_cache("ns:1", 1, ttl=10)
    clock.now += 10
    assert cache.delete_cache("ns:1") is False
    assert server.names(path) == []


def test_what_replaced_something_that_is_over_is_not_deleted_with_it(
    server: S3Server, on: MakeCache, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    late, other = on(server), on(server)
    late.set_cache("ns:1", "old", ttl=10)
    clock.now += 10
    delete_if = Bucket.delete_if

    def replaced_before(bucket: Bucket, name: str, etag: str) -> None:
        other.set_cache("ns:1", "new", ttl=10)
        delete_if(bucket, name, etag)

    monkeypatch.setattr(Bucket, "delete_if", replaced_before)
    assert late.get_cache("ns:1") is None
    assert other.get_cache("ns:1") == "new"


def test_what_is_over_is_absent_even_if_it_cannot_be_deleted(
    server: S3Server, on: MakeCache, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_: object) -> None:
        raise BackendError("access denied")

    cache = on(server)
    cache.set_cache("ns:1", 1, ttl=10)
    clock.now += 10
    monkeypatch.setattr(Bucket, "delete_if", denied)
    assert cache.get_cache("ns:1") is None


def gets(server: S3Server, path: str, before: int) -> list[int]:
    """The statuses with which objects below a path were read since."""
    return [
        status
        for method, asked, status in server.requests[before:]
        if method == "GET" and f"/{path}/" in asked
    ]


def test_what_did_not_change_is_not_sent_again(moto: S3Server, on: MakeCache, path: str) -> None:
    writer, reader = on(moto), on(moto)
    writer.set_cache("ns:1", "x" * 100_000)
    before = len(moto.requests)
    for cache in (writer, reader, reader):
        assert cache.get_cache("ns:1") == "x" * 100_000
    assert gets(moto, path, before) == [304, 200, 304]


def test_what_others_did_meanwhile_is_seen_at_once(server: S3Server, on: MakeCache) -> None:
    one, other = on(server), on(server)
    one.set_cache("ns:1", "old")
    other.set_cache("ns:1", "new")
    assert one.get_cache("ns:1") == "new"
    other.delete_cache("ns:1")
    assert one.get_cache("ns:1") is None


def test_the_same_value_kept_longer_by_others_is_kept_longer(
    server: S3Server, on: MakeCache, clock: Clock
) -> None:
    one, other = on(server), on(server)
    one.set_cache("ns:1", "same", ttl=10)
    other.set_cache("ns:1", "same", ttl=20)
    clock.now += 15
    assert one.get_cache("ns:1") == "same"
    other.set_cache("ns:1", "same", ttl=1)
    clock.now += 1
    assert one.get_cache("ns:1") is None


def test_nothing_is_held_where_nothing_may_be(moto: S3Server, on: MakeCache, path: str) -> None:
    cache = on(moto, held_bytes=0)
    cache.set_cache("ns:1", 1)
    before = len(moto.requests)
    assert [cache.get_cache("ns:1") for _ in range(2)] == [1, 1]
    assert gets(moto, path, before) == [200, 200]


def test_deleting_reads_no_bodies(moto: S3Server, on: MakeCache) -> None:
    cache = on(moto)
    cache.set_cache("ns:1", "x" * 100_000)
    before = len(moto.requests)
    assert cache.delete_cache("ns:1") is True
    assert [(method, status) for method, _, status in moto.requests[before:]] == [
        ("GET", 206),
        ("POST", 200),
    ]
