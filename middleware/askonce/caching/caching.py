"""The facade: one backend, and all who use it.

The journey calls ``lookup``, ``announce`` and ``store`` (:mod:`askonce.caching._guarded`). Python
callers have the methods that they know from LiteLLM: ``get_cache`` and ``add_cache``, with the
arguments of the call. For both a failing backend is a miss. What operators do (``flush``,
``delete_cache_keys``) takes the time it takes, and does raise.

What makes keys, finds and adds may be replaced (:mod:`askonce.caching._replaced`): the journey then
calls the replacement, wherever a request comes from.
"""

from __future__ import annotations

import time
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from askonce.caching import _backends
from askonce.caching._calls_cache import CallsCache
from askonce.caching._failures import Failed
from askonce.caching._guarded import Stats
from askonce.calls.keys import physical_namespace
from askonce.errors import SettingsError
from askonce.observe.hub import Events
from askonce.settings import CacheSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from askonce.caching.base_cache import BaseCache
    from askonce.observe.hub import Subscriber

__all__ = ["Cache", "Failed", "Stats"]

T = TypeVar("T")


class Cache(CallsCache):
    """A cache for LLM calls.

    Args:
        settings: All settings at once; None: ``fields`` and the environment decide.
        backend: A backend to use instead of the one that ``type`` names. It is not closed here.
        clock: Returns Unix time in seconds.
        **keywords: Settings by name, as :class:`~askonce.settings.CacheSettings` has them. Others
            go to the backend's driver, unless they look like a setting that is written wrong.

    Attributes:
        clock: Returns Unix time in seconds.
        events: Where events go; None while nobody subscribed, and then none is made.
        replaced: The parts that were replaced, by assignment or in a subclass; None if none was.

    Raises:
        SettingsError: A setting is wrong, or a keyword is one that nobody takes.
        MissingExtraError: The backend's driver is not installed.
        TypeError: Both ``settings`` and single settings are given.
    """

    def __init__(
        self,
        *,
        settings: CacheSettings | None = None,
        backend: BaseCache | None = None,
        clock: Callable[[], float] = time.time,
        **keywords: Any,
    ) -> None:
        fields, driver = _backends.parted(keywords, _FIELDS)
        if settings is not None and fields:
            raise TypeError("give either settings or single fields")
        settings = settings or CacheSettings(**fields)
        self._owns_backend = backend is None
        if backend is None:
            backend = _backends.backend(settings, clock, driver)
        elif driver:
            raise SettingsError(f"not a setting, and the backend is made: {', '.join(driver)}")
        super().__init__(backend, settings, clock)
        self._subscribed = Events(physical_namespace(settings.namespace), clock)
        self.events: Events | None = None
        self.clock = clock
        self._companions: dict[object, Any] = {}

    @classmethod
    def from_settings(
        cls,
        settings: CacheSettings,
        *,
        backend: BaseCache | None = None,
        clock: Callable[[], float] = time.time,
        **driver: Any,
    ) -> Self:
        """Make a cache as ``settings`` say; see the class."""
        return cls(settings=settings, backend=backend, clock=clock, **driver)

    async def disconnect(self) -> None:
        """Write what is pending, tell every subscriber, then close the backend if it was made here.

        The cache may be used again: the backend then opens anew.
        """
        await self.drain()
        await self._subscribed.drain()
        if self._owns_backend:
            await self.backend.disconnect()

    async def close(self) -> None:
        """Do what :meth:`disconnect` does."""
        await self.disconnect()

    # ---- operators

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Let somebody hear of every request and wrapped call, once it is over.

        No request waits for a subscriber, whatever it does. A sync one is called in a thread of
        its own, an async one in a task, each with one event after the other; of those that wait,
        1,000 are kept, and more are dropped, counted and logged.

        Args:
            subscriber: A function, sync or async, that takes a
                :class:`~askonce.observe.events.CacheEvent`; or a logger object as LiteLLM's users
                have it, with ``log_success_event`` or ``async_log_success_event``.

        Returns:
            A function that ends the subscription.

        Raises:
            TypeError: It is neither.
        """
        remove = self._subscribed.add(subscriber)
        self.events = self._subscribed

        def unsubscribe() -> None:
            remove()
            if not self._subscribed:
                self.events = None

        return unsubscribe

    def companion(self, kind: Callable[[Cache], T]) -> T:
        """Return the one object of a kind that accompanies this cache; made when first asked for.

        Args:
            kind: Makes it.
        """
        if kind not in self._companions:
            self._companions.setdefault(kind, kind(self))
        made: T = self._companions[kind]
        return made

    async def ping(self) -> bool:
        """Say whether the backend works; ``backend.test_connection`` says in words why not."""
        return (await self.backend.test_connection())["status"] == "success"

    async def delete_cache_keys(self, keys: Sequence[str]) -> int:
        """Delete entries by their physical keys, also those still on their way.

        Returns:
            How many there were.

        Raises:
            BackendError: The backend failed.
        """
        await self.drain()
        return await self.backend.async_delete_many(keys)

    async def flush(self, namespace: str | None = None) -> int:
        """Delete a namespace and its children, and nobody else's keys.

        Args:
            namespace: A client's namespace inside the operator's; None: the operator's, whole.

        Returns:
            How many keys there were.

        Raises:
            BackendError: The backend failed.
        """
        await self.drain()
        physical = physical_namespace(self.settings.namespace, namespace)
        return await self.backend.async_flush_cache(physical)


_FIELDS: Final = frozenset({*CacheSettings.model_fields, "_env_file", "_secrets_dir"})
_SWITCHES: Final = frozenset({"enable_cache", "update_cache", "disable_cache"})


def __getattr__(name: str) -> Any:
    """Let those who look for a switch here, as in LiteLLM, find it (PEP 562)."""
    if name not in _SWITCHES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("askonce.switching"), name)
