"""The ways through memory and Redis: reading, writing, removing, adding, each told once.

A way is a block: what stands before and after it is the same for threads and for event loops, which
differ in how they wait for Redis alone. What Redis does not do is noted, not raised.
"""

# ruff: noqa: SLF001
# pyright: reportPrivateUsage=false
# A backend that is made of two calls their primitives.

from __future__ import annotations

import asyncio
import weakref
from concurrent.futures import wait
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar, Final

from askonce.caching import _dual_redis as far
from askonce.caching._dual_debts import Debts
from askonce.caching._dual_memory import MemoryTier
from askonce.caching._dual_reading import Change, EntryReading, Reading
from askonce.caching._dual_upkeep import Upkeep
from askonce.caching._failures import Failures
from askonce.caching._invalidation import Listener
from askonce.caching.base_cache import BaseCache
from askonce.errors import BackendError, BackendTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from askonce.caching._dual_misses import KnownMisses
    from askonce.caching._redis_store import RedisStore
    from askonce.caching.in_memory_cache import InMemoryCache
    from askonce.codec import Number
    from askonce.entry import Entry

_DOWN: Final = "dual: Redis did not answer a moment ago. It is asked again in a moment"
_FIRST_SECONDS: Final = 1.0


class DualWays(BaseCache):
    """Memory and Redis, and the ways through both.

    Args:
        memory: The memory tier's cache.
        redis: The cache on Redis; None: memory is alone.
        misses: What batch reads did not find lately.
        in_memory_ttl: The most seconds that memory keeps anything; None: no limit.
        default_ttl: Seconds that ``set_cache`` keeps a value if it is not told; None: no limit.
        clock: Returns a time in seconds, for what is logged once in a while.
    """

    name: ClassVar[str] = "dual"

    def __init__(  # noqa: PLR0913 - what a cache of two tiers is made of
        self,
        *,
        memory: InMemoryCache,
        redis: RedisStore | None,
        misses: KnownMisses,
        in_memory_ttl: float | None,
        default_ttl: float | None,
        clock: Callable[[], float],
    ) -> None:
        super().__init__(default_ttl)
        self._memory = memory
        self._redis = redis
        self._misses = misses
        self._debts = Debts()
        self._failures = Failures(self.name, clock)
        space = redis.namespace if redis else None
        self._tier = MemoryTier(memory, misses, in_memory_ttl, space, alone=redis is None)
        self._listener: Listener | None = None
        if redis is not None:
            self._listener = self._listening(redis)
            weakref.finalize(self, self._listener.stop)

    def _listening(self, redis: RedisStore) -> Listener:
        """Make the listener. It must not hold this object, which could then never be garbage."""
        failures, upkeep = self._failures, Upkeep(redis, self._tier, self._debts, self._failures)
        return Listener(
            connect=lambda: far.connect(redis),
            prefixes=far.prefixes(redis),
            hearing=self._tier,
            settle=upkeep.settle,
            between=upkeep.between,
            failed=lambda error: failures.note("listening for others' changes", error),
        )

    @property
    def evictions(self) -> int:
        """How many live items were given up for want of room, by both tiers as far as they tell."""
        return self._memory.evictions + (self._redis.evictions if self._redis else 0)

    @contextmanager
    def _entry_reading(self, key: str) -> Generator[EntryReading]:
        reading = EntryReading(self._tier, key, self._entry)
        try:
            yield reading
        except BackendError as error:
            self._failed(error)
            reading.entry = self._memory.get_entry(key)
            if reading.entry is None:
                raise
        finally:
            reading.end()

    def _in_doubt(self, key: str) -> Entry | None:
        """Return what memory has, where Redis cannot be asked or would say what is out of date."""
        entry = self._memory.get_entry(key)
        if entry is None and self._tier.redis_is_down:
            raise BackendError(_DOWN)
        return entry

    @contextmanager
    def _reading(self, keys: Sequence[str], asks: Callable[[str], bool]) -> Generator[Reading]:
        found = {key: self._remembered(key) for key in keys}
        asked = [key for key, data in found.items() if data is None and asks(key)]
        reading = Reading(self._tier, found, asked)
        try:
            yield reading
        except BackendError as error:
            self._note("a read", error)
            found.update(zip(asked, self._memory._read(asked), strict=True))
        finally:
            reading.end()

    def _remembered(self, key: str) -> bytes | None:
        """Return what memory has under a key, if it may say so, or if Redis's word is worse."""
        if self._tier.may_answer or key in self._debts:
            return self._memory._read((key,))[0]
        return None

    def _asks(self, key: str) -> bool:
        return self._redis is not None and not self._tier.redis_is_down and key not in self._debts

    @contextmanager
    def _writing(self, keys: Sequence[str]) -> Generator[Change]:
        change = Change(None if self._tier.redis_is_down else self._redis)
        if self._redis is None:
            yield change
            return
        self._tier.begin_write(keys)
        try:
            with self._owing(keys, change):
                yield change
        finally:
            self._tier.end_write(keys)

    @contextmanager
    def _removing(self, keys: Sequence[str]) -> Generator[Change]:
        change = Change(None if self._tier.redis_is_down else self._redis)
        here = self._tier.forget(keys)
        try:
            with self._owing(keys, change):
                yield change
        finally:
            # What was on its way from Redis meanwhile is not to be kept either.
            self._tier.forget(keys)
        change.result = max(here, change.result)

    @contextmanager
    def _owing(self, keys: Sequence[str], change: Change) -> Generator[None]:
        """Remember the keys if Redis was not told, or if nobody knows whether it heard."""
        told = False
        try:
            yield
            told = change.redis is not None
        except BackendError as error:
            self._note("a write", error)
        finally:
            if not told and self._redis is not None:
                self._tier.forget(self._debts.owe(keys))

    @contextmanager
    def _adding(self, key: str, amount: Number, retention: float | None) -> Generator[Change]:
        change = Change(self._redis if self._asks(key) else None)
        outage: BackendError | None = None
        try:
            yield change
        except BackendError as error:
            if not far.is_outage(error):
                raise
            self._note("a write", error)
            outage = error
        if change.redis is not None and outage is None:
            self._tier.forget((key,))
            return
        change.result = self._memory._add(key, amount, self._tier.limited(retention))
        # Whether one that got no answer was done nobody knows: it is not done twice.
        if self._redis is not None and not isinstance(outage, BackendTimeoutError):
            self._debts.owe_amount(key, amount, retention)

    # ---- help

    def _await_listener(self) -> None:
        """Wait until the first attempt to hear of changes has ended, so that memory can be used."""
        if self._listener is not None:
            settled = self._listener.start()
            if not settled.done():
                wait([settled], _FIRST_SECONDS)

    async def _aawait_listener(self) -> None:
        """Wait for the first attempt to hear of changes; see :meth:`_await_listener`."""
        if self._listener is not None:
            settled = self._listener.start()
            if not settled.done():
                await asyncio.wait([asyncio.wrap_future(settled)], timeout=_FIRST_SECONDS)

    def _note(self, doing: str, error: BackendError) -> None:
        self._failures.note(doing, error)
        self._failed(error)

    def _failed(self, error: BackendError) -> None:
        if far.is_outage(error):
            self._tier.redis_failed()
