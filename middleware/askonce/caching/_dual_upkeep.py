"""What the listener's thread does between two pulses: it pays debts, and compares what was written.

See :mod:`askonce.caching._dual_debts` and :mod:`askonce.caching._dual_memory` for why.
"""

# ruff: noqa: SLF001
# pyright: reportPrivateUsage=false
# The dual cache is made of two backends: it calls their primitives.

from __future__ import annotations

from typing import TYPE_CHECKING

from askonce.errors import BackendError

if TYPE_CHECKING:
    from askonce.caching._dual_debts import Debts
    from askonce.caching._dual_memory import MemoryTier
    from askonce.caching._failures import Failures
    from askonce.caching._redis_store import RedisStore


class Upkeep:
    """Keeps memory and Redis true to each other.

    Args:
        redis: The cache on Redis.
        tier: The memory in front of it.
        debts: What Redis missed.
        failures: Who counts and logs what fails.
    """

    def __init__(
        self, redis: RedisStore, tier: MemoryTier, debts: Debts, failures: Failures
    ) -> None:
        self._redis = redis
        self._tier = tier
        self._debts = debts
        self._failures = failures
        self._failed_before = False

    def settle(self) -> None:
        """Pay what is owed.

        Raises:
            BackendError: Redis failed; what was not paid is owed on.
        """
        owed = self._debts.all()
        gone = {key: debt for key, debt in owed.items() if debt.amount is None}
        if gone:
            self._redis._remove(list(gone))
            self._tier.forget(list(gone))
            self._debts.paid(gone)
        for key, debt in owed.items():
            if debt.amount is not None:
                self._redis._add(key, debt.amount, debt.retention)
                self._tier.forget((key,))
                self._debts.paid({key: debt})

    def between(self) -> None:
        """Pay what came to be owed meanwhile, and compare what was written meanwhile.

        Raises:
            BackendError: Redis failed twice: memory cannot know any more that it is right.
        """
        try:
            self.settle()
            self._compare()
        except BackendError as error:
            self._failures.note("a comparison", error)
            if self._failed_before:
                raise
            self._failed_before = True
        else:
            self._failed_before = False

    def _compare(self) -> None:
        keys = self._tier.written()
        if not keys:
            return
        try:
            found = self._redis._read(keys)
        except BackendError:
            self._tier.not_compared(keys)
            raise
        for key, data in zip(keys, found, strict=True):
            self._tier.compare(key, data)
