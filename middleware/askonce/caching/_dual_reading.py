"""Reads and changes on their way through memory and Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from askonce.caching._dual_memory import Found, MemoryTier
    from askonce.caching._redis_store import RedisStore
    from askonce.codec import Number
    from askonce.entry import Entry


class Reading:
    """A read of values on its way through both tiers.

    Args:
        tier: The memory tier.
        found: What memory had, by key.
        asked: The keys that Redis is to be asked for.
    """

    def __init__(self, tier: MemoryTier, found: dict[str, bytes | None], asked: list[str]) -> None:
        self.found = found
        self.asked = asked
        self._tier = tier
        self._tickets = tier.tickets(asked)

    def answered(self, found: Mapping[str, Found | None]) -> None:
        """Take Redis's answer."""
        self._tier.take(self._tickets, found)
        self.found.update((key, pair and pair[0]) for key, pair in found.items())

    def end(self) -> None:
        """Say that no more will come."""
        self._tier.end(self._tickets)


class EntryReading:
    """A read of an entry that memory did not have; see :class:`Reading`."""

    def __init__(
        self, tier: MemoryTier, key: str, decoded: Callable[[str, bytes | None], Entry | None]
    ) -> None:
        self.entry: Entry | None = None
        self.unreadable = False
        self._tier = tier
        self._key = key
        self._decoded = decoded
        self._tickets = tier.tickets((key,))

    def answered(self, found: Mapping[str, Found | None]) -> None:
        """Take Redis's answer."""
        data, left = found[self._key] or (None, None)
        self.entry = self._decoded(self._key, data)
        self.unreadable = self.entry is None and data is not None
        if self.entry is not None:
            self._tier.take_entry(self._tickets, self.entry, left)

    def end(self) -> None:
        """Say that no more will come."""
        self._tier.end(self._tickets)


class Change:
    """A change on its way through both tiers.

    Args:
        redis: Redis, if it is to be told.
        result: What became of it.
    """

    def __init__(self, redis: RedisStore | None) -> None:
        self.redis = redis
        self.result: Number = 0
