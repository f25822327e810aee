"""Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from askonce.caching.redis_cache import RedisCache
from support import valkey
from support.kinds.kind import Clock, Kind
from support.kinds.server_time import let_pass, stretch

if TYPE_CHECKING:
    from pathlib import Path

    from askonce.caching.base_cache import BaseCache


def _make(_directory: Path, clock: Clock) -> BaseCache:
    server = valkey.shared()
    # Not one more for each backend: time would pass as often as there were any.
    clock.passing[:] = [lambda seconds: let_pass(server.ask, seconds)]
    return RedisCache(server.host, server.port, socket_timeout=valkey.PATIENCE)


KIND = Kind(_make, stretch, examples=15)
