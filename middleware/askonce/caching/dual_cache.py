"""Memory in front of Redis: hits as fast as memory's, answers shared by all processes.

*Reading* asks memory, then Redis, and memory keeps what Redis had for as long as Redis still keeps
it, or for memory's own time if that is shorter: value and time travel together. *Writing* changes
both.

*Others' changes.* Redis tells every process what anybody deletes, overwrites or flushes
(:mod:`askonce.caching._invalidation`); memory forgets it within a second, or falls silent
(:mod:`askonce.caching._dual_memory`).

*Redis down.* Memory goes on answering with what it has and takes what is written; the failures are
counted and logged once in a while, not raised. What Redis missed is put right before it is believed
again (:mod:`askonce.caching._dual_debts`). Three things do raise: looking up an entry that memory
has not, as the journey tells that from a miss; and deleting and flushing, whose caller must know
that other processes may go on serving what was to go. What others deleted while this process could
not reach Redis is the one thing that can be served too long: until Redis is reached again.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, Self

from askonce.caching._dual_misses import KnownMisses
from askonce.caching._dual_values import DualValues
from askonce.caching.base_cache import ConnectionTest
from askonce.caching.in_memory_cache import InMemoryCache
from askonce.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from askonce.caching.redis_cache import RedisCache
    from askonce.settings import CacheSettings

__all__ = ["DualCache"]

BATCH_EXPIRY: Final = 10.0
MAX_BATCH_KEYS: Final = 1000

_SHARE_OF_TIME: Final = 0.8
"""How much of its time a look-up gives to Redis: the rest is for memory to answer instead."""
_NOT_YET: Final = (
    "dual: deleted here, but not in Redis, which cannot be reached: other processes may still"
    " serve it. This one deletes it there once Redis is back. HINT: else delete it again then"
)
_SILENT: Final = (
    "; but memory is not used, as the server does not tell what others change. HINT: it takes"
    " RESP3 (Redis 6 or newer, ASKONCE_REDIS_PROTOCOL=3) and the right to CLIENT TRACKING"
)


class DualCache(DualValues):
    """Memory in front of Redis. Thread-safe; serves any number of event loops.

    Args:
        in_memory_cache: The memory; one with its defaults if None.
        redis_cache: Redis; it stays open when this is closed. None: memory alone.
        default_in_memory_ttl: The most seconds that memory keeps anything; None: memory's own
            ``default_ttl``.
        default_redis_ttl: Seconds that ``set_cache`` keeps a value if it is not told; None: the
            ``default_ttl`` of ``redis_cache``.
        default_redis_batch_cache_expiry: Seconds for which a batch read does not ask Redis again
            for a key that Redis did not have, 10 if None. A write of the key ends it.
        default_max_redis_batch_cache_size: How many such keys are remembered.
        clock: Returns Unix time in seconds.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - as LiteLLM's callers give them
        self,
        in_memory_cache: InMemoryCache | None = None,
        redis_cache: RedisCache | None = None,
        default_in_memory_ttl: float | None = None,
        default_redis_ttl: float | None = None,
        default_redis_batch_cache_expiry: float | None = None,
        default_max_redis_batch_cache_size: int = MAX_BATCH_KEYS,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        memory = InMemoryCache(clock=clock) if in_memory_cache is None else in_memory_cache
        expiry = default_redis_batch_cache_expiry
        self.in_memory_cache = memory
        self.redis_cache = redis_cache
        self.last_redis_batch_access_time = KnownMisses(
            BATCH_EXPIRY if expiry is None else expiry, default_max_redis_batch_cache_size, clock
        )
        super().__init__(
            memory=memory,
            redis=redis_cache,
            misses=self.last_redis_batch_access_time,
            in_memory_ttl=_first(default_in_memory_ttl, memory.default_ttl),
            default_ttl=_first(default_redis_ttl, redis_cache.default_ttl if redis_cache else None),
            clock=clock,
        )
        self._owns_redis = False

    @classmethod
    def from_settings(
        cls,
        settings: CacheSettings,
        *,
        clock: Callable[[], float] = time.time,
        **driver: Any,
    ) -> Self:
        """Make the backend that the settings describe.

        ``default_in_memory_ttl`` is how long memory keeps an answer at most; how long one is
        fresh, it says itself.

        Args:
            settings: What the operator wants.
            clock: Returns Unix time in seconds.
            **driver: More arguments of redis-py's connections; they win over the settings.
        """
        memory = InMemoryCache(
            max_size_in_memory=settings.memory_max_entries,
            default_ttl=None,
            max_bytes=settings.memory_max_bytes,
            clock=clock,
        )
        made = cls(
            memory,
            _redis(settings, clock, driver),
            settings.default_in_memory_ttl,
            settings.effective_ttl,
            clock=clock,
        )
        made._owns_redis = True
        return made

    # ---- how long

    @property
    def default_in_memory_ttl(self) -> float | None:
        """The most seconds that memory keeps anything; None: no limit."""
        return self._tier.ttl

    @property
    def default_redis_ttl(self) -> float | None:
        """Seconds that ``set_cache`` keeps a value if it is not told; None: no limit."""
        return self.default_ttl

    def update_cache_ttl(
        self, default_in_memory_ttl: float | None, default_redis_ttl: float | None
    ) -> None:
        """Change both times, in seconds, for what is written or read from now on.

        Args:
            default_in_memory_ttl: None leaves it as it is.
            default_redis_ttl: None leaves it as it is.
        """
        self._tier.ttl = _first(default_in_memory_ttl, self._tier.ttl)
        self.default_ttl = _first(default_redis_ttl, self.default_ttl)

    async def async_get_ttl(self, key: str) -> float | None:
        """Return the seconds that a key has left; None if it has no limit, or is not there.

        They are Redis's, if there is a Redis that can be asked, else memory's.
        """
        if self.redis_cache is not None and self._asks(key):
            try:
                return await self.redis_cache.async_get_ttl(key)
            except BackendError as error:
                self._note("a read", error)
        return self._tier.left(key)

    # ---- deleting

    def delete_cache(self, key: str) -> bool:
        """Delete an entry or a value, everywhere. Returns False if there was none.

        Raises:
            BackendError: Redis cannot be reached: other processes may go on serving it.
        """
        there = super().delete_cache(key)
        self._gone_everywhere((key,))
        return there

    async def async_delete_cache(self, key: str) -> bool:
        """Delete an entry or a value, everywhere; see :meth:`delete_cache`."""
        there = await super().async_delete_cache(key)
        self._gone_everywhere((key,))
        return there

    async def async_delete_many(self, keys: Sequence[str]) -> int:
        """Delete entries or values, everywhere. Returns how many there were.

        Raises:
            BackendError: Redis cannot be reached: other processes may go on serving them.
        """
        count = await super().async_delete_many(keys)
        self._gone_everywhere(keys)
        return count

    # ---- life

    async def test_connection(self) -> ConnectionTest:
        """Write, read and delete a probe in Redis, and see that it tells what others change."""
        if self.redis_cache is None:
            return await super().test_connection()
        found = await self.redis_cache.test_connection()
        await self._aawait_listener()
        silent = found["status"] == "success" and not self._tier.is_covered
        message = f"{self.name}: memory in front of {found['message']}{_SILENT if silent else ''}"
        return ConnectionTest(status=found["status"], message=message)

    async def disconnect(self) -> None:
        """Listen no more, and close Redis if it was opened here; the next call opens it again."""
        if self._listener is not None:
            self._listener.stop()
        if self._owns_redis and self.redis_cache is not None:
            await self.redis_cache.disconnect()

    # ---- help

    def _gone_everywhere(self, keys: Iterable[str]) -> None:
        if any(key in self._debts for key in keys):
            raise BackendError(_NOT_YET)


def _first(*given: float | None) -> float | None:
    return next((seconds for seconds in given if seconds is not None), None)


def _redis(settings: CacheSettings, clock: Callable[[], float], driver: dict[str, Any]) -> Any:
    limit = settings.effective_backend_timeout
    quicker = {} if limit is None else {"backend_timeout": limit * _SHARE_OF_TIME}
    kept = settings.model_copy(update=quicker)
    if settings.redis_startup_nodes:
        from askonce.caching.redis_cluster_cache import RedisClusterCache

        return RedisClusterCache.from_settings(kept, clock=clock, **driver)
    from askonce.caching.redis_cache import RedisCache

    return RedisCache.from_settings(kept, clock=clock, **driver)
