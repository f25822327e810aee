"""Readers without a lock, and writers at once: nothing torn, and the books balanced."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

import pytest

from askonce.caching._slot import NOWHERE
from askonce.caching.in_memory_cache import InMemoryCache
from support.memory import Clock, entry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def clock() -> Clock:
    return Clock()


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


def balanced(cache: InMemoryCache, clock: Clock) -> None:
    """Every book says the same: who is there, what they weigh, and when they are over."""
    slots = cache._slots
    queues = cache._queues
    assert len(cache) == len(queues)
    assert cache.size == sum(slot.size for slot in slots.values())
    queued = [slot for queue in (queues._small, queues._main) for slot in queue._slots]
    alive = [slot for slot in queued if slot.queue != NOWHERE]
    assert sorted(slot.key for slot in alive) == sorted(slots)
    assert all(slots[slot.key] is slot for slot in alive)
    clock.now += 10**9
    for _ in range(len(slots) + 1):
        cache.set_cache("last", 1)  # everything that ends is found, and cleared away
    assert [*slots] == ["last"]


@pytest.mark.usefixtures("_restless_threads")
def test_many_threads_leave_the_books_balanced_and_count_right(clock: Clock) -> None:
    cache = InMemoryCache(max_size_in_memory=50, max_bytes=60_000, clock=clock)
    counter = InMemoryCache(clock=clock)
    torn: list[object] = []

    def work(seed: int) -> None:
        for number in range(1_500):
            key = (number * 31 + seed * 17) % 120
            cache.set_entry(entry(key, size=number % 900), 60 + number % 50)
            found = cache.get_entry(entry((key + 1) % 120).key)
            torn.extend([found] if found and found.key != entry((key + 1) % 120).key else [])
            cache.set_cache(f"v{key}", [key] * 9, ttl=60)
            if cache.get_cache(f"v{(key + 1) % 120}") not in (None, [(key + 1) % 120] * 9):
                torn.append(key)
            counter.increment_cache("n")
            if number % 7 == 0:
                cache.delete_cache(entry((key + 2) % 120).key)
            if number % 500 == 0:
                cache.flush_cache("ns")

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert torn == []
    assert counter.get_cache("n") == 6_000
    assert len(cache) <= 50
    assert cache.size <= 60_000
    balanced(cache, clock)
