"""Nothing piles up in memory, whatever is written, replaced, deleted or given up."""

from __future__ import annotations

import gc
import math
import random
import tracemalloc

import pytest

from askonce.caching.in_memory_cache import InMemoryCache
from support.memory import Clock, entry, fill


@pytest.fixture
def clock() -> Clock:
    return Clock()


def held(cache: InMemoryCache) -> int:
    queues = cache._queues
    seconds = len(cache._expiry._seconds)
    return len(cache._expiry) + seconds + len(queues._small._slots) + len(queues._main._slots)


def test_a_million_overwrites_do_not_leak(clock: Clock) -> None:
    """Ever the same thousand keys, with times that differ: what is replaced leaves nothing."""
    cache = InMemoryCache(clock=clock)
    drawn = random.Random(3)
    entries = [entry(number) for number in range(1_000)]
    most = 0
    for number in range(1_000_000):
        cache.set_entry(entries[drawn.randrange(1_000)], drawn.uniform(0.5, 100_000))
        clock.now += 0.01
        if number % 10_000 == 0:
            most = max(most, held(cache))
    assert len(cache) <= 1_000
    assert cache.size == sum(slot.size for slot in cache._slots.values())
    assert most < 6_000
    assert len(cache._fields._young) + len(cache._fields._old) == 0


def test_new_values_without_end_do_not_leak(clock: Clock) -> None:
    """Keys that never come again, more than there is room for, some without an end."""
    cache = InMemoryCache(max_size_in_memory=1_000, clock=clock)
    drawn = random.Random(4)
    most = 0
    for number in range(100_000):
        cache.set_cache(f"k{number}", number, ttl=drawn.choice([0.1, 50, 5_000, math.inf]))
        clock.now += 0.01
        if number % 10_000 == 0:
            most = max(most, held(cache))
    ghost = cache._queues._ghost
    assert len(cache) <= 1_000
    assert most < 6_000
    assert len(ghost._young) + len(ghost._old) <= 1_000


def test_deleting_does_not_leak(clock: Clock) -> None:
    cache = InMemoryCache(clock=clock)
    for number in range(20_000):
        cache.set_entry(entry(number), 60)
        cache.delete_cache(entry(number).key)
    assert len(cache) == cache.size == 0
    assert held(cache) < 300


def test_what_is_evicted_does_not_leak(clock: Clock) -> None:
    cache = InMemoryCache(max_size_in_memory=100, clock=clock)
    fill(cache, 20_000, retention=3_600)
    assert held(cache) < 1_000


def test_what_is_gone_gives_its_payload_back(clock: Clock) -> None:
    gc.collect()
    tracemalloc.start()
    cache = InMemoryCache(clock=clock)
    for number in range(50):
        cache.set_entry(entry(number, size=100_000), 60)
    cache.flush_cache()
    gc.collect()
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken < 500_000
