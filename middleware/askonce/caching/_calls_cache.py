"""The methods of a cache for Python callers: the arguments of a call in, its result out.

What makes keys, finds and adds may be replaced (:mod:`askonce.caching._replaced`). A replaced
``get_cache_key`` makes the key of a Python call, too.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from askonce.caching import _replaced
from askonce.caching._guarded import GuardedBackend
from askonce.caching._python_calls import Call, PythonCalls, Uncached, rekeyed
from askonce.disabled import is_disabled
from askonce.entry import Entry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from askonce.caching.base_cache import BaseCache
    from askonce.codec import JSON
    from askonce.settings import CacheSettings


class CallsCache(GuardedBackend):
    """A cache of calls' results.

    Args:
        backend: Where they are kept.
        settings: What the operator wants.
        clock: Returns Unix time in seconds.

    Attributes:
        replaced: The parts that were replaced, by assignment or in a subclass; None if none was.
    """

    replaced: _replaced.Replaced | None = None

    def __init__(
        self, backend: BaseCache, settings: CacheSettings, clock: Callable[[], float]
    ) -> None:
        super().__init__(backend, settings.effective_backend_timeout, clock)
        self.settings = settings
        self._clock = clock
        self._calls = PythonCalls(settings)
        self.replaced = _replaced.replaced(self, CallsCache)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute; ``get_cache_key``, ``get_cache`` and ``add_cache`` may be replaced."""
        super().__setattr__(name, value)
        if name in _replaced.REPLACEABLE:
            self.replaced = _replaced.replaced(self, CallsCache)

    def __delattr__(self, name: str) -> None:
        """Delete an attribute: a part that was replaced is the cache's own again."""
        super().__delattr__(name)
        if name in _replaced.REPLACEABLE:
            self.replaced = _replaced.replaced(self, CallsCache)

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

    def should_use_cache(self, **kwargs: Any) -> bool:
        """Say whether the cache has anything to do with such a call, whatever its body.

        Args:
            **kwargs: The call, as for :meth:`get_cache_key`.

        Returns:
            False for a call type that is not cached, under ``default_off`` without ``use-cache``,
            and in a block of :func:`~askonce.disabled.cache_disabled`.

        Raises:
            ValueError: There is no such call type, or ``cache`` has a wrong member.
        """
        return self._calls.admits(kwargs) and not is_disabled()

    def get_cache(self, **kwargs: Any) -> JSON:
        """Return the stored result of a call, or None.

        Args:
            **kwargs: The call, as for :meth:`get_cache_key`.

        Raises:
            TypeError: ``get_cache_key`` was replaced by an async function.
            ValueError: There is no such call type, or ``cache`` has a wrong member.
        """
        call = self.read_call(kwargs)
        if isinstance(call, Uncached):
            return None
        found = self.find(call.key)
        return self._calls.result(call, found, self._clock()) if isinstance(found, Entry) else None

    async def async_get_cache(self, **kwargs: Any) -> JSON:
        """Return the stored result of a call, or None; see :meth:`get_cache`."""
        call = await self.aread_call(kwargs)
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
            TypeError: The result is not a JSON value, or ``get_cache_key`` was replaced by an
                async function.
            ValueError: There is no such call type, or ``cache`` has a wrong member.
        """
        made = self._made(self.read_call(kwargs), result)
        if made is not None:
            self.put(*made)

    async def async_add_cache(self, result: JSON, **kwargs: Any) -> None:
        """Store the result of a call; see :meth:`add_cache`."""
        made = self._made(await self.aread_call(kwargs), result)
        if made is not None:
            await self.store(*made)

    async def async_add_cache_pipeline(self, result: JSON, **kwargs: Any) -> None:
        """Store the result of an embedding call, each item of ``input`` under a key of its own.

        Any other call, and one whose ``input`` is no list, is stored as a whole.

        Args:
            result: As for :meth:`add_cache`; nothing is stored unless ``data`` has as many items.
            **kwargs: The call, as for :meth:`get_cache_key`.

        Raises:
            TypeError: The result is not a JSON value.
            ValueError: There is no such call type, or ``cache`` has a wrong member.
        """
        items = self._calls.items(kwargs, result)
        made = [self._made(await self.aread_call(call), whole) for call, whole in items]
        await asyncio.gather(*(self.store(*kept) for kept in made if kept is not None))

    async def batch_cache_write(self, result: JSON, **kwargs: Any) -> None:
        """Store the result of a call without waiting until it is written; see :meth:`add_cache`.

        It is found at once; :meth:`disconnect` waits for it.
        """
        made = self._made(await self.aread_call(kwargs), result)
        if made is not None:
            self.announce(*made)

    def read_call(self, kwargs: Mapping[str, Any]) -> Call | Uncached:
        """Read a call; its key is a replacement's if there is one."""
        call, part = self._calls.read(kwargs), self._key_part()
        if is_disabled():
            return Uncached("disabled")
        if part is None or isinstance(call, Uncached):
            return call
        _replaced.refuse_async(part)
        try:
            return rekeyed(call, _replaced.key_text(part(**self._calls.fields(kwargs))))
        except Exception as error:  # noqa: BLE001 - somebody else's code: whatever it raises
            return self._unkeyed(error)

    async def aread_call(self, kwargs: Mapping[str, Any]) -> Call | Uncached:
        """Read a call; see :meth:`read_call`."""
        call, part = self._calls.read(kwargs), self._key_part()
        if is_disabled():
            return Uncached("disabled")
        if part is None or isinstance(call, Uncached):
            return call
        try:
            limit = self.settings.effective_backend_timeout
            made = await _replaced.call(part, limit, **self._calls.fields(kwargs))
            return rekeyed(call, _replaced.key_text(made))
        except Exception as error:  # noqa: BLE001 - somebody else's code: whatever it raises
            return self._unkeyed(error)

    def _key_part(self) -> _replaced.Part | None:
        return self.replaced.get_cache_key if self.replaced else None

    def _unkeyed(self, error: Exception) -> Uncached:
        self.failed("get_cache_key", error)
        return Uncached("custom-key-failed")

    def _made(self, call: Call | Uncached, result: JSON) -> tuple[Entry, float] | None:
        if result is None or isinstance(call, Uncached):
            return None
        return self._calls.entry(call, result, self._clock())
