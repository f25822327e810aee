"""A cache on Redis behind Sentinels, on a real primary, its replica and three Sentinels."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from askonce import CacheSettings
from askonce.caching.redis_cache import RedisCache
from askonce.errors import BackendError, SettingsError
from support import valkey
from support.valkey import PATIENCE, free_port
from support.valkey_sentinels import SERVICE, sentinels, shared_sentinels

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.valkey_sentinels import Sentinels


@pytest.fixture
def watched() -> Sentinels:
    return shared_sentinels()


def cache_on(watched: Sentinels, **parameters: object) -> RedisCache:
    return RedisCache(sentinel_nodes=watched.nodes, service_name=SERVICE, **parameters)


def works(cache: RedisCache, key: str) -> bool:
    try:
        cache.set_cache(key, "again")
        return cache.get_cache(key) == "again"
    except BackendError:
        return False


async def aworks(cache: RedisCache, key: str) -> bool:
    try:
        await cache.async_set_cache(key, "again")
        return await cache.async_get_cache(key) == "again"
    except BackendError:
        return False


async def until_it_works(cache: RedisCache, key: str = "k") -> None:
    deadline = time.monotonic() + PATIENCE
    while not (works(cache, key) and await aworks(cache, key)):
        assert time.monotonic() < deadline, "the new primary was never found"


async def test_the_primary_is_found_by_its_name(watched: Sentinels) -> None:
    cache = cache_on(watched, socket_timeout=PATIENCE)
    cache.set_cache("a", 1)
    await cache.async_set_cache("b", 2)
    assert watched.primary.ask("DBSIZE") == 2
    assert cache.batch_get_cache(["a", "b"]) == [1, 2]
    await cache.disconnect()


async def test_settings_with_sentinels_make_one(watched: Sentinels) -> None:
    settings = CacheSettings(
        _env_file=None,
        type="redis",
        sentinel_nodes=watched.nodes,
        service_name=SERVICE,
        backend_timeout=PATIENCE,
    )
    cache = RedisCache.from_settings(settings)
    await cache.async_set_cache("k", "v")
    assert watched.primary.ask("DBSIZE") == 1
    await cache.disconnect()


async def test_a_primary_killed_and_its_replica_promoted(watched: Sentinels) -> None:
    cache = cache_on(watched)
    await until_it_works(cache)
    dead = watched.primary
    dead.kill()
    with pytest.raises(BackendError, match=r"redis: 'answers' by the Sentinels at .*HINT"):
        await cache.async_get_cache("k")
    with pytest.raises(BackendError, match=r"redis: 'answers' by the Sentinels at .*HINT"):
        cache.get_cache("k")
    watched.wait_for_promotion(dead)
    await until_it_works(cache)
    assert watched.primary is not dead
    await cache.disconnect()


async def test_a_primary_that_hangs_is_left_for_the_new_one(watched: Sentinels) -> None:
    cache = cache_on(watched, socket_timeout=0.2, socket_connect_timeout=0.2)
    await until_it_works(cache)
    hanging = watched.primary
    hanging.suspend()
    try:
        watched.wait_for_promotion(hanging)
        await until_it_works(cache)
    finally:
        hanging.resume()
    await cache.disconnect()


async def test_a_primary_demoted_while_connected_is_left(watched: Sentinels) -> None:
    cache = cache_on(watched, socket_timeout=PATIENCE)
    cache.set_cache("k", 1)
    await cache.async_set_cache("k", 1)
    old = watched.primary
    watched.watchers[0].ask("SENTINEL", "FAILOVER", SERVICE)
    watched.wait_for_promotion(old)
    cache.set_cache("k", 2)
    await cache.async_set_cache("k2", 3)
    assert cache.batch_get_cache(["k", "k2"]) == [2, 3]
    await cache.disconnect()


async def test_a_write_that_a_replica_refuses_ends_its_connection(watched: Sentinels) -> None:
    cache = cache_on(watched, socket_timeout=PATIENCE, retries=0)
    cache.set_cache("k", 1)
    await cache.async_set_cache("k", 1)
    before = (cache.redis_client.client_id(), await cache.redis_async_client.client_id())
    [replica] = [server for server in watched.servers if server is not watched.primary]
    watched.primary.ask("REPLICAOF", replica.host, replica.port)
    with pytest.raises(BackendError, match=r"is a replica\. HINT: a fail-over"):
        cache.set_cache("k", 2)
    with pytest.raises(BackendError, match=r"is a replica\. HINT: a fail-over"):
        await cache.async_set_cache("k", 2)
    after = (cache.redis_client.client_id(), await cache.redis_async_client.client_id())
    assert not set(before) & set(after)
    await cache.disconnect()
    watched.primary.ask("REPLICAOF", "NO", "ONE")


@pytest.mark.parametrize("alive", [0, 1, 2])
async def test_one_sentinel_that_answers_is_enough(watched: Sentinels, alive: int) -> None:
    nodes = [("127.0.0.1", free_port()) for _ in watched.nodes]
    nodes[alive] = watched.nodes[alive]
    cache = RedisCache(sentinel_nodes=nodes, service_name=SERVICE, socket_timeout=PATIENCE)
    await cache.async_set_cache("k", 1)
    assert cache.get_cache("k") == 1
    await cache.disconnect()


async def test_a_login_is_the_primarys_and_is_not_shown_to_sentinels() -> None:
    with sentinels(password="s3cret") as guarded:
        cache = cache_on(guarded, password="s3cret", socket_timeout=PATIENCE)
        await cache.async_set_cache("k", 1)
        assert cache.get_cache("k") == 1
        await cache.disconnect()
        cache = cache_on(guarded, password="wr0ng", socket_timeout=PATIENCE)
        message = (await cache.test_connection())["message"]
        assert "password" in message
        assert "wr0ng" not in message
        await cache.disconnect()


async def test_sentinels_may_have_a_login_of_their_own() -> None:
    with sentinels() as watched:
        for watcher in watched.watchers:
            watcher.ask("ACL", "SETUSER", "looker", "on", ">s3cret", "+@all")
            watcher.ask("ACL", "SETUSER", "default", "nopass", "-@all", "+auth", "+hello")
        cache = cache_on(
            watched,
            sentinel_username="looker",
            sentinel_password="s3cret",
            socket_timeout=PATIENCE,
        )
        await cache.async_set_cache("k", 1)
        assert cache.get_cache("k") == 1
        await cache.disconnect()


def unknown_service(watched: Sentinels) -> RedisCache:
    return RedisCache(sentinel_nodes=watched.nodes, service_name="other", socket_timeout=PATIENCE)


def nobody_there(_watched: Sentinels) -> RedisCache:
    return RedisCache(sentinel_nodes=[("127.0.0.1", free_port())], service_name=SERVICE)


def no_sentinel(_watched: Sentinels) -> RedisCache:
    alone = valkey.shared()
    return RedisCache(
        sentinel_nodes=[(alone.host, alone.port)], service_name=SERVICE, socket_timeout=PATIENCE
    )


@pytest.mark.parametrize("make", [unknown_service, nobody_there, no_sentinel])
async def test_who_knows_no_primary_is_said_in_words(
    watched: Sentinels, make: Callable[[Sentinels], RedisCache]
) -> None:
    cache = make(watched)
    said = "no Sentinel knows a primary. HINT: do they run, and are ASKONCE_SENTINEL_NODES and"
    assert said in (await cache.test_connection())["message"]
    with pytest.raises(BackendError, match="no Sentinel knows a primary"):
        cache.get_cache("k")
    await cache.disconnect()


def test_sentinels_need_the_name_of_a_service() -> None:
    with pytest.raises(SettingsError, match="ASKONCE_SERVICE_NAME"):
        RedisCache(sentinel_nodes=[("127.0.0.1", 1)])
