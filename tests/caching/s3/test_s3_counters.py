"""Counters are exact, whoever else adds to them."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from askonce.caching import _s3_store, s3_cache
from askonce.caching._s3_bucket import Bucket
from askonce.caching._s3_client import make_client
from askonce.caching._s3_store import INEXACT
from askonce.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Callable

    from askonce.caching.s3_cache import S3Cache
    from support.kinds.kind import Clock
    from support.s3_servers import S3Server

    MakeCache = Callable[..., S3Cache]


def test_counters_are_exact_across_processes(server: S3Server, on: MakeCache) -> None:
    caches = [on(server) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        sums = list(pool.map(lambda n: caches[n % 4].increment_cache("ns:n"), range(60)))
    assert sorted(sums) == list(range(1, 61))


def test_an_addition_counts_once_although_its_answer_was_lost(
    server: S3Server, on: MakeCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_if = Bucket.put_if
    lost = iter([True, False, True])

    def losing(bucket: Bucket, *args: Any) -> bool:
        return put_if(bucket, *args) and not next(lost, False)

    monkeypatch.setattr(Bucket, "put_if", losing)
    cache = on(server)
    assert [cache.increment_cache("ns:n", 5) for _ in range(3)] == [5, 10, 15]


@pytest.mark.parametrize("ttl", [0, -1.0])
def test_a_counter_without_any_time_is_not_kept(
    server: S3Server, on: MakeCache, path: str, ttl: float
) -> None:
    cache = on(server)
    assert [cache.increment_cache("ns:n", 5, ttl=ttl) for _ in range(2)] == [5, 5]
    assert server.names(path) == []


def test_a_counter_begins_anew_when_its_time_is_over(
    server: S3Server, on: MakeCache, clock: Clock
) -> None:
    cache = on(server)
    assert [cache.increment_cache("ns:n", 1, ttl=10) for _ in range(2)] == [1, 2]
    clock.now += 10
    assert cache.increment_cache("ns:n", 1, ttl=10) == 1


def test_who_never_gets_to_add_says_so(
    moto: S3Server, on: MakeCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_s3_store, "_ATTEMPTS", 3)
    monkeypatch.setattr(Bucket, "put_if", lambda *_: False)
    with pytest.raises(BackendError, match=r"others kept changing this counter\. HINT"):
        on(moto).increment_cache("ns:n")


@pytest.fixture
def _ignored_conditions(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server gets to see no condition, as if it did not know what one is."""

    def without(request: Any, **_unused: Any) -> None:
        del request.headers["If-Match"]
        del request.headers["If-None-Match"]

    def make(*args: Any) -> Any:
        client = make_client(*args)
        client.meta.events.register("before-sign.s3.PutObject", without)
        return client

    monkeypatch.setattr(s3_cache, "make_client", make)


@pytest.mark.usefixtures("_ignored_conditions")
def test_where_conditions_are_ignored_counters_are_exact_in_one_process_which_is_said(
    server: S3Server, on: MakeCache, caplog: pytest.LogCaptureFixture
) -> None:
    cache = on(server)
    with caplog.at_level(logging.WARNING, "askonce"), ThreadPoolExecutor(4) as pool:
        sums = list(pool.map(lambda _: cache.increment_cache("ns:n"), range(20)))
    assert sorted(sums) == list(range(1, 21))
    assert caplog.messages == [f"s3: {INEXACT}"]
    result = asyncio.run(cache.test_connection())
    assert result["status"] == "success"
    assert result["message"].endswith(INEXACT)


def test_where_conditions_are_honoured_nothing_is_said_of_them(
    server: S3Server, on: MakeCache, path: str
) -> None:
    result = asyncio.run(on(server).test_connection())
    assert result == {"status": "success", "message": "s3: wrote, read and deleted a probe"}
    assert server.names(path) == []
