"""Threads that own something which must be used, and closed, in the thread that opened it.

One lane is for writing, so that writers queue here and not at a lock; the others are for reading.
A lane does one thing after the other. The thing itself is opened by the first job that needs it.
"""

from __future__ import annotations

import itertools
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, TypeVar

from askonce.caching._opened import Opened, S

if TYPE_CHECKING:
    from collections.abc import Callable


T = TypeVar("T")

_READERS: Final = 2


class Lanes(Opened[S]):
    """A writing thread, two reading threads, and what they own together.

    Args:
        opening: Opens what they own; called in one of the lanes, again if it failed before.
    """

    def __init__(self, opening: Callable[[], S]) -> None:
        super().__init__(opening)
        self._writer, *readers = [
            ThreadPoolExecutor(1, "askonce-disk") for _ in range(1 + _READERS)
        ]
        self._all = [self._writer, *readers]
        self._readers = itertools.cycle(readers)

    def submit(self, job: Callable[..., T], *args: Any, reads: bool) -> Future[T]:
        """Run ``job`` in a lane, one for reading if it only reads."""
        lane = next(self._readers) if reads else self._writer
        return lane.submit(job, *args)

    def close(self) -> list[Future[None]]:
        """Close every lane behind what it still has to do. Nothing can be submitted any more."""
        closing = [lane.submit(self.close_here) for lane in self._all]
        for lane in self._all:
            lane.shutdown(wait=False)
        return closing
