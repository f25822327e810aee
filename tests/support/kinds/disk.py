"""Disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from askonce.caching.disk_cache import DiskCache
from support.kinds.kind import Clock, Kind

if TYPE_CHECKING:
    from pathlib import Path

    from askonce.caching.base_cache import BaseCache


def _make(directory: Path, clock: Clock) -> BaseCache:
    return DiskCache(directory / "cache", clock=clock)


KIND = Kind(_make)
