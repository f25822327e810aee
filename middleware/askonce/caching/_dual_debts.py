"""What this process owes Redis: changes that it made while Redis could not be reached.

Memory has them, Redis may have something older under the same keys. Until that is gone, Redis is
not asked for such a key; once Redis is back, what it has there is deleted before anything else. It
is not overwritten: another process may have written or deleted the key meanwhile, and an answer
that was deleted must not come back. A counter is the exception: what was added to it is added.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from askonce.codec import Number

LIMIT: Final = 100_000


class Debt(msgspec.Struct, frozen=True):
    """What is owed for one key.

    Args:
        amount: What is to be added to the counter there; None: the key is to be deleted.
        retention: Seconds to keep a counter that begins with it; None: no limit.
    """

    amount: Number | None = None
    retention: float | None = None


class Debts:
    """What is owed, by key. Thread-safe.

    Args:
        limit: The most keys. A change beyond that cannot be remembered, and must not be made.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._owed: dict[str, Debt] = {}

    def __len__(self) -> int:
        """For how many keys something is owed."""
        return len(self._owed)

    def __contains__(self, key: str) -> bool:
        """Say whether Redis's word on a key is not to be believed."""
        return key in self._owed

    def owe(self, keys: Iterable[str]) -> list[str]:
        """Note that what Redis has under these keys is to be deleted.

        Returns:
            The keys for which there was no room.
        """
        with self._lock:
            return [key for key in keys if not self._note(key, Debt())]

    def owe_amount(self, key: str, amount: Number, retention: float | None) -> None:
        """Note that a counter is to be raised; one that is to be deleted stays so."""
        with self._lock:
            before = self._owed.get(key)
            if before is None:
                self._note(key, Debt(amount, retention))
            elif before.amount is not None:
                self._note(key, Debt(before.amount + amount, before.retention))

    def all(self) -> dict[str, Debt]:
        """Return what is owed now."""
        with self._lock:
            return dict(self._owed)

    def paid(self, debts: Mapping[str, Debt]) -> None:
        """Strike off what was paid; what has come to it meanwhile stays owed."""
        with self._lock:
            for key, debt in debts.items():
                now = self._owed.get(key)
                if now is debt:
                    del self._owed[key]
                elif now is not None and now.amount is not None and debt.amount is not None:
                    self._owed[key] = Debt(now.amount - debt.amount, now.retention)

    def _note(self, key: str, debt: Debt) -> bool:
        if key not in self._owed and len(self._owed) >= self._limit:
            return False
        self._owed[key] = debt
        return True
