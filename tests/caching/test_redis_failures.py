"""What becomes of a cache whose Redis fails: words, soon, and a way back."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from typing import TYPE_CHECKING, Any

import pytest
from redis import exceptions

from askonce.caching._redis_errors import failure
from askonce.caching.redis_cache import RedisCache
from askonce.errors import BackendError, BackendTimeoutError
from support import valkey
from support.faults import HOST, FaultyProxy, faulty

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from support.valkey import Server


@pytest.fixture
def server() -> Iterator[Server]:
    with valkey.server() as made:
        yield made


WAYS: list[Callable[[RedisCache], Awaitable[Any]]] = [
    lambda cache: cache.async_get_cache("k"),
    lambda cache: cache.async_set_cache("k", 1),
    lambda cache: cache.async_set_cache("k", 1, nx=True),
    lambda cache: cache.async_increment("k", 1),
    lambda cache: cache.async_delete_cache("k"),
    lambda cache: cache.async_flush_cache("k"),
    lambda cache: cache.ping(),
    lambda cache: asyncio.to_thread(cache.get_cache, "k"),
    lambda cache: asyncio.to_thread(cache.set_cache, "k", 1),
    lambda cache: asyncio.to_thread(cache.flush_cache, "k"),
    lambda cache: asyncio.to_thread(cache.info),
    lambda cache: asyncio.to_thread(cache.client_list),
]


async def test_a_server_that_is_gone_is_told_everywhere() -> None:
    cache = RedisCache(HOST, port := valkey.free_port(), password="hidden")
    for way in WAYS:
        with pytest.raises(BackendError, match=rf"redis: {HOST}:{port}: not reached") as failed:
            await way(cache)
        assert "ASKONCE_HOST" in str(failed.value)
        assert "hidden" not in str(failed.value)
    assert (await cache.test_connection())["status"] == "failed"
    await cache.disconnect()


async def test_a_server_that_hangs_is_not_waited_for(server: Server) -> None:
    cache = RedisCache(server.host, server.port, socket_timeout=0.01)
    server.suspend()
    for way in WAYS:
        with pytest.raises(BackendTimeoutError, match=r"no answer within 0\.01 s"):
            await way(cache)
    server.resume()
    await cache.disconnect()


async def test_a_server_that_comes_back_is_found_at_once(server: Server) -> None:
    cache = RedisCache(server.host, server.port, socket_timeout=valkey.PATIENCE)
    await cache.async_set_cache("k", 1)
    cache.set_cache("k", 1)
    server.kill()
    server.start()
    assert await cache.async_get_cache("k") is None
    assert cache.get_cache("k") is None
    assert await cache.async_increment("n", 1) == 1
    server.stop()
    with pytest.raises(BackendError):
        await cache.async_get_cache("k")
    server.start()
    await cache.async_set_cache("k", 2)
    assert cache.get_cache("k") == 2
    await cache.disconnect()


async def test_a_connection_reset_in_mid_reply_is_made_anew(server: Server) -> None:
    server.ask("SET", "k", b"9" * 50)
    async with faulty(server.host, server.port) as proxy:
        cache = RedisCache(HOST, proxy.port, socket_timeout=valkey.PATIENCE, retries=0)
        await cache.ping()
        proxy.cut_after = 20
        with pytest.raises(BackendError, match="HINT"):
            await cache.async_get_cache("k")
        proxy.cut_after = None
        assert await cache.async_get_cache("k") == int("9" * 50)
        await cache.disconnect()


async def test_what_may_be_done_twice_is_sent_again(server: Server) -> None:
    async with faulty(server.host, server.port) as proxy:
        cache = RedisCache(HOST, proxy.port, socket_timeout=valkey.PATIENCE)
        await cache.async_set_cache("k", 1)
        proxy.open.clear()
        read = asyncio.create_task(cache.async_get_cache("k"))
        await until(lambda: b"MGET" in proxy.sent)
        proxy.reset_all()
        proxy.open.set()
        assert await read == 1
        assert proxy.sent.count(b"MGET") == 2
        await cache.disconnect()


async def test_what_may_not_be_done_twice_is_not(server: Server) -> None:
    async with faulty(server.host, server.port) as proxy:
        cache = RedisCache(HOST, proxy.port, socket_timeout=valkey.PATIENCE)
        await cache.ping()
        proxy.open.clear()
        added = asyncio.create_task(cache.async_increment("n", 1))
        await until(lambda: b"EVAL" in proxy.sent)
        proxy.reset_all()
        proxy.open.set()
        with pytest.raises(BackendError):
            await added
        assert proxy.sent.count(b"EVAL") == 1
        await cache.disconnect()


@pytest.fixture
async def on_the_line(server: Server) -> AsyncIterator[tuple[RedisCache, FaultyProxy]]:
    """A cache whose reads go by a connection of their own, with faults."""
    server.ask("SET", "k", "1")
    async with faulty(server.host, server.port) as proxy:
        cache = RedisCache(HOST, proxy.port, socket_timeout=valkey.PATIENCE)
        await until_on_the_line(cache)
        yield cache, proxy
        await cache.disconnect()


async def test_reads_share_a_connection_without_waiting_for_each_other(
    on_the_line: tuple[RedisCache, FaultyProxy],
) -> None:
    cache, proxy = on_the_line
    proxy.open.clear()
    reads = []
    for _ in range(3):
        reads.append(asyncio.create_task(cache.async_get_cache("k")))
        asked = proxy.sent.count(b"MGET") + 1
        await until(lambda asked=asked: proxy.sent.count(b"MGET") == asked)
    proxy.open.set()
    assert await asyncio.gather(*reads) == [1, 1, 1]
    assert proxy.connections == 1


async def test_behind_many_unanswered_reads_another_connection_is_used(
    on_the_line: tuple[RedisCache, FaultyProxy],
) -> None:
    cache, proxy = on_the_line
    proxy.open.clear()
    reads = []
    for _ in range(6):
        reads.append(asyncio.create_task(cache.async_get_cache("k")))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    proxy.open.set()
    assert await asyncio.gather(*reads) == [1] * 6


async def test_reads_under_way_on_a_connection_that_breaks_are_asked_again(
    on_the_line: tuple[RedisCache, FaultyProxy],
) -> None:
    cache, proxy = on_the_line
    proxy.open.clear()
    asked = proxy.sent.count(b"MGET") + 1
    read = asyncio.create_task(cache.async_get_cache("k"))
    await until(lambda: proxy.sent.count(b"MGET") == asked)
    proxy.reset_all()
    proxy.open.set()
    assert await read == 1
    await until_on_the_line(cache)
    assert await cache.async_get_cache("k") == 1


async def test_what_is_no_answer_is_asked_again(
    on_the_line: tuple[RedisCache, FaultyProxy],
) -> None:
    cache, _ = on_the_line
    line = cache._here()._line
    assert line is not None
    read = asyncio.create_task(cache.async_get_cache("k"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    line.data_received(b">2\r\n$10\r\ninvalidate\r\n*0\r\n-LOADING not yet\r\n")
    assert await read == 1
    line.data_received(b"+OK\r\n")  # an answer to no question
    assert line.is_over
    assert await cache.async_get_cache("k") == 1


async def test_a_line_that_was_idle_for_long_is_not_trusted(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = RedisCache(
        server.host, server.port, health_check_interval=30, socket_timeout=valkey.PATIENCE
    )
    await until_on_the_line(cache)
    line = cache._here()._line
    assert line is not None
    line._used -= 31
    assert line.is_over
    assert await cache.async_get_cache("k") is None
    await until_on_the_line(cache)
    assert cache._here()._line is not line
    await cache.disconnect()


async def test_an_idle_connection_that_is_no_longer_one_is_not_used(server: Server) -> None:
    cache = RedisCache(server.host, server.port, max_connections=1, socket_timeout=9)
    await cache.ping()
    pool = cache.redis_async_client.connection_pool
    await pool._available_connections[0].disconnect()
    assert await cache.ping()
    pool._available_connections[0]._parser.on_disconnect()
    assert await cache.ping()
    await pool._available_connections[0].send_command("PING")
    await until(lambda: pool._available_connections[0]._reader._buffer)
    assert await cache.async_get_cache("k") is None
    await cache.disconnect()


async def test_who_gives_up_waiting_for_a_connection_lets_the_next_one_have_it(
    server: Server,
) -> None:
    cache = RedisCache(server.host, server.port, max_connections=1, socket_timeout=9)
    pool = cache.redis_async_client.connection_pool
    held = await pool.get_connection()
    first, second = (asyncio.create_task(pool.get_connection()) for _ in range(2))
    await asyncio.sleep(0)
    await pool.release(held)
    first.cancel()
    assert await second is held
    await pool.release(held)
    await cache.disconnect()


async def test_without_a_connection_to_spare_reads_do_without_one_of_their_own(
    server: Server,
) -> None:
    cache = RedisCache(server.host, server.port, max_connections=2, socket_timeout=0.2)
    pool = cache.redis_async_client.connection_pool
    held = await pool.get_connection()
    await asyncio.gather(cache.async_get_cache("k"), cache.async_get_cache("l"))
    await cache.disconnect()
    assert not held.is_connected


async def test_a_key_that_is_no_text_hurts_nobody_else(server: Server) -> None:
    cache = RedisCache(server.host, server.port, socket_timeout=valkey.PATIENCE)
    bad, good = await asyncio.gather(
        cache.async_get_cache("\ud800"), cache.async_get_cache("k"), return_exceptions=True
    )
    assert isinstance(bad, UnicodeEncodeError)
    assert good is None
    await cache.disconnect()


async def test_a_slow_connect_is_made_once_behind_all_who_cannot_wait(server: Server) -> None:
    async with faulty(server.host, server.port) as proxy:
        cache = RedisCache(
            HOST, proxy.port, socket_timeout=0.01, socket_connect_timeout=valkey.PATIENCE
        )
        proxy.open.clear()
        for _ in range(3):
            tried = [cache.async_get_cache(str(n)) for n in range(5)]
            failed = await asyncio.gather(*tried, return_exceptions=True)
            assert {type(it) for it in failed} == {BackendTimeoutError}
        assert proxy.connections == 1
        proxy.open.set()
        await until_ready(cache)
        await cache.disconnect()


@pytest.mark.parametrize("line", [False, True])
async def test_a_late_answer_is_nobody_elses(server: Server, line: bool) -> None:
    server.ask("SET", "slow", "1")
    server.ask("SET", "k", "2")
    async with faulty(server.host, server.port) as proxy:
        cache = RedisCache(HOST, proxy.port, socket_timeout=0.2, socket_connect_timeout=9)
        await until_ready(cache)
        if line:
            await until_on_the_line(cache)
        proxy.open.clear()
        with pytest.raises(BackendTimeoutError):
            await cache.async_get_cache("slow")
        proxy.open.set()
        found = None
        while found is None:
            with contextlib.suppress(BackendTimeoutError):
                found = await cache.async_get_cache("k")
        assert found == 2
        await cache.disconnect()


async def test_disconnect_waits_for_nothing_that_hangs(server: Server) -> None:
    cache = RedisCache(server.host, server.port, socket_timeout=0.01, socket_connect_timeout=99)
    server.suspend()
    with pytest.raises(BackendTimeoutError):
        await cache.async_get_cache("k")
    async with asyncio.timeout(valkey.PATIENCE):
        await cache.disconnect()
    server.resume()


async def until_ready(cache: RedisCache) -> None:
    """Make what was begun behind calls come to its end, however slow this machine is."""
    async with asyncio.timeout(valkey.PATIENCE):
        await cache._here().client.ping()


async def until_on_the_line(cache: RedisCache) -> None:
    """Read until reads go by a connection of their own."""
    while cache._here()._line is None:
        await cache.async_get_cache("k")
        await asyncio.sleep(0)


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(valkey.PATIENCE):
        while not true():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0)


# ---- in words


async def test_a_wrong_password_is_told() -> None:
    with valkey.server(password="right") as server:
        for password in ("wrong", None):
            cache = RedisCache(server.host, server.port, password, socket_timeout=valkey.PATIENCE)
            for way in WAYS:
                with pytest.raises(BackendError, match="ASKONCE_PASSWORD") as failed:
                    await way(cache)
                assert "REDIS_URL" in str(failed.value)
                assert "wrong " not in str(failed.value).replace("is wrong", "")
            assert "ASKONCE_PASSWORD" in (await cache.test_connection())["message"]
            await cache.disconnect()


async def test_what_a_user_may_not_do_is_told(server: Server) -> None:
    server.ask("ACL", "SETUSER", "reader", "on", ">pw", "~*", "+@read", "+@connection")
    cache = RedisCache(
        server.host, server.port, "pw", username="reader", socket_timeout=valkey.PATIENCE
    )
    assert await cache.async_get_cache("k") is None
    found = await cache.test_connection()
    assert "ACL of ASKONCE_USERNAME" in found["message"]
    await cache.disconnect()


async def test_a_replica_is_told(server: Server) -> None:
    server.ask("REPLICAOF", HOST, str(valkey.free_port()))
    cache = RedisCache(server.host, server.port, socket_timeout=valkey.PATIENCE)
    found = await cache.test_connection()
    assert "replica" in found["message"]
    assert "ASKONCE_HOST" in found["message"]
    await cache.disconnect()


async def test_a_full_memory_is_told(server: Server) -> None:
    server.ask("CONFIG", "SET", "maxmemory", "1")
    cache = RedisCache(server.host, server.port, socket_timeout=valkey.PATIENCE)
    assert "maxmemory" in (await cache.test_connection())["message"]
    with pytest.raises(BackendError, match="maxmemory"):
        await cache.async_set_cache_pipeline([("a", 1), ("b", 2)])
    with pytest.raises(BackendError, match="maxmemory"):
        await cache.async_increment("n", 1)
    await cache.disconnect()


@pytest.mark.parametrize("protocol", [2, 3])
async def test_a_database_that_is_not_there_is_told(server: Server, protocol: int) -> None:
    cache = RedisCache(
        server.host, server.port, db=99, protocol=protocol, socket_timeout=valkey.PATIENCE
    )
    assert "ASKONCE_DB" in (await cache.test_connection())["message"]
    with pytest.raises(BackendError, match="ASKONCE_DB"):
        cache.get_cache("k")
    await cache.disconnect()


async def test_a_server_with_no_room_for_clients_is_told(server: Server) -> None:
    with socket.create_connection((server.host, server.port)):
        server.ask("CONFIG", "SET", "maxclients", "1")
        cache = RedisCache(server.host, server.port, socket_timeout=valkey.PATIENCE)
        assert (await cache.test_connection())["status"] == "failed"
        await cache.disconnect()


def _caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


_BROKEN = exceptions.ConnectionError("redis://u:hidden@h")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (exceptions.BusyLoadingError("hidden"), "still loading"),
        (exceptions.MaxConnectionsError("hidden"), "ASKONCE_REDIS_MAX_CONNECTIONS"),
        (exceptions.AuthorizationError("hidden"), "ASKONCE_PASSWORD"),
        (exceptions.ResponseError("max number of clients reached"), "maxclients"),
        (exceptions.ResponseError("MISCONF hidden"), "cannot save"),
        (exceptions.ClusterDownError("CLUSTERDOWN hidden"), "CLUSTER INFO"),
        (exceptions.ResponseError("unknown command 'HELLO' 'hidden'"), "ERR: the server"),
        (exceptions.ResponseError("TRYAGAIN hidden"), "TRYAGAIN: the server"),
        (exceptions.DataError("hidden"), "the driver an argument"),
        (_caused(_BROKEN, socket.gaierror(-2, "hidden")), "no such host"),
        (exceptions.ConnectionError("hidden"), "connection was closed"),
        (ConnectionRefusedError(111, "Connection refused"), "not reached: Connection refused"),
        (OSError("hidden"), "not reached: OSError"),
        (_caused(exceptions.ConnectionError("x"), ssl.SSLError(1, "hidden")), "ASKONCE_SSL"),
        (exceptions.TimeoutError("hidden"), "no answer in time"),
        (BackendError("as it is"), "as it is"),
    ],
)
def test_every_failure_has_words_and_no_secret(error: Exception, words: str) -> None:
    told = failure(error, "host:1", None)
    assert words in str(told)
    assert "hidden" not in str(told)
    assert isinstance(told, BackendTimeoutError) is isinstance(error, exceptions.TimeoutError)
