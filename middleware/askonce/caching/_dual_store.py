"""Entries and primitives on memory and Redis together, for threads and for event loops."""

# ruff: noqa: SLF001
# pyright: reportPrivateUsage=false
# A backend that is made of two calls their primitives.

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

from askonce.caching import _dual_redis as far
from askonce.caching._dual_ways import DualWays
from askonce.codec import encode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from askonce.caching._primitives import Item
    from askonce.codec import Number
    from askonce.entry import Entry

T = TypeVar("T")


class DualStore(DualWays):
    """The primitives of the dual cache."""

    # ---- entries: memory has them decoded

    def look(self, key: str, /) -> Entry | None:
        """Return an entry that memory has, if it may say so. Never waits, never fails."""
        return self._memory.get_entry(key) if monotonic() < self._tier.until else None

    def get_entry(self, key: str) -> Entry | None:
        """Return the entry stored under a physical key, or None.

        Raises:
            BackendError: Redis failed, and memory has no such entry.
        """
        entry = self.look(key)
        if entry is not None or self._redis is None:
            return entry
        self._await_listener()
        if not self._asks(key):
            return self._in_doubt(key)
        with self._entry_reading(key) as reading:
            reading.answered(far.read(self._redis, (key,)))
        if reading.unreadable:
            self._remove((key,))
        return reading.entry

    async def async_get_entry(self, key: str) -> Entry | None:
        """Return the entry stored under a physical key, or None; see :meth:`get_entry`."""
        entry = self.look(key)
        if entry is not None or self._redis is None:
            return entry
        await self._aawait_listener()
        if not self._asks(key):
            return self._in_doubt(key)
        with self._entry_reading(key) as reading:
            reading.answered(await far.aread(self._redis, (key,)))
        if reading.unreadable:
            await self._aremove((key,))
        return reading.entry

    def set_entry(self, entry: Entry, retention: float) -> bool:
        """Store an entry under its own key; memory has it even if Redis fails.

        Args:
            entry: What to store.
            retention: Seconds to keep it; 0 or less deletes what is there.

        Returns:
            False if it is known not to be kept.
        """
        if retention <= 0:
            self._remove((entry.key,))
            return False
        self._await_listener()
        with self._writing((entry.key,)) as change:
            self._tier.keep_entry(entry, retention)
            if redis := change.redis:
                redis._call(redis._write, ((entry.key, encode(entry), retention),))
        return True

    async def async_set_entry(self, entry: Entry, retention: float) -> None:
        """Store an entry under its own key; see :meth:`set_entry`."""
        if retention <= 0:
            await self._aremove((entry.key,))
            return
        await self._aawait_listener()
        with self._writing((entry.key,)) as change:
            self._tier.keep_entry(entry, retention)
            if redis := change.redis:
                await redis._awrite(((entry.key, encode(entry), retention),))

    # ---- primitives

    def _read(self, keys: Sequence[str]) -> list[bytes | None]:
        return self._read_values(keys, self._asks)

    async def _aread(self, keys: Sequence[str]) -> list[bytes | None]:
        return await self._aread_values(keys, self._asks)

    def _read_values(self, keys: Sequence[str], asks: Callable[[str], bool]) -> list[bytes | None]:
        """Read values, asking Redis for those keys that memory has not and ``asks`` says yes to."""
        self._await_listener()
        with self._reading(keys, asks) as reading:
            if self._redis and reading.asked:
                reading.answered(far.read(self._redis, reading.asked))
        return [reading.found.get(key) for key in keys]

    async def _aread_values(
        self, keys: Sequence[str], asks: Callable[[str], bool]
    ) -> list[bytes | None]:
        """Read values; see :meth:`_read_values`."""
        await self._aawait_listener()
        with self._reading(keys, asks) as reading:
            if self._redis and reading.asked:
                reading.answered(await far.aread(self._redis, reading.asked))
        return [reading.found.get(key) for key in keys]

    def _write(self, items: Sequence[Item]) -> None:
        self._await_listener()
        with self._writing([item[0] for item in items]) as change:
            self._tier.keep(items)
            if redis := change.redis:
                redis._call(redis._write, items)

    async def _awrite(self, items: Sequence[Item]) -> None:
        await self._aawait_listener()
        with self._writing([item[0] for item in items]) as change:
            self._tier.keep(items)
            if redis := change.redis:
                await redis._awrite(items)

    def _remove(self, keys: Sequence[str]) -> int:
        self._await_listener()
        with self._removing(keys) as change:
            if redis := change.redis:
                change.result = redis._call(redis._remove, keys)
        return int(change.result)

    async def _aremove(self, keys: Sequence[str]) -> int:
        await self._aawait_listener()
        with self._removing(keys) as change:
            if redis := change.redis:
                change.result = await redis._aremove(keys)
        return int(change.result)

    def _clear(self, prefixes: Sequence[str] | None) -> int:
        here = self._tier.forget_all(prefixes)
        if self._redis is None:
            return here
        self._await_listener()
        there = self._redis._call(self._redis._clear, prefixes)
        self._tier.forget_all(prefixes)
        return there

    async def _aclear(self, prefixes: Sequence[str] | None) -> int:
        here = self._tier.forget_all(prefixes)
        if self._redis is None:
            return here
        await self._aawait_listener()
        there = await self._redis._aclear(prefixes)
        self._tier.forget_all(prefixes)
        return there

    def _add(self, key: str, amount: Number, retention: float | None) -> Number:
        self._await_listener()
        with self._adding(key, amount, retention) as change:
            if redis := change.redis:
                change.result = redis._call(redis._add, key, amount, retention)
        return change.result

    async def _aadd(self, key: str, amount: Number, retention: float | None) -> Number:
        await self._aawait_listener()
        with self._adding(key, amount, retention) as change:
            if redis := change.redis:
                change.result = await redis._aadd(key, amount, retention)
        return change.result

    async def _run(self, primitive: Callable[..., T], *args: Any) -> T:
        return await asyncio.to_thread(primitive, *args)
