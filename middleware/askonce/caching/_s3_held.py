"""The objects that this process read or wrote lately: S3 then need not send them again.

It is asked all the same each time, so that nothing is found that others deleted or replaced; but
where nothing changed, it answers 304 without the bytes.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Final, NamedTuple

_SLOT_BYTES: Final = 300
"""What an object takes beside its body and its name, roughly."""


class Held(NamedTuple):
    """An object as it was.

    Args:
        etag: What S3 calls this state of it.
        body: Its bytes.
    """

    etag: str
    body: bytes


class HeldObjects:
    """A bounded number of bytes; those longest unused go first. Thread-safe.

    Args:
        max_bytes: How many may be held; 0: none.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._objects: OrderedDict[str, Held] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        """How many bytes are held."""
        return self._bytes

    def get(self, name: str) -> Held | None:
        """Return an object, if it is held."""
        with self._lock:
            held = self._objects.get(name)
            if held is not None:
                self._objects.move_to_end(name)
            return held

    def put(self, name: str, held: Held) -> None:
        """Hold an object in place of what it was."""
        with self._lock:
            self._drop(name)
            self._objects[name] = held
            self._bytes += _size(name, held)
            while self._bytes > self._max_bytes:
                self._drop(next(iter(self._objects)))

    def drop(self, name: str) -> None:
        """Let an object go."""
        with self._lock:
            self._drop(name)

    def _drop(self, name: str) -> None:
        held = self._objects.pop(name, None)
        if held is not None:
            self._bytes -= _size(name, held)


def _size(name: str, held: Held) -> int:
    return len(held.body) + len(name) + _SLOT_BYTES
