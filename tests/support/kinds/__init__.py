"""The backends that the contract holds for, each in a module of its own."""

from __future__ import annotations

from support.kinds import disk, memory
from support.kinds.kind import Clock, Kind

__all__ = ["KINDS", "Clock", "Kind"]

KINDS: dict[str, Kind] = {
    "memory": memory.KIND,
    "disk": disk.KIND,
}
