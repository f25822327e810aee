"""Entries on their way into a slow backend: found by everyone while they are being written.

Each write is a task of its own, so that it goes on when the request that caused it is gone. Two
writes of one key follow each other in the order in which they came.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeAlias, TypeVar

import msgspec

from askonce.entry import Entry

T = TypeVar("T")

Write: TypeAlias = Callable[[Entry, T], Awaitable[bool]]

_REMEMBERED: Final = 256


class _Underway(msgspec.Struct, eq=False):
    """A write that has not ended.

    Args:
        entry: What is written.
        task: Its task, which ends with True if the entry was stored.
    """

    entry: Entry
    task: asyncio.Task[bool]


class WriteBehind(Generic[T]):
    """The writes that are under way.

    Args:
        write: Writes an entry, given what else there is to know (its retention in seconds); True
            if that worked. Never raises.
    """

    def __init__(self, write: Write[T]) -> None:
        self._write = write
        self._underway: dict[str, _Underway] = {}
        self._ended: dict[tuple[str, float], bool] = {}
        self._tasks: set[asyncio.Task[bool]] = set()

    def find(self, key: str) -> Entry | None:
        """Return the entry that is being written under ``key``, or None."""
        underway = self._underway.get(key)
        return underway.entry if underway else None

    def begin(self, entry: Entry, known: T) -> None:
        """Begin to write, and remember how it ends for whoever calls ``finish``."""
        self._begin(entry, known).add_done_callback(lambda task: self._remember(entry, task))

    async def finish(self, entry: Entry, known: T) -> bool:
        """Wait until an entry is written, or write it if nobody has begun to.

        Returns:
            True if it was stored.
        """
        ended = self._ended.pop((entry.key, entry.stored_at), None)
        if ended is not None:
            return ended
        underway = self._underway.get(entry.key)
        if underway is None or underway.entry is not entry:
            return await asyncio.shield(self._begin(entry, known))
        stored = await asyncio.shield(underway.task)
        self._ended.pop((entry.key, entry.stored_at), None)
        return stored

    async def drain(self) -> None:
        """Wait for all writes of this event loop."""
        loop = asyncio.get_running_loop()
        while tasks := [task for task in self._tasks if task.get_loop() is loop]:
            await asyncio.wait(tasks)

    def _begin(self, entry: Entry, known: T) -> asyncio.Task[bool]:
        before = self._underway.get(entry.key)
        task = asyncio.create_task(self._written(entry, known, before))
        self._tasks.add(task)
        self._underway[entry.key] = underway = _Underway(entry, task)
        task.add_done_callback(lambda _: self._end(underway))
        return task

    async def _written(self, entry: Entry, known: T, before: _Underway | None) -> bool:
        if before and before.task.get_loop() is asyncio.get_running_loop():
            await asyncio.wait([before.task])
        return await self._write(entry, known)

    def _end(self, underway: _Underway) -> None:
        self._tasks.discard(underway.task)
        if self._underway.get(underway.entry.key) is underway:
            del self._underway[underway.entry.key]

    def _remember(self, entry: Entry, task: asyncio.Task[bool]) -> None:
        while len(self._ended) >= _REMEMBERED:
            del self._ended[next(iter(self._ended))]
        self._ended[entry.key, entry.stored_at] = not task.cancelled() and task.result()
