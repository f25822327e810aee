"""What only a Redis Cluster does, on a real one of three primaries and three replicas."""

from __future__ import annotations

import asyncio
import gc
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from askonce import CacheSettings
from askonce.caching.redis_cluster_cache import RedisClusterCache
from askonce.errors import BackendError, BackendTimeoutError
from support import valkey
from support.valkey import PATIENCE, free_port, wait_until
from support.valkey_cluster import shared_cluster

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from support.valkey import Server
    from support.valkey_cluster import Cluster

KEYS = [f"team:{number}" for number in range(60)]
"""Enough for every primary to have some."""


@pytest.fixture
def cluster() -> Cluster:
    return shared_cluster()


@pytest.fixture
async def cache(cluster: Cluster) -> AsyncIterator[RedisClusterCache]:
    made = RedisClusterCache(startup_nodes=cluster.startup_nodes, socket_timeout=PATIENCE)
    yield made
    await made.disconnect()


@contextmanager
def asleep(server: Server) -> Iterator[None]:
    server.suspend()
    try:
        yield
    finally:
        server.resume()


# ---- keys on many nodes


async def test_keys_are_kept_on_all_primaries(cache: RedisClusterCache, cluster: Cluster) -> None:
    await cache.async_set_cache_pipeline([(key, key) for key in KEYS])
    sizes = cluster.ask_primaries("DBSIZE")
    assert sum(sizes) == len(KEYS)
    assert min(sizes) > 0


async def test_many_keys_of_many_slots_come_back_in_order(cache: RedisClusterCache) -> None:
    await cache.async_set_cache_pipeline([(key, key) for key in KEYS])
    asked = [*reversed(KEYS), "nowhere", KEYS[0]]
    expected = [*reversed(KEYS), None, KEYS[0]]
    assert cache.batch_get_cache(asked) == expected
    assert await cache.async_batch_get_cache(asked) == expected
    assert await asyncio.gather(*map(cache.async_get_cache, asked)) == expected


async def test_a_flush_looks_through_every_primary(
    cache: RedisClusterCache, cluster: Cluster
) -> None:
    await cache.async_set_cache_pipeline([(key, 1) for key in KEYS])
    await cache.async_set_cache("other:1", 1)
    assert cache.flush_cache("team") == len(KEYS)
    await cache.async_set_cache_pipeline([(key, 1) for key in KEYS])
    assert await cache.async_flush_cache("team") == len(KEYS)
    assert sum(cluster.ask_primaries("DBSIZE")) == 1


async def test_a_scan_looks_through_every_primary(cache: RedisClusterCache) -> None:
    await cache.async_set_cache_pipeline([(key, 1) for key in KEYS])
    assert set(await cache.async_scan_iter("team:", count=1000)) == set(KEYS)
    assert len(await cache.async_scan_iter("team:", count=5)) == 5


async def test_counters_of_many_slots_are_added_to_at_once(cache: RedisClusterCache) -> None:
    steps: Any = [{"key": key, "increment_value": 2, "ttl": None} for key in (*KEYS, KEYS[0])]
    assert await cache.async_increment_pipeline(steps) == [*(2 for _ in KEYS), 4]


async def test_buffered_writes_of_many_slots_arrive_together(cluster: Cluster) -> None:
    cache = RedisClusterCache(
        startup_nodes=cluster.startup_nodes,
        socket_timeout=PATIENCE,
        redis_flush_size=len(KEYS),
    )
    for key in KEYS[:-1]:
        await cache.batch_cache_write(key, key)
    assert sum(cluster.ask_primaries("DBSIZE")) == 0
    await cache.batch_cache_write(KEYS[-1], KEYS[-1])
    assert sum(cluster.ask_primaries("DBSIZE")) == len(KEYS)
    await cache.disconnect()


async def test_a_namespace_goes_before_every_key(cluster: Cluster) -> None:
    cache = RedisClusterCache(
        startup_nodes=cluster.startup_nodes, socket_timeout=PATIENCE, namespace="mine"
    )
    await cache.async_set_cache_pipeline([(key, key) for key in KEYS])
    assert await cache.async_batch_get_cache(KEYS) == KEYS
    for key in KEYS[:5]:
        assert cluster.primary_of(f"mine:{key}").ask("EXISTS", f"mine:{key}") == 1
    assert await cache.async_flush_cache() == len(KEYS)
    await cache.disconnect()


# ---- the servers


async def test_servers_are_looked_at_and_emptied_one_by_one(
    cache: RedisClusterCache, cluster: Cluster
) -> None:
    names = {f"{server.host}:{server.port}" for server in cluster.primaries}
    assert set(cache.info()) == names
    assert all(told["cluster_enabled"] == 1 for told in cache.info().values())
    assert len(cache.client_list()) >= len(names)
    assert cache.sync_ping() is True
    assert await cache.ping() is True
    for flush in (cache.flushall, cache.flushdb):
        await cache.async_set_cache_pipeline([(key, 1) for key in KEYS])
        flush()
        assert sum(cluster.ask_primaries("DBSIZE")) == 0


async def test_one_node_is_enough_to_find_the_others(cluster: Cluster) -> None:
    [first, *_] = cluster.servers
    nobody = {"host": "127.0.0.1", "port": free_port()}
    for startup in (
        {"host": first.host, "port": first.port},
        {"startup_nodes": [nobody, {"host": first.host, "port": str(first.port)}]},
    ):
        cache = RedisClusterCache(**startup, socket_timeout=PATIENCE)
        await cache.async_set_cache_pipeline([(key, key) for key in KEYS])
        assert cache.batch_get_cache(KEYS) == KEYS
        await cache.disconnect()


async def test_settings_with_startup_nodes_make_one(cluster: Cluster) -> None:
    settings = CacheSettings(
        _env_file=None,
        type="redis",
        redis_startup_nodes=cluster.startup_nodes,
        host="nobody.invalid",
        backend_timeout=PATIENCE,
        namespace="set",
    )
    cache = RedisClusterCache.from_settings(settings, client_name="askonce-test")
    await cache.async_set_cache("k", "v")
    assert cluster.primary_of("set:k").ask("EXISTS", "set:k") == 1
    assert "askonce-test" in {client["name"] for client in cache.client_list()}
    await cache.disconnect()


def test_without_a_node_there_is_no_cluster() -> None:
    with pytest.raises(ValueError, match="startup_nodes"):
        RedisClusterCache()


# ---- slots that move


def migrating(cluster: Cluster, key: str) -> tuple[Server, Server, int]:
    """Begin to move a key's slot from its primary to another one."""
    source = cluster.primary_of(key)
    target = next(server for server in cluster.primaries if server is not source)
    slot = source.ask("CLUSTER", "KEYSLOT", key)
    target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", source.ask("CLUSTER", "MYID"))
    source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", target.ask("CLUSTER", "MYID"))
    return source, target, slot


async def test_a_slot_on_the_move_and_moved_is_followed(
    cache: RedisClusterCache, cluster: Cluster
) -> None:
    key = "moving"
    assert await cache.async_get_cache(key) is None
    assert cache.get_cache(key) is None
    source, target, slot = migrating(cluster, key)
    try:
        await cache.async_set_cache(key, "on the move")
        assert target.ask("DBSIZE") == 1
        assert cache.get_cache(key) == "on the move"
        for server in (target, source):
            server.ask("CLUSTER", "SETSLOT", slot, "NODE", target.ask("CLUSTER", "MYID"))
        assert cache.get_cache(key) == "on the move"
        assert await cache.async_batch_get_cache([key, *KEYS[:3]]) == ["on the move", *[None] * 3]
    finally:
        target.ask("FLUSHALL")
        for server in (source, target):
            server.ask("CLUSTER", "SETSLOT", slot, "NODE", source.ask("CLUSTER", "MYID"))
        source.ask("CLUSTER", "BUMPEPOCH")


# ---- fail-over


async def works(cache: RedisClusterCache, key: str) -> bool:
    try:
        await cache.async_set_cache(key, "again")
        return cache.get_cache(key) == "again"
    except BackendError:
        return False


async def until_it_works(cache: RedisClusterCache, key: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not await works(cache, key):
        assert time.monotonic() < deadline, "the cluster was never found again"


async def test_a_primary_killed_and_its_replica_promoted(cluster: Cluster) -> None:
    cache = RedisClusterCache(startup_nodes=cluster.startup_nodes)
    key = "k"
    await until_it_works(cache, key)
    dead = cluster.primary_of(key)
    dead.kill()
    with pytest.raises(BackendError, match=r"redis: .*HINT") as failure:
        await cache.async_get_cache(key)
    assert str(dead.port) in str(failure.value)
    with pytest.raises(BackendError, match=r"redis: .*HINT"):
        cache.get_cache(key)
    cluster.wait_for_promotion(dead)
    await until_it_works(cache, key)
    assert cluster.primary_of(key) is not dead
    await cache.disconnect()


async def test_what_other_primaries_keep_is_served_while_one_hangs(cluster: Cluster) -> None:
    cache = RedisClusterCache(
        startup_nodes=cluster.startup_nodes,
        socket_timeout=0.2,
        socket_connect_timeout=10 * PATIENCE,  # nobody is to wait for that one's connections
    )
    await cache.async_set_cache_pipeline([(key, key) for key in KEYS])
    cache.get_cache(KEYS[0])
    hanging = cluster.primary_of(KEYS[0])
    spared = next(key for key in KEYS if cluster.primary_of(key) is not hanging)
    with asleep(hanging):
        with pytest.raises(BackendTimeoutError, match=r"no answer within 0\.2 s"):
            await cache.async_get_cache(KEYS[0])
        with pytest.raises(BackendTimeoutError, match=r"no answer within 0\.2 s"):
            cache.get_cache(KEYS[0])
        assert await cache.async_get_cache(spared) == spared
        assert cache.get_cache(spared) == spared
        cluster.wait_for_promotion(hanging)
        await until_it_works(cache, KEYS[0])
    await cache.disconnect()


# ---- failures, in words


async def test_a_server_outside_any_cluster_is_told_from_one() -> None:
    alone = valkey.shared()
    cache = RedisClusterCache(alone.host, alone.port, socket_timeout=PATIENCE)
    result = await cache.test_connection()
    assert result["status"] == "failed"
    assert "no part of a cluster" in result["message"]
    with pytest.raises(BackendError, match="no part of a cluster"):
        cache.get_cache("k")
    await cache.disconnect()


async def test_nodes_without_slots_are_no_cluster_yet(tmp_path: Any) -> None:
    bus = ("--cluster-enabled", "yes", "--cluster-port", str(free_port()))
    with valkey.server(*bus) as lonely:
        cache = RedisClusterCache(lonely.host, lonely.port, socket_timeout=PATIENCE)
        with pytest.raises(BackendError, match="the cluster is down"):
            await cache.async_get_cache("k")
        with pytest.raises(BackendError, match="the cluster is down"):
            cache.get_cache("k")
        lonely.ask("CLUSTER", "ADDSLOTSRANGE", 0, 0)
        wait_until(lambda: lonely.ask("CLUSTER", "SLOTS"), "a node had a slot")
        with pytest.raises(BackendError, match="the cluster is down"):
            await cache.async_get_cache("k")
        with pytest.raises(BackendError, match="the cluster is down"):
            cache.get_cache("k")
        await cache.disconnect()


async def test_nobody_at_all_is_said_in_words() -> None:
    cache = RedisClusterCache(startup_nodes=[("127.0.0.1", free_port())], password="s3cret")
    result = await cache.test_connection()
    assert result["status"] == "failed"
    assert "HINT" in result["message"]
    assert "s3cret" not in result["message"]
    with pytest.raises(BackendError, match="HINT"):
        cache.get_cache("k")
    await cache.disconnect()


async def test_a_wrong_password_is_said_without_repeating_it(cluster: Cluster) -> None:
    login = {"username": "nobody", "password": "s3cret"}
    cache = RedisClusterCache(startup_nodes=cluster.startup_nodes, **login)
    message = (await cache.test_connection())["message"]
    assert "password" in message
    assert "s3cret" not in message
    await cache.disconnect()


async def test_it_is_closed_while_the_nodes_are_looked_for(cluster: Cluster) -> None:
    cache = RedisClusterCache(startup_nodes=[("127.0.0.1", free_port())])
    for _ in range(3):
        with pytest.raises(BackendError):
            await cache.async_get_cache("k")
        with pytest.raises(BackendError):
            cache.get_cache("k")
        await cache.disconnect()
    gc.collect()
