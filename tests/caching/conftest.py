"""What the tests of the facade share: a clock, an entry, and a backend that does as it is told."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from askonce.caching.base_cache import BaseCache
from askonce.entry import Entry

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Clock:
    """Unix time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class SlowBackend(BaseCache):
    """A dict that answers when ``ready`` is set, or raises ``error``."""

    name: ClassVar[str] = "slow"

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[str, bytes] = {}
        self.writes: list[str] = []
        self.ready = asyncio.Event()
        self.ready.set()
        self.error: Exception | None = None
        self.disconnected = 0

    def _read(self, keys: Sequence[str]) -> list[bytes | None]:
        return [self.kept.get(key) for key in keys]

    def _write(self, items: Sequence[tuple[str, bytes, float | None]]) -> None:
        for key, data, _ in items:
            self.kept[key] = data
            self.writes.append(key)

    def _remove(self, keys: Sequence[str]) -> int:
        return sum(self.kept.pop(key, None) is not None for key in keys)

    def _clear(self, prefixes: Sequence[str] | None) -> int:
        assert prefixes is not None
        return self._remove([key for key in self.kept if key.startswith(tuple(prefixes))])

    def _add(self, key: str, amount: float, retention: float | None) -> float:
        raise AssertionError("the facade never counts")

    def _call(self, primitive: Callable[..., Any], *args: Any) -> Any:
        if self.error is not None:
            raise self.error
        return primitive(*args)

    async def _run(self, primitive: Callable[..., Any], *args: Any) -> Any:
        await self.ready.wait()
        return self._call(primitive, *args)

    async def disconnect(self) -> None:
        self.disconnected += 1


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def slow() -> SlowBackend:
    return SlowBackend()


@pytest.fixture
def entry() -> Entry:
    return Entry("askonce:1", 1_000.0, 60.0, 200, (), b"{}", "plain", usage_due=False)
