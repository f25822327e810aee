"""Room on the disk: kept whatever is written, and what is given up for it."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from askonce.caching import _disk_room
from askonce.caching.disk_cache import DiskCache
from askonce.settings import CacheSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def make(directory: Path, clock: Clock) -> Iterator[Callable[..., DiskCache]]:
    made: list[DiskCache] = []

    def make(**arguments: Any) -> DiskCache:
        made.append(DiskCache(directory, clock=clock, **arguments))
        return made[-1]

    yield make
    for cache in made:
        asyncio.run(cache.disconnect())


def taken(directory: Path) -> int:
    with closing(sqlite3.connect(directory / "cache.db")) as database:
        size, count = (
            database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_size", "page_count")
        )
    return size * count


def fill(cache: DiskCache, clock: Clock, count: int, size: int, start: int = 0) -> None:
    for number in range(start, start + count):
        clock.now += 1
        cache.set_cache(f"k{number}", "x" * size)


def kept(cache: DiskCache, count: int) -> list[int]:
    return [number for number in range(count) if cache.get_cache(f"k{number}") is not None]


def test_the_oldest_rows_go_when_the_directory_is_full(make, clock: Clock, directory: Path) -> None:
    cache = make(size_limit=500_000)
    fill(cache, clock, 200, 10_000)
    assert taken(directory) <= 500_000
    numbers = kept(cache, 200)
    assert numbers == list(range(200 - len(numbers), 200))
    assert len(numbers) > 20
    assert cache.evictions == 200 - len(numbers)


def test_what_was_not_asked_for_the_longest_goes_first_if_that_is_wanted(
    make, clock: Clock
) -> None:
    cache = make(size_limit=500_000, culling="least-recently-used")
    fill(cache, clock, 30, 10_000)
    for number in range(30, 200):
        clock.now += 1
        assert cache.get_cache("k3") is not None
        fill(cache, clock, 1, 10_000, start=number)
    assert cache.get_cache("k3") is not None
    assert cache.get_cache("k4") is None
    assert cache.get_cache("k199") is not None


def test_hits_count_for_nothing_where_the_oldest_go(make, clock: Clock) -> None:
    cache = make(size_limit=500_000)
    fill(cache, clock, 30, 10_000)
    for number in range(30, 200):
        cache.get_cache("k3")
        fill(cache, clock, 1, 10_000, start=number)
    assert cache.get_cache("k3") is None


def test_hits_are_written_down_for_other_processes_with_the_next_write(
    make, clock: Clock, directory: Path
) -> None:
    cache = make(culling="least-recently-used")
    fill(cache, clock, 3, 10)
    clock.now += 10
    cache.get_cache("k1")
    cache.set_cache("other", 1)
    with closing(sqlite3.connect(directory / "cache.db")) as database:
        rows = database.execute("SELECT key, access_time FROM Cache ORDER BY access_time, rowid")
        assert rows.fetchall() == [
            ("k0", 1_001.0), ("k2", 1_003.0), ("k1", 1_013.0), ("other", 1_013.0)
        ]  # fmt: skip


def test_a_hit_does_not_write(make, directory: Path) -> None:
    cache = make(culling="least-recently-used")
    cache.set_cache("k", 1)
    before = (directory / "cache.db-wal").read_bytes()
    for _ in range(10):
        assert cache.get_cache("k") == 1
    assert (directory / "cache.db-wal").read_bytes() == before


def test_the_notes_on_hits_are_bounded_and_keep_the_latest() -> None:
    room = _disk_room.Room(10**9, "least-recently-used")
    for number in range(20_000):
        room.note(f"k{number}", float(number))
    assert len(room._noted) == 4096
    assert "k19999" in room._noted
    assert "k0" not in room._noted


def test_what_is_over_goes_before_what_is_alive(make, clock: Clock) -> None:
    cache = make(size_limit=500_000)
    fill(cache, clock, 10, 10_000)
    short = [(f"short{number}", "x" * 10_000) for number in range(30)]
    asyncio.run(cache.async_set_cache_pipeline(short, ttl=60))
    clock.now += 61
    cache.set_cache("large", "x" * 200_000)  # more than is cleared away with every write
    assert kept(cache, 10) == list(range(10))
    assert cache.get_cache("large") is not None
    assert cache.evictions == 0


def test_what_is_over_is_cleared_away_though_there_is_room(
    make, clock: Clock, directory: Path
) -> None:
    cache = make()
    for number in range(30):
        cache.set_cache(f"k{number}", "x", ttl=10)
    clock.now += 10
    for _ in range(3):
        cache.set_cache("other", 1)
    with closing(sqlite3.connect(directory / "cache.db")) as database:
        assert database.execute("SELECT key FROM Cache").fetchall() == [("other",)]
    assert cache.evictions == 0


@pytest.mark.parametrize("culling", ["least-recently-stored", "least-recently-used"])
def test_the_room_is_kept_whatever_the_sizes_are(
    make, clock: Clock, directory: Path, culling: str
) -> None:
    """Thousands of small rows, then large ones: one for one would not make good for them."""
    limit = 2_000_000
    cache = make(size_limit=limit, culling=culling)
    asyncio.run(cache.async_set_cache_pipeline([(f"s{n}", "x" * 300) for n in range(5_000)]))
    drawn = random.Random(5)
    for number in range(60):
        clock.now += 1
        cache.set_cache(f"l{number}", "x" * drawn.choice([100, 10_000, 400_000]))
        assert taken(directory) <= limit
        assert cache.get_cache(f"l{number}") is not None


def test_counters_make_room_too(make, directory: Path) -> None:
    cache = make(size_limit=150_000)
    for number in range(3_000):
        cache.increment_cache(f"a counter with a name of some length {number}")
    assert taken(directory) <= 150_000
    assert cache.evictions > 0


def test_a_limit_that_was_lowered_is_reached_by_and_by(make, clock: Clock, directory: Path) -> None:
    wide = make(size_limit=10_000_000)
    fill(wide, clock, 300, 10_000)
    narrow = make(size_limit=1_000_000)
    before = taken(directory)
    narrow.set_cache("k", 1)
    assert before - 200_000 < taken(directory) < before
    fill(narrow, clock, 60, 10_000, start=300)
    assert taken(directory) <= 1_000_000


def test_what_is_larger_than_half_the_room_is_not_kept_nor_its_older_self(make) -> None:
    cache = make(size_limit=200_000)
    cache.set_cache("k", "small")
    cache.set_cache("other", "stays")
    cache.set_cache("k", "x" * 110_000)
    assert cache.batch_get_cache(["k", "other"]) == [None, "stays"]
    cache.set_cache("k", "x" * 90_000)
    assert cache.batch_get_cache(["k", "other"]) == ["x" * 90_000, "stays"]


def test_the_log_beside_the_database_is_bounded(make, directory: Path) -> None:
    cache = make()
    for _ in range(3):
        pairs = [(f"k{n}", "x" * 100_000) for n in range(100)]
        asyncio.run(cache.async_set_cache_pipeline(pairs))
    cache.set_cache("k", 1)
    cache.set_cache("k", 2)
    assert (directory / "cache.db-wal").stat().st_size <= 4 * 1024 * 1024


def test_a_culling_policy_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="culling: 'newest' is none of least-recently-stored, "):
        DiskCache(culling="newest")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name", ["eviction_policy", "sqlite_journal_mode", "disk_min_file_size", "colour"]
)
def test_a_setting_that_is_not_diskcaches_to_have_is_refused(name: str) -> None:
    with pytest.raises(TypeError, match=f"'{name}' is not a setting that diskcache is given"):
        DiskCache(**{name: 1})


def test_settings_make_a_cache_and_pragmas_reach_the_database(tmp_path: Path, clock: Clock) -> None:
    settings = CacheSettings(type="disk", disk_cache_dir=tmp_path / "c", ttl=30)
    cache = DiskCache.from_settings(settings, clock=clock, sqlite_cache_size=-512)
    cache.set_cache("k", 1)
    assert (tmp_path / "c" / "cache.db").is_file()
    statement = "PRAGMA cache_size"
    assert cache._call(lambda: cache._store()._database.execute(statement).fetchone()) == (-512,)
    clock.now += 30
    assert cache.get_cache("k") is None
    asyncio.run(cache.disconnect())
