"""Where events go: to everyone who subscribed to a cache."""

from __future__ import annotations

import asyncio
import inspect
import threading
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, cast

from askonce.observe import loggers
from askonce.observe.observation import Observation
from askonce.observe.subscribers import Mailbox, TaskMailbox, ThreadMailbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from askonce.observe.events import CacheEvent

DRAIN_SECONDS: Final = 10.0
"""How long a cache that is closed waits for its subscribers."""


class SuccessLogger(Protocol):
    """A logger object as LiteLLM's users have it."""

    def log_success_event(
        self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any
    ) -> Any:
        """Hear of an answer."""
        ...


class AsyncSuccessLogger(Protocol):
    """A logger object as LiteLLM's users have it."""

    async def async_log_success_event(
        self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any
    ) -> Any:
        """Hear of an answer."""
        ...


class Listener(Protocol):
    """A function that takes an event; what it returns is awaited if it can be."""

    def __call__(self, event: CacheEvent, /) -> object:
        """Hear of a request or call that is over."""
        ...


Subscriber: TypeAlias = Listener | SuccessLogger | AsyncSuccessLogger


class Events:
    """The subscribers of one cache.

    Args:
        namespace: The operator's namespace as it stands in keys.
        clock: Returns Unix time in seconds.
    """

    def __init__(self, namespace: str, clock: Callable[[], float]) -> None:
        self.clock = clock
        self._namespace = namespace
        self._lock = threading.Lock()
        self._mailboxes: tuple[Mailbox, ...] = ()
        self._reading: set[asyncio.Future[Any]] = set()

    def __len__(self) -> int:
        return len(self._mailboxes)

    def add(self, subscriber: Subscriber) -> Callable[[], None]:
        """Let a subscriber hear of everything that ends from now on.

        Returns:
            A function that ends that. It may be called twice.

        Raises:
            TypeError: It is neither callable nor a logger object.
        """
        box = _mailbox(subscriber)
        with self._lock:
            self._mailboxes = (*self._mailboxes, box)

        def remove() -> None:
            with self._lock:
                self._mailboxes = tuple(other for other in self._mailboxes if other is not box)
            box.close()

        return remove

    def begin(self, call_type: str) -> Observation:
        """Begin to observe a request or call."""
        return Observation(self, call_type, self._namespace)

    def publish(self, event: CacheEvent) -> None:
        """Tell every subscriber; never waits, never raises."""
        for box in self._mailboxes:
            box.put(event)

    def await_reading(self, reading: asyncio.Future[Any]) -> None:
        """Let ``drain`` wait for an event that is not ready yet."""
        self._reading.add(reading)
        reading.add_done_callback(self._reading.discard)

    @property
    def dropped(self) -> int:
        """How many events present subscribers have lost."""
        return sum(box.dropped for box in self._mailboxes)

    async def drain(self) -> None:
        """Wait until every subscriber has heard everything, ten seconds at most."""
        loop = asyncio.get_running_loop()
        reading = [future for future in self._reading if future.get_loop() is loop]
        if reading:
            await asyncio.wait(reading, timeout=DRAIN_SECONDS)
        waits = (asyncio.to_thread(box.wait, DRAIN_SECONDS) for box in self._mailboxes)
        await asyncio.gather(*waits)


def _mailbox(subscriber: Subscriber) -> Mailbox:
    name = getattr(subscriber, "__qualname__", type(subscriber).__qualname__)
    if loggers.is_logger(subscriber):
        return loggers.mailbox(name, subscriber)
    if not callable(subscriber):
        raise TypeError(
            f"{name} hears no events: give a function that takes one, or an object with "
            "log_success_event or async_log_success_event"
        )
    called = cast("Any", subscriber)
    if inspect.iscoroutinefunction(called) or inspect.iscoroutinefunction(type(called).__call__):
        return TaskMailbox(name, called)
    return ThreadMailbox(name, called)
