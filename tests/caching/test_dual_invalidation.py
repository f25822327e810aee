"""What other processes change, and what becomes of memory when Redis cannot tell of it."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from askonce.caching import _dual_redis, _invalidation
from askonce.caching.caching import Cache
from askonce.caching.dual_cache import DualCache
from askonce.caching.in_memory_cache import InMemoryCache
from askonce.caching.redis_cache import RedisCache
from askonce.caching.redis_cluster_cache import RedisClusterCache
from askonce.entry import Entry
from askonce.errors import BackendError
from support import valkey, valkey_cluster
from support.valkey import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

LISTENER = "askonce-invalidation"


@pytest.fixture
def server() -> Iterator[valkey.Server]:
    with valkey.server() as own:
        yield own


@contextmanager
def dual(server: valkey.Server, seconds: float = 1.0, **options: Any) -> Iterator[DualCache]:
    cache = DualCache(
        InMemoryCache(default_ttl=None),
        RedisCache(server.host, server.port, socket_timeout=seconds, **options),
    )
    try:
        yield cache
    finally:
        asyncio.run(closed(cache))


async def closed(cache: DualCache) -> None:
    await cache.disconnect()
    assert cache.redis_cache is not None
    await cache.redis_cache.disconnect()


@pytest.fixture
def one(server: valkey.Server) -> Iterator[DualCache]:
    with dual(server) as cache:
        yield cache


@pytest.fixture
def other(server: valkey.Server) -> Iterator[DualCache]:
    with dual(server) as cache:
        yield cache


def entry(key: str = "askonce:1", stored_at: float = 1.0) -> Entry:
    return Entry(key, stored_at, 60.0, 200, (), b"{}", "plain", usage_due=False)


def here(cache: DualCache, key: str) -> Any:
    """What the memory of a cache holds, whether or not it may say so."""
    return cache.get_cache(key, local_only=True)


def wait_for_lease(cache: DualCache) -> None:
    wait_until(lambda: cache._tier.is_covered and cache._tier.may_answer, "memory may answer")


def wait_until_compared(cache: DualCache) -> None:
    wait_until(lambda: not cache._tier._written, "the write was compared")


def wait_for_silence(cache: DualCache) -> None:
    wait_until(lambda: not cache._tier.is_covered, "the loss was noticed")


def lines(server: valkey.Server) -> list[str]:
    """The ids of the connections that the server tells of changes."""
    listed = server.ask("CLIENT", "LIST").decode().splitlines()
    fields = [dict(word.partition("=")[::2] for word in line.split(" ")) for line in listed]
    return [each["id"] for each in fields if "B" in each["flags"]]


# ---- what others do


DELETES = {
    "a delete": lambda other, _: other.delete_cache("askonce:1"),
    "a delete of many": lambda other, _: asyncio.run(other.async_delete_many(["x", "askonce:1"])),
    "a flush of the namespace": lambda other, _: other.flush_cache("askonce"),
    "a flush of everything": lambda other, _: asyncio.run(other.async_flush_cache()),
    "an operator's delete": lambda _, server: server.ask("DEL", "askonce:1"),
    "an operator's flush": lambda _, server: server.ask("FLUSHALL"),
    "an expiry": lambda _, server: server.ask("PEXPIRE", "askonce:1", 1),
}


@pytest.mark.parametrize("delete", DELETES.values(), ids=DELETES)
def test_what_is_deleted_anywhere_is_forgotten_everywhere(one, other, server, delete) -> None:
    one.set_entry(entry(), 60)
    wait_until_compared(one)
    assert one.look("askonce:1") == entry()
    delete(other, server)
    wait_until(lambda: one.look("askonce:1") is None, "the delete was heard of")
    wait_until(lambda: one.get_entry("askonce:1") is None, "it was deleted")


def test_what_was_read_is_forgotten_too_once_it_is_deleted(one, other) -> None:
    other.set_entry(entry(), 60)
    assert one.get_entry("askonce:1") == entry()
    assert one.look("askonce:1") == entry()
    other.delete_cache("askonce:1")
    wait_until(lambda: one.look("askonce:1") is None, "the delete was heard of")


def test_an_own_write_stays_in_memory(one, server) -> None:
    one.set_entry(entry(), 60)
    wait_until_compared(one)
    server.ask("SET", "other", "1")
    one.set_cache("k", 1)
    wait_until_compared(one)
    assert one.look("askonce:1") == entry()
    assert here(one, "k") == 1


def test_anothers_newer_entry_replaces_ours(one, other) -> None:
    one.set_entry(entry(), 60)
    other.set_entry(entry(stored_at=2.0), 60)
    wait_until(lambda: one.get_entry("askonce:1").stored_at == 2.0, "the newer one was found")
    assert other.get_entry("askonce:1").stored_at == 2.0


def test_of_two_who_write_at_once_both_come_to_see_the_same(one, other, server) -> None:
    for round_ in range(20):
        writers = [
            threading.Thread(target=cache.set_cache, args=("k", (round_, who)))
            for who, cache in enumerate((one, other, one, other))
        ]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        in_redis = RedisCache(server.host, server.port).get_cache("k")
        wait_until(
            lambda now=in_redis: one.get_cache("k") == other.get_cache("k") == now, "they agreed"
        )


_OTHER_PROCESS = """
import asyncio, sys
from askonce.caching.dual_cache import DualCache
from askonce.caching.redis_cache import RedisCache

async def main():
    redis = RedisCache("127.0.0.1", int(sys.argv[1]), socket_timeout=5.0)
    cache = DualCache(redis_cache=redis)
    for line in sys.stdin:
        print(repr(await getattr(cache, line.split()[0])(*line.split()[1:])), flush=True)
    await cache.disconnect()
    await redis.disconnect()

asyncio.run(main())
"""


def test_another_process_is_another_process(one, server) -> None:
    command = [sys.executable, "-c", _OTHER_PROCESS, str(server.port)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:

        def does(line: str) -> str:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(f"{line}\n")
            process.stdin.flush()
            return process.stdout.readline().strip()

        one.set_cache("team:1", "v")
        assert does("async_get_cache team:1") == "'v'"
        assert does("async_delete_cache team:1") == "True"
        wait_until(lambda: one.get_cache("team:1") is None, "the delete was heard of")
        assert does("async_set_cache team:1 w") == "None"
        wait_until(lambda: one.get_cache("team:1") == "w", "the write was heard of")
        one.delete_cache("team:1")
        wait_until(lambda: does("async_get_cache team:1") == "None", "it heard of the delete")
        assert does("async_set_cache team:2 x") == "None"
        one.flush_cache("team")
        wait_until(lambda: does("async_get_cache team:2") == "None", "it heard of the flush")
        process.communicate()
    assert process.returncode == 0


def test_keys_outside_the_namespace_are_not_heard_of(server) -> None:
    with dual(server, namespace="team") as cache:
        cache.set_cache("k", 1)
        wait_until_compared(cache)
        assert server.ask("GET", "team:k") == b"1"
        server.ask("SET", "k", "2")
        assert cache.get_cache("k") == 1
        server.ask("SET", "team:k", "3")
        wait_until(lambda: cache.get_cache("k") == 3, "the write was heard of")
        assert "prefix" not in server.ask("CLIENT", "LIST").decode()


# ---- the line is cut


def test_a_cut_line_makes_memory_forget_what_it_was_not_told_of(one, other, server) -> None:
    one.set_entry(entry(), 60)
    other.set_cache("k", 1)
    wait_for_lease(one)
    for line in lines(server):
        server.ask("CLIENT", "KILL", "ID", line)
    server.ask("DEL", "askonce:1")
    wait_until(lambda: one.get_entry("askonce:1") is None, "it was forgotten")
    wait_for_lease(one)
    assert one.in_memory_cache.get_entry("askonce:1") is None
    assert one.get_cache("k") == 1
    server.ask("DEL", "k")
    wait_until(lambda: one.get_cache("k") is None, "changes are heard of again")


def test_while_no_change_can_be_heard_of_redis_is_asked(
    one, server, monkeypatch: pytest.MonkeyPatch
) -> None:
    one.set_entry(entry(), 60)
    monkeypatch.setattr(_dual_redis, "connect", refuse)
    cut(one, server)
    server.ask("DEL", "askonce:1")
    assert one.get_entry("askonce:1") is None
    server.ask("SET", "k", "1")
    assert one.get_cache("k") == 1
    server.ask("SET", "k", "2")
    assert one.get_cache("k") == 2
    assert here(one, "k") is None


def refuse(_redis: object) -> list[Any]:
    raise BackendError("not now")


def cut(cache: DualCache, server: valkey.Server) -> None:
    """Cut the line; whoever calls it sees to it that no other can be had."""
    for line in lines(server):
        server.ask("CLIENT", "KILL", "ID", line)
    wait_for_silence(cache)


def test_a_line_without_a_pulse_ends_the_lease(server) -> None:
    with dual(server, seconds=0.05) as cache:
        cache.set_entry(entry(), 60)
        wait_for_lease(cache)
        server.suspend()
        wait_until(lambda: cache.look("askonce:1") is None, "the lease ran out")
        server.resume()
        wait_for_lease(cache)
        assert cache.get_entry("askonce:1") == entry()


def test_a_write_that_cannot_be_compared_ends_the_lease(
    one, monkeypatch: pytest.MonkeyPatch
) -> None:
    one.get_cache("k")
    monkeypatch.setattr(one.redis_cache, "_read", refuse)
    one.set_cache("k", 1)
    wait_for_silence(one)
    monkeypatch.undo()
    wait_for_lease(one)
    assert here(one, "k") is None
    assert one.get_cache("k") == 1


def test_a_thread_that_stands_still_ends_the_lease(one, monkeypatch: pytest.MonkeyPatch) -> None:
    one.set_entry(entry(), 60)
    wait_for_lease(one)
    still = threading.Event()
    monkeypatch.setattr(one._tier, "written", lambda: still.wait() and [])
    wait_until(lambda: one.look("askonce:1") is None, "the lease ran out")
    still.set()
    wait_for_lease(one)


# ---- Redis is down


def test_memory_goes_on_serving_and_takes_what_is_written(one, server) -> None:
    one.set_entry(entry(), 60)
    one.set_cache("k", 1)
    server.kill()
    assert one.get_entry("askonce:1") == entry()
    assert one.get_cache("k") == 1
    wait_for_silence(one)
    assert one.get_entry("askonce:1") == entry()
    assert one.batch_get_cache(["k", "absent"]) == [1, None]
    one.set_cache("k", 2)
    one.set_entry(entry(stored_at=2.0), 60)
    assert one.get_cache("k") == 2
    assert one.get_entry("askonce:1").stored_at == 2.0
    assert one.look("askonce:1").stored_at == 2.0
    assert one._failures.count > 0


async def test_so_it_does_for_event_loops(one, server) -> None:
    await one.async_set_entry(entry(), 60)
    await one.async_set_cache_pipeline([("k", 1)])
    server.kill()
    wait_for_silence(one)
    assert await one.async_get_entry("askonce:1") == entry()
    assert await one.async_batch_get_cache(["k", "absent"]) == [1, None]
    await one.async_set_cache("k", 2, ttl=30)
    await one.async_set_entry(entry(stored_at=2.0), 60)
    await one.async_set_cache_sadd("s", ["x"])
    assert await one.async_get_cache("k") == 2
    assert (await one.async_get_entry("askonce:1")).stored_at == 2.0
    assert await one.async_increment_cache("n", 2) == 2
    assert await one.async_increment_cache("n", 2) == 4
    assert 20 < await one.async_get_ttl("k") <= 30
    assert (await one.test_connection())["status"] == "failed"


def test_an_entry_that_memory_has_not_is_a_failure_not_a_miss(one, server) -> None:
    one.get_entry("askonce:1")
    server.kill()
    wait_for_silence(one)
    for _ in range(2):  # found out, then known
        with pytest.raises(BackendError):
            one.get_entry("askonce:1")
        with pytest.raises(BackendError):
            asyncio.run(one.async_get_entry("askonce:1"))


def test_a_failure_is_logged_once_in_a_while(one, server, caplog) -> None:
    server.kill()
    for _ in range(3):
        assert one.get_cache("k") is None
    assert len([line for line in caplog.messages if line.startswith("dual:")]) == 1


def test_a_known_miss_is_not_made_of_a_failure(one, server) -> None:
    server.kill()
    assert one.batch_get_cache(["k"]) == [None]
    server.start()
    server.ask("SET", "k", "1")
    wait_until(lambda: one.batch_get_cache(["k"]) == [1], "Redis is asked again")


def test_deleting_and_flushing_say_that_others_may_go_on_serving(one, server) -> None:
    one.set_cache("k", 1)
    one.set_cache("l", 1)
    server.kill()
    with pytest.raises(BackendError, match="other processes"):
        one.delete_cache("k")
    with pytest.raises(BackendError, match="other processes"):
        asyncio.run(one.async_delete_cache("k"))
    with pytest.raises(BackendError, match="other processes"):
        asyncio.run(one.async_delete_many(["k"]))
    assert one.get_cache("k") is None
    with pytest.raises(BackendError):
        one.flush_cache()
    with pytest.raises(BackendError):
        asyncio.run(one.async_flush_cache())
    assert one.get_cache("l") is None


WRITES = {
    "a write": lambda cache: cache.set_cache("k", "new"),
    "a write of None": lambda cache: cache.set_cache("k", None),
    "a pipeline": lambda cache: asyncio.run(cache.async_set_cache_pipeline([("k", "new")])),
    "a delete": lambda cache: delete_in_vain(cache, "k"),
}


def delete_in_vain(cache: DualCache, key: str) -> None:
    with pytest.raises(BackendError):
        cache.delete_cache(key)


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_what_was_changed_meanwhile_does_not_come_back_old(
    one, server, write, monkeypatch: pytest.MonkeyPatch
) -> None:
    one.set_cache("k", "old")
    server.kill()
    wait_for_silence(one)
    monkeypatch.setattr(_dual_redis, "connect", refuse)
    write(one)
    server.start()
    in_redis = RedisCache(server.host, server.port)
    in_redis.set_cache("k", "old")
    monkeypatch.undo()
    wait_until(lambda: in_redis.get_cache("k") is None, "the old one was deleted")
    assert one.get_cache("k") != "old"
    wait_for_lease(one)
    assert one.get_cache("k") is None
    assert len(one._debts) == 0


def test_until_then_it_is_not_asked_for(one, server, monkeypatch: pytest.MonkeyPatch) -> None:
    one.set_cache("k", "old")
    server.kill()
    wait_for_silence(one)
    monkeypatch.setattr(_dual_redis, "connect", refuse)
    one.set_cache("k", "new")
    one.set_entry(entry(stored_at=2.0), 60)
    server.start()
    in_redis = RedisCache(server.host, server.port)
    in_redis.set_cache("k", "old")
    in_redis.set_cache("l", 1)
    in_redis.set_entry(entry(), 60)
    wait_until(lambda: one.get_cache("l") == 1, "Redis is asked again")
    assert one.get_cache("k") == "new"
    assert one.get_entry("askonce:1").stored_at == 2.0


def test_what_was_counted_meanwhile_is_added(one, server) -> None:
    server.kill()
    assert [one.increment_cache("n", 2), one.increment_cache("n", 0.5, ttl=30)] == [2, 2.5]
    server.start()
    server.ask("INCRBY", "n", 10)
    wait_until(lambda: one.get_cache("n") == 12.5, "it was added")
    assert one.increment_cache("n") == 13.5


def test_what_redis_may_have_counted_is_not_counted_twice(server) -> None:
    with dual(server, seconds=0.05) as cache:
        assert cache.increment_cache("n") == 1
        server.suspend()
        assert cache.increment_cache("n") == 1
        assert len(cache._debts) == 0
        server.resume()
        wait_until(lambda: cache.get_cache("n") == 2, "it was counted once")


def test_a_write_that_cannot_be_remembered_is_not_kept(one, server) -> None:
    one._debts._limit = 0
    server.kill()
    one.set_cache("k", 1)
    assert here(one, "k") is None


async def test_a_write_that_nobody_waits_for_is_owed(one, server) -> None:
    await one.async_set_cache("k", 1)
    server.suspend()
    write = asyncio.create_task(one.async_set_cache("k", 2))
    await asyncio.sleep(0)  # it has begun
    assert one._tier._writing
    write.cancel()
    with pytest.raises(asyncio.CancelledError):
        await write
    assert "k" in one._debts
    server.resume()
    in_redis = RedisCache(server.host, server.port)
    wait_until(lambda: in_redis.get_cache("k") is None, "it was deleted")


# ---- life


def listeners() -> int:
    return sum(thread.name == LISTENER for thread in threading.enumerate())


def test_listening_begins_with_the_first_use_and_ends_with_disconnect(server) -> None:
    before = listeners()
    with dual(server) as cache:
        assert listeners() == before
        cache.get_cache("k")
        assert listeners() == before + 1
        asyncio.run(cache.disconnect())
        wait_until(lambda: listeners() == before, "the thread ended")
        wait_until(lambda: not lines(server), "its connection was closed")
        assert not cache._tier.may_answer
        cache.set_cache("k", 1)
        assert listeners() == before + 1


def test_what_changed_while_nobody_listened_is_forgotten(one, server) -> None:
    one.set_cache("k", 1)
    asyncio.run(one.disconnect())
    server.ask("SET", "k", "2")
    assert one.get_cache("k") == 2
    wait_for_lease(one)
    assert one.get_cache("k") == 2


def test_a_cache_that_is_garbage_listens_no_more(server) -> None:
    before = listeners()
    with dual(server) as cache:
        redis = cache.redis_cache
        forgotten = DualCache(InMemoryCache(), redis)
        forgotten.get_cache("k")
        assert listeners() == before + 1
        del forgotten
        gc.collect()
        wait_until(lambda: listeners() == before, "the thread ended")


def test_it_listens_again_when_redis_is_back_however_often(one, server) -> None:
    for round_ in range(3):
        one.set_cache("k", round_)
        wait_for_lease(one)
        server.kill()
        wait_for_silence(one)
        server.start()
        wait_for_lease(one)
        assert one.get_cache("k") is None


def test_redis_need_not_be_there_in_the_beginning(one, server) -> None:
    server.kill()
    one.set_cache("k", 1)
    assert one.get_cache("k") == 1
    server.start()
    wait_for_lease(one)
    assert one.get_cache("k") is None


def test_event_loops_in_many_threads_use_one_listener(one) -> None:
    before = listeners()

    async def work(number: int) -> None:
        await one.async_set_cache(f"k{number}", number)
        assert await one.async_get_cache(f"k{number}") == number

    threads = [threading.Thread(target=asyncio.run, args=(work(n),)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert listeners() == before + 1
    assert one.batch_get_cache([f"k{n}" for n in range(8)]) == list(range(8))


async def test_the_journey_is_served(server) -> None:
    cache = Cache(type="dual", redis_url=server.url, backend_timeout=1.0)
    await cache.store(entry(), 60)
    assert await cache.lookup("askonce:1") == entry()
    await cache.disconnect()


def test_every_primary_of_a_cluster_is_listened_to() -> None:
    cluster = valkey_cluster.shared_cluster()

    def make() -> DualCache:
        redis = RedisClusterCache(
            startup_nodes=cluster.startup_nodes, socket_timeout=valkey.PATIENCE
        )
        return DualCache(InMemoryCache(default_ttl=None), redis)

    one, other = make(), make()
    keys = [f"k{n}" for n in range(12)]
    for key in keys:
        one.set_cache(key, key)
    assert other.batch_get_cache(keys) == keys
    assert [here(other, key) for key in keys] == keys
    wait_until_compared(one)
    assert [here(one, key) for key in keys] == keys
    for key in keys:
        other.delete_cache(key)
    wait_until(lambda: one.batch_get_cache(keys) == [None] * 12, "the deletes were heard of")

    one.set_cache("k", 1)
    first = one._listener._run.lines
    cluster.primaries[0].ask("CLUSTER", "BUMPEPOCH")
    wait_until(lambda: one._listener._run.lines is not first, "the change was noticed")
    wait_for_lease(one)
    other.set_cache("k", 2)
    wait_until(lambda: one.get_cache("k") == 2, "the write was heard of")
    for cache in (one, other):
        asyncio.run(closed(cache))


# ---- two processes and an operator against one dict


KEYS = st.sampled_from(["a:1", "a:2", "b:1"])
WHO = st.sampled_from([0, 1])


class TwoProcesses(RuleBasedStateMachine):
    """Two caches on one server: each sees what it did at once, the other one within a moment."""

    def __init__(self, server: valkey.Server) -> None:
        super().__init__()
        server.ask("FLUSHALL")
        self.server = server
        self.caches = [
            DualCache(InMemoryCache(), RedisCache(server.host, server.port, socket_timeout=5.0))
            for _ in range(2)
        ]
        self.model: dict[str, Any] = {}

    def teardown(self) -> None:
        for key in ("a:1", "a:2", "b:1"):
            self.both_see(key)
        for cache in self.caches:
            asyncio.run(closed(cache))

    def both_see(self, key: str) -> None:
        expected = self.model.get(key)
        for cache in self.caches:
            wait_until(lambda cache=cache: cache.get_cache(key) == expected, f"{key}: {expected}")

    @rule(who=WHO, key=KEYS, value=st.integers(0, 9))
    def write(self, who: int, key: str, value: int) -> None:
        self.caches[who].set_cache(key, value)
        self.model[key] = value
        assert self.caches[who].get_cache(key) == value

    @rule(who=WHO, key=KEYS)
    def read(self, who: int, key: str) -> None:
        self.caches[who].get_cache(key)

    @rule(key=KEYS)
    def agree(self, key: str) -> None:
        self.both_see(key)

    @rule(who=WHO, key=KEYS)
    def delete(self, who: int, key: str) -> None:
        self.caches[who].delete_cache(key)
        self.model.pop(key, None)
        assert self.caches[who].get_cache(key) is None

    @rule(who=WHO)
    def flush(self, who: int) -> None:
        self.caches[who].flush_cache("a")
        self.model = {key: value for key, value in self.model.items() if key == "b:1"}
        assert self.caches[who].get_cache("a:1") is None

    @rule(who=WHO, key=KEYS)
    def count(self, who: int, key: str) -> None:
        self.model[key] = self.model.get(key, 0) + 1
        assert self.caches[who].increment_cache(key) == self.model[key]
        assert self.caches[who].get_cache(key) == self.model[key]

    @rule()
    def cut_the_lines(self) -> None:
        for line in lines(self.server):
            self.server.ask("CLIENT", "KILL", "ID", line)

    @rule(who=WHO)
    def close(self, who: int) -> None:
        asyncio.run(self.caches[who].disconnect())


def test_two_processes_see_one_store(server) -> None:
    run_state_machine_as_test(
        lambda: TwoProcesses(server),
        settings=settings(max_examples=15, stateful_step_count=20, deadline=None),
    )


def test_a_line_with_too_much_to_tell_is_heard_in_parts(one, monkeypatch) -> None:
    monkeypatch.setattr(_invalidation, "_MOST_AT_ONCE", 1)
    one.set_cache("k", 1)
    asyncio.run(one.async_set_cache_pipeline([(f"k{n}", n) for n in range(50)]))
    one.redis_cache.set_cache("k", 2)
    wait_until(lambda: one.get_cache("k") == 2, "the write was heard of")
