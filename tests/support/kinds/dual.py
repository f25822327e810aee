"""Memory in front of Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from askonce.caching import _dual_redis
from askonce.caching.dual_cache import DualCache
from askonce.caching.in_memory_cache import InMemoryCache
from askonce.caching.redis_cache import RedisCache
from support import valkey
from support.kinds.kind import Clock, Kind
from support.kinds.server_time import STRETCH, let_pass, stretch

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from askonce.caching.base_cache import BaseCache


def _make(_directory: Path, clock: Clock) -> BaseCache:
    server = valkey.shared()
    clock.passing[:] = [lambda seconds: let_pass(server.ask, seconds)]
    memory = InMemoryCache(default_ttl=None, clock=clock)
    redis = RedisCache(server.host, server.port, socket_timeout=valkey.PATIENCE)
    return DualCache(memory, redis, clock=clock)


def _set_clock(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    stretch(monkeypatch, clock)
    monkeypatch.setattr(_dual_redis, "seconds", lambda left: left / 1000 / STRETCH)


KIND = Kind(_make, _set_clock, examples=15)
