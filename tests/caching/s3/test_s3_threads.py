"""S3 blocks nobody, and closes what it opened."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from askonce.caching import s3_cache
from askonce.caching._s3_store import Store
from askonce.caching.s3_cache import S3Cache
from support.s3_servers import S3Server, SeaweedFS, shared

if TYPE_CHECKING:
    from collections.abc import Callable

    MakeCache = Callable[..., S3Cache]


async def test_a_batch_is_asked_for_at_the_same_time(
    server: S3Server, on: MakeCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = threading.Barrier(8, timeout=20)

    def with_the_others(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            together.wait()
            return original(*args)

        return call

    for method in ("read", "write"):
        monkeypatch.setattr(Store, method, with_the_others(getattr(Store, method)))
    keys = [f"ns:{number}" for number in range(8)]
    cache = on(server)
    await cache.async_set_cache_pipeline([(key, key) for key in keys])
    assert await cache.async_batch_get_cache(keys) == keys
    assert await asyncio.to_thread(cache.batch_get_cache, keys) == keys


async def test_the_event_loop_goes_on_while_the_server_hangs(
    server: S3Server, on: MakeCache
) -> None:
    cache = on(server)
    await cache.async_set_cache("ns:1", 1)
    server.suspend()
    try:
        pending = asyncio.create_task(cache.async_get_cache("ns:1"))
        for _ in range(100):
            await asyncio.sleep(0)
        assert not pending.done()
    finally:
        server.resume()
    assert await pending == 1


def workers() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("askonce-s3")]


async def test_disconnecting_ends_every_thread_and_warns_of_nothing(server: S3Server) -> None:
    cache = S3Cache(**server.arguments())
    await cache.async_set_cache_pipeline([(f"ns:{number}", number) for number in range(20)])
    await cache.async_increment("n")
    assert workers()
    await cache.disconnect()
    assert workers() == []
    del cache
    gc.collect()


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="no /proc here to count sockets in")
async def test_disconnecting_closes_every_connection(on: MakeCache) -> None:
    def sockets() -> set[str]:
        found = set()
        for link in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(OSError):
                found.add(str(link.readlink()))
        return {path for path in found if path.startswith("socket:")}

    cache, before = on(shared(SeaweedFS)), sockets()
    await cache.async_set_cache_pipeline([(f"ns:{number}", number) for number in range(20)])
    crew = cache._workers._crew  # so that nothing is closed for want of an owner
    assert sockets() > before
    await cache.disconnect()
    assert sockets() == before
    assert crew is not None


async def test_nothing_is_opened_before_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []
    monkeypatch.setattr(s3_cache, "make_client", lambda *args: opened.append(args))
    cache = S3Cache("bucket")
    await cache.disconnect()
    assert opened == []
    assert workers() == []


def test_a_forked_child_opens_its_own_connections(
    moto: S3Server, on: MakeCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = on(moto)
    cache.set_cache("ns:1", 1)
    parents = cache._workers._crew
    with monkeypatch.context() as child:
        child.setattr(os, "getpid", lambda: -1)
        assert cache.get_cache("ns:1") == 1
        assert cache._workers._crew is not parents
        asyncio.run(cache.disconnect())
    parents.close()


async def test_a_child_that_never_used_it_leaves_the_parents_connections_alone(
    moto: S3Server, on: MakeCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = on(moto)
    await cache.async_set_cache("ns:1", 1)
    parents = cache._workers._crew
    with monkeypatch.context() as child:
        child.setattr(os, "getpid", lambda: -1)
        await cache.disconnect()
    assert parents.many.submit(int).result() == 0
    parents.close()
