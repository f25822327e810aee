"""The memory backend: what an entry weighs beside its payload, and what a get and a set cost.

Both are taken in a fresh process each, where nothing else was allocated before. Weights come from
the operating system where it tells them (resident pages) and from tracemalloc. Costs are set beside
those of a plain dict with the same keys, asked for in the same order: what a processor pays for
memory that it has not touched for a while is not the cache's.
"""

from __future__ import annotations

import gc
import json
import random
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from askonce.caching.in_memory_cache import InMemoryCache
from askonce.entry import Entry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ENTRIES: Final = 100_000
SIZES: Final = (1_000, 10_000, 100_000, 1_000_000)
TARGET: Final = 600
"""Bytes that an entry may weigh beside its payload."""
_CALLS: Final = 50_000
_ROUNDS: Final = 5
_STATM: Final = Path("/proc/self/statm")
_PAGE: Final = 4096


def _entry(number: int, body: bytes) -> Entry:
    headers = ((b"content-type", b"application/json"), (b"x-request-id", b"req_%024d" % number))
    return Entry(f"askonce:{number:064x}", 1.0, 600.0, 200, headers, body, "plain", usage_due=False)


def _payload(entry: Entry) -> int:
    return len(entry.key) + len(entry.body) + sum(len(a) + len(b) for a, b in entry.headers)


def _resident() -> int | None:
    return int(_STATM.read_text().split()[1]) * _PAGE if _STATM.exists() else None


def weigh(traced: str) -> dict[str, float | None]:
    """Fill a cache; return bytes per entry: payload, and what was taken beside it."""
    cache = InMemoryCache(max_size_in_memory=ENTRIES, max_bytes=2**40)
    if traced == "traced":
        tracemalloc.start()
    before = _resident()
    payload = 0
    for number in range(ENTRIES):
        entry = _entry(number, b"%012d" % number * 100)
        payload += _payload(entry)
        cache.set_entry(entry, 600 + number % 60)
    gc.collect()
    if traced == "traced":
        taken: float | None = tracemalloc.get_traced_memory()[0]
    else:
        after = _resident()
        taken = None if before is None or after is None else after - before
    beside = None if taken is None else (taken - payload) / ENTRIES
    return {"payload": payload / ENTRIES, "beside": beside, "counted": cache.size / ENTRIES}


def _nanos(doing: Callable[[Any], object], arguments: Iterable[Any]) -> float:
    count = 0
    started = time.process_time_ns()
    for argument in arguments:
        doing(argument)
        count += 1
    return (time.process_time_ns() - started) / count


def cost(size: str) -> dict[str, float]:
    """Return nanoseconds per call in a cache that is full with so many entries."""
    count = int(size)
    cache = InMemoryCache(max_size_in_memory=count, max_bytes=2**40)
    entries = [_entry(number, b"{}") for number in range(count)]
    random.Random(1).shuffle(entries)
    for entry in entries:
        cache.set_entry(entry, 600)

    def keep(entry: Entry) -> None:
        cache.set_entry(entry, 600)

    plain = {entry.key: entry for entry in entries}
    best: dict[str, float] = {}
    drawn = random.Random(2)
    fresh = count
    for _ in range(_ROUNDS):
        there = [entries[drawn.randrange(count)] for _ in range(_CALLS)]
        keys = ["".join(entry.key) for entry in there]
        new = [_entry(fresh + number, b"{}") for number in range(_CALLS)]
        fresh += _CALLS
        runs: dict[str, tuple[Callable[[Any], object], Iterable[Any]]] = {
            "get, any": (cache.get_entry, keys),
            "get, one of 500": (cache.get_entry, keys[:500] * (_CALLS // 500)),
            "set, any that is there": (keep, there),
            "set, one of 500": (keep, there[:500] * (_CALLS // 500)),
            "dict get, any": (plain.get, keys),
            "dict set, any": (lambda entry: plain.__setitem__(entry.key, entry), there),
        }
        for name, (doing, arguments) in runs.items():
            best[name] = min(best.get(name, 1e9), _nanos(doing, arguments))
        # Last: what is new pushes out what is there.
        best["set, new"] = min(best.get("set, new", 1e9), _nanos(keep, new))
        for entry in entries:
            if cache.get_entry(entry.key) is None:
                keep(entry)
    return best


def _fresh(function: str, argument: object) -> dict[str, Any]:
    """Call a function of this module in a process of its own."""
    command = [sys.executable, "-m", "tests.bench.memory", function, str(argument)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def report() -> None:
    """Measure, and print two tables in Markdown."""
    print(
        f"| {ENTRIES:,} entries, bytes each | payload | beside it | counted as |\n|---|---|---|---|"
    )
    for traced, name in (("resident", "resident pages"), ("traced", "tracemalloc")):
        found = _fresh("weigh", traced)
        beside = "unknown" if found["beside"] is None else f"{found['beside']:.0f}"
        print(f"| {name} | {found['payload']:.0f} | {beside} | {found['counted']:.0f} |")
    print(f"\nAn entry is to weigh at most {TARGET} bytes beside its payload.\n")
    costs = {size: _fresh("cost", size) for size in SIZES}
    names = list(costs[SIZES[0]])
    print(f"| ns per call | {' | '.join(f'{size:,}' for size in SIZES)} | last ÷ first |")
    print(f"|---|{'---|' * (len(SIZES) + 1)}")
    for name in names:
        row = [costs[size][name] for size in SIZES]
        cells = " | ".join(f"{value:.0f}" for value in row)
        print(f"| {name} | {cells} | {row[-1] / row[0]:.2f} |")


if __name__ == "__main__":
    print(json.dumps({"weigh": weigh, "cost": cost}[sys.argv[1]](sys.argv[2])))
