"""The facade: one backend, and all who use it.

The journey calls ``lookup``, ``announce`` and ``store`` (:mod:`askonce.caching._guarded`). Python
callers have the methods that they know from LiteLLM: ``get_cache`` and ``add_cache``, with the
arguments of the call. For both a failing backend is a miss. What operators do (``flush``,
``delete_cache_keys``) takes the time it takes, and does raise.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Self

from askonce.caching._failures import Failed
from askonce.caching._guarded import GuardedBackend, Stats
from askonce.caching._python_calls import PythonCalls, Uncached
from askonce.caching.disk_cache import DiskCache
from askonce.caching.in_memory_cache import InMemoryCache
from askonce.calls.keys import physical_namespace
from askonce.entry import Entry
from askonce.errors import SettingsError
from askonce.settings import CacheSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from askonce.caching.base_cache import BaseCache
    from askonce.codec import JSON

__all__ = ["Cache", "Failed", "Stats"]


class Cache(GuardedBackend):
    """A cache for LLM calls.

    Args:
        settings: All settings at once; None: ``fields`` and the environment decide.
        backend: A backend to use instead of the one that ``type`` names. It is not closed here.
        clock: Returns Unix time in seconds.
        **fields: Settings by name, as :class:`~askonce.settings.CacheSettings` has them.

    Raises:
        SettingsError: A setting is wrong.
        MissingExtraError: The backend's driver is not installed.
        TypeError: Both ``settings`` and ``fields`` are given.
    """

    def __init__(
        self,
        *,
        settings: CacheSettings | None = None,
        backend: BaseCache | None = None,
        clock: Callable[[], float] = time.time,
        **fields: Any,
    ) -> None:
        if settings is not None and fields:
            raise TypeError("give either settings or single fields")
        self.settings = CacheSettings(**fields) if settings is None else settings
        self._owns_backend = backend is None
        if backend is None:
            backend = _backend(self.settings, clock)
        super().__init__(backend, self.settings.effective_backend_timeout, clock)
        self._clock = clock
        self._calls = PythonCalls(self.settings)

    @classmethod
    def from_settings(
        cls,
        settings: CacheSettings,
        *,
        backend: BaseCache | None = None,
        clock: Callable[[], float] = time.time,
    ) -> Self:
        """Make a cache as ``settings`` say; see the class."""
        return cls(settings=settings, backend=backend, clock=clock)

    async def disconnect(self) -> None:
        """Write what is pending, then close the backend if it was made here.

        The cache may be used again: the backend then opens anew.
        """
        await self.drain()
        if self._owns_backend:
            await self.backend.disconnect()

    async def close(self) -> None:
        """Do what :meth:`disconnect` does."""
        await self.disconnect()

    # ---- Python callers

    def get_cache_key(self, **kwargs: Any) -> str:
        """Return the key of a call's result.

        Args:
            **kwargs: The members of the request's body; beside them ``call_type``
                (``completion``), ``caller``, ``namespace`` and ``cache``.

        Raises:
            ValueError: Such a call is not cached, or its ``cache`` is wrong. The message says why.
        """
        call = self._calls.read(kwargs)
        if isinstance(call, Uncached):
            raise ValueError(f"this call is not cached: {call.reason}")  # noqa: TRY004 - its types are right
        return call.key

    def get_cache(self, **kwargs: Any) -> JSON:
        """Return the stored result of a call, or None.

        Args:
            **kwargs: The call, as for :meth:`get_cache_key`.

        Raises:
            ValueError: There is no such call type, or ``cache`` has a wrong member.
        """
        call = self._calls.read(kwargs)
        if isinstance(call, Uncached):
            return None
        found = self.find(call.key)
        return self._calls.result(call, found, self._clock()) if isinstance(found, Entry) else None

    async def async_get_cache(self, **kwargs: Any) -> JSON:
        """Return the stored result of a call, or None; see :meth:`get_cache`."""
        call = self._calls.read(kwargs)
        if isinstance(call, Uncached):
            return None
        found = await self.lookup(call.key)
        return self._calls.result(call, found, self._clock()) if isinstance(found, Entry) else None

    def add_cache(self, result: JSON, **kwargs: Any) -> None:
        """Store the result of a call. Whether it is complete is the caller's to know.

        Args:
            result: A JSON value, or an object with pydantic's ``model_dump``. None stores nothing.
            **kwargs: The call, as for :meth:`get_cache_key`.

        Raises:
            TypeError: The result is not a JSON value.
            ValueError: There is no such call type, or ``cache`` has a wrong member.
        """
        made = self._made(result, kwargs)
        if made is not None:
            self._put(*made)

    async def async_add_cache(self, result: JSON, **kwargs: Any) -> None:
        """Store the result of a call; see :meth:`add_cache`."""
        made = self._made(result, kwargs)
        if made is not None:
            await self.store(*made)

    # ---- operators

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

    def _made(self, result: JSON, kwargs: dict[str, Any]) -> tuple[Entry, float] | None:
        call = self._calls.read(kwargs)
        if result is None or isinstance(call, Uncached):
            return None
        return self._calls.entry(call, result, self._clock())


def _backend(settings: CacheSettings, clock: Callable[[], float]) -> BaseCache:
    if settings.type == "local":
        return InMemoryCache(
            max_size_in_memory=settings.memory_max_entries,
            default_ttl=settings.effective_ttl,
            max_bytes=settings.memory_max_bytes,
            clock=clock,
        )
    if settings.type == "disk":
        return DiskCache(settings.disk_cache_dir, default_ttl=settings.effective_ttl)
    raise SettingsError(f"ASKONCE_TYPE: this version has no backend for {settings.type!r}")
