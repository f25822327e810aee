"""JSON values, counters and sets in memory and Redis, as LiteLLM's callers ask for them."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from askonce.caching import _dual_redis as far
from askonce.caching._dual_store import DualStore
from askonce.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence

    from askonce.caching._redis_values import Increment, Raw, RedisValues
    from askonce.caching.in_memory_cache import InMemoryCache
    from askonce.codec import JSON, Number


class DualValues(DualStore):
    """What Python callers keep."""

    in_memory_cache: InMemoryCache
    redis_cache: RedisValues | None

    # ---- reading

    def get_cache(
        self,
        key: str,
        parent_otel_span: Any = None,  # noqa: ARG002
        local_only: bool = False,
        **_unused: Any,
    ) -> JSON:
        """Return the JSON value kept under ``key``, or None.

        Args:
            key: The key, as it was given to ``set_cache``.
            parent_otel_span: Accepted for LiteLLM's callers, and not used.
            local_only: Ask memory alone.
            **_unused: Likewise not used.
        """
        if local_only:
            return self.in_memory_cache.get_cache(key)
        values, unreadable = self._values((key,), self._read((key,)))
        if unreadable:
            self._remove(unreadable)
        return values[0]

    async def async_get_cache(
        self,
        key: str,
        parent_otel_span: Any = None,  # noqa: ARG002
        local_only: bool = False,
        **_unused: Any,
    ) -> JSON:
        """Return the JSON value kept under ``key``, or None; see :meth:`get_cache`."""
        if local_only:
            return self.in_memory_cache.get_cache(key)
        values, unreadable = self._values((key,), await self._aread((key,)))
        if unreadable:
            await self._aremove(unreadable)
        return values[0]

    def batch_get_cache(
        self,
        keys: Sequence[str],
        parent_otel_span: Any = None,  # noqa: ARG002
        local_only: bool = False,
        **_unused: Any,
    ) -> list[JSON]:
        """Return the JSON values kept under ``keys``, in their order, None for the absent.

        What Redis did not have lately is not asked for again for a while.

        Args:
            keys: The keys, as they were given to ``set_cache``.
            parent_otel_span: Accepted for LiteLLM's callers, and not used.
            local_only: Ask memory alone.
            **_unused: Likewise not used.
        """
        if local_only:
            return self.in_memory_cache.batch_get_cache(keys)
        values, unreadable = self._values(keys, self._read_values(keys, self._asks_in_batch))
        if unreadable:
            self._remove(unreadable)
        return values

    async def async_batch_get_cache(
        self,
        keys: Sequence[str],
        parent_otel_span: Any = None,  # noqa: ARG002
        local_only: bool = False,
        **_unused: Any,
    ) -> list[JSON]:
        """Return the JSON values kept under ``keys``; see :meth:`batch_get_cache`."""
        if local_only:
            return self.in_memory_cache.batch_get_cache(keys)
        found = await self._aread_values(keys, self._asks_in_batch)
        values, unreadable = self._values(keys, found)
        if unreadable:
            await self._aremove(unreadable)
        return values

    # ---- writing

    def set_cache(self, key: str, value: JSON, local_only: bool = False, **kwargs: Any) -> None:
        """Keep a JSON value in both.

        Args:
            key: Any name.
            value: Any JSON value; None deletes what is there.
            local_only: Keep it in memory alone.
            **kwargs: ``ttl``: seconds to keep it, ``default_redis_ttl`` if it is not given; 0 or
                less deletes. Others are accepted for LiteLLM's callers, and not used.

        Raises:
            TypeError: JSON has no such value.
            ValueError: JSON has no such number or text.
        """
        if local_only:
            self._keep_here([(key, value)], kwargs)
        else:
            super().set_cache(key, value, **kwargs)

    async def async_set_cache(
        self, key: str, value: JSON, local_only: bool = False, **kwargs: Any
    ) -> None:
        """Keep a JSON value in both; see :meth:`set_cache`."""
        if local_only:
            self._keep_here([(key, value)], kwargs)
        else:
            await super().async_set_cache(key, value, **kwargs)

    async def async_set_cache_pipeline(
        self,
        cache_list: Iterable[tuple[str, JSON]],
        ttl: float | None = None,
        local_only: bool = False,
        **kwargs: Any,
    ) -> None:
        """Keep many JSON values at once.

        Args:
            cache_list: Pairs of key and value.
            ttl: Seconds to keep all of them; None: ``default_redis_ttl``.
            local_only: Keep them in memory alone.
            **kwargs: As for :meth:`set_cache`.
        """
        if local_only:
            self._keep_here(cache_list, {**kwargs, "ttl": ttl})
        else:
            await super().async_set_cache_pipeline(cache_list, ttl, **kwargs)

    def increment_cache(
        self,
        key: str,
        value: Number = 1,
        ttl: float | None = None,
        local_only: bool = False,
        **_unused: Any,
    ) -> Number:
        """Add to a counter, atomically.

        Args:
            key: The counter's name.
            value: What to add; an absent counter is 0.
            ttl: Seconds to keep a counter that begins with this call, ``default_redis_ttl`` if
                None. One that is there keeps the time it has.
            local_only: Count in memory alone.
            **_unused: Accepted for LiteLLM's callers, and not used.

        Returns:
            The sum; while Redis is down, of what this process knows. What was added then is added
            to Redis later, unless Redis may have heard it already.

        Raises:
            BackendError: Something else than a number is kept there.
        """
        if local_only:
            return self.in_memory_cache.increment_cache(key, value, self._limited(ttl))
        return super().increment_cache(key, value, ttl)

    async def async_increment(
        self,
        key: str,
        value: Number = 1,
        ttl: float | None = None,
        local_only: bool = False,
        **_unused: Any,
    ) -> Number:
        """Add to a counter, atomically; see :meth:`increment_cache`."""
        if local_only:
            return self.in_memory_cache.increment_cache(key, value, self._limited(ttl))
        return await super().async_increment(key, value, ttl)

    async def async_increment_cache(
        self,
        key: str,
        value: Number,
        parent_otel_span: Any = None,  # noqa: ARG002
        local_only: bool = False,
        **kwargs: Any,
    ) -> Number:
        """Add to a counter, atomically; see :meth:`increment_cache`."""
        return await self.async_increment(key, value, kwargs.get("ttl"), local_only)

    async def async_increment_cache_pipeline(
        self,
        increment_list: Sequence[Increment],
        local_only: bool = False,
        parent_otel_span: Any = None,  # noqa: ARG002
        **_unused: Any,
    ) -> list[Number]:
        """Add to many counters at once, each atomically.

        Args:
            increment_list: What to add to which: ``key``, ``increment_value``, ``ttl``.
            local_only: Count in memory alone.
            parent_otel_span: Accepted for LiteLLM's callers, and not used.
            **_unused: Likewise not used.

        Returns:
            The sums.
        """
        adding = (
            self.async_increment(it["key"], it["increment_value"], it.get("ttl"), local_only)
            for it in increment_list
        )
        return list(await asyncio.gather(*adding))

    async def async_set_cache_sadd(
        self,
        key: str,
        value: Iterable[Raw],
        local_only: bool = False,
        ttl: float | None = None,
        **_unused: Any,
    ) -> None:
        """Add members to a set.

        Args:
            key: The set's name.
            value: Texts, bytes or numbers.
            local_only: Memory alone, which has the members as a list.
            ttl: Seconds to keep the set from now on, ``default_redis_ttl`` if None.
            **_unused: Accepted for LiteLLM's callers, and not used.
        """
        members = list(value)
        if not local_only and self._asks(key):
            with self._adding_members(key) as redis:
                await redis.async_set_cache_sadd(key, members, self.get_ttl(ttl=ttl))
                return
        before: JSON = self.in_memory_cache.get_cache(key) or []
        kept: list[JSON] = list(dict.fromkeys([*before, *members]))
        self.in_memory_cache.set_cache(key, kept, ttl=self._limited(ttl))

    # ---- help

    @contextmanager
    def _adding_members(self, key: str) -> Generator[RedisValues]:
        """Let Redis alone have a set: to memory it is not a value."""
        assert self.redis_cache is not None
        try:
            yield self.redis_cache
        except BackendError as error:
            if not far.is_outage(error):
                raise
            self._note("a write", error)
        finally:
            self._tier.forget((key,))

    def _asks_in_batch(self, key: str) -> bool:
        return key not in self._misses and self._asks(key)

    def _keep_here(self, pairs: Iterable[tuple[str, JSON]], kwargs: dict[str, Any]) -> None:
        ttl = self._limited(kwargs.get("ttl"))
        for key, value in pairs:
            self.in_memory_cache.set_cache(key, value, ttl=ttl)

    def _limited(self, ttl: float | None) -> float | None:
        return self._tier.limited(self.get_ttl(ttl=ttl))
