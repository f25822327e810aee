"""A backend of each kind, and the time that passes for it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from support.kinds import KINDS, Clock, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from askonce.caching.base_cache import BaseCache


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Kind:
    found = KINDS[request.param]
    found.set_clock(monkeypatch, clock)
    return found


@pytest.fixture
def backend(kind: Kind, tmp_path: Path, clock: Clock) -> Iterator[BaseCache]:
    made = kind.make(tmp_path, clock)
    yield made
    asyncio.run(made.disconnect())
