"""When slots are over: a heap of seconds, and for each second the slots that end in it.

A slot that is replaced, evicted or deleted stays in its second's list, where it no longer counts; a
list is written anew when most of it is such. So nothing piles up, however often a key is
overwritten, and to write anew never takes longer than a second's slots do.
"""

from __future__ import annotations

import heapq
import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from askonce.caching._slot import Slot

_SLACK: Final = 64


class _Second:
    """The slots that end in one second, and how many of the list do so no more."""

    __slots__ = ("slots", "stale")

    def __init__(self) -> None:
        self.slots: list[Slot] = []
        self.stale = 0

    def clean(self, end: float) -> None:
        """Write the list anew; a slot that left and came back stands there once again."""
        self.slots = list({slot for slot in self.slots if _end(slot.expires) == end})
        self.stale = 0


class Expiry:
    """Which slots end when, to the second. A slot says it itself, by its ``expires``."""

    __slots__ = ("_heap", "_seconds")

    def __init__(self) -> None:
        self._seconds: dict[float, _Second] = {}
        self._heap: list[float] = []

    def __len__(self) -> int:
        """How many references are held, the stale ones included."""
        return len(self._heap) + sum(len(second.slots) for second in self._seconds.values())

    def add(self, slot: Slot) -> None:
        """Note when a slot ends."""
        end = _end(slot.expires)
        second = self._seconds.get(end)
        if second is None:
            second = self._seconds[end] = _Second()
            heapq.heappush(self._heap, end)
        second.slots.append(slot)

    def move(self, slot: Slot, before: float) -> None:
        """Note that a slot ends at another time than ``before``."""
        if _end(before) != _end(slot.expires):
            self.add(slot)
            self.leave(before)

    def leave(self, before: float) -> None:
        """Note that a slot no longer ends at ``before``. It says so itself already."""
        end = _end(before)
        second = self._seconds[end]
        second.stale += 1
        if second.stale == len(second.slots):
            self._drop(end)
        elif second.stale * 2 > len(second.slots) + _SLACK:
            second.clean(end)

    def pop(self, now: float) -> Slot | None:
        """Return a slot that is over at ``now``, for the caller to let go of it; None: no more."""
        while self._heap and self._heap[0] <= now:
            slot = self._taken(self._heap[0])
            if slot is not None:
                return slot
            heapq.heappop(self._heap)
        return None

    def _taken(self, end: float) -> Slot | None:
        second = self._seconds.get(end)
        if second is not None and second.stale:
            second.clean(end)
        if second is not None and second.slots:
            return second.slots.pop()
        self._seconds.pop(end, None)
        return None

    def _drop(self, end: float) -> None:
        del self._seconds[end]
        if len(self._heap) > 2 * len(self._seconds) + _SLACK:
            self._heap = list(self._seconds)
            heapq.heapify(self._heap)


def _end(expires: float) -> float:
    """The whole second at which it is over; what is infinite has a second of its own."""
    return expires if math.isinf(expires) else math.ceil(expires)
