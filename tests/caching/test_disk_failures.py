"""A disk that fails says so in words, soon, and works again when it can."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import sys
from typing import TYPE_CHECKING

import pytest

from askonce.caching import _diskcache
from askonce.caching.disk_cache import DiskCache
from askonce.errors import BackendError, BackendTimeoutError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ALL_CALLS = {
    "get_cache": lambda cache: cache.get_cache("k"),
    "get_entry": lambda cache: cache.get_entry("k"),
    "set_cache": lambda cache: cache.set_cache("k", 1),
    "delete_cache": lambda cache: cache.delete_cache("k"),
    "increment_cache": lambda cache: cache.increment_cache("k"),
    "flush_cache": lambda cache: cache.flush_cache("ns"),
    "async_get_cache": lambda cache: asyncio.run(cache.async_get_cache("k")),
    "async_set_cache": lambda cache: asyncio.run(cache.async_set_cache("k", 1)),
}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def cache(directory: Path) -> Iterator[DiskCache]:
    made = DiskCache(directory)
    yield made
    asyncio.run(made.disconnect())


@pytest.mark.parametrize("call", ALL_CALLS.values(), ids=ALL_CALLS)
def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path, call) -> None:
    (tmp_path / "file").write_text("in the way")
    made = DiskCache(tmp_path / "file" / "cache")
    with pytest.raises(BackendError, match=r"file/cache: Not a directory\. HINT: choose a direc"):
        call(made)
    asyncio.run(made.disconnect())


def test_a_file_where_the_directory_should_be_is_named(directory: Path, cache: DiskCache) -> None:
    directory.write_text("in the way")
    with pytest.raises(BackendError, match="File exists"):
        cache.get_cache("k")


def test_a_directory_that_can_be_made_after_all_is_used(directory: Path, cache: DiskCache) -> None:
    directory.write_text("in the way")
    with pytest.raises(BackendError):
        cache.set_cache("k", 1)
    directory.unlink()
    cache.set_cache("k", 1)
    assert cache.get_cache("k") == 1


@pytest.mark.parametrize("call", ALL_CALLS.values(), ids=ALL_CALLS)
def test_a_file_that_is_no_database_is_named(directory: Path, cache: DiskCache, call) -> None:
    directory.mkdir()
    (directory / "cache.db").write_bytes(b"this is no database " * 100)
    with pytest.raises(BackendError, match=r"not a database\. HINT: delete the directory"):
        call(cache)


def test_a_damaged_database_is_named(directory: Path, cache: DiskCache) -> None:
    asyncio.run(cache.async_set_cache_pipeline([(f"k{n}", "x" * 1_000) for n in range(500)]))
    asyncio.run(cache.disconnect())
    database = directory / "cache.db"
    data = database.read_bytes()
    database.write_bytes(data[:4096] + b"\xff" * (len(data) - 4096))
    with pytest.raises(BackendError, match=r"malformed\. HINT: delete the directory"):
        cache.get_cache("k1")


def in_writer(cache: DiskCache, statement: str) -> None:
    cache._call(lambda: cache._store()._database._sql(statement).fetchall())


def test_a_full_disk_is_named_and_answers_are_still_read(cache: DiskCache) -> None:
    cache.set_cache("k", 1)
    in_writer(cache, "PRAGMA max_page_count = 1")
    with pytest.raises(BackendError, match=r"disk is full\. HINT: free some space"):
        cache.set_cache("large", "x" * 100_000)
    assert cache.get_cache("k") == 1
    assert cache.get_cache("large") is None


def test_a_disk_that_is_no_longer_full_is_written_to_again(cache: DiskCache) -> None:
    cache.set_cache("k", 1)
    in_writer(cache, "PRAGMA max_page_count = 1")
    for _ in range(3):
        with contextlib.suppress(BackendError):  # the limit is the connection's, which goes
            cache.set_cache("large", "x" * 100_000)
    cache.set_cache("large", "y" * 100_000)
    assert cache.get_cache("large") == "y" * 100_000


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limits on file sizes")
def test_a_limit_on_file_sizes_is_a_failure_in_words_not_a_crash(cache: DiskCache) -> None:
    import resource

    cache.set_cache("k", 1)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(BackendError, match=r"(full|disk I/O error)\. HINT"):
            cache.set_cache("large", "x" * 1_000_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert cache.get_cache("k") == 1
    cache.set_cache("large", "x" * 1_000_000)
    assert cache.get_cache("large") is not None


@pytest.fixture
def _locked(directory: Path, cache: DiskCache, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Another process is in the middle of a write."""
    monkeypatch.setattr(_diskcache, "LOCK_SECONDS", 0.01)
    cache.set_cache("k", 1)
    with contextlib.closing(sqlite3.connect(directory / "cache.db")) as other:
        other.isolation_level = None
        other.execute("BEGIN IMMEDIATE")
        yield


@pytest.mark.usefixtures("_locked")
@pytest.mark.parametrize("call", ["set_cache", "delete_cache", "increment_cache", "flush_cache"])
def test_a_writer_does_not_wait_long_for_another_process(cache: DiskCache, call: str) -> None:
    with pytest.raises(BackendTimeoutError, match="is locked"):
        ALL_CALLS[call](cache)


@pytest.mark.usefixtures("_locked")
def test_readers_do_not_wait_for_another_process_at_all(cache: DiskCache) -> None:
    assert cache.get_cache("k") == 1


@pytest.mark.usefixtures("_locked")
def test_opening_does_not_wait_long_for_another_process(directory: Path) -> None:
    late = DiskCache(directory)
    with pytest.raises(BackendTimeoutError, match="is locked"):
        late.get_cache("k")
    asyncio.run(late.disconnect())


def test_a_key_that_is_no_text_is_refused_in_words(cache: DiskCache) -> None:
    with pytest.raises(BackendError, match="surrogates"):
        cache.set_cache("\ud800", 1)
    assert cache.get_cache("k") is None


def test_a_connection_test_says_what_is_wrong(directory: Path, cache: DiskCache) -> None:
    directory.write_text("in the way")
    result = asyncio.run(cache.test_connection())
    assert result["status"] == "failed"
    assert str(directory) in result["message"]
    assert "HINT" in result["message"]
