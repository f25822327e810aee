"""What Redis alone can do, on a real server."""

from __future__ import annotations

import asyncio
import gc
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import redis
import redis.asyncio

from askonce.caching import _redis_commands as say
from askonce.caching import _redis_link
from askonce.caching._redis_buffer import WriteBuffer
from askonce.caching.redis_cache import RedisCache
from askonce.errors import BackendError, BackendTimeoutError, MissingExtraError
from askonce.settings import CacheSettings
from support import valkey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from support.valkey import Server


@pytest.fixture
def server() -> Server:
    return valkey.shared()


@pytest.fixture
async def cache(server: Server) -> AsyncIterator[RedisCache]:
    made = RedisCache(server.host, server.port, socket_timeout=valkey.PATIENCE)
    yield made
    await made.disconnect()


def calls(server: Server, command: str) -> int:
    """How often a command reached the server."""
    statistics = server.ask("INFO", "commandstats")
    return int(statistics.get(f"cmdstat_{command}", {"calls": 0})["calls"])


def connections(server: Server) -> int:
    """How many there are, the one that asks included."""
    return int(server.ask("CLIENT", "LIST").count(b"\n"))


# ---- reading


async def test_reads_of_one_tick_travel_as_one_mget(cache: RedisCache, server: Server) -> None:
    await cache.async_set_cache_pipeline([(str(n), n) for n in range(50)])
    server.ask("CONFIG", "RESETSTAT")
    read = [cache.async_get_cache(str(n)) for n in range(50)]
    assert await asyncio.gather(*read) == list(range(50))
    assert calls(server, "mget") == 1
    assert calls(server, "get") == 0


async def test_a_later_tick_is_another_mget(cache: RedisCache, server: Server) -> None:
    server.ask("CONFIG", "RESETSTAT")
    await cache.async_get_cache("a")
    await cache.async_get_cache("a")
    assert calls(server, "mget") == 2


async def test_no_batch_grows_without_limit(cache: RedisCache, server: Server) -> None:
    await cache.async_set_cache_pipeline([(str(n), n) for n in range(300)])
    server.ask("CONFIG", "RESETSTAT")
    read = [cache.async_get_cache(str(n)) for n in range(300)]
    assert await asyncio.gather(*read) == list(range(300))
    assert calls(server, "mget") == 3


async def test_batches_are_read_by_mget_in_order(cache: RedisCache, server: Server) -> None:
    await cache.async_set_cache_pipeline([("a", 1), ("b", 2)])
    server.ask("CONFIG", "RESETSTAT")
    assert await cache.async_batch_get_cache(["b", "x", "a", "b"]) == [2, None, 1, 2]
    assert cache.batch_get_cache(["b", "x", "a", "b"]) == [2, None, 1, 2]
    assert calls(server, "mget") == 2


async def test_who_goes_away_takes_no_other_read_along(cache: RedisCache) -> None:
    await cache.async_set_cache("a", 1)
    gone = asyncio.create_task(cache.async_get_cache("a"))
    stays = asyncio.create_task(cache.async_get_cache("a"))
    await asyncio.sleep(0)
    gone.cancel()
    assert await stays == 1
    with pytest.raises(asyncio.CancelledError):
        await gone


# ---- keeping


async def test_nx_leaves_alone_what_is_there(cache: RedisCache) -> None:
    assert await cache.async_set_cache("k", 1, nx=True, ttl=100) is True
    assert await cache.async_set_cache("k", 2, nx=True) is False
    assert cache.set_cache("k", 3, nx=True) is False
    assert cache.set_cache("k2", 3, nx=True) is True
    assert await cache.async_batch_get_cache(["k", "k2"]) == [1, 3]
    assert 90 < (await cache.async_get_ttl("k") or 0) <= 100


async def test_nx_of_nothing_changes_nothing(cache: RedisCache) -> None:
    await cache.async_set_cache("k", 1)
    await cache.async_set_cache("k", None, nx=True)
    await cache.async_set_cache("k", 2, nx=True, ttl=0)
    assert await cache.async_get_cache("k") == 1


async def test_a_pipeline_has_one_ttl_for_all_or_one_each(cache: RedisCache) -> None:
    await cache.async_set_cache_pipeline([("a", 1), ("b", 2, 7.0), ("c", 3, None)], ttl=100)
    assert 90 < (await cache.async_get_ttl("a") or 0) <= 100
    assert 6 < (await cache.async_get_ttl("b") or 0) <= 7
    assert await cache.async_get_ttl("c") is None


async def test_thousands_are_kept_by_one_call(cache: RedisCache) -> None:
    await cache.async_set_cache_pipeline([(str(n), n) for n in range(1201)])
    assert await cache.async_delete_many([str(n) for n in range(1201)]) == 1201


async def test_fractions_of_a_second_are_kept_in_milliseconds(
    cache: RedisCache, server: Server
) -> None:
    cache.set_cache("k", 1, ttl=0.9)
    assert 0 < server.ask("PTTL", "k") <= 900
    cache.set_cache("tiny", 1, ttl=1e-9)
    cache.set_cache("endless", 1, ttl=float("inf"))
    assert await cache.async_get_cache("endless") == 1


# ---- writing later


@pytest.fixture
async def buffered(server: Server) -> AsyncIterator[RedisCache]:
    made = RedisCache(server.host, server.port, redis_flush_size=3, socket_timeout=valkey.PATIENCE)
    yield made
    await made.disconnect()


async def test_buffered_writes_travel_together_with_their_ttls(
    buffered: RedisCache, server: Server
) -> None:
    await buffered.batch_cache_write("a", 1, ttl=100)
    await buffered.batch_cache_write("b", 2)
    assert server.ask("DBSIZE") == 0
    assert await buffered.async_batch_get_cache(["a", "b"]) == [1, 2]
    assert buffered.get_cache("b") == 2
    await buffered.batch_cache_write("c", 3, ttl=50)
    assert server.ask("DBSIZE") == 3
    assert 90_000 < server.ask("PTTL", "a") <= 100_000
    assert server.ask("PTTL", "b") == -1
    assert 40_000 < server.ask("PTTL", "c") <= 50_000


async def test_a_buffered_write_counts_its_time_from_when_it_was_given(server: Server) -> None:
    now = [0.0]
    cache = RedisCache(
        server.host, server.port, redis_flush_size=9, clock=lambda: now[0], socket_timeout=9
    )
    await cache.batch_cache_write("long", 1, ttl=100)
    await cache.batch_cache_write("short", 1, ttl=50)
    now[0] = 60.0
    assert await cache.async_batch_get_cache(["long", "short"]) == [1, None]
    await cache.disconnect()
    assert 30_000 < server.ask("PTTL", "long") <= 40_000
    assert server.ask("EXISTS", "short") == 0


async def test_buffered_writes_are_sent_on_disconnect(buffered: RedisCache, server: Server) -> None:
    await buffered.batch_cache_write("a", 1)
    await buffered.disconnect()
    assert server.ask("EXISTS", "a") == 1


@pytest.mark.parametrize("way", ["set", "async set", "delete", "none", "ttl", "flush", "count"])
async def test_what_comes_after_a_buffered_write_wins(buffered: RedisCache, way: str) -> None:
    await buffered.batch_cache_write("k", 1)
    expected: Any = None
    if way == "set":
        buffered.set_cache("k", expected := 2)
    elif way == "async set":
        await buffered.async_set_cache("k", expected := 2)
    elif way == "delete":
        assert await buffered.async_delete_cache("k") is True
    elif way == "none":
        await buffered.batch_cache_write("k", None)
    elif way == "ttl":
        await buffered.batch_cache_write("k", 5, ttl=0)
    elif way == "flush":
        assert await buffered.async_flush_cache() == 1
    else:
        expected = await buffered.async_increment("k", 1)
        assert expected == 2
    await buffered.flush_cache_buffer()
    assert await buffered.async_get_cache("k") == expected


async def test_a_synchronous_write_sends_what_waits_under_its_key_before_it(
    buffered: RedisCache, server: Server
) -> None:
    await buffered.batch_cache_write("a", 1)
    await buffered.batch_cache_write("b", 1)
    buffered.set_cache("a", 2)
    assert server.ask("MGET", "a", "b") == [b"2", None]
    await buffered.flush_cache_buffer()
    assert server.ask("MGET", "a", "b") == [b"2", b"1"]


async def test_of_many_buffered_writes_under_way_at_once_none_is_lost(
    buffered: RedisCache, server: Server
) -> None:
    await asyncio.gather(*(buffered.batch_cache_write(str(n), n) for n in range(100)))
    await buffered.flush_cache_buffer()
    assert server.ask("DBSIZE") == 100


async def test_what_could_not_be_sent_waits_on(buffered: RedisCache, server: Server) -> None:
    server.ask("CONFIG", "SET", "maxmemory", "1")
    try:
        await buffered.batch_cache_write("a", 1)
        await buffered.batch_cache_write("b", 1)
        with pytest.raises(BackendError, match="maxmemory"):
            await buffered.batch_cache_write("c", 1)
    finally:
        server.ask("CONFIG", "SET", "maxmemory", "0")
    await buffered.flush_cache_buffer()
    assert server.ask("DBSIZE") == 3


MIB = 1 << 20


@pytest.mark.parametrize(
    ("sizes", "most", "parts"),
    [
        ([], 3, []),
        ([1] * 7, 3, [3, 3, 1]),
        ([MIB // 2] * 5, 9, [2, 2, 1]),
        ([1, 3 * MIB, 1], 9, [1, 1, 1]),
        ([MIB], 9, [1]),
    ],
)
def test_what_travels_is_cut_by_count_and_by_bytes(
    sizes: list[int], most: int, parts: list[int]
) -> None:
    cut = list(say.parts(sizes, int, most))
    assert [len(part) for part in cut] == parts
    assert [size for part in cut for size in part] == sizes


async def test_many_keys_are_read_and_deleted_in_parts(cache: RedisCache, server: Server) -> None:
    keys = [str(n) for n in range(2100)]
    await cache.async_set_cache_pipeline([(key, 1) for key in keys])
    server.ask("CONFIG", "RESETSTAT")
    assert await cache.async_batch_get_cache(keys) == [1] * 2100
    assert calls(server, "mget") == 17
    assert cache.batch_get_cache(keys) == [1] * 2100
    assert calls(server, "mget") == 34
    assert await cache.async_delete_many(keys) == 2100
    assert calls(server, "unlink") == 3


async def test_the_limit_counts_for_each_part(
    cache: RedisCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[int] = []

    async def asend(_client: Any, commands: list[Any]) -> list[Any]:
        sent.append(len(commands))
        return [b"OK"] * len(commands)

    monkeypatch.setattr(_redis_link, "asend", asend)
    await cache.async_set_cache_pipeline([(str(n), "x" * (MIB // 2)) for n in range(3)])
    assert sent == [1, 1, 1]


async def test_of_a_batch_that_failed_half_way_only_the_rest_waits_on(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = RedisCache(
        server.host, server.port, redis_flush_size=99, socket_timeout=valkey.PATIENCE
    )
    for key in ("a", "b", "c"):
        await cache.batch_cache_write(key, "x" * MIB)
    sent: list[Any] = []
    asend = _redis_link.asend

    async def failing(client: Any, commands: list[Any]) -> list[Any]:
        sent.append(commands[0][1])
        if len(sent) == 2:
            raise TimeoutError
        return await asend(client, commands)

    monkeypatch.setattr(_redis_link, "asend", failing)
    with pytest.raises(BackendError):
        await cache.flush_cache_buffer()
    assert server.ask("EXISTS", "a", "b", "c") == 1
    await cache.flush_cache_buffer()
    assert sent == ["a", "b", "b", "c"]
    assert server.ask("EXISTS", "a", "b", "c") == 3
    await cache.disconnect()


async def test_what_waits_under_other_keys_makes_nothing_fail(server: Server) -> None:
    server.ask("ACL", "SETUSER", "app", "on", ">pw", "~k*", "+@all")
    cache = RedisCache(
        server.host, server.port, "pw", redis_flush_size=9, username="app", socket_timeout=9
    )
    await cache.batch_cache_write("forbidden", 1)
    await cache.batch_cache_write("k1", 1)
    await cache.async_set_cache("k2", 2)
    assert await cache.async_set_cache("k3", 3, nx=True) is True
    assert await cache.async_increment("k2", 1) == 3
    assert await cache.async_get_cache("k2") == 3
    assert await cache.async_delete_cache("k2") is True
    cache.set_cache("k1", 7)
    assert server.ask("MGET", "k1") == [b"7"]
    with pytest.raises(BackendError, match="ACL"):
        await cache.async_set_cache("forbidden", 2)
    with pytest.raises(BackendError, match="ACL"):
        await cache.disconnect()


async def test_what_waits_has_more_time_on_disconnect_than_a_request(server: Server) -> None:
    cache = RedisCache(server.host, server.port, redis_flush_size=9, socket_timeout=0.05)
    await cache.batch_cache_write("k", 1)
    server.suspend()
    with pytest.raises(BackendTimeoutError):
        await cache.flush_cache_buffer()
    ending = asyncio.create_task(cache.disconnect())
    await asyncio.wait([ending], timeout=0.2)
    assert not ending.done()
    server.resume()
    await ending
    assert server.ask("EXISTS", "k") == 1
    assert cache._server.limit == 0.05


@pytest.mark.parametrize(
    ("size", "data", "kept"),
    [(1, b"x", 1000), (99, b"x" * (16 * MIB), 3), (99, b"x" * (70 * MIB), 1)],
)
def test_the_oldest_go_if_too_many_wait_which_is_told_once(
    size: int, data: bytes, kept: int, caplog: pytest.LogCaptureFixture
) -> None:
    buffer = WriteBuffer(size, lambda: 0.0)
    keys = [str(n) for n in range(kept + 2)]
    for key in keys:
        buffer.put((key, data, None))
    found = buffer.overlaid(keys, [None] * len(keys))
    assert found == [None, None, *[data] * kept]
    assert buffer.lost == 2
    assert [record.getMessage() for record in caplog.records] == [
        "redis: too many buffered writes wait: 1 were lost so far"
    ]


def test_of_a_batch_that_comes_back_the_oldest_go_first() -> None:
    buffer = WriteBuffer(1, lambda: 0.0)
    buffer.put(("old", b"1", None))
    taken = buffer.take()
    assert taken is not None
    for n in range(1000):
        buffer.put((str(n), b"2", None))
    with pytest.raises(OSError, match="away"), buffer.arriving(taken):
        raise OSError("away")
    assert buffer.overlaid(["old", "0"], [None, None]) == [None, b"2"]
    assert buffer.lost == 1


# ---- counting


async def test_a_counter_can_begin_its_time_anew(cache: RedisCache) -> None:
    await cache.async_increment("n", 1, ttl=50)
    await cache.async_increment("n", 1, ttl=500)
    assert (await cache.async_get_ttl("n") or 0) <= 50
    assert await cache.async_increment("n", 0.5, ttl=500, refresh_ttl=True) == 2.5
    assert cache.increment_cache("n", 0.5, ttl=700, refresh_ttl=True) == 3.0
    assert (await cache.async_get_ttl("n") or 0) > 600


async def test_a_counter_is_bare_text_on_the_server(cache: RedisCache, server: Server) -> None:
    await cache.async_increment("n", 41)
    assert server.ask("INCRBYFLOAT", "n", "0.5") == 41.5
    assert await cache.async_increment("n", 0.1) == 41.6
    assert server.ask("GET", "n") == b"41.600000000000001"
    assert await cache.async_get_cache("n") == 41.6


async def test_many_counters_are_added_to_at_once(cache: RedisCache) -> None:
    added = await cache.async_increment_pipeline(
        [
            {"key": "a", "increment_value": 1, "ttl": 100},
            {"key": "b", "increment_value": 0.5, "ttl": None},
            {"key": "a", "increment_value": 2, "ttl": 5},
        ]
    )
    assert added == [1, 0.5, 3]
    assert (await cache.async_get_ttl("a") or 0) > 5
    assert await cache.async_get_ttl("b") is None
    assert await cache.async_increment_pipeline([]) == []


@pytest.mark.parametrize(("first", "second"), [(2**63 - 1, 1), (1e308, 1e308), (1, 2**64)])
async def test_a_sum_out_of_range_is_refused(
    cache: RedisCache, first: float, second: float
) -> None:
    await cache.async_increment("n", first)
    with pytest.raises(BackendError, match="out of range"):
        await cache.async_increment("n", second)
    assert await cache.async_get_cache("n") == first


async def test_no_increment_of_many_tasks_is_lost(cache: RedisCache) -> None:
    await asyncio.gather(*(cache.async_increment("n", 1) for _ in range(200)))
    assert await cache.async_get_cache("n") == 200


async def test_the_primitives_count_too(cache: RedisCache) -> None:
    assert cache._add("n", 1, 100) == 1
    assert await cache._aadd("n", 1, None) == 2
    assert await cache._run(cache._read, ("n",)) == [b"2"]
    assert (await cache.async_get_ttl("n") or 0) > 90


# ---- sets, lists, times, names


async def test_a_set_gets_members_and_a_ttl(cache: RedisCache, server: Server) -> None:
    await cache.async_set_cache_sadd("s", ["a", b"b", 1], ttl=100)
    await cache.async_set_cache_sadd("s", ["a"])
    await cache.async_set_cache_sadd("s", [])
    assert server.ask("SMEMBERS", "s") == {b"a", b"b", b"1"}
    assert 90 < (await cache.async_get_ttl("s") or 0) <= 100


async def test_a_list_is_a_queue(cache: RedisCache) -> None:
    assert await cache.async_rpush("l", ["a", "b", "", b"\xff"]) == 4
    assert await cache.async_rpush("l", []) == 4
    assert await cache.async_lpop("l") == "a"
    assert await cache.async_lpop("l", 9) == ["b", "", b"\xff"]
    assert await cache.async_lpop("l") is None
    assert await cache.async_lpop("l", 2) is None


async def test_what_is_no_list_is_not_pushed_to(cache: RedisCache) -> None:
    await cache.async_set_cache("k", "text")
    with pytest.raises(BackendError, match="of another kind"):
        await cache.async_rpush("k", ["a"])
    await cache.async_rpush("l", ["a"])
    assert await cache.async_get_cache("l") is None
    with pytest.raises(BackendError, match="not a number"):
        await cache.async_increment("l", 1)


async def test_a_ttl_is_told_and_begun_anew(cache: RedisCache) -> None:
    await cache.async_set_cache("k", 1)
    assert await cache.async_get_ttl("k") is None
    assert await cache.async_get_ttl("absent") is None
    assert await cache.async_update_cache_ttl("k", 1.5) is True
    assert 1 < (await cache.async_get_ttl("k") or 0) <= 1.5
    assert await cache.async_update_cache_ttl("absent", 5) is False
    assert await cache.async_update_cache_ttl("k", 0) is True
    assert await cache.async_get_cache("k") is None


async def test_keys_are_found_by_pattern(cache: RedisCache) -> None:
    await cache.async_set_cache_pipeline([(f"a:{n}", n) for n in range(5)] + [("b*:1", 1)])
    assert sorted(await cache.async_scan_iter("a:")) == [f"a:{n}" for n in range(5)]
    assert sorted(await cache.async_scan_iter("a:[12]")) == ["a:1", "a:2"]
    assert await cache.async_scan_iter("b\\*") == ["b*:1"]
    assert len(await cache.async_scan_iter("", count=3)) == 3


# ---- namespaces


async def test_keys_are_in_the_namespace_of_the_cache(server: Server) -> None:
    cache = RedisCache(server.host, server.port, namespace="app", socket_timeout=valkey.PATIENCE)
    server.ask("SET", "other", "1")
    server.ask("SET", "apple", "1")
    await cache.async_set_cache("k", 1)
    cache.set_cache("app:own", 2)
    await cache.async_increment("app/child:n", 3)
    assert await cache.async_batch_get_cache(["app:k", "own", "app/child:n"]) == [1, 2, 3]
    assert sorted(await cache.async_scan_iter("")) == ["app:k", "app:own"]
    assert await cache.async_scan_iter("app/*") == ["app/child:n"]
    assert (await cache.test_connection())["status"] == "success"
    assert await cache.async_flush_cache() == 3
    assert server.ask("DBSIZE") == 2
    await cache.disconnect()


def test_a_flush_of_everything_else_than_the_namespace_needs_its_own_word(server: Server) -> None:
    with_cache = RedisCache(server.host, server.port, namespace="app", socket_timeout=9)
    server.ask("CONFIG", "RESETSTAT")
    server.ask("SET", "other", "1")
    with_cache.flush_cache()
    assert calls(server, "flushall") == calls(server, "flushdb") == 0
    assert server.ask("DBSIZE") == 1
    with_cache.flushdb()
    assert server.ask("DBSIZE") == 0
    server.ask("SET", "other", "1")
    with_cache.flushall()
    assert server.ask("DBSIZE") == 0
    asyncio.run(with_cache.disconnect())


# ---- the server


async def test_the_server_is_looked_at(cache: RedisCache) -> None:
    assert await cache.ping() is True
    assert cache.sync_ping() is True
    assert cache.info()["tcp_port"] == cache.redis_client.connection_pool.connection_kwargs["port"]
    assert cache.client_list()
    assert await cache.delete_cache_keys(["x"]) == 0
    assert await cache.test_connection() == {
        "status": "success",
        "message": "redis: wrote, read and deleted a probe",
    }


# ---- clients


def test_every_event_loop_has_a_client_that_ends_with_it(server: Server) -> None:
    cache = RedisCache(server.host, server.port, socket_timeout=valkey.PATIENCE)
    before = connections(server)

    async def use() -> Any:
        await asyncio.gather(cache.async_set_cache("k", 1), cache.async_get_cache("k"))
        return cache.redis_async_client

    with ThreadPoolExecutor(3) as pool:
        clients = list(pool.map(lambda _: asyncio.run(use()), range(3)))
    assert len(set(map(id, clients))) == 3
    valkey.wait_until(lambda: connections(server) == before, "their connections were closed")
    asyncio.run(cache.disconnect())


def test_one_event_loop_after_the_other(server: Server) -> None:
    cache = RedisCache(server.host, server.port, socket_timeout=valkey.PATIENCE)
    for number in range(3):
        asyncio.run(cache.async_set_cache("k", number))
        assert asyncio.run(cache.async_get_cache("k")) == number
    assert len(cache._loops) == 1
    asyncio.run(cache.disconnect())


def test_without_the_driver_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "askonce.caching._redis", None)
    monkeypatch.delattr("askonce.caching._redis", raising=False)
    with pytest.raises(MissingExtraError, match=r"pip install 'askonce\[redis\]'"):
        RedisCache()


async def test_disconnect_closes_the_clients_of_other_running_loops(
    cache: RedisCache, server: Server
) -> None:
    before = connections(server)
    ready, done = asyncio.Event(), asyncio.Event()
    here = asyncio.get_running_loop()

    async def elsewhere() -> None:
        await cache.async_get_cache("k")
        here.call_soon_threadsafe(ready.set)
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(done.wait(), here))

    other = asyncio.create_task(asyncio.to_thread(lambda: asyncio.run(elsewhere())))
    await ready.wait()
    await cache.disconnect()
    assert connections(server) == before
    done.set()
    await other


async def test_a_cache_that_is_forgotten_closes_its_client(server: Server) -> None:
    before = connections(server)
    cache = RedisCache(server.host, server.port, socket_timeout=valkey.PATIENCE)
    await cache.async_get_cache("k")
    del cache
    gc.collect()
    for _ in range(1000):
        if connections(server) == before:
            break
        await asyncio.sleep(0)
    assert connections(server) == before


async def test_a_client_given_is_used_and_stays_open(server: Server) -> None:
    mine = redis.Redis(host=server.host, port=server.port)
    mine_async = redis.asyncio.Redis(host=server.host, port=server.port)
    cache = RedisCache(redis_client=mine, redis_async_client=mine_async)
    assert cache.redis_client is mine
    assert cache.redis_async_client is mine_async
    cache.set_cache("a", 1)
    await cache.async_set_cache("b", 2)
    assert await cache.async_batch_get_cache(["a", "b"]) == [1, 2]
    pools = (mine.connection_pool, mine_async.connection_pool)
    await cache.disconnect()
    assert [len(pool._available_connections) for pool in pools] == [1, 1]
    assert mine_async.connection_pool._available_connections[0].is_connected
    mine.close()
    await mine_async.aclose()


async def test_a_call_without_its_kind_of_client_says_so() -> None:
    cache = RedisCache(redis_client=redis.Redis())
    with pytest.raises(BackendError, match="give redis_async_client"):
        await cache.async_get_cache("k")
    other = RedisCache(redis_async_client=redis.asyncio.Redis())
    with pytest.raises(BackendError, match="give redis_client"):
        other.get_cache("k")


def test_a_client_that_decodes_is_refused() -> None:
    with pytest.raises(ValueError, match="decode_responses"):
        RedisCache(redis_client=redis.Redis(decode_responses=True))


def test_settings_make_the_backend(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = CacheSettings(
        _env_file=None,
        type="redis",
        host=server.host,
        port=server.port,
        db=3,
        namespace="my app",
        ttl=77,
        redis_flush_size=5,
        backend_timeout=5,
    )
    cache = RedisCache.from_settings(settings, client_name="askonce-test")
    assert (cache.namespace, cache.default_ttl, cache.redis_flush_size) == ("my%20app", 77, 5)
    cache.set_cache("k", 1)
    assert {client["name"] for client in cache.client_list()} >= {"askonce-test"}
    assert server.ask("INFO", "keyspace")["db3"]["keys"] == 1
    asyncio.run(cache.disconnect())
