"""Threads that own something which must be used, and closed, in the thread that opened it.

One lane is for writing, so that writers queue here and not at a lock; the others are for reading.
A lane does one thing after the other. The thing itself is opened by the first job that needs it.
"""

from __future__ import annotations

import itertools
import os
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable


class Closable(Protocol):
    """What lanes own: ``close`` closes the part of it that belongs to the calling thread."""

    def close(self) -> None:
        """Close this thread's part; the next use opens it again."""
        ...


T = TypeVar("T")
S = TypeVar("S", bound=Closable)

_READERS: Final = 2


class Lanes(Generic[S]):
    """A writing thread, two reading threads, and what they own together.

    Args:
        opening: Opens what they own; called in one of the lanes, again if it failed before.
    """

    def __init__(self, opening: Callable[[], S]) -> None:
        self._pid = os.getpid()
        self._opening = opening
        self._lock = threading.Lock()
        self._owned: S | None = None
        self._writer, *readers = [
            ThreadPoolExecutor(1, "askonce-disk") for _ in range(1 + _READERS)
        ]
        self._all = [self._writer, *readers]
        self._readers = itertools.cycle(readers)

    @property
    def alive(self) -> bool:
        """False in a forked child: it has this object, but none of the threads."""
        return self._pid == os.getpid()

    def submit(self, job: Callable[..., T], *args: Any, reads: bool) -> Future[T]:
        """Run ``job`` in a lane, one for reading if it only reads."""
        lane = next(self._readers) if reads else self._writer
        return lane.submit(job, *args)

    def owned(self) -> S:
        """Return what the lanes own. Call it in a lane."""
        with self._lock:
            if self._owned is None:
                self._owned = self._opening()
            return self._owned

    def close_here(self) -> None:
        """Close what belongs to this lane."""
        if self._owned is not None:
            self._owned.close()

    def close(self) -> list[Future[None]]:
        """Close every lane behind what it still has to do. Nothing can be submitted any more."""
        closing = [lane.submit(self.close_here) for lane in self._all]
        for lane in self._all:
            lane.shutdown(wait=False)
        return closing
