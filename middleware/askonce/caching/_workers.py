"""Equal threads that own one thing together, such as a client with its connections.

The threads begin with the first job, and so does the thing, which a job opens. ``close`` ends
both; the next job begins anew, and so does a forked child, which has the objects but none of the
threads, and must not use its parent's connections.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from askonce.caching._opened import Opened, S

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Workers(Generic[S]):
    """Threads, and what they own. Thread-safe.

    Args:
        opening: Opens what they own; called in a worker, again if it failed before.
        threads: How many there are, beside the one for jobs that are done one at a time.
        name: What the threads are called.
    """

    def __init__(self, opening: Callable[[], S], threads: int, name: str) -> None:
        self._make = partial(_Crew[S], opening, threads, name)
        self._here = threading.local()
        self._lock = threading.Lock()
        self._crew: _Crew[S] | None = None

    def submit(self, job: Callable[..., T], *args: Any, alone: bool = False) -> Future[T]:
        """Run a job in a worker.

        Args:
            job: What to run.
            *args: What to call it with.
            alone: Jobs that say so run one after the other.
        """
        with self._lock:
            if self._crew is None or not self._crew.alive:
                self._crew = self._make()
            threads = self._crew.single if alone else self._crew.many
            return threads.submit(self._do, self._crew, job, args)

    def owned(self) -> S:
        """Return what the workers own. Call it in a job."""
        crew: _Crew[S] = self._here.crew
        return crew.owned()

    async def close(self) -> None:
        """Close what they own, behind what is still to be done."""
        with self._lock:
            crew, self._crew = self._crew, None
        if crew is not None and crew.alive:
            await asyncio.to_thread(crew.close)

    def _do(self, crew: _Crew[S], job: Callable[..., T], args: tuple[Any, ...]) -> T:
        self._here.crew = crew
        try:
            return job(*args)
        finally:
            del self._here.crew


class _Crew(Opened[S]):
    """One generation of threads."""

    def __init__(self, opening: Callable[[], S], threads: int, name: str) -> None:
        super().__init__(opening)
        self.many = ThreadPoolExecutor(threads, name)
        self.single = ThreadPoolExecutor(1, f"{name}-alone")

    def close(self) -> None:
        self.many.shutdown()
        self.single.shutdown()
        self.close_here()
