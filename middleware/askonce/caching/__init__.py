"""Where answers are kept. Importing this imports no backend: each comes when it is first named."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from askonce.caching.base_cache import BaseCache
    from askonce.caching.caching import Cache
    from askonce.caching.disk_cache import DiskCache
    from askonce.caching.dual_cache import DualCache
    from askonce.caching.in_memory_cache import InMemoryCache
    from askonce.caching.redis_cache import RedisCache
    from askonce.caching.redis_cluster_cache import RedisClusterCache
    from askonce.caching.s3_cache import S3Cache

__all__ = [
    "BaseCache",
    "Cache",
    "DiskCache",
    "DualCache",
    "InMemoryCache",
    "RedisCache",
    "RedisClusterCache",
    "S3Cache",
]

_HOME: Final = {
    "BaseCache": "askonce.caching.base_cache",
    "Cache": "askonce.caching.caching",
    "DiskCache": "askonce.caching.disk_cache",
    "DualCache": "askonce.caching.dual_cache",
    "InMemoryCache": "askonce.caching.in_memory_cache",
    "RedisCache": "askonce.caching.redis_cache",
    "RedisClusterCache": "askonce.caching.redis_cluster_cache",
    "S3Cache": "askonce.caching.s3_cache",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    """List what can be asked for."""
    return sorted(__all__)
