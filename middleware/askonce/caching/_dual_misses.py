"""Which keys a batch read did not find in Redis lately: for a while it does not ask for them again.

Batches are read over and over by callers who look for the same keys (limits, budgets), most of
which are not there. A key is noted once Redis has said that it is absent, never before: so a
failure leaves nothing to take back, and nobody hears "absent" of a key that is still being asked
for.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class KnownMisses:
    """Keys, and when Redis last said that they are absent. Thread-safe.

    Args:
        seconds: For how long that counts.
        size: The most keys that are remembered; the ones noted first are given up first.
        clock: Returns a time in seconds.
    """

    def __init__(self, seconds: float, size: int, clock: Callable[[], float]) -> None:
        self._seconds = seconds
        self._size = size
        self._clock = clock
        self._lock = threading.Lock()
        self._noted: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        """How many keys are remembered."""
        return len(self._noted)

    def __contains__(self, key: str) -> bool:
        """Say whether Redis need not be asked for a key."""
        noted = self._noted.get(key)
        return noted is not None and self._clock() - noted < self._seconds

    def note(self, keys: Iterable[str]) -> None:
        """Remember that Redis has just said that it has none of these."""
        now = self._clock()
        with self._lock:
            for key in keys:
                self._noted[key] = now
                self._noted.move_to_end(key)
            while len(self._noted) > self._size:
                self._noted.popitem(last=False)

    def forget(self, keys: Iterable[str]) -> None:
        """Ask for these again: somebody wrote them, or may have."""
        with self._lock:
            for key in keys:
                self._noted.pop(key, None)

    def clear(self) -> None:
        """Ask for everything again."""
        with self._lock:
            self._noted.clear()
