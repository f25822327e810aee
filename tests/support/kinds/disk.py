"""Disk."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import TYPE_CHECKING

import diskcache.core

from askonce.caching.disk_cache import DiskCache
from support.kinds.kind import Clock, Kind

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from askonce.caching.base_cache import BaseCache


def _make(directory: Path, _clock: Clock) -> BaseCache:
    return DiskCache(directory / "cache")


def _set_clock(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    monkeypatch.setattr(diskcache.core, "time", SimpleNamespace(time=clock, sleep=time.sleep))


KIND = Kind(_make, _set_clock)
