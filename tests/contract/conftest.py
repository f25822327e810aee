"""The backends that the contract holds for: a new one is a new row of ``KINDS``."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING

import diskcache.core
import pytest

from askonce.caching.disk_cache import DiskCache
from askonce.caching.in_memory_cache import InMemoryCache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from askonce.caching.base_cache import BaseCache


class Clock:
    """Unix time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True)
class Kind:
    """A backend, and how to make one.

    Args:
        make: Makes it, given a directory of its own and the time.
        set_clock: Lets the driver see the time, where the backend does not give it to it.
    """

    make: Callable[[Path, Clock], BaseCache]
    set_clock: Callable[[pytest.MonkeyPatch, Clock], None] = lambda *_: None


def _memory(_directory: Path, clock: Clock) -> BaseCache:
    return InMemoryCache(default_ttl=None, clock=clock)


def _disk(directory: Path, _clock: Clock) -> BaseCache:
    return DiskCache(directory / "cache")


def _set_diskcache_clock(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    monkeypatch.setattr(diskcache.core, "time", SimpleNamespace(time=clock, sleep=time.sleep))


KINDS = {
    "memory": Kind(_memory),
    "disk": Kind(_disk, _set_diskcache_clock),
}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=KINDS)
def kind(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> Iterator[Kind]:
    found = KINDS[request.param]
    found.set_clock(monkeypatch, clock)
    return found


@pytest.fixture
def backend(kind: Kind, tmp_path: Path, clock: Clock) -> Iterator[BaseCache]:
    made = kind.make(tmp_path, clock)
    yield made
    asyncio.run(made.disconnect())
