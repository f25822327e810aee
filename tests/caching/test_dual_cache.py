"""The dual cache: both tiers as one, on a real server."""

from __future__ import annotations

import asyncio
import math
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from askonce.caching import _dual_redis
from askonce.caching._dual_debts import Debts
from askonce.caching._dual_memory import MemoryTier
from askonce.caching._dual_misses import KnownMisses
from askonce.caching.dual_cache import DualCache
from askonce.caching.in_memory_cache import InMemoryCache
from askonce.caching.redis_cache import RedisCache
from askonce.entry import Entry
from askonce.errors import BackendError
from askonce.settings import CacheSettings
from support import valkey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Clock:
    """A time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server() -> valkey.Server:
    return valkey.shared()


@pytest.fixture
def make(server: valkey.Server, clock: Clock) -> Iterator[Callable[..., DualCache]]:
    made: list[DualCache] = []

    def one(**options: Any) -> DualCache:
        redis = RedisCache(server.host, server.port, socket_timeout=valkey.PATIENCE)
        memory = InMemoryCache(default_ttl=None, clock=clock)
        cache = DualCache(
            **{"in_memory_cache": memory, "redis_cache": redis, **options}, clock=clock
        )
        made.append(cache)
        return cache

    yield one
    for cache in made:
        asyncio.run(close(cache))


async def close(cache: DualCache) -> None:
    await cache.disconnect()
    if cache.redis_cache is not None:
        await cache.redis_cache.disconnect()


def here(cache: DualCache, key: str) -> Any:
    return cache.get_cache(key, local_only=True)


# ---- two tiers


async def test_a_write_reaches_both(make, server) -> None:
    cache = make()
    cache.set_cache("a", 1)
    await cache.async_set_cache("b", 2)
    await cache.async_set_cache_pipeline([("c", 3)])
    assert [here(cache, key) for key in "abc"] == [1, 2, 3]
    assert server.ask("MGET", "a", "b", "c") == [b"1", b"2", b"3"]


async def test_memory_answers_first(make, server, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = make()
    cache.set_cache("a", 1)
    asked: list[object] = []
    monkeypatch.setattr(_dual_redis, "read", lambda *args: asked.append(args))
    assert cache.get_cache("a") == await cache.async_get_cache("a") == 1
    assert cache.batch_get_cache(["a"]) == await cache.async_batch_get_cache(["a"]) == [1]
    assert not asked


@pytest.mark.parametrize(
    ("left", "limit", "expected"),
    [(40, None, 40), (40, 5, 5), (5, 40, 5), (None, 5, 5), (None, None, None)],
)
async def test_memory_keeps_what_it_found_for_the_time_left_at_most(
    make, server, left: int | None, limit: float | None, expected: float | None
) -> None:
    for key in ("sync", "async", "batch"):
        server.ask("SET", key, "1", *(() if left is None else ("PX", left * 1000)))
    cache = make(default_in_memory_ttl=limit)
    assert cache.get_cache("sync") == await cache.async_get_cache("async") == 1
    assert await cache.async_batch_get_cache(["batch"]) == [1]
    for key in ("sync", "async", "batch"):
        assert here(cache, key) == 1
        found = cache._tier.left(key)
        assert found == expected or expected - 2 < found <= expected


async def test_an_entry_found_in_redis_is_kept_decoded(make, server) -> None:
    entry = Entry("askonce:1", 1.0, 60.0, 200, (), b"{}", "plain", usage_due=False)
    writer, reader = make(), make(default_in_memory_ttl=5)
    await writer.async_set_entry(entry, 30)
    assert reader.look("askonce:1") is None
    assert await reader.async_get_entry("askonce:1") == entry
    assert reader.look("askonce:1") == entry
    assert reader.look("askonce:1") is reader.in_memory_cache.get_entry("askonce:1")
    assert 3 < reader._tier.left("askonce:1") <= 5


async def test_memory_is_written_for_its_own_time(make, clock) -> None:
    cache = make(default_in_memory_ttl=5)
    cache.set_cache("a", 1, ttl=60)
    assert 4 < cache._tier.left("a") <= 5
    assert await cache.async_get_ttl("a") > 50
    clock.now += 5
    assert here(cache, "a") is None
    assert cache.get_cache("a") == 1


async def test_times_can_be_changed(make) -> None:
    cache = make()
    cache.update_cache_ttl(5, 20)
    cache.update_cache_ttl(None, None)
    assert (cache.default_in_memory_ttl, cache.default_redis_ttl) == (5, 20)
    cache.set_cache("a", 1)
    assert 10 < await cache.async_get_ttl("a") <= 20
    assert 4 < cache._tier.left("a") <= 5


def test_the_time_of_redis_counts_where_none_is_given(server) -> None:
    redis = RedisCache(server.host, server.port, default_ttl=7)
    assert DualCache(redis_cache=redis).default_redis_ttl == 7
    assert DualCache(redis_cache=redis, default_redis_ttl=0).default_redis_ttl == 0
    assert DualCache(InMemoryCache(default_ttl=9)).default_in_memory_ttl == 9


# ---- memory alone


async def test_local_only_leaves_redis_out(make, server) -> None:
    cache = make()
    cache.set_cache("a", 1, local_only=True)
    await cache.async_set_cache("b", 2, local_only=True)
    await cache.async_set_cache_pipeline([("c", 3)], local_only=True)
    assert cache.increment_cache("n", 1, local_only=True) == 1
    assert await cache.async_increment_cache("n", 1, local_only=True) == 2
    amounts = [{"key": "n", "increment_value": 2, "ttl": None}]
    assert await cache.async_increment_cache_pipeline(amounts, local_only=True) == [4]
    await cache.async_set_cache_sadd("s", ["x", "y"], local_only=True)
    await cache.async_set_cache_sadd("s", ["y", "z"], local_only=True)
    assert server.ask("DBSIZE") == 0
    assert cache.batch_get_cache(["a", "b", "c"], local_only=True) == [1, 2, 3]
    assert await cache.async_batch_get_cache(["n", "s"], local_only=True) == [4, ["x", "y", "z"]]
    server.ask("SET", "d", "1")
    assert await cache.async_get_cache("d", local_only=True) is None


async def test_without_redis_memory_is_all_there_is(clock) -> None:
    cache = DualCache(InMemoryCache(clock=clock), default_in_memory_ttl=5, clock=clock)
    entry = Entry("askonce:1", 1.0, 60.0, 200, (), b"{}", "plain", usage_due=False)
    cache.set_entry(entry, 60)
    cache.set_cache("a", 1)
    await cache.async_set_cache("b", 1)
    assert cache.get_entry("askonce:1") == await cache.async_get_entry("askonce:1") == entry
    assert cache.increment_cache("n") == 1
    assert await cache.async_increment("n") == 2
    assert await cache.async_get_ttl("a") == 5
    assert cache.delete_cache("a") is True
    assert await cache.async_delete_cache("a") is False
    assert cache.flush_cache("askonce") == 1
    assert await cache.async_flush_cache() == 2
    assert (await cache.test_connection())["status"] == "success"
    await cache.async_set_cache_sadd("s", ["x"])
    assert cache.get_cache("s") == ["x"]
    clock.now += 5
    assert cache.get_cache("s") is None
    await cache.disconnect()


# ---- counters and sets


async def test_counters_are_redis_own(make) -> None:
    one, other = make(), make()
    assert one.increment_cache("n", 2) == 2
    assert await other.async_increment_cache("n", 0.5, parent_otel_span=None) == 2.5
    amounts = [
        {"key": "n", "increment_value": 1, "ttl": None},
        {"key": "m", "increment_value": 4, "ttl": 30},
    ]
    assert await one.async_increment_cache_pipeline(amounts, parent_otel_span=None) == [3.5, 4]
    assert one.get_cache("n") == other.get_cache("n") == 3.5
    assert 20 < await other.async_get_ttl("m") <= 30


async def test_what_is_no_number_is_refused_though_redis_is_up(make) -> None:
    cache = make()
    cache.set_cache("n", "text")
    with pytest.raises(BackendError, match="not a number"):
        cache.increment_cache("n")
    with pytest.raises(BackendError, match="another kind"):
        await cache.async_set_cache_sadd("n", ["x"])
    assert cache.get_cache("n") == "text"


async def test_members_of_a_set_are_redis_own(make, server) -> None:
    cache = make()
    await cache.async_set_cache_sadd("s", ["x"], ttl=30)
    await cache.async_set_cache_sadd("s", ["y", "x"], parent_otel_span=None)
    assert set(server.ask("SMEMBERS", "s")) == {b"x", b"y"}
    assert 20 < await cache.async_get_ttl("s") <= 30
    assert here(cache, "s") is None


# ---- known misses


class Asked:
    """Counts what Redis is asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.keys: list[str] = []
        far = _dual_redis
        read, aread = far.read, far.aread

        def counted(redis: Any, keys: Any) -> Any:
            self.keys += keys
            return read(redis, keys)

        async def acounted(redis: Any, keys: Any) -> Any:
            self.keys += keys
            return await aread(redis, keys)

        monkeypatch.setattr(far, "read", counted)
        monkeypatch.setattr(far, "aread", acounted)

    def now(self) -> list[str]:
        keys, self.keys = self.keys, []
        return keys


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    return Asked(monkeypatch)


async def test_a_batch_does_not_ask_again_for_what_was_not_there(make, clock, asked) -> None:
    cache = make()
    cache.set_cache("there", 1)
    assert await cache.async_batch_get_cache(["a", "there", "b"]) == [None, 1, None]
    assert asked.now() == ["a", "b"]
    assert await cache.async_batch_get_cache(["b", "c"]) == [None, None]
    assert asked.now() == ["c"]
    clock.now += 9
    assert cache.batch_get_cache(["a", "b", "c"]) == [None] * 3
    assert asked.now() == []
    clock.now += 1
    assert cache.batch_get_cache(["a", "b", "c"]) == [None] * 3
    assert asked.now() == ["a", "b", "c"]


async def test_a_single_read_asks_all_the_same(make, server, asked) -> None:
    cache = make(default_redis_batch_cache_expiry=60)
    cache.batch_get_cache(["a"])
    assert asked.now() == ["a"]
    assert cache.get_cache("a") is None
    assert asked.now() == ["a"]


async def test_no_time_asks_always(make, asked) -> None:
    cache = make(default_redis_batch_cache_expiry=0)
    cache.batch_get_cache(["a"])
    cache.batch_get_cache(["a"])
    assert asked.now() == ["a", "a"]


@pytest.mark.parametrize(
    "write",
    [
        lambda cache: cache.set_cache("a", 1),
        lambda cache: asyncio.run(cache.async_set_cache_pipeline([("a", 1)])),
        lambda cache: cache.increment_cache("a", 1),
    ],
    ids=["set", "pipeline", "increment"],
)
def test_a_write_of_this_process_ends_a_known_miss(make, asked, write) -> None:
    cache = make()
    assert cache.batch_get_cache(["a"]) == [None]
    write(cache)
    cache._memory.flush_cache()
    assert cache.batch_get_cache(["a"]) == [1]


def test_a_write_of_another_process_ends_a_known_miss(make, server) -> None:
    cache = make()
    assert cache.batch_get_cache(["a"]) == [None]
    server.ask("SET", "a", "1")
    valkey.wait_until(lambda: cache.batch_get_cache(["a"]) == [1], "the write was heard of")


def test_known_misses_are_bounded_and_the_oldest_are_given_up(clock) -> None:
    misses = KnownMisses(10, 2, clock)
    misses.note(["a", "b"])
    misses.note(["a"])
    misses.note(["c"])
    assert ["a" in misses, "b" in misses, "c" in misses] == [True, False, True]
    misses.forget(["a", "x"])
    assert "a" not in misses
    misses.clear()
    assert len(misses) == 0


def test_known_misses_are_safe_under_threads(clock) -> None:
    misses = KnownMisses(10, 50, clock)

    def work(number: int) -> None:
        for n in range(200):
            misses.note([f"{number}:{n}", "same"])
            misses.forget([f"{number}:{n - 1}"])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert len(misses) <= 50
    assert "same" in misses


# ---- what is on its way when a key changes


@pytest.fixture
def tier(clock) -> MemoryTier:
    made = MemoryTier(InMemoryCache(clock=clock), KnownMisses(10, 10, clock), None)
    made.cover()
    return made


BEFORE = {
    "a change": lambda tier: tier.changed(["k"]),
    "a flush by the server": lambda tier: tier.changed(None),
    "a flush of this process": lambda tier: tier.forget_all(None),
    "a delete of this process": lambda tier: tier.forget(["k"]),
    "a write of this process": lambda tier: (tier.begin_write(["k"]), tier.end_write(["k"])),
    "a new lease": lambda tier: (tier.uncover(), tier.cover()),
    "silence": lambda tier: tier.uncover(),
}


@pytest.mark.parametrize("happens", BEFORE.values(), ids=BEFORE)
def test_what_was_asked_for_before_a_change_is_not_kept(tier, happens) -> None:
    tickets = tier.tickets(["k", "absent"])
    happens(tier)
    tier.take(tickets, {"k": (b"1", None)})
    assert tier.memory.get_cache("k") is None
    tickets = tier.tickets(["e"])
    tier.changed(["e"])
    tier.take_entry(tickets, Entry("e", 1.0, 1.0, 200, (), b"", "plain", usage_due=False), None)
    assert tier.memory.get_entry("e") is None


def test_what_was_not_there_before_a_change_is_no_known_miss(tier) -> None:
    tickets = tier.tickets(["k"])
    tier.changed(["k"])
    tier.take(tickets, {"k": None})
    assert "k" not in tier.misses


def test_of_two_who_ask_for_the_same_the_first_answer_is_kept(tier) -> None:
    one, other = tier.tickets(["k"]), tier.tickets(["k"])
    tier.take(one, {"k": (b"1", None)})
    tier.take(other, {"k": (b"2", None)})
    tier.end(other)
    assert tier.memory.get_cache("k") == 1


def test_tickets_do_not_pile_up(tier) -> None:
    tier.end(tier.tickets(["a", "b"]))
    assert not tier._tickets


def test_an_own_write_survives_its_echo_until_it_is_compared(tier) -> None:
    tier.begin_write(["k"])
    tier.keep([("k", b"1", None)])
    tier.changed(["k"])
    tier.compare("k", b"2")
    assert tier.memory.get_cache("k") == 1
    tier.end_write(["k"])
    tier.renew(-1.0)  # a pulse from before the write ended: its echo may still come
    assert tier.written() == []
    tier.changed(["k"])
    assert tier.memory.get_cache("k") == 1
    tier.renew(math.inf)
    assert tier.written() == ["k"]
    tier.compare("k", b"1")
    assert tier.memory.get_cache("k") == 1
    tier.changed(["k"])
    assert tier.memory.get_cache("k") is None


def test_an_own_write_that_another_one_overtook_is_forgotten(tier) -> None:
    tier.begin_write(["k"])
    tier.keep([("k", b"1", None)])
    tier.changed(["k"])
    tier.end_write(["k"])
    tier.renew(math.inf)
    assert tier.written() == ["k"]
    tier.compare("k", None)
    assert tier.memory.get_cache("k") is None


def test_a_write_that_has_begun_anew_is_not_compared_yet(tier) -> None:
    tier.begin_write(["k"])
    tier.end_write(["k"])
    tier.begin_write(["k"])
    tier.renew(math.inf)
    assert tier.written() == []


def test_short_names_of_changed_keys_are_meant_too(clock) -> None:
    tier = MemoryTier(InMemoryCache(clock=clock), KnownMisses(10, 10, clock), None, "team")
    tier.cover()
    tier.keep([("k", b"1", None), ("team:k", b"1", None), ("other", b"1", None)])
    tier.changed(["team:k"])
    assert tier.memory.batch_get_cache(["k", "team:k", "other"]) == [None, None, 1]


# ---- debts


def test_what_is_owed_is_struck_off_only_if_nothing_came_to_it() -> None:
    debts = Debts(limit=3)
    assert debts.owe(["a", "b"]) == []
    debts.owe_amount("n", 2, 30)
    debts.owe_amount("a", 5, None)
    owed = debts.all()
    assert [owed["a"].amount, owed["n"].amount] == [None, 2]
    assert debts.owe(["a", "c"]) == ["c"]
    debts.owe_amount("n", 3, None)
    debts.paid(owed)
    assert "b" not in debts
    assert "a" in debts
    assert debts.all()["n"].amount == 3
    assert debts.all()["n"].retention == 30


# ---- life


async def test_settings_make_both_tiers(server) -> None:
    settings = CacheSettings(
        type="dual",
        redis_url=server.url,
        namespace="team",
        default_in_memory_ttl=5,
        default_in_redis_ttl=50,
        backend_timeout=1,
        memory_max_entries=7,
    )
    cache = DualCache.from_settings(settings)
    assert (cache.default_in_memory_ttl, cache.default_redis_ttl) == (5, 50)
    entry = Entry("team:1", 1.0, 60.0, 200, (), b"{}", "plain", usage_due=False)
    await cache.async_set_entry(entry, 60)
    assert 3 < cache._tier.left("team:1") <= 5
    assert cache.look("team:1") == entry
    server.ask("UNLINK", "team:1")
    valkey.wait_until(lambda: cache.look("team:1") is None, "the delete was heard of")
    assert cache.evictions == 0
    assert (await cache.test_connection())["message"].startswith("dual: memory in front of redis")
    await cache.disconnect()


async def test_a_server_that_does_not_tell_leaves_memory_silent(make, server) -> None:
    redis = RedisCache(server.host, server.port, socket_timeout=valkey.PATIENCE, protocol=2)
    cache = make(redis_cache=redis)
    cache.set_cache("a", 1)
    server.ask("SET", "a", "2")
    assert cache.get_cache("a") == 2
    assert cache.look("a") is None
    assert "RESP3" in (await cache.test_connection())["message"]


async def test_redis_that_was_given_stays_open(make) -> None:
    cache = make()
    cache.set_cache("a", 1)
    await cache.disconnect()
    assert cache.redis_cache.get_cache("a") == 1
