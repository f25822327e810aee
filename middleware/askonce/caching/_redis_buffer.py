"""Writes that wait for company, so that many travel at once.

What waits is found by this process's reads already, and counts its time from when it was given.
Nothing is lost while a batch is on its way: what could not be written waits again, unless it was
replaced meanwhile; only if the server stays away for long do the oldest go. How many did is
counted, and logged once in a while.
"""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from askonce.caching._primitives import Item

_MOST: Final = 20
"""How many batches wait at most while the server is away."""
_LEAST: Final = 1000
"""How many writes may wait however small a batch is: many tasks may write at once."""
_MOST_BYTES: Final = 64 << 20
"""How many bytes do."""
_LOG_SECONDS: Final = 60.0
"""How long nothing more is logged about what went."""

_log = logging.getLogger("askonce")


class Waiting(NamedTuple):
    """A write that waits: its bytes, and the time at which they are over; None: never."""

    data: bytes
    over: float | None


class Leaving:
    """A batch on its way; ``gone`` is set when it arrived or came back."""

    def __init__(self, waiting: dict[str, Waiting]) -> None:
        self.waiting = waiting
        self.gone: Future[None] = Future()


class WriteBuffer:
    """Items by key, the latest of each. Thread-safe.

    Args:
        size: How many make a batch.
        clock: Returns a time in seconds.
    """

    def __init__(self, size: int, clock: Callable[[], float]) -> None:
        self._size = size
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: dict[str, Waiting] = {}
        self._bytes = 0
        self._leaving: list[Leaving] = []
        self._quiet_until = 0.0
        self.lost = 0
        """How many writes went unsent because too many waited."""

    def __bool__(self) -> bool:
        return bool(self._waiting or self._leaving)

    def leaving(self, keys: Sequence[str] | None = None) -> list[Leaving]:
        """Return the batches on their way that hold one of ``keys``; None: all of them."""
        batches = list(self._leaving)
        if keys is None:
            return batches
        return [it for it in batches if any(key in it.waiting for key in keys)]

    def put(self, item: Item) -> bool:
        """Let an item wait. Returns True if a batch is together."""
        key, data, retention = item
        with self._lock:
            self._pop(key)
            over = None if retention is None else self._clock() + retention
            self._wait(key, Waiting(data, over))
            together = len(self._waiting) >= self._size
            gone = self._cut()
        self._tell(gone)
        return together

    def overlaid(self, keys: Sequence[str], found: Sequence[bytes | None]) -> list[bytes | None]:
        """Lay what waits under ``keys`` over what the server has there."""
        return [self._find(key, data) for key, data in zip(keys, found, strict=True)]

    def take(self, keys: Sequence[str] | None = None) -> Leaving | None:
        """Take what waits, to be written while ``arriving``. None: nothing does.

        Args:
            keys: Take what waits under these alone; None: all.
        """
        with self._lock:
            wanted = [key for key in self._waiting if keys is None or key in keys]
            if not wanted:
                return None
            taken = Leaving({key: it for key in wanted if (it := self._pop(key))})
            self._leaving.append(taken)
            return taken

    def items(self, taken: Leaving) -> Iterator[Item]:
        """Yield what is to be written, each item with the seconds that it has left by then."""
        for key, it in list(taken.waiting.items()):
            left = self._left(it)
            if left is None or left > 0:
                yield key, it.data, left

    def arrived(self, taken: Leaving, part: Sequence[Item]) -> None:
        """Strike off a part of a batch that was written."""
        with self._lock:
            taken.waiting = {**taken.waiting}  # who looks through it now does so undisturbed
            for key, *_ in part:
                del taken.waiting[key]

    @contextmanager
    def arriving(self, taken: Leaving) -> Generator[None]:
        """Write a batch in this block: if it fails, what is left of the batch waits again."""
        gone = 0
        try:
            yield
        except BaseException:
            with self._lock:
                gone = self._return(taken.waiting)
            raise
        finally:
            with self._lock:
                self._leaving.remove(taken)
            taken.gone.set_result(None)
            self._tell(gone)

    def _wait(self, key: str, waiting: Waiting) -> None:
        self._waiting[key] = waiting
        self._bytes += len(key) + len(waiting.data)

    def _pop(self, key: str) -> Waiting | None:
        found = self._waiting.pop(key, None)
        if found is not None:
            self._bytes -= len(key) + len(found.data)
        return found

    def _return(self, older: dict[str, Waiting]) -> int:
        """Let a batch wait again, before what came later. Returns how many went."""
        together = {**older, **self._waiting}
        self._waiting, self._bytes = {}, 0
        for key, waiting in together.items():
            self._wait(key, waiting)
        return self._cut()

    def _cut(self) -> int:
        """Let the oldest go while too many wait; the latest one stays. Returns how many went."""
        gone = 0
        most = max(self._size * _MOST, _LEAST)
        while len(self._waiting) > most or (self._bytes > _MOST_BYTES and len(self._waiting) > 1):
            self._pop(next(iter(self._waiting)))
            gone += 1
        self.lost += gone
        return gone

    def _tell(self, gone: int) -> None:
        """Log what went, once in a while."""
        now = time.monotonic()
        if gone and now >= self._quiet_until:
            self._quiet_until = now + _LOG_SECONDS
            _log.warning("redis: too many buffered writes wait: %d were lost so far", self.lost)

    def _find(self, key: str, otherwise: bytes | None) -> bytes | None:
        places = [self._waiting, *(batch.waiting for batch in reversed(self.leaving()))]
        for place in places:
            if (found := place.get(key)) is not None:
                left = self._left(found)
                return found.data if left is None or left > 0 else None
        return otherwise

    def _left(self, waiting: Waiting) -> float | None:
        return None if waiting.over is None else waiting.over - self._clock()
