"""How a directory says that it is ours, and in which format: two numbers in its database's header.

SQLite keeps them for this purpose (``application_id`` and ``user_version``, bytes 68 and 60 of the
file; https://www.sqlite.org/fileformat.html). They are the first that is ever written, in one
transaction, so that a process killed at any moment leaves a database that is empty or ours. What
is neither is another program's, or another version's: it is refused, and nothing in it is read,
changed or unpickled.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FORMAT: Final = 1
_OURS: Final = int.from_bytes(b"asko", "big")
_FIRST_MARK: Final = ("disk_min_file_size", 2**31)
"""What only askonce 0.1 set, which put no numbers in the header. Its rows are those of format 1."""


class FormatError(sqlite3.DatabaseError):
    """The database is not one that this version reads."""


def claim(path: Path, patience: float) -> None:
    """Make sure that a database is ours, and make it so if it is empty or not there.

    Args:
        path: The database's file; its directory is there.
        patience: Seconds to wait while another process has it to itself.

    Raises:
        FormatError: It is another program's, or of a format that this version does not read.
        sqlite3.Error: It cannot be opened.
    """
    with closing(sqlite3.connect(path, timeout=patience, isolation_level=None)) as database:
        application, version, tables = _read(database)
        if application == _OURS:
            _check(version)
        elif tables and not _is_from_0_1(database):
            raise FormatError("cache.db is another program's")
        else:
            _mark(database)
        # Readers are then not held up by a writer. SQLite itself does not wait to change this.
        patiently(lambda: database.execute("PRAGMA journal_mode = wal").fetchall(), patience)


def patiently(doing: Callable[[], Any], patience: float) -> Any:
    """Do something again and again for so many seconds, as long as the database is locked."""
    end = time.monotonic() + patience
    while True:
        try:
            return doing()
        except sqlite3.OperationalError as error:
            if str(error) != "database is locked" or time.monotonic() > end:
                raise
            time.sleep(0.001)


def _read(database: sqlite3.Connection) -> tuple[int, int, int]:
    numbers = [
        database.execute(statement).fetchone()[0]
        for statement in (
            "PRAGMA application_id",
            "PRAGMA user_version",
            "SELECT COUNT(*) FROM sqlite_master",
        )
    ]
    return numbers[0], numbers[1], numbers[2]


def _check(version: int) -> None:
    if version != FORMAT:
        raise FormatError(f"written in format {version}; this version of askonce reads {FORMAT}")


def _is_from_0_1(database: sqlite3.Connection) -> bool:
    with suppress(sqlite3.OperationalError):  # other tables, or other columns
        found = database.execute("SELECT 1 FROM Settings WHERE key = ? AND value = ?", _FIRST_MARK)
        return found.fetchone() is not None
    return False


def _mark(database: sqlite3.Connection) -> None:
    database.execute("PRAGMA auto_vacuum = FULL")  # holds from before the first table, or never
    database.execute("BEGIN IMMEDIATE")
    application, version, _ = _read(database)
    if application == _OURS:  # another process was faster
        _check(version)
    database.execute(f"PRAGMA application_id = {_OURS}")
    database.execute(f"PRAGMA user_version = {FORMAT}")
    database.execute("COMMIT")
