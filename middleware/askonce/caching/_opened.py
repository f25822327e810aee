"""Something that threads share, opened by the first of them that needs it."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable


class Closable(Protocol):
    """What can be opened."""

    def close(self) -> None:
        """Close it, or the calling thread's part of it where every thread has its own."""
        ...


S = TypeVar("S", bound=Closable)


class Opened(Generic[S]):
    """What is opened when it is first needed, for the process that made this object.

    Args:
        opening: Opens it; called again if it failed before.
    """

    def __init__(self, opening: Callable[[], S]) -> None:
        self._pid = os.getpid()
        self._opening = opening
        self._lock = threading.Lock()
        self._owned: S | None = None

    @property
    def alive(self) -> bool:
        """False in a forked child: it has this object, but none of its threads."""
        return self._pid == os.getpid()

    def owned(self) -> S:
        """Return it, open."""
        with self._lock:
            if self._owned is None:
                self._owned = self._opening()
            return self._owned

    def close_here(self) -> None:
        """Close it, if it was opened."""
        if self._owned is not None:
            self._owned.close()
