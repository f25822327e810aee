"""What memory promises beyond the contract: bounds, no leaks, readers without a lock."""

from __future__ import annotations

import gc
import sys
import threading
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from askonce.caching.in_memory_cache import InMemoryCache
from askonce.entry import Entry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def entry(number: int, size: int = 10, headers: tuple[tuple[bytes, bytes], ...] = ()) -> Entry:
    return Entry(f"ns:{number:08x}", 1.0, 60.0, 200, headers, bytes(size), "plain", usage_due=False)


def fill(cache: InMemoryCache, count: int, start: int = 0, retention: float = 60.0) -> None:
    for number in range(start, start + count):
        cache.set_entry(entry(number), retention)


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


def test_an_item_above_its_own_bound_is_not_kept() -> None:
    cache = InMemoryCache(max_size_per_item=1_000)
    cache.set_entry(entry(1, size=2_000), 60)
    cache.set_entry(entry(2, size=100), 60)
    assert cache.get_entry(entry(1).key) is None
    assert cache.get_entry(entry(2).key) is not None


def test_what_has_become_too_large_does_not_leave_its_older_self_behind() -> None:
    cache = InMemoryCache(max_size_per_item=1_000)
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


def held(cache: InMemoryCache) -> int:
    queues = cache._queues
    return len(cache._expiry) + len(queues._small._slots) + len(queues._main._slots)


def test_overwriting_does_not_leak(clock: Clock) -> None:
    cache = InMemoryCache(clock=clock)
    for number in range(20_000):
        cache.set_entry(entry(number % 100), 60 + number * 7919 % 10_007)
        clock.now += 0.01
    assert len(cache) <= 100
    assert held(cache) < 1_000


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


@pytest.fixture
def _restless_threads() -> Iterator[None]:
    """Threads take turns as often as Python lets them."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


class Meanwhile(Clock):
    """A clock during whose next reading something happens: another thread's turn."""

    def __init__(self) -> None:
        super().__init__()
        self.event: Callable[[], None] | None = None

    def __call__(self) -> float:
        event, self.event = self.event, None
        if event is not None:
            event()
        return self.now


def test_an_entry_is_never_served_on_the_time_of_its_successor() -> None:
    clock = Meanwhile()
    cache = InMemoryCache(clock=clock)
    cache.set_entry(entry(1, size=1), 0.5)
    clock.now += 0.6  # over, and not yet cleared away
    clock.event = lambda: cache.set_entry(entry(1, size=2), 60)
    assert cache.get_entry(entry(1).key) == entry(1, size=2)


def test_a_value_is_never_served_on_the_time_of_its_successor() -> None:
    clock = Meanwhile()
    cache = InMemoryCache(clock=clock)
    cache.set_cache("k", "old", ttl=0.5)
    clock.now += 0.6
    clock.event = lambda: cache.set_cache("k", "new", ttl=60)
    assert cache.get_cache("k") == "new"


@pytest.mark.parametrize("event", ["delete", "evict", "sweep"])
def test_what_goes_while_it_is_looked_at_is_not_there(event: str) -> None:
    clock = Meanwhile()
    cache = InMemoryCache(max_size_in_memory=1, clock=clock)
    events = {
        "delete": lambda: cache.delete_cache(entry(1).key),
        "evict": lambda: cache.set_entry(entry(2), 60),
        "sweep": lambda: setattr(clock, "now", clock.now + 90) or cache.set_cache("k", 1),
    }
    cache.set_entry(entry(1), 60)
    clock.event = events[event]
    assert cache.get_entry(entry(1).key) is None
    assert cache.undecodable == 0
    cache.set_cache("v", "text", ttl=60)
    clock.event = {**events, "delete": lambda: cache.delete_cache("v")}[event]
    assert cache.get_cache("v") is None
    assert cache.undecodable == 0


def test_a_value_that_became_an_entry_while_it_was_found_unfit_stays() -> None:
    cache = InMemoryCache()
    cache.set_cache(entry(1).key, "text")
    slot = cache._slots[entry(1).key]
    cache.set_entry(entry(1), 60)
    cache._unfit(slot)
    assert cache.get_entry(entry(1).key) == entry(1)
    assert cache.undecodable == 0


@pytest.mark.usefixtures("_restless_threads")
def test_many_threads_leave_the_books_balanced() -> None:
    cache = InMemoryCache(max_size_in_memory=50, max_bytes=30_000)

    def work(seed: int) -> None:
        for number in range(1_500):
            key = (number * 31 + seed * 17) % 120
            cache.set_entry(entry(key, size=number % 900), 60)
            cache.get_entry(entry((key + 1) % 120).key)
            if number % 7 == 0:
                cache.delete_cache(entry((key + 2) % 120).key)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(cache) == len(cache._queues) <= 50
    assert cache.size == sum(slot.size for slot in cache._slots.values()) <= 30_000


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
