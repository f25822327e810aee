"""diskcache's database, without what would run a stranger's code or wait for a minute.

diskcache unpickles what it finds, so that who can write to its directory can run code in every
process that reads it (CVE-2025-69872). Here diskcache opens the database, keeps the connections and
begins and ends transactions; the rows are read and written by statements of our own. A row is bytes
in the database under a text key, and whatever else is found is given out as no bytes at all, which
nobody can decode: absent, and deleted. There are no files beside the database: none to read, to
leave behind when a process is killed, or to delete because a row names them.

A call that finds the database locked gives up after ``LOCK_SECONDS``; diskcache itself waits 60.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import diskcache
from diskcache import Timeout

from askonce.caching._disk_format import claim, patiently
from askonce.caching._disk_room import COLUMN, Room

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from askonce.caching._disk_room import Culling

__all__ = ["LOCK_SECONDS", "Store", "Timeout"]

LOCK_SECONDS: Final = 0.5
_BATCH: Final = 100
_SETTINGS: Final = {
    "statistics": 0,
    "tag_index": 0,
    "eviction_policy": "none",  # room is made here
    "cull_limit": 0,
    # A disk that fails is then an error, and not a signal that ends the process.
    "sqlite_mmap_size": 0,
    "sqlite_journal_size_limit": 4 * 1024 * 1024,
}

_READ: Final = (
    # 1 is diskcache's mode of a row that holds its value as it is.
    "SELECT CASE WHEN mode = 1 AND typeof(value) = 'blob' THEN value ELSE x'' END FROM Cache"
    " WHERE key = ? AND raw = 1 AND (expire_time IS NULL OR expire_time > ?)"
)
_WRITE: Final = (
    "INSERT INTO Cache (key, raw, store_time, expire_time, access_time, mode, value)"
    " VALUES (?, 1, ?, ?, ?, 1, ?)"
    " ON CONFLICT (key, raw) DO UPDATE SET store_time = excluded.store_time,"
    " expire_time = excluded.expire_time, access_time = excluded.access_time,"
    " size = 0, mode = 1, filename = NULL, value = excluded.value"
)
_REWRITE: Final = "UPDATE Cache SET value = ? WHERE key = ? AND raw = 1"
_DELETE: Final = (
    "DELETE FROM Cache WHERE key = ? AND raw = 1 AND (expire_time IS NULL OR expire_time > ?)"
)
_DELETE_SOME: Final = (
    "DELETE FROM Cache WHERE rowid IN"
    " (SELECT rowid FROM Cache WHERE {which} AND rowid <= ? ORDER BY rowid LIMIT ?)"
)

# Its types cannot be told: they are what happens to be returned.
_ANY_CACHE: Any = diskcache.Cache


class _Database(_ANY_CACHE):  # type: ignore[misc]
    """diskcache's database, as impatient as everything on a request's way."""

    def __init__(self, directory: str, **settings: Any) -> None:
        try:
            _ANY_CACHE.__init__(self, directory, LOCK_SECONDS, **settings)
        except BaseException:
            self.close()
            raise

    @property
    def _sql_retry(self) -> Callable[..., Any]:
        return lambda *statement: patiently(lambda: self._sql(*statement), LOCK_SECONDS)

    def execute(self, statement: str, *arguments: Any) -> Any:
        """Execute a statement on this thread's connection. Returns a cursor."""
        return self._sql(statement, *arguments)


class Store:
    """The database in a directory. Every thread has a connection of its own.

    Args:
        directory: Where it is; it is there.
        size_limit: Bytes that it may take on the disk before rows are given up.
        culling: Which rows go first.
        clock: Returns Unix time in seconds.
        pragmas: Settings of diskcache that begin with ``sqlite_``.

    Raises:
        FormatError: The database there is not one that this version reads.
        OSError, sqlite3.Error: It cannot be opened. All methods raise these, and ``Timeout``.
    """

    def __init__(
        self,
        directory: str,
        size_limit: int,
        culling: Culling,
        clock: Callable[[], float],
        pragmas: Mapping[str, Any],
    ) -> None:
        claim(Path(directory, "cache.db"), LOCK_SECONDS)
        self._clock = clock
        self._room = Room(size_limit, culling)
        self._database: Any = _Database(directory, **{**_SETTINGS, **pragmas})
        column = COLUMN[culling]
        index = f"CREATE INDEX IF NOT EXISTS Cache_{column} ON Cache ({column})"
        patiently(lambda: self._database.execute(index), LOCK_SECONDS)

    def close(self) -> None:
        """Close this thread's connection; the next call opens another."""
        self._database.close()

    def transaction(self) -> AbstractContextManager[None]:
        """Do several things at once or not at all, and alone."""
        made: AbstractContextManager[None] = self._database.transact()
        return made

    def read(self, key: str) -> bytes | None:
        """Return the bytes under a key, none of them if they are not ours; None: absent."""
        now = self._clock()
        row = self._database.execute(_READ, (key, now)).fetchone()
        if row is None:
            return None
        self._room.note(key, now)
        return bytes(row[0])

    def write(self, key: str, data: bytes, retention: float | None) -> None:
        """Keep bytes for so many seconds; None: without a limit."""
        now = self._clock()
        end = None if retention is None else now + retention
        self._database.execute(_WRITE, (key, now, end, now, memoryview(data)))

    def rewrite(self, key: str, data: bytes) -> None:
        """Put other bytes under a key that is there, which keeps the time it has."""
        self._database.execute(_REWRITE, (memoryview(data), key))

    def make_room(self, written: int) -> int:
        """Give rows up until the database fits its limit, in the transaction that wrote.

        Args:
            written: Bytes that it wrote.

        Returns:
            How many of them were not over.
        """
        return self._room.make(self._database.execute, self._clock(), written)

    def delete(self, key: str) -> bool:
        """Delete a key. False if there was none."""
        return int(self._database.execute(_DELETE, (key, self._clock())).rowcount) > 0

    def delete_all(self, prefixes: Sequence[str] | None) -> int:
        """Delete all keys that begin with one of ``prefixes`` (None: all keys), in batches.

        Returns:
            How many there were.
        """
        if prefixes is None:
            return self._delete_where("TRUE")
        return sum(
            self._delete_where("key >= ? AND key < ?", prefix, _behind(prefix))
            for prefix in prefixes
        )

    def _delete_where(self, which: str, *arguments: str) -> int:
        statement = _DELETE_SOME.format(which=which)
        # What is stored meanwhile is not meant, and would let this go on for ever.
        last = self._database.execute("SELECT MAX(rowid) FROM Cache").fetchone()[0]
        count = 0
        while True:
            with self.transaction():
                done = self._database.execute(statement, (*arguments, last, _BATCH))
            deleted = int(done.rowcount)
            count += deleted
            if deleted < _BATCH:
                return count


def _behind(prefix: str) -> str:
    """The first text that is greater than all which begin with ``prefix``."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)
