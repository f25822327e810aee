"""Memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from askonce.caching.in_memory_cache import InMemoryCache
from support.kinds.kind import Clock, Kind

if TYPE_CHECKING:
    from pathlib import Path

    from askonce.caching.base_cache import BaseCache


def _make(_directory: Path, clock: Clock) -> BaseCache:
    return InMemoryCache(default_ttl=None, clock=clock)


KIND = Kind(_make)
