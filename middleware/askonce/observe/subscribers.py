"""Those who hear events, each with a mailbox of its own that no request ever waits for.

A mailbox is bounded: what does not fit any more is dropped, counted, and logged once in a while.
Its events are delivered one after the other, in order; a subscriber that raises loses that event
alone. Sync subscribers are called in a thread, which ends when nothing happens for a while; async
ones in a task of the event loop that the request runs in, or, for a call outside of any, in a loop
of a thread's own.
"""

from __future__ import annotations

import abc
import asyncio
import contextvars
import inspect
import logging
import math
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from askonce.foreign import is_ended

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from askonce.observe.events import CacheEvent

QUEUED: Final = 1000
"""Events that wait for one subscriber at most; later ones are dropped."""
LINGER_SECONDS: Final = 2.0
"""How long a subscriber's thread waits for the next event before it ends."""
LOG_SECONDS: Final = 60.0
"""One complaint about a subscriber is logged in so many seconds."""

_log = logging.getLogger("askonce")


class Mailbox(abc.ABC):
    """The events that wait for one subscriber.

    Args:
        name: What messages call the subscriber.

    Attributes:
        dropped: How many events were lost, because the mailbox was full.
    """

    def __init__(self, name: str) -> None:
        self.dropped = 0
        self._name = name
        self._events: deque[CacheEvent] = deque()
        self._changed = threading.Condition()
        self._at_work = False
        self._delivering = False
        self._closed = False
        self._logged = -math.inf

    def put(self, event: CacheEvent) -> None:
        """Let the subscriber hear an event, soon; never waits, never raises."""
        with self._changed:
            if self._closed:
                return
            full = len(self._events) >= QUEUED
            if full:
                self.dropped += 1
            else:
                self._events.append(event)
            begin = not self._at_work or self._is_lost()
            self._at_work = True
            self._changed.notify_all()
        if begin:
            self._begin()
        if full:
            self._complain("is too slow: %d events were dropped so far", self.dropped)

    def close(self) -> None:
        """Deliver nothing any more."""
        with self._changed:
            self._closed = True
            self._events.clear()
            self._changed.notify_all()

    def wait(self, seconds: float) -> bool:
        """Wait, in this thread, until everything is delivered; False if that takes longer."""
        with self._changed:
            return self._changed.wait_for(self._is_idle, seconds)

    @abc.abstractmethod
    def _begin(self) -> None:
        """Start whatever delivers until nothing is left."""

    @abc.abstractmethod
    def _is_lost(self) -> bool:
        """Say whether that has come to an end without saying so: in a fork, in a closed loop."""

    def _is_idle(self) -> bool:
        return not self._events and not self._delivering

    def _take(self, seconds: float) -> CacheEvent | None:
        """Take the next event; None, and nobody is at work, if none comes for so many seconds."""
        with self._changed:
            self._delivering = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._events or self._closed, seconds)
            self._at_work = self._delivering = bool(self._events)
            return self._events.popleft() if self._events else None

    def _stop(self) -> None:
        with self._changed:
            self._at_work = self._delivering = False
            self._changed.notify_all()

    def _complain(self, message: str, *args: object, error: BaseException | None = None) -> None:
        now = time.monotonic()
        if now - self._logged >= LOG_SECONDS:
            self._logged = now
            _log.warning(f"a subscriber of events, {self._name}, {message}", *args, exc_info=error)


class ThreadMailbox(Mailbox):
    """Calls a sync subscriber, in a thread.

    Args:
        name: What messages call the subscriber.
        deliver: The subscriber.
    """

    def __init__(self, name: str, deliver: Callable[[CacheEvent], object]) -> None:
        super().__init__(name)
        self._deliver = deliver
        self._thread: threading.Thread | None = None

    def _begin(self) -> None:
        self._thread = threading.Thread(target=self._run, name="askonce-events", daemon=True)
        self._thread.start()

    def _is_lost(self) -> bool:
        return self._thread is not None and not self._thread.is_alive()

    def _run(self) -> None:
        while (event := self._take(LINGER_SECONDS)) is not None:
            try:
                result = self._deliver(event)
                if inspect.isawaitable(result):
                    asyncio.run(_awaited(result))
            except BaseException as error:  # noqa: BLE001 - the subscriber's: the thread goes on
                self._complain("failed", error=error)


class TaskMailbox(Mailbox):
    """Awaits an async subscriber, in a task.

    Args:
        name: What messages call the subscriber.
        deliver: The subscriber.
    """

    def __init__(self, name: str, deliver: Callable[[CacheEvent], Awaitable[object]]) -> None:
        super().__init__(name)
        self._deliver = deliver
        self._task: asyncio.Task[None] | None = None

    def _begin(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._task = None
            threading.Thread(
                target=_run_in_a_loop, args=(self._run(),), name="askonce-events", daemon=True
            ).start()
        else:
            # A context of its own: this is no part of the request that happened to start it.
            self._task = loop.create_task(self._run(), context=contextvars.Context())

    def _is_lost(self) -> bool:
        return self._task is not None and (self._task.done() or self._task.get_loop().is_closed())

    async def _run(self) -> None:
        try:
            while (event := self._take(0.0)) is not None:
                await self._tell(event)
        except BaseException:  # its loop ends; the next event finds another
            self._stop()
            raise

    async def _tell(self, event: CacheEvent) -> None:
        task = asyncio.current_task()
        try:
            await self._deliver(event)
        except KeyboardInterrupt:  # the operator's, not the subscriber's
            raise
        except BaseException as error:
            if is_ended(task):
                raise
            self._complain("failed", error=error)


def _run_in_a_loop(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(main)


async def _awaited(result: Awaitable[object]) -> None:
    await result
