"""What to give up when there is no room: S3-FIFO, which a scan cannot flush.

Three queues, first in first out. What is new waits in a *small* queue, a tenth of the room; what
was asked for again while it waited moves on to the *main* queue, the rest is given up early, which
is what happens to a scan. What comes back soon after that is known by its fingerprint in the
*ghost* queue, and goes to the main queue at once. There the oldest goes round again as often as it
was asked for meanwhile, twice at most. A hit changes no queue, only a counter of two bits, so that
readers need no lock.

Source: Yang, Zhang, Qiu, Yue, Vinayak: FIFO queues are all you need for cache eviction, SOSP 2023,
algorithm 1. What is ours: the room is counted in entries and in bytes, whichever ends first; one
hit is enough to move on, as a question that comes twice is likely to come again; twice round again
and not three times, which costs nothing where popularity stays and forgets sooner where it moves
(``python -m tests.bench eviction``); and a search for something to give up ends after a bounded
number of second chances, so that the cost of one write does not grow with the cache.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from askonce.caching._slot import NOWHERE

if TYPE_CHECKING:
    from askonce.caching._slot import Slot

_SMALL_SHARE: Final = 10
"""The small queue has one part in so many of the room."""
_CHANCES: Final = 100
_SLACK: Final = 64
_FINGERPRINT: Final = 0xFFFFFFFF

_SMALL: Final = 1
_MAIN: Final = 2


class _Queue:
    """First in, first out. What leaves from the middle is skipped when its turn comes."""

    __slots__ = ("_slots", "count", "size", "tag")

    def __init__(self, tag: int) -> None:
        self.tag = tag
        self.count = 0
        self.size = 0
        self._slots: deque[Slot] = deque()

    def push(self, slot: Slot) -> None:
        slot.queue = self.tag
        self.count += 1
        self.size += slot.size
        self._slots.append(slot)

    def pop(self) -> Slot:
        slot = self._slots.popleft()
        while slot.queue == NOWHERE:
            slot = self._slots.popleft()
        self._leave(slot)
        return slot

    def remove(self, slot: Slot) -> None:
        self._leave(slot)
        if len(self._slots) > 2 * self.count + _SLACK:
            self._slots = deque(slot for slot in self._slots if slot.queue != NOWHERE)

    def _leave(self, slot: Slot) -> None:
        slot.queue = NOWHERE
        self.count -= 1
        self.size -= slot.size


class _Ghost:
    """Fingerprints of what was given up lately, in two generations: the older is dropped whole."""

    __slots__ = ("_old", "_young")

    def __init__(self) -> None:
        self._old: set[int] = set()
        self._young: set[int] = set()

    def add(self, key: str, bound: int) -> None:
        """Remember a key among the last ``bound``, give or take half."""
        if len(self._young) * 2 >= bound:
            self._old, self._young = self._young, set()
        self._young.add(hash(key) & _FINGERPRINT)

    def take(self, key: str) -> bool:
        """Say whether a key is remembered, and forget it."""
        if not self._young and not self._old:
            return False
        fingerprint = hash(key) & _FINGERPRINT
        for generation in (self._young, self._old):
            if fingerprint in generation:
                generation.remove(fingerprint)
                return True
        return False


class S3Fifo:
    """The queues. Not thread-safe: the cache holds its lock.

    Args:
        max_entries: The most slots there may be, 1 or more.
        max_bytes: The most bytes that they may count together.
    """

    __slots__ = ("_ghost", "_main", "_max_bytes", "_max_entries", "_small")

    def __init__(self, max_entries: int, max_bytes: int) -> None:
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self.clear()

    def __len__(self) -> int:
        return self._small.count + self._main.count

    @property
    def size(self) -> int:
        """Bytes that all slots count together."""
        return self._small.size + self._main.size

    def fits(self, count: int, size: int) -> bool:
        """Say whether there is room for so many slots and bytes more."""
        small, main = self._small, self._main
        return (
            small.count + main.count + count <= self._max_entries
            and small.size + main.size + size <= self._max_bytes
        )

    def add(self, slot: Slot) -> None:
        """Queue a new slot. Room was made before."""
        known = self._ghost.take(slot.key)
        (self._main if known else self._small).push(slot)

    def resize(self, slot: Slot, size: int) -> None:
        """Count a slot that is queued as ``size`` bytes from now on."""
        self._queue(slot).size += size - slot.size
        slot.size = size

    def remove(self, slot: Slot) -> None:
        """Take a slot out of its queue."""
        self._queue(slot).remove(slot)

    def evict(self, spared: Slot | None = None) -> Slot:
        """Choose a slot to give up, and take it out of its queue.

        Args:
            spared: A slot that is not to be chosen; there must be another one.
        """
        chances = _CHANCES
        while True:
            queue = self._small if self._small_is_over() else self._main
            slot = queue.pop()
            chances -= 1
            if slot is spared or (chances > 0 and self._once_more(slot, queue)):
                self._main.push(slot)
                continue
            if queue is self._small:
                self._ghost.add(slot.key, len(self))
            return slot

    def clear(self) -> None:
        """Forget everything."""
        self._small = _Queue(_SMALL)
        self._main = _Queue(_MAIN)
        self._ghost = _Ghost()

    def _queue(self, slot: Slot) -> _Queue:
        return self._small if slot.queue == _SMALL else self._main

    def _small_is_over(self) -> bool:
        small = self._small
        if not self._main.count:
            return True
        return small.count > 0 and (
            small.count * _SMALL_SHARE >= self._max_entries
            or small.size * _SMALL_SHARE >= self._max_bytes
        )

    def _once_more(self, slot: Slot, queue: _Queue) -> bool:
        if queue is self._small:
            promoted = slot.frequency > 0
            slot.frequency = 0
            return promoted
        if slot.frequency == 0:
            return False
        slot.frequency -= 1
        return True
