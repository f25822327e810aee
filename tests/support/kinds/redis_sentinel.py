"""Redis behind Sentinels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from askonce.caching.redis_cache import RedisCache
from support.kinds.kind import Clock, Kind
from support.kinds.server_time import let_pass, stretch
from support.valkey import PATIENCE
from support.valkey_sentinels import SERVICE, shared_sentinels

if TYPE_CHECKING:
    from pathlib import Path

    from askonce.caching.base_cache import BaseCache


def _make(_directory: Path, clock: Clock) -> BaseCache:
    sentinels = shared_sentinels()
    primary = sentinels.primary
    clock.passing[:] = [lambda seconds: let_pass(primary.ask, seconds)]
    return RedisCache(sentinel_nodes=sentinels.nodes, service_name=SERVICE, socket_timeout=PATIENCE)


KIND = Kind(_make, stretch, examples=8)
