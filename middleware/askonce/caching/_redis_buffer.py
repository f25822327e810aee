"""Writes that wait for company, so that many travel at once.

What waits is found by this process's reads already, and counts its time from when it was given.
Nothing is lost while a batch is on its way: what could not be written waits again, unless it was
replaced meanwhile; only if the server stays away for long do the oldest go.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from askonce.caching._primitives import Item

_MOST: Final = 20
"""How many batches wait at most while the server is away."""


class Waiting(NamedTuple):
    """A write that waits: its bytes, and the time at which they are over; None: never."""

    data: bytes
    over: float | None


class Leaving:
    """A batch on its way; ``gone`` is set when it arrived or came back."""

    def __init__(self, waiting: dict[str, Waiting]) -> None:
        self.waiting = waiting
        self.gone: Future[None] = Future()


class WriteBuffer:
    """Items by key, the latest of each. Thread-safe.

    Args:
        size: How many make a batch.
        clock: Returns a time in seconds.
    """

    def __init__(self, size: int, clock: Callable[[], float]) -> None:
        self._size = size
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: dict[str, Waiting] = {}
        self._leaving: list[Leaving] = []

    def __bool__(self) -> bool:
        return bool(self._waiting or self._leaving)

    @property
    def leaving(self) -> list[Leaving]:
        """The batches that are on their way."""
        return list(self._leaving)

    def put(self, item: Item) -> bool:
        """Let an item wait. Returns True if a batch is together."""
        key, data, retention = item
        with self._lock:
            self._waiting.pop(key, None)
            self._waiting[key] = Waiting(
                data, None if retention is None else self._clock() + retention
            )
            return len(self._waiting) >= self._size

    def overlaid(self, keys: Sequence[str], found: Sequence[bytes | None]) -> list[bytes | None]:
        """Lay what waits under ``keys`` over what the server has there."""
        return [self._find(key, data) for key, data in zip(keys, found, strict=True)]

    def take(self) -> Leaving | None:
        """Take all that waits, to be written while ``arriving``. None: nothing does."""
        with self._lock:
            if not self._waiting:
                return None
            taken, self._waiting = Leaving(self._waiting), {}
            self._leaving.append(taken)
            return taken

    def items(self, taken: Leaving) -> list[Item]:
        """Return what is to be written, each item with the seconds that it has left."""
        lasting = [(key, it.data, self._left(it)) for key, it in taken.waiting.items()]
        return [item for item in lasting if item[2] is None or item[2] > 0]

    @contextmanager
    def arriving(self, taken: Leaving) -> Generator[None]:
        """Write a batch in this block: if it fails, what is in the batch waits again."""
        try:
            yield
        except BaseException:
            with self._lock:
                together = {**taken.waiting, **self._waiting}
                self._waiting = dict([*together.items()][-self._size * _MOST :])
            raise
        finally:
            with self._lock:
                self._leaving.remove(taken)
            taken.gone.set_result(None)

    def _find(self, key: str, otherwise: bytes | None) -> bytes | None:
        places = [self._waiting, *(batch.waiting for batch in reversed(self.leaving))]
        for place in places:
            if (found := place.get(key)) is not None:
                left = self._left(found)
                return found.data if left is None or left > 0 else None
        return otherwise

    def _left(self, waiting: Waiting) -> float | None:
        return None if waiting.over is None else waiting.over - self._clock()
