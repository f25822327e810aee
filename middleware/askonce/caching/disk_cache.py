"""Answers in a directory: they outlive the process, and processes on one machine share them.

SQLite does the work, by way of :mod:`askonce.caching._diskcache`. It blocks, so every call, the
synchronous ones too, runs in a few threads of this cache's own (:mod:`askonce.caching._lanes`).
They alone have connections, which ``disconnect`` can therefore close.

A write is there whole or not at all, whenever a process is killed. A directory that another program
or another version made is refused, and left as it is (:mod:`askonce.caching._disk_format`). Where
there is no room, something is given up (:mod:`askonce.caching._disk_room`).
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self, TypeVar

from askonce.caching._disk_room import COLUMN
from askonce.caching._lanes import Lanes
from askonce.caching.base_cache import BaseCache
from askonce.codec import Number, decode_number, encode_value
from askonce.errors import BackendError, BackendTimeoutError, MissingExtraError

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future
    from types import ModuleType

    from askonce.caching._disk_room import Culling
    from askonce.caching._diskcache import Store
    from askonce.caching._primitives import Item
    from askonce.settings import CacheSettings

T = TypeVar("T")

DEFAULT_DIRECTORY: Final = ".askonce/cache"
"""Where answers are kept if nothing else is said, below the working directory."""
SIZE_LIMIT: Final = 1024 * 1024 * 1024
_FIXED: Final = ("sqlite_journal_mode", "sqlite_auto_vacuum")
"""That readers do not wait, and that room is given back, rests on these."""

_ANEW: Final = "delete the directory: what was in it is asked for anew"
_HINTS: Final = {
    "disk is full": "free some space, or lower ASKONCE_DISK_MAX_BYTES",
    "not a database": _ANEW,
    "malformed": _ANEW,
    "no such": _ANEW,
    "another program's": "choose another directory (ASKONCE_DISK_CACHE_DIR); this one is untouched",
    "written in format": "choose another directory (ASKONCE_DISK_CACHE_DIR), or " + _ANEW,
    "is locked": "other processes are busy with it; it is asked again",
}
_HINT: Final = "choose a directory that this process may write to (ASKONCE_DISK_CACHE_DIR)"


class DiskCache(BaseCache):
    """A backend in a directory. Thread-safe; the event loop never waits for the disk.

    Args:
        disk_cache_dir: The directory; made, for its owner alone, when it is first needed.
            ``.askonce/cache`` below the working directory if None.
        default_ttl: Seconds that ``set_cache`` keeps a value if it is not told; None: no limit.
        size_limit: Bytes that it may take on the disk, of which an empty one takes some 50,000. An
            item may take half of it. Beside it there is a log of at most some MB.
        culling: What goes where there is no room and nothing is over: what was stored the longest
            ago (``least-recently-stored``), or what was asked for the longest ago
            (``least-recently-used``), as far as the process knows that makes the room.
        clock: Returns Unix time in seconds. All processes on a directory must agree on it.
        **driver: Settings of diskcache that begin with ``sqlite_``: pragmas of every connection.

    Raises:
        MissingExtraError: diskcache is not installed.
        ValueError: There is no such culling policy.
        TypeError: diskcache is not given such a setting.
    """

    name: ClassVar[str] = "disk"

    def __init__(
        self,
        disk_cache_dir: str | os.PathLike[str] | None = None,
        default_ttl: float | None = None,
        size_limit: int = SIZE_LIMIT,
        culling: Culling = "least-recently-stored",
        *,
        clock: Callable[[], float] = time.time,
        **driver: Any,
    ) -> None:
        super().__init__(default_ttl)
        # Absolute from the start: a later change of the working directory must not move it.
        self.directory = Path(disk_cache_dir or DEFAULT_DIRECTORY).expanduser().absolute()
        _check(culling, driver)
        self._size_limit = size_limit
        self._culling: Culling = culling
        self._clock = clock
        self._pragmas = driver
        self._driver = _driver()
        self._lock = threading.Lock()
        self._lanes: Lanes[Store] | None = None
        self._here = threading.local()
        self._evictions = 0

    @classmethod
    def from_settings(
        cls, settings: CacheSettings, *, clock: Callable[[], float] = time.time, **driver: Any
    ) -> Self:
        """Make a backend as ``settings`` say, unless ``driver`` says otherwise; see the class."""
        said: dict[str, Any] = {
            "disk_cache_dir": settings.disk_cache_dir,
            "default_ttl": settings.effective_ttl,
            "size_limit": int(settings.disk_max_bytes),
            "culling": settings.disk_culling,
        }
        return cls(**said | driver, clock=clock)

    @property
    def evictions(self) -> int:
        """How many live items this process gave up for want of room."""
        return self._evictions

    # ---- primitives: each runs in a lane

    def _read(self, keys: Sequence[str]) -> list[bytes | None]:
        store = self._store()
        return [store.read(key) for key in keys]

    def _write(self, items: Sequence[Item]) -> None:
        store = self._store()
        written = 0
        with store.transaction():
            for key, data, retention in items:
                if len(data) * 2 > self._size_limit:
                    store.delete(key)
                else:
                    store.write(key, data, retention)
                    written += len(data)
            self._evictions += store.make_room(written)

    def _remove(self, keys: Sequence[str]) -> int:
        store = self._store()
        with store.transaction():
            return sum(store.delete(key) for key in keys)

    def _clear(self, prefixes: Sequence[str] | None) -> int:
        return self._store().delete_all(prefixes)

    def _add(self, key: str, amount: Number, retention: float | None) -> Number:
        store = self._store()
        with store.transaction():
            data = store.read(key)
            if data is None:
                store.write(key, encode_value(amount), retention)
                self._evictions += store.make_room(0)
                return amount
            number = decode_number(data)
            if number is None:
                raise BackendError(f"{self.name}: what is kept under this key is not a number")
            store.rewrite(key, encode_value(number + amount))
            return number + amount

    # ---- threads

    def _call(self, primitive: Callable[..., T], *args: Any) -> T:
        return self._submit(primitive, *args).result()

    async def _run(self, primitive: Callable[..., T], *args: Any) -> T:
        return await asyncio.wrap_future(self._submit(primitive, *args))

    async def disconnect(self) -> None:
        """Close all connections, behind what is still being done. The next call opens new ones."""
        with self._lock:
            lanes, self._lanes = self._lanes, None
        if lanes is not None and lanes.alive:
            await asyncio.gather(*map(asyncio.wrap_future, lanes.close()))

    def _submit(self, primitive: Callable[..., T], *args: Any) -> Future[T]:
        reads = primitive == self._read
        with self._lock:
            if self._lanes is None or not self._lanes.alive:
                self._lanes = Lanes(self._open)
            return self._lanes.submit(self._job, self._lanes, primitive, args, reads=reads)

    def _job(self, lanes: Lanes[Store], primitive: Callable[..., T], args: tuple[Any, ...]) -> T:
        """Run a primitive. After a failure this lane begins anew: a transaction may be open."""
        self._here.lanes = lanes
        try:
            return primitive(*args)
        except (self._driver.Timeout, OSError, sqlite3.Error, ValueError) as error:
            lanes.close_here()
            raise self._failure(error) from error

    def _store(self) -> Store:
        lanes: Lanes[Store] = self._here.lanes
        return lanes.owned()

    def _open(self) -> Store:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            store: Store = self._driver.Store(
                str(self.directory), self._size_limit, self._culling, self._clock, self._pragmas
            )
        except (TypeError, KeyError, AttributeError) as error:
            # Settings that diskcache itself would never have left there.
            raise sqlite3.DatabaseError("file is not a database of ours") from error
        return store

    def _failure(self, error: Exception) -> BackendError:
        reason = _reason(error)
        hint = next((hint for mark, hint in _HINTS.items() if mark in reason), _HINT)
        kind = BackendTimeoutError if "is locked" in reason else BackendError
        return kind(f"disk: {self.directory}: {reason}. HINT: {hint}")


def _reason(error: Exception) -> str:
    """Find the words in which the disk or SQLite said what is wrong.

    diskcache has two ways to hide them: its Timeout stands for whatever keeps a transaction from
    beginning; and where SQLite has rolled one back by itself, diskcache's own attempt fails too.
    """
    cause = error.__context__ or error
    while cause.__context__ is not None:
        cause = cause.__context__
    return str(cause.strerror if isinstance(cause, OSError) else cause)


def _check(culling: str, driver: dict[str, Any]) -> None:
    if culling not in COLUMN:
        raise ValueError(f"culling: {culling!r} is none of {', '.join(COLUMN)}")
    for name in driver:
        if not name.startswith("sqlite_") or name in _FIXED:
            raise TypeError(f"DiskCache: {name!r} is not a setting that diskcache is given here")


def _driver() -> ModuleType:
    try:
        from askonce.caching import _diskcache
    except ImportError as error:
        raise MissingExtraError("diskcache", "disk") from error
    return _diskcache
