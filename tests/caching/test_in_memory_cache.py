"""What memory promises beyond the contract: bounds, and values of its own."""

from __future__ import annotations

import gc
import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from askonce.caching.in_memory_cache import InMemoryCache
from support.memory import Clock, entry, fill


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_entries_are_handed_out_as_one_object() -> None:
    cache = InMemoryCache()
    cache.set_entry(entry(1), 60)
    assert cache.get_entry(entry(1).key) is cache.get_entry(entry(1).key)


def test_an_asynchronous_hit_does_not_wait() -> None:
    cache = InMemoryCache()
    cache.set_entry(entry(1), 60)
    with pytest.raises(StopIteration) as finished:
        cache.async_get_entry(entry(1).key).send(None)
    assert finished.value.value == entry(1)


def test_the_number_of_items_is_bounded() -> None:
    cache = InMemoryCache(max_size_in_memory=100)
    fill(cache, 1_000)
    assert len(cache) == 100
    assert cache.evictions == 900
    assert cache.get_entry(entry(999).key) is not None


def test_the_bytes_are_bounded() -> None:
    cache = InMemoryCache(max_bytes=100_000)
    for number in range(1_000):
        cache.set_entry(entry(number, size=2_000), 60)
        assert cache.size <= 100_000
    assert len(cache) > 30


def test_what_counts_is_about_what_python_takes() -> None:
    """Bodies, texts of header fields and keys, and what Python adds to them."""
    count = 5_000
    same = (b"content-type", b"application/json")
    gc.collect()
    tracemalloc.start()
    cache = InMemoryCache(clock=lambda: 1_000.0)
    for number in range(count):
        own = (bytes(bytearray(b"x-request-id")), b"%020d" % number)
        copied = tuple((bytes(bytearray(name)), bytes(bytearray(value))) for name, value in [same])
        cache.set_entry(entry(number, 1_000, (*copied, own)), 60 + number % 60)
        cache.set_cache(f"value{number}", ["x" * 200, number])
    gc.collect()
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert cache.size == pytest.approx(taken, rel=0.15)


def test_an_item_above_the_bound_is_not_kept_and_pushes_nothing_out() -> None:
    cache = InMemoryCache(max_bytes=10_000)
    cache.set_entry(entry(1), 60)
    cache.set_entry(entry(2, size=20_000), 60)
    cache.set_cache("v", "x" * 20_000)
    assert cache.get_entry(entry(2).key) is None
    assert cache.get_cache("v") is None
    assert cache.get_entry(entry(1).key) is not None
    assert cache.evictions == 0


def test_an_item_above_its_own_bound_in_kib_is_not_kept() -> None:
    cache = InMemoryCache(max_size_per_item=1)
    cache.set_entry(entry(1, size=2_000), 60)
    cache.set_entry(entry(2, size=100), 60)
    assert cache.get_entry(entry(1).key) is None
    assert cache.get_entry(entry(2).key) is not None


def test_what_has_become_too_large_does_not_leave_its_older_self_behind() -> None:
    cache = InMemoryCache(max_size_per_item=1)
    cache.set_entry(entry(1, size=10), 60)
    cache.set_entry(entry(1, size=2_000), 60)
    assert cache.get_entry(entry(1).key) is None
    assert cache.size == 0


def test_a_cache_without_room_keeps_nothing() -> None:
    cache = InMemoryCache(max_size_in_memory=0)
    cache.set_cache("k", 1)
    fill(cache, 3)
    assert len(cache) == 0
    assert cache.get_cache("k") is None


def test_an_item_that_grows_makes_room_among_the_others() -> None:
    cache = InMemoryCache(max_bytes=10_000)
    fill(cache, 5)
    cache.set_entry(entry(0, size=8_500), 60)
    found = cache.get_entry(entry(0).key)
    assert found is not None
    assert len(found.body) == 8_500
    assert cache.size <= 10_000
    assert cache.evictions == 2


def test_what_is_over_is_cleared_away_by_later_writes(clock: Clock) -> None:
    cache = InMemoryCache(clock=clock)
    fill(cache, 1_000, retention=10)
    clock.now += 11
    for number in range(100):
        cache.set_cache("other", number)
    assert len(cache) == 1
    assert cache.evictions == 0


def test_no_write_pays_for_all_that_is_over(clock: Clock) -> None:
    cache = InMemoryCache(clock=clock)
    fill(cache, 1_000, retention=10)
    clock.now += 11
    cache.set_cache("other", 1)
    assert len(cache) > 900


def test_what_is_over_goes_before_what_is_alive(clock: Clock) -> None:
    cache = InMemoryCache(max_size_in_memory=100, clock=clock)
    fill(cache, 50, retention=10)
    fill(cache, 50, start=50, retention=100)
    clock.now += 11
    fill(cache, 50, start=100, retention=100)
    assert cache.evictions == 0
    assert all(cache.get_entry(entry(number).key) for number in range(50, 150))


def test_a_hit_keeps_an_item_when_others_are_given_up() -> None:
    cache = InMemoryCache(max_size_in_memory=100)
    cache.set_entry(entry(0), 60)
    cache.set_cache("value", 1)
    fill(cache, 50, start=1)
    cache.get_entry(entry(0).key)
    cache.get_cache("value")
    fill(cache, 500, start=100)
    assert cache.get_entry(entry(0).key) is not None
    assert cache.get_cache("value") == 1


@pytest.mark.parametrize("value", [[1, [2]], {"a": {"b": 1}}])
def test_nobodys_changes_to_a_value_reach_the_cache_or_come_out_of_it(value: object) -> None:
    cache = InMemoryCache()
    before = json.loads(json.dumps(value))
    cache.set_cache("k", value)
    value.clear()  # type: ignore[attr-defined]
    found = cache.get_cache("k")
    assert found == before
    found.clear()
    assert cache.get_cache("k") == before


def test_an_entry_cannot_be_changed() -> None:
    cache = InMemoryCache()
    cache.set_entry(entry(1), 60)
    found = cache.get_entry(entry(1).key)
    with pytest.raises(AttributeError, match="immutable"):
        found.body = b""  # type: ignore[union-attr,misc]


def test_a_value_without_a_ttl_is_kept_for_the_default(clock: Clock) -> None:
    cache = InMemoryCache(default_ttl=5, clock=clock)
    cache.set_cache("short", 1)
    cache.set_cache("long", 1, ttl=50)
    clock.now += 5
    assert cache.batch_get_cache(["short", "long"]) == [None, 1]
    assert InMemoryCache().default_ttl == 600


def test_what_varies_is_counted() -> None:
    cache = InMemoryCache()
    cache.set_entry(entry(1), 60)
    plain = cache.size
    cache.set_entry(replace(entry(1), vary=((b"accept", (b"x" * 500,)),)), 60)
    assert cache.size > plain + 500


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 3_000)), max_size=60))
def test_the_bounds_hold_whatever_is_stored(writes: list[tuple[int, int]]) -> None:
    cache = InMemoryCache(max_size_in_memory=8, max_bytes=6_000, clock=lambda: 0.0)
    for number, size in writes:
        cache.set_entry(entry(number, size), 60)
        found = cache.get_entry(entry(number).key)
        assert found is not None
        assert len(found.body) == size
        assert len(cache) <= 8
        assert cache.size <= 6_000
