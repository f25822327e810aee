"""The backends that the contract holds for, each in a module of its own."""

from __future__ import annotations

from support.kinds import disk, dual, memory, redis, redis_cluster, redis_sentinel, s3
from support.kinds.kind import Clock, Kind

__all__ = ["KINDS", "Clock", "Kind"]

KINDS: dict[str, Kind] = {
    "memory": memory.KIND,
    "disk": disk.KIND,
    "redis": redis.KIND,
    "redis-cluster": redis_cluster.KIND,
    "redis-sentinel": redis_sentinel.KIND,
    "dual": dual.KIND,
    "s3-seaweedfs": s3.SEAWEEDFS,
    "s3-moto": s3.MOTO,
}
