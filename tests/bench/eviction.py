"""Which questions are still known when there is no room for all: hit ratios, ours beside others'.

Counted, not timed: the traces are seeded, so that every run on every machine counts the same. The
rivals are cachetools' LRU, and W-TinyLFU as Theine implements it (a window of recency whose share
is adapted by hill climbing, and an admission filter of a count-min sketch before the rest). Ours is
the memory backend itself, not its queues alone.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from typing import Final, TypeAlias

import cachetools
import theine

from askonce.caching.in_memory_cache import InMemoryCache

KEYS: Final = 50_000
REQUESTS: Final = 200_000
ROOMS: Final = (50, 500, 2_500, 12_500)
"""Entries that there is room for: from a thousandth of the keys to a quarter."""
_SCAN_EVERY: Final = 10_000
_SCAN_LENGTH: Final = 2_500
_DRIFT_EVERY: Final = 30

Trace: TypeAlias = list[int]
Policy: TypeAlias = Callable[[Trace, int], int]
Ratios: TypeAlias = dict[str, dict[int, dict[str, float]]]
"""Trace, room and policy -> the part of the requests that were hits."""


def zipf(skew: float, seed: int = 1) -> Trace:
    """Independent requests; the key of rank n is asked for in proportion to n ** -skew."""
    weights = list(itertools.accumulate(1 / rank**skew for rank in range(1, KEYS + 1)))
    return random.Random(seed).choices(range(KEYS), cum_weights=weights, k=REQUESTS)


def scanned(trace: Trace) -> Trace:
    """After every 10,000 requests 2,500 keys that come once: someone runs through a data set."""
    mixed: Trace = []
    fresh = itertools.count(KEYS)
    for start in range(0, len(trace), _SCAN_EVERY):
        mixed += trace[start : start + _SCAN_EVERY]
        mixed += itertools.islice(fresh, _SCAN_LENGTH)
    return mixed


def drifting(trace: Trace) -> Trace:
    """What is popular changes: after every 30 requests each rank passes to the next key."""
    return [(key + number // _DRIFT_EVERY) % KEYS for number, key in enumerate(trace)]


def traces() -> dict[str, Trace]:
    """Return what is replayed."""
    return {
        "Zipf 0.7": zipf(0.7),
        "Zipf 1.0": zipf(1.0),
        "Zipf 1.0 and scans": scanned(zipf(1.0)),
        "Zipf 0.7 and scans": scanned(zipf(0.7)),
        "Zipf 1.0, drifting": drifting(zipf(1.0)),
    }


def _askonce(trace: Trace, room: int) -> int:
    cache = InMemoryCache(max_size_in_memory=room, default_ttl=None, clock=lambda: 0.0)
    names = {key: f"key{key}" for key in set(trace)}
    hits = 0
    for key in trace:
        if cache.get_cache(names[key]) is None:
            cache.set_cache(names[key], 1)
        else:
            hits += 1
    return hits


def _lru(trace: Trace, room: int) -> int:
    cache: cachetools.LRUCache[int, bool] = cachetools.LRUCache(room)
    hits = 0
    for key in trace:
        if cache.get(key) is None:
            cache[key] = True
        else:
            hits += 1
    return hits


def _w_tinylfu(trace: Trace, room: int) -> int:
    cache: theine.Cache[int, bool] = theine.Cache(room, nolock=True)
    hits = 0
    for key in trace:
        if cache.get(key)[1]:
            hits += 1
        else:
            cache.set(key, value=True)
    cache.close()
    return hits


POLICIES: Final[dict[str, Policy]] = {
    "askonce": _askonce,
    "LRU (cachetools)": _lru,
    "W-TinyLFU (theine)": _w_tinylfu,
}


def measure() -> Ratios:
    """Replay every trace against every policy, with every room."""
    return {
        name: {room: _ratios(trace, room) for room in ROOMS} for name, trace in traces().items()
    }


def _ratios(trace: Trace, room: int) -> dict[str, float]:
    return {name: policy(trace, room) / len(trace) for name, policy in POLICIES.items()}


def report() -> None:
    """Measure, and print a table in Markdown."""
    print(f"Hit ratios in %; {KEYS:,} keys, {REQUESTS:,} requests beside the scans.\n")
    print(f"| trace | room | {' | '.join(POLICIES)} |\n|---|---{'|---' * len(POLICIES)}|")
    for name, rooms in measure().items():
        for room, ratios in rooms.items():
            cells = " | ".join(f"{100 * ratio:.1f}" for ratio in ratios.values())
            print(f"| {name} | {room:,} | {cells} |")
