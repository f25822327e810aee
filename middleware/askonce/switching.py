"""Switch the cache of a running app: ``enable_cache``, ``update_cache``, ``disable_cache``.

They are about every :class:`~askonce.middleware.CacheMiddleware` of this process that was made
without a cache of its own. Until the first of them is called, each has the cache that its settings
describe. A switch is one assignment: a request that has begun goes on with the cache that it began
with, the next one meets the new one. The old backend is closed once nobody is served from it any
more.

A :class:`~askonce.caching.caching.Cache` that somebody made is theirs, and is not switched.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from weakref import WeakSet

from askonce.caching.caching import Cache
from askonce.callers import CallerReader
from askonce.disabled import cache_disabled

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

__all__ = [
    "SWITCH",
    "InService",
    "Position",
    "Switch",
    "cache_disabled",
    "current_cache",
    "disable_cache",
    "enable_cache",
    "update_cache",
]

_log = logging.getLogger("askonce")
_closing: Final[set[asyncio.Task[None]]] = set()


class InService:
    """A cache from which requests are served.

    Args:
        cache: The cache.

    Attributes:
        cache: The cache.
        requests: Those that are served from it now, whatever stands for them. A set and not a
            number, as threads may add to it and take from it at the same time.
        is_retired: True once it is out of service. Who takes the last request out of ``requests``
            then calls ``close``.
    """

    def __init__(self, cache: Cache) -> None:
        self.cache = cache
        self.requests: set[object] = set()
        self.is_retired = False
        self._loop: AbstractEventLoop | None = None

    def belongs_here(self) -> None:
        """Take note of the event loop in which requests are served, and the cache is closed."""
        self._loop = _running_loop()

    def end(self, request: object) -> None:
        """Have served a request. The last one closes a cache that is out of service."""
        self.requests.discard(request)
        if self.is_retired:
            self.close()

    def retire(self) -> None:
        """Take the cache out of service, and close it as soon as nobody is served from it."""
        self.is_retired = True
        self.close()

    def close(self) -> None:
        """Close the cache, unless somebody is served from it."""
        if not self.requests:
            self._close()

    def _close(self) -> None:
        """Close the cache where it was used: connections belong to an event loop."""
        loop = self._loop
        if loop is not None and loop.is_running():
            loop.call_soon_threadsafe(self._begin_to_close)
        elif _running_loop() is not None:
            self._begin_to_close()
        else:
            asyncio.run(self._closed())

    def _begin_to_close(self) -> None:
        task = asyncio.ensure_future(self._closed())
        _closing.add(task)
        task.add_done_callback(_closing.discard)

    async def _closed(self) -> None:
        try:
            await self.cache.disconnect()
        except Exception as error:  # noqa: BLE001 - a driver's; its text may hold a password
            _log.warning("a cache out of service was not closed: %s", type(error).__name__)


class Position(Enum):
    """Where a switch stands, if not at a cache."""

    OWN = "each has the cache that its settings describe"
    OFF = "nobody has one"


Standing: TypeAlias = InService | Position


class Switch:
    """What cache those who follow it have.

    Args:
        position: Where it stands at first.

    Attributes:
        position: Where it stands. It is read with every request.
    """

    def __init__(self, position: Standing = Position.OWN) -> None:
        self.position = position
        self._lock = threading.Lock()
        self._own: WeakSet[InService] = WeakSet()

    @property
    def cache(self) -> Cache | None:
        """The cache that it stands at."""
        position = self.position
        return position.cache if isinstance(position, InService) else None

    def owns(self, service: InService) -> None:
        """Retire a follower's own cache as soon as the switch is turned."""
        with self._lock:
            if self.position is Position.OWN:
                self._own.add(service)
                return
        service.retire()

    def turn(self, position: Standing) -> None:
        """Turn to another cache, or to none, and retire what was in service so far."""
        with self._lock:
            before, self.position = self.position, position
            retired = list(self._own)
            self._own.clear()
        if isinstance(before, InService):
            retired.append(before)
        for service in retired:
            service.retire()


SWITCH: Final = Switch()
"""The one that every middleware without a cache of its own follows."""


def enable_cache(**keywords: Any) -> Cache:
    """Cache from now on, as the keywords say; if a cache was enabled already, keep that one.

    Args:
        **keywords: As for :class:`~askonce.caching.caching.Cache`: settings, or ``settings`` and
            ``backend``. What they leave open the environment decides.

    Returns:
        The cache that is enabled now.

    Raises:
        SettingsError: A setting is wrong. Nothing is switched then.
        MissingExtraError: The backend's driver is not installed. Nothing is switched then.
    """
    return SWITCH.cache or update_cache(**keywords)


def update_cache(**keywords: Any) -> Cache:
    """Cache from now on, as the keywords say, in the place of what was there.

    Requests that have begun go on with the old cache, which is closed after the last of them. A
    middleware that was made with ``settings`` of its own keeps all of them but where answers are
    kept.

    Args:
        **keywords: As for :func:`enable_cache`.

    Returns:
        The new cache.

    Raises:
        SettingsError: A setting is wrong. Nothing is switched then.
        MissingExtraError: The backend's driver is not installed. Nothing is switched then.
    """
    cache = Cache(**keywords)
    settings = cache.settings
    # A rule that cannot be used must fail here, not with the next request.
    CallerReader(settings.caller_id, shared=settings.share_between_callers)
    SWITCH.turn(InService(cache))
    return cache


def disable_cache() -> None:
    """Cache nothing from now on: requests pass untouched, without a ``Cache-Status``.

    Requests that have begun go on with the cache that they began with.
    """
    SWITCH.turn(Position.OFF)


def current_cache() -> Cache | None:
    """Return the cache that was enabled last, None if none was or it is disabled."""
    return SWITCH.cache


async def settled() -> None:
    """Wait until the caches that are out of service are closed, as far as this loop closes them."""
    loop = asyncio.get_running_loop()
    await asyncio.sleep(0)  # what was called for is on its way then
    while tasks := [task for task in _closing if task.get_loop() is loop]:
        await asyncio.wait(tasks)


def _running_loop() -> AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
