"""A backend as the journey uses it: nothing is raised, and nothing takes longer than it may.

While a request is served, a failure of the backend is as good as a miss. It is counted, logged
once in a while, and told as :class:`~askonce.caching._failures.Failed`. An entry is found from the
moment that it is announced, however long its way into the backend takes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from askonce.caching._failures import Failed, Failures
from askonce.caching._write_behind import WriteBehind
from askonce.entry import Entry

if TYPE_CHECKING:
    from askonce.caching.base_cache import BaseCache


Addition: TypeAlias = Callable[[], Awaitable[bool]]
"""Tells a replaced ``add_cache`` of an entry; True if that worked. Never raises."""


class Stats(msgspec.Struct, frozen=True):
    """What a cache counted since it was made.

    Args:
        hits: Look-ups that found an entry, fresh or not.
        misses: Look-ups that found none.
        bypasses: Requests and calls that had nothing to do with the cache.
        errors: Calls of the backend that failed; such look-ups count here alone.
        evictions: Live items given up for want of room, as far as the backend can tell.
        undecodable: Items that could not be read, and were deleted.
    """

    hits: int
    misses: int
    bypasses: int
    errors: int
    evictions: int
    undecodable: int


async def _added(_entry: Entry, addition: Addition) -> bool:
    return await addition()


class _Tally(msgspec.Struct, eq=False):
    """What is counted here; the rest the backend counts."""

    hits: int = 0
    misses: int = 0
    bypasses: int = 0


class GuardedBackend:
    """Looks entries up and stores them.

    Args:
        backend: Where they are kept.
        timeout: Seconds that a call of it may take; None: no limit. A backend in this process
            never waits, and has none.
        clock: Returns Unix time in seconds.

    Attributes:
        in_process: True if ``find`` never waits, so that a look-up needs no coroutine.
        direct: False if a subclass has a ``lookup`` of its own, which is to be asked then.
        additions: The entries on their way into a replaced ``add_cache``.
    """

    def __init__(
        self, backend: BaseCache, timeout: float | None, clock: Callable[[], float]
    ) -> None:
        self.backend = backend
        self.direct = type(self).lookup is GuardedBackend.lookup
        self.in_process = backend.in_process and self.direct
        self._stores = type(self).store is not GuardedBackend.store
        self._timeout = timeout
        self._failures = Failures(backend.name, clock)
        self._writes = WriteBehind(self._written)
        self.additions: WriteBehind[Addition] = WriteBehind(_added)
        self._read = backend.get_entry if backend.in_process else self._pending_or_stored
        self._tally = _Tally()

    def at_hand(self, key: str) -> Entry | None:
        """Look where nothing waits, unless a subclass has a ``lookup`` of its own."""
        return self.look(key) if self.direct else None

    async def asked(self, key: str) -> Entry | Failed | None:
        """Look up what was not at hand."""
        return await (self.fetch(key) if self.direct else self.lookup(key))

    async def lookup(self, key: str, *, counted: bool = True) -> Entry | Failed | None:
        """Look an entry up.

        Args:
            key: Its physical key.
            counted: False if it is no look-up of a request or call.

        Returns:
            The entry, be it fresh or not; None if there is none; ``Failed`` if the backend failed.
        """
        if self.in_process:
            return self.find(key, counted=counted)
        return self.look(key, counted=counted) or await self.fetch(key, counted=counted)

    def look(self, key: str, *, counted: bool = True) -> Entry | None:
        """Look where nothing waits: among what is being written, and with the backend at hand.

        Args:
            key: Its physical key.
            counted: False if it is no look-up of a request or call.

        Returns:
            The entry, or None: ``fetch`` may still find it, and only that counts a miss.
        """
        try:
            found = self._writes.find(key) or self.backend.look(key)
        except Exception as error:  # noqa: BLE001 - it is looked for once more
            self._failures.note("a read", error)
            return None
        if found is not None and counted:
            self._tally.hits += 1
        return found

    def known(self, key: str) -> Entry | None:
        """Return what is known to be there without waiting for it; it counts as no look-up."""
        if not self.in_process:
            return self.look(key, counted=False)
        found = self.find(key, counted=False)
        return found if isinstance(found, Entry) else None

    async def fetch(self, key: str, *, counted: bool = True) -> Entry | Failed | None:
        """Ask the backend for what ``look`` did not find; see :meth:`lookup`."""
        try:
            async with asyncio.timeout(self._timeout):
                found = await self.backend.async_get_entry(key)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a miss
            return self._failures.note("a read", error)
        return self.count(found) if counted else found

    def announce(self, entry: Entry, retention: float) -> bool | None:
        """Let everyone find an entry from now on, while it is on its way into the backend.

        Args:
            entry: A complete answer; ``store`` says how its way ends.
            retention: Seconds to keep it.

        Returns:
            True if it is still on its way; ``store`` then waits until it has arrived. None if it
            is not kept.
        """
        if self.in_process:
            return self._stores if self.put(entry, retention) else None
        self._writes.begin(entry, retention)
        return True

    async def store(self, entry: Entry, retention: float) -> bool:
        """Store an entry. It can be found at once; the write goes on if the caller is cancelled.

        Args:
            entry: What to store under its key; if it was announced, it is not written again.
            retention: Seconds to keep it.

        Returns:
            False if the backend failed.
        """
        if not self.in_process:
            return await self._writes.finish(entry, retention)
        return self._is_there(entry) or self.put(entry, retention)

    async def drain(self) -> None:
        """Wait until everything announced or stored from this event loop is written."""
        await self._writes.drain()
        await self.additions.drain()

    def failed(self, doing: str, error: Exception) -> Failed:
        """Take note of a failure of somebody who stands in for the backend.

        Args:
            doing: What failed, for the log.
            error: What it raised.
        """
        return self._failures.note(doing, error)

    def stats(self) -> Stats:
        """Return what was counted so far."""
        return Stats(
            hits=self._tally.hits,
            misses=self._tally.misses,
            bypasses=self._tally.bypasses,
            errors=self._failures.count,
            evictions=self.backend.evictions,
            undecodable=self.backend.undecodable,
        )

    def count_bypass(self) -> None:
        """Count a request or call that has nothing to do with the cache."""
        self._tally.bypasses += 1

    def find(self, key: str, *, counted: bool = True) -> Entry | Failed | None:
        """Look an entry up, and wait in this thread for a slow backend; see :meth:`lookup`."""
        try:
            found = self._read(key)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a miss
            return self._failures.note("a read", error)
        return self.count(found) if counted else found

    def _pending_or_stored(self, key: str) -> Entry | None:
        return self._writes.find(key) or self.backend.get_entry(key)

    def count(self, found: Entry | None) -> Entry | None:
        """Count a look-up as a hit or a miss, and return what it found."""
        if found is None:
            self._tally.misses += 1
        else:
            self._tally.hits += 1
        return found

    def _is_there(self, entry: Entry) -> bool:
        try:
            there = self.backend.get_entry(entry.key)
        except Exception as error:  # noqa: BLE001 - then it is written again
            self._failures.note("a read", error)
            return False
        return there is not None and there.stored_at == entry.stored_at

    def put(self, entry: Entry, retention: float) -> bool:
        """Store an entry, and wait in this thread for a slow backend; see :meth:`store`."""
        try:
            return self.backend.set_entry(entry, retention)
        except Exception as error:  # noqa: BLE001 - the answer was sent all the same
            self._failures.note("a write", error)
            return False

    async def _written(self, entry: Entry, retention: float) -> bool:
        try:
            async with asyncio.timeout(self._timeout):
                await self.backend.async_set_entry(entry, retention)
        except Exception as error:  # noqa: BLE001 - the answer was sent all the same
            self._failures.note("a write", error)
            return False
        return True
