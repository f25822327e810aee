"""diskcache, with everything taken away that would run a stranger's code or wait for a minute.

diskcache unpickles what it finds, so that who can write to its directory can run code in every
process that reads it (CVE-2025-69872). Here a row is bytes in the database under a text key, and
whatever else is found is given out as no bytes at all, which nobody can decode: absent, and
deleted. There are no files beside the database: none to read, to leave behind when a process is
killed, or to delete because a row names them.

A call that finds the database locked gives up after ``LOCK_SECONDS``; diskcache itself waits 60.
"""

from __future__ import annotations

import sqlite3
import time
from typing import TYPE_CHECKING, Any, Final

import diskcache
from diskcache import Timeout

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

__all__ = ["LOCK_SECONDS", "Store", "Timeout"]

LOCK_SECONDS: Final = 0.5
_RAW: Final = 1
"""diskcache's mode of a row that holds its value as it is."""
_BATCH: Final = 100
_SETTINGS: Final = {
    "statistics": 0,
    "tag_index": 0,
    "eviction_policy": "least-recently-stored",  # the others turn every read into a write
    "cull_limit": 10,
    "disk_min_file_size": 2**31,
}


# Its types cannot be told: they are what happens to be returned.
_ANY_DISK: Any = diskcache.Disk
_ANY_CACHE: Any = diskcache.Cache


class BytesDisk(_ANY_DISK):  # type: ignore[misc]
    """Text keys, bytes as values, and nothing else. Called by diskcache."""

    def put(self, key: str) -> tuple[str, bool]:
        """Write a key."""
        return key, True

    def get(self, key: Any, raw: Any) -> str:
        """Read a key; one that is not ours reads as no text."""
        return key if raw and isinstance(key, str) else ""

    def store(
        self,
        value: bytes,
        _read: Any,
        key: Any = None,  # noqa: ARG002 - given by name
    ) -> tuple[int, int, None, memoryview]:
        """Write a value: size of its file, mode, name of its file, and what the row holds."""
        return 0, _RAW, None, memoryview(value)

    def fetch(self, mode: int, _filename: Any, value: Any, _read: Any) -> bytes:
        """Read a value; one that is not ours reads as no bytes."""
        return value if mode == _RAW and isinstance(value, bytes) else b""

    def remove(self, _file_path: str) -> None:
        """Leave a file that a row names alone: it is not ours."""


class _Database(_ANY_CACHE):  # type: ignore[misc]
    """diskcache's database, as impatient as everything on a request's way."""

    def __init__(self, directory: str, **settings: Any) -> None:
        try:
            _ANY_CACHE.__init__(self, directory, LOCK_SECONDS, BytesDisk, **settings)
        except BaseException:
            self.close()
            raise

    @property
    def _sql_retry(self) -> Callable[..., Any]:
        def execute(statement: str, *args: Any) -> Any:
            end = time.monotonic() + LOCK_SECONDS
            while True:
                try:
                    return self._sql(statement, *args)
                except sqlite3.OperationalError as error:
                    if str(error) != "database is locked" or time.monotonic() > end:
                        raise
                    time.sleep(0.001)

        return execute


class Store:
    """The database in a directory. Every thread has a connection of its own.

    Args:
        directory: Where it is; made if it is missing.
        size_limit: Bytes that it may take on the disk before the oldest rows are deleted.

    Raises:
        OSError, sqlite3.Error: It cannot be opened. All methods raise these, and ``Timeout``.
    """

    def __init__(self, directory: str, size_limit: int) -> None:
        self._database: Any = _Database(directory, **_SETTINGS, size_limit=size_limit)

    def close(self) -> None:
        """Close this thread's connection; the next call opens another."""
        self._database.close()

    def transaction(self) -> AbstractContextManager[None]:
        """Do several things at once or not at all, and alone."""
        made: AbstractContextManager[None] = self._database.transact()
        return made

    def read(self, key: str) -> bytes | None:
        """Return the bytes under a key, none of them if they are not ours; None: absent."""
        found: bytes | None = self._database.get(key)
        return found

    def write(self, key: str, data: bytes, retention: float | None) -> None:
        """Keep bytes for so many seconds; None: without a limit."""
        self._database.set(key, data, expire=retention)

    def rewrite(self, key: str, data: bytes) -> None:
        """Put other bytes under a key that is there, which keeps the time it has."""
        with self._database._transact() as (sql, _):  # noqa: SLF001
            sql("UPDATE Cache SET value = ? WHERE key = ? AND raw = 1", (memoryview(data), key))

    def delete(self, key: str) -> bool:
        """Delete a key. False if there was none."""
        return bool(self._database.delete(key))

    def delete_all(self, prefixes: Sequence[str] | None) -> int:
        """Delete all keys that begin with one of ``prefixes`` (None: all keys), in batches.

        Returns:
            How many there were.
        """
        if prefixes is None:
            return int(self._database.clear())
        return sum(self._delete_range(prefix, _behind(prefix)) for prefix in prefixes)

    def _delete_range(self, first: str, last: str) -> int:
        select = (
            "SELECT rowid, filename FROM Cache"
            " WHERE key >= ? AND key < ? AND rowid > ? ORDER BY rowid LIMIT ?"
        )
        arguments = [first, last, 0, _BATCH]
        return int(self._database._select_delete(select, arguments, arg_index=2))  # noqa: SLF001


def _behind(prefix: str) -> str:
    """The first text that is greater than all which begin with ``prefix``."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)
