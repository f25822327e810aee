"""What the disk promises beyond the contract: it lasts, is shared, runs nothing, blocks nobody."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import stat
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from askonce.caching import _diskcache
from askonce.caching.disk_cache import DiskCache
from askonce.entry import Entry
from askonce.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Iterator

ENTRY = Entry("ns:1", 1.0, 60.0, 200, (), b"{}", "plain", usage_due=False)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "cache"


@pytest.fixture
def cache(directory: Path) -> Iterator[DiskCache]:
    made = DiskCache(directory)
    yield made
    asyncio.run(made.disconnect())


# ---- where and when


def test_nothing_is_made_before_it_is_needed(directory: Path) -> None:
    made = DiskCache(directory)
    asyncio.run(made.disconnect())
    assert not directory.exists()


def test_the_directory_is_its_owners_alone(cache: DiskCache, directory: Path) -> None:
    cache.set_cache("k", 1)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_the_default_directory_is_below_the_working_directory_of_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = DiskCache()
    monkeypatch.chdir("/")
    made.set_cache("k", 1)
    asyncio.run(made.disconnect())
    assert (tmp_path / ".askonce" / "cache" / "cache.db").is_file()


def test_answers_outlive_the_cache_object(cache: DiskCache, directory: Path) -> None:
    cache.set_entry(ENTRY, 3_600)
    asyncio.run(cache.disconnect())
    again = DiskCache(directory)
    assert again.get_entry(ENTRY.key) == ENTRY
    asyncio.run(again.disconnect())


def test_there_is_nothing_but_the_database(cache: DiskCache, directory: Path) -> None:
    cache.set_cache("large", "x" * 3_000_000)
    assert cache.get_cache("large") == "x" * 3_000_000
    assert {path.name.split("-")[0] for path in directory.iterdir()} == {"cache.db"}


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="no /proc here to count files in")
def test_disconnecting_closes_every_file(cache: DiskCache, directory: Path) -> None:
    def open_files() -> list[str]:
        found = []
        for link in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(OSError):
                found.append(str(link.readlink()))
        return [path for path in found if path.startswith(str(directory))]

    cache.set_cache("k", 1)
    for _ in range(4):  # both readers
        cache.get_cache("k")
    assert open_files()
    asyncio.run(cache.disconnect())
    assert open_files() == []


def test_without_diskcache_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import askonce.caching

    monkeypatch.delitem(sys.modules, "askonce.caching._diskcache")
    monkeypatch.delattr(askonce.caching, "_diskcache")
    monkeypatch.setitem(sys.modules, "diskcache", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'askonce\[disk\]'"):
        DiskCache()


# ---- threads, loops, forks


async def test_the_event_loop_never_waits_for_the_disk(
    cache: DiskCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    go_on = threading.Event()
    asked = asyncio.Event()

    def slow_read(_self: object, _key: str) -> bytes:
        loop.call_soon_threadsafe(asked.set)
        assert go_on.wait(10)
        return b"5"

    monkeypatch.setattr(_diskcache.Store, "read", slow_read)
    reading = asyncio.create_task(cache.async_get_cache("k"))
    await asked.wait()
    assert not reading.done()  # the loop is here while the disk is not
    go_on.set()
    assert await reading == 5


async def test_readers_do_not_wait_for_a_writer(
    cache: DiskCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    await cache.async_set_cache("k", 1)
    go_on = threading.Event()
    monkeypatch.setattr(_diskcache.Store, "write", lambda *_: go_on.wait(10))
    writing = asyncio.create_task(cache.async_set_cache("other", 1))
    assert [await cache.async_get_cache("k") for _ in range(4)] == [1, 1, 1, 1]
    assert not writing.done()
    go_on.set()
    await writing


async def test_disconnecting_waits_for_what_is_under_way(cache: DiskCache, directory: Path) -> None:
    writes = [asyncio.create_task(cache.async_set_cache(f"k{n}", n)) for n in range(50)]
    await asyncio.sleep(0)
    await cache.disconnect()
    await asyncio.gather(*writes)
    with contextlib.closing(sqlite3.connect(directory / "cache.db")) as database:
        assert database.execute("SELECT COUNT(*) FROM Cache").fetchone() == (50,)


def test_a_forked_child_starts_threads_of_its_own(
    cache: DiskCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.set_cache("k", 1)
    parents = cache._lanes
    assert parents is not None
    parent = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: parent + 1)
    assert cache.get_cache("k") == 1
    assert cache._lanes is not parents
    asyncio.run(cache.disconnect())
    monkeypatch.undo()
    for closing in parents.close():
        closing.result()


def test_a_forked_child_leaves_its_parents_threads_alone(
    cache: DiskCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.set_cache("k", 1)
    parents = cache._lanes
    assert parents is not None
    with monkeypatch.context() as child:
        child.setattr(os, "getpid", lambda: -1)
        asyncio.run(cache.disconnect())
    for closing in parents.close():
        closing.result()
