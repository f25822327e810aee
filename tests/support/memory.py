"""What the tests of the memory share: a clock, and entries to fill it with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from askonce.entry import Entry

if TYPE_CHECKING:
    from askonce.caching.in_memory_cache import InMemoryCache


class Clock:
    """Unix time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def entry(number: int, size: int = 10, headers: tuple[tuple[bytes, bytes], ...] = ()) -> Entry:
    return Entry(f"ns:{number:08x}", 1.0, 60.0, 200, headers, bytes(size), "plain", usage_due=False)


def fill(cache: InMemoryCache, count: int, start: int = 0, retention: float = 60.0) -> None:
    for number in range(start, start + count):
        cache.set_entry(entry(number), retention)
