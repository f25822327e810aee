"""Several processes on one directory, some of them killed: nothing is torn, nothing is lost."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from askonce.caching import _diskcache
from askonce.caching.disk_cache import DiskCache
from support.disk_workers import entry, started, whole

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def cache(directory: Path) -> Iterator[DiskCache]:
    made = DiskCache(directory)
    yield made
    asyncio.run(made.disconnect())


def say(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin
    process.stdin.write(line + "\n")
    process.stdin.flush()


def test_two_processes_write_and_read_one_directory_at_once(
    cache: DiskCache, directory: Path
) -> None:
    workers = [started("share", directory, name, 100) for name in ("one", "two")]
    for worker in workers:
        say(worker, "go")
    assert [worker.communicate(timeout=120) and worker.returncode for worker in workers] == [0, 0]
    assert cache.get_cache("n") == 200
    keys = [f"{name}:{number}" for name in ("one", "two") for number in range(100)]
    assert cache.batch_get_cache(keys) == [*range(100), *range(100)]


def test_nobody_writes_while_a_counter_is_read_and_written(
    cache: DiskCache, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.increment_cache("n")
    refused: list[str] = []
    read = _diskcache.Store.read

    def read_while_another_tries(store: _diskcache.Store, key: str) -> bytes | None:
        with closing(sqlite3.connect(directory / "cache.db", timeout=0)) as other:
            try:
                other.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                refused.append(str(error))
        return read(store, key)

    monkeypatch.setattr(_diskcache.Store, "read", read_while_another_tries)
    assert cache.increment_cache("n") == 2
    assert refused == ["database is locked"]


def test_what_was_stored_survives_a_kill_at_any_time_and_nothing_is_torn(directory: Path) -> None:
    drawn = random.Random(11)
    number = said = 0
    for kills in range(1, 9):
        worker = started("write_on", directory)
        say(worker, str(number))
        assert worker.stdout
        stored = {}
        for _ in range(drawn.randrange(1, 40)):
            number = int(worker.stdout.readline())
            said += 1
            stored[number % 10] = number
        worker.kill()  # it is in the middle of the next write
        rest = worker.communicate()[0].split()
        said += len(rest)
        stored |= {int(line) % 10: int(line) for line in rest}
        number = max(stored.values()) + 2  # the one after it may be there, unsaid

        cache = DiskCache(directory, size_limit=4_000_000)
        for key, last in stored.items():
            found = cache.get_entry(f"ns:{key}")
            assert found is not None
            assert whole(found)
            assert found.stored_at in {last, last + 10}
        # Counted once each; and at most one more for each kill, before it could be said.
        assert said <= cache.get_cache("written") <= said + kills
        assert cache.undecodable == 0
        asyncio.run(cache.disconnect())


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="processes cannot be forked here")
def test_a_directory_works_after_a_kill_at_every_single_statement(tmp_path: Path) -> None:
    worker = started("die_everywhere", tmp_path)
    places, _ = worker.communicate(timeout=300)
    assert worker.returncode == 0
    assert int(places) > 100


def test_a_process_sees_at_once_what_another_one_stored(directory: Path, cache: DiskCache) -> None:
    cache.set_cache("k", 1)
    worker = started("write_on", directory)
    say(worker, "0")
    assert worker.stdout
    try:
        for number in range(5):
            assert int(worker.stdout.readline()) == number
            found = cache.get_entry(f"ns:{number}")
            assert found == entry(f"ns:{number}", number)
    finally:
        worker.kill()
        worker.communicate()
