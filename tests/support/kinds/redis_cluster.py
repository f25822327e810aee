"""Redis Cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from askonce.caching.redis_cluster_cache import RedisClusterCache
from support.kinds.kind import Clock, Kind
from support.kinds.server_time import let_pass, stretch
from support.valkey import PATIENCE
from support.valkey_cluster import shared_cluster

if TYPE_CHECKING:
    from pathlib import Path

    from askonce.caching.base_cache import BaseCache


def _make(_directory: Path, clock: Clock) -> BaseCache:
    cluster = shared_cluster()

    def pass_everywhere(seconds: float) -> None:
        for server in cluster.primaries:
            let_pass(server.ask, seconds)

    clock.passing[:] = [pass_everywhere]
    return RedisClusterCache(startup_nodes=cluster.startup_nodes, socket_timeout=PATIENCE)


KIND = Kind(_make, stretch, examples=8)
