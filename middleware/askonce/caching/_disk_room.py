"""Room on the disk: what is given up when there is none, and how much of it at a time.

What is over goes first, then what was stored, or asked for, the longest ago. A hit does not write:
that it happened is noted here, and written down with the next answer that is stored.

Every write makes good for what it adds, and as much again: so the room is kept whatever the sizes
are, and a limit that was lowered is reached by and by, without a write that deletes for minutes.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

Culling: TypeAlias = Literal["least-recently-stored", "least-recently-used"]

COLUMN: Final[dict[Culling, str]] = {
    "least-recently-stored": "store_time",
    "least-recently-used": "access_time",
}
"""The column of diskcache's table by which rows go."""

_SWEPT: Final = 10
_BATCH: Final = 10
_GIVEN_UP: Final = 64 * 1024
_NOTED: Final = 4096

_OVER: Final = (
    "DELETE FROM Cache WHERE rowid IN (SELECT rowid FROM Cache"
    " WHERE expire_time <= ? ORDER BY expire_time LIMIT ?)"
)
_FIRST: Final = (
    "SELECT rowid, COALESCE(LENGTH(value), 0) FROM Cache ORDER BY {column}, rowid LIMIT ?"
)
_GO: Final = "DELETE FROM Cache WHERE rowid = ?"
_USED: Final = "UPDATE Cache SET access_time = ? WHERE key = ? AND raw = 1 AND access_time < ?"


class Room:
    """The room there is, and who was asked for lately. Thread-safe.

    Args:
        limit: Bytes that the database may take.
        culling: What goes first of what is not over.
    """

    def __init__(self, limit: int, culling: Culling) -> None:
        self._limit = limit
        self._statement = _FIRST.format(column=COLUMN[culling])
        self._notes_hits = culling == "least-recently-used"
        self._lock = threading.Lock()
        self._noted: dict[str, float] = {}

    def note(self, key: str, now: float) -> None:
        """Note a hit."""
        if not self._notes_hits:
            return
        with self._lock:
            self._noted.pop(key, None)
            self._noted[key] = now
            if len(self._noted) > _NOTED:
                del self._noted[next(iter(self._noted))]

    def make(self, sql: Callable[..., Any], now: float, written: int) -> int:
        """Make room, in a transaction, after something was written in it.

        Args:
            sql: Executes a statement.
            now: Unix time in seconds.
            written: Bytes that were written.

        Returns:
            How many rows were given up that were not over.
        """
        with self._lock:
            noted, self._noted = self._noted, {}
        for key, when in noted.items():
            sql(_USED, (when, key, when))
        sql(_OVER, (now, _SWEPT))
        return self._cull(sql, now, 2 * written + _GIVEN_UP)

    def _cull(self, sql: Callable[..., Any], now: float, most: int) -> int:
        given_up = 0
        used = begun = _used(sql)
        while used > self._limit and begun - used < most:
            if not sql(_OVER, (now, _BATCH)).rowcount:
                rows = self._give_up(sql, used - self._limit)
                given_up += rows
                if not rows:
                    break
            used = _used(sql)
        return given_up

    def _give_up(self, sql: Callable[..., Any], wanted: int) -> int:
        """Give up as many bytes as are wanted, or a batch of rows; one row at least."""
        rows = 0
        for row, size in sql(self._statement, (_BATCH,)).fetchall():
            sql(_GO, (row,))
            rows += 1
            wanted -= size
            if wanted <= 0:
                break
        return rows


def _used(sql: Callable[..., Any]) -> int:
    """Bytes of the database once what is free in it is given back, as a commit does."""
    size, count, free = (
        int(sql(f"PRAGMA {name}").fetchone()[0])
        for name in ("page_size", "page_count", "freelist_count")
    )
    return size * (count - free)
