"""What others left in the directory: refused in words, or absent; never run, never damaged."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import sqlite3
from typing import TYPE_CHECKING

import diskcache
import pytest

from askonce.caching import _disk_format
from askonce.caching.disk_cache import DiskCache
from askonce.entry import Entry
from askonce.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ENTRY = Entry("ns:1", 1.0, 60.0, 200, (), b"{}", "plain", usage_due=False)


class Bomb:
    """Unpickling this makes a file: nobody may."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (os.close, (os.open(self.path, os.O_CREAT | os.O_RDONLY),))

    def pickled(self) -> bytes:
        data = pickle.dumps(self)
        self.path.unlink()
        return data


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def made(directory: Path) -> Iterator[DiskCache]:
    cache = DiskCache(directory)
    yield cache
    asyncio.run(cache.disconnect())


@contextlib.contextmanager
def database(directory: Path) -> Iterator[sqlite3.Connection]:
    directory.mkdir(exist_ok=True)
    with contextlib.closing(sqlite3.connect(directory / "cache.db")) as connection, connection:
        yield connection


@pytest.fixture
def strange(made: DiskCache, directory: Path) -> Iterator[diskcache.Cache]:
    """diskcache itself, in a directory of ours."""
    made.set_cache("k", "v")
    asyncio.run(made.disconnect())
    with diskcache.Cache(str(directory)) as strange:
        yield strange


# ---- whole directories


def numbers(directory: Path) -> tuple[int, int]:
    with database(directory) as ours:
        return (
            ours.execute("PRAGMA application_id").fetchone()[0],
            ours.execute("PRAGMA user_version").fetchone()[0],
        )


def test_a_directory_of_ours_says_so_and_in_which_format(made: DiskCache, directory: Path) -> None:
    made.set_cache("k", 1)
    assert numbers(directory) == (int.from_bytes(b"asko", "big"), 1)


def test_a_directory_of_another_program_is_refused_and_left_as_it_is(
    made: DiskCache, directory: Path, tmp_path: Path
) -> None:
    bomb = Bomb(tmp_path / "exploded")
    with diskcache.Cache(str(directory)) as strange:
        strange.set("ns:1", bomb)
    bomb.path.unlink()
    before = (directory / "cache.db").read_bytes()
    for call in (made.get_cache, made.get_entry, made.delete_cache, made.flush_cache):
        with pytest.raises(BackendError, match=r"another program's\. HINT: choose another dir"):
            call("ns:1")
    asyncio.run(made.disconnect())
    assert not bomb.path.exists()
    assert (directory / "cache.db").read_bytes() == before


@pytest.mark.parametrize(
    "table", ["Cache (a TEXT)", "Settings (a)", "Settings (key TEXT, value)", "mine(x)"]
)
def test_a_database_of_another_program_is_refused(
    made: DiskCache, directory: Path, table: str
) -> None:
    with database(directory) as strange:
        strange.execute(f"CREATE TABLE {table}")
    with pytest.raises(BackendError, match="another program's"):
        made.set_cache("k", 1)
    assert numbers(directory) == (0, 0)


def test_another_format_is_refused_in_words(made: DiskCache, directory: Path) -> None:
    made.set_cache("k", 1)
    asyncio.run(made.disconnect())
    with database(directory) as later:
        later.execute("PRAGMA user_version = 7")
    with pytest.raises(BackendError, match=r"format 7; this version of askonce reads 1\. HINT: ch"):
        made.get_cache("k")
    assert asyncio.run(made.test_connection())["status"] == "failed"


def test_a_directory_of_the_first_release_is_opened_and_marked(
    made: DiskCache, directory: Path
) -> None:
    """It set what is set here, stored what is stored here, and put no numbers in the header."""
    made.set_entry(ENTRY, 60)
    asyncio.run(made.disconnect())
    with database(directory) as older:
        older.execute("PRAGMA application_id = 0")
        older.execute("PRAGMA user_version = 0")
        older.execute("UPDATE Settings SET value = ? WHERE key = 'disk_min_file_size'", (2**31,))
    assert made.get_entry(ENTRY.key) == ENTRY
    assert numbers(directory) == (int.from_bytes(b"asko", "big"), 1)


@pytest.mark.parametrize("version", [1, 7])
def test_a_database_that_another_process_marked_meanwhile_is_looked_at_again(
    directory: Path, version: int
) -> None:
    directory.mkdir()
    with contextlib.closing(sqlite3.connect(directory / "cache.db", isolation_level=None)) as ours:
        _disk_format._mark(ours)
        ours.execute(f"PRAGMA user_version = {version}")
        with contextlib.ExitStack() as refused:
            if version != 1:
                refused.enter_context(pytest.raises(_disk_format.FormatError, match="format 7"))
            _disk_format._mark(ours)
        assert ours.execute("PRAGMA user_version").fetchone() == (version,)


def test_an_empty_database_is_ours(made: DiskCache, directory: Path) -> None:
    directory.mkdir()
    (directory / "cache.db").touch()
    made.set_cache("k", 1)
    assert made.get_cache("k") == 1


def test_tables_that_are_not_there_in_a_database_of_ours_are_named(
    made: DiskCache, directory: Path
) -> None:
    made.set_cache("k", 1)
    asyncio.run(made.disconnect())
    with database(directory) as damaged:
        damaged.execute("ALTER TABLE Cache DROP COLUMN tag")
        damaged.execute("ALTER TABLE Cache RENAME COLUMN raw TO cooked")
    with pytest.raises(BackendError, match=r"no such column.*HINT: delete the directory"):
        made.get_cache("k")


@pytest.mark.parametrize(
    "row",
    [
        ("disk_colour", "blue"),
        ("directory", "/elsewhere"),
        ("_sql", 5),
        ("sqlite_synchronous; DROP TABLE Settings", 1),
        (b"size", 1),
    ],
)
def test_strange_settings_in_a_database_of_ours_are_named(
    made: DiskCache, directory: Path, row: tuple[object, object]
) -> None:
    made.set_cache("k", 1)
    asyncio.run(made.disconnect())
    with database(directory) as strange:
        strange.execute("INSERT INTO Settings VALUES (?, ?)", row)
    with pytest.raises(BackendError, match="disk: "):
        made.get_cache("k")


# ---- rows


@pytest.mark.parametrize("read", ["get_cache", "get_entry"])
def test_a_pickled_value_is_never_unpickled_but_deleted(
    strange: diskcache.Cache, made: DiskCache, tmp_path: Path, read: str
) -> None:
    bomb = Bomb(tmp_path / "exploded")
    strange.set("ns:1", bomb)
    bomb.path.unlink()
    assert getattr(made, read)("ns:1") is None
    assert made.undecodable == 1
    assert made.delete_cache("ns:1") is False
    assert not bomb.path.exists()


def test_a_pickled_key_is_never_unpickled(
    strange: diskcache.Cache, made: DiskCache, tmp_path: Path
) -> None:
    bomb = Bomb(tmp_path / "exploded")
    strange._sql("UPDATE Cache SET key = ?, raw = 0", (bomb.pickled(),))
    assert made.get_cache("ns:1") is None
    assert made.flush_cache("ns") == 0
    assert made.flush_cache() == 1
    assert not bomb.path.exists()


@pytest.mark.parametrize(
    "value", [5, 1.5, "text", "5", "x" * 100_000, b"bytes", b"y" * 100_000, None, ("a", 1)]
)
def test_a_row_that_diskcache_itself_wrote_is_absent_and_deleted(
    strange: diskcache.Cache, made: DiskCache, value: object
) -> None:
    strange.set("ns:1", value)
    assert made.get_entry("ns:1") is None
    assert made.delete_cache("ns:1") is False


def test_text_that_looks_like_a_number_is_no_number_of_ours(
    strange: diskcache.Cache, made: DiskCache
) -> None:
    strange.set("ns:1", "5")
    with pytest.raises(BackendError, match="not a number"):
        made.increment_cache("ns:1")
    assert made.get_cache("ns:1") is None


def test_a_row_that_names_a_file_can_neither_read_nor_delete_it(
    strange: diskcache.Cache, made: DiskCache, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"5")
    strange.set("ns:1", b"x" * 100_000)
    strange.set("ns:2", b"x" * 100_000)
    strange.set("ns:3", b"x" * 100_000)
    strange._sql("UPDATE Cache SET filename = ?", (str(victim),))
    assert made.get_cache("ns:1") is None
    made.set_cache("ns:2", 5)
    assert made.get_cache("ns:2") == 5
    made.flush_cache("ns")
    made.flush_cache()
    assert victim.read_bytes() == b"5"
