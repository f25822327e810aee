"""What the memory keeps under a key, with what its queues and its clock have to know of it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from askonce.entry import Entry

MAX_FREQUENCY: Final = 2
NOWHERE: Final = 0


class Slot(msgspec.Struct, eq=False, gc=False):
    """What is kept under a key. It refers to no other slot, so the collector need not look at it.

    Args:
        key: The key.
        payload: An entry, or the bytes of a value; no bytes once it is gone.
        expires: Unix seconds at which it is over; long ago once it is gone.
        size: Bytes that it is counted as.
        frequency: How often it was asked for since it was queued, 2 at most.
        queue: Where it waits; ``NOWHERE`` once it is gone.
    """

    key: str
    payload: Entry | bytes
    expires: float
    size: int
    frequency: int = 0
    queue: int = NOWHERE

    def let_go(self) -> None:
        """Drop all that is large: the slot itself may stay in a queue until its turn comes."""
        self.expires = -math.inf
        self.payload = b""
        self.key = ""
        self.size = 0
