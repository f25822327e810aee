"""S3, on two servers that have nothing in common."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from askonce.caching.s3_cache import S3Cache
from support.kinds.kind import Clock, Kind
from support.s3_servers import Moto, S3Server, SeaweedFS, shared

if TYPE_CHECKING:
    from pathlib import Path

    from askonce.caching.base_cache import BaseCache


def _make(kind: type[S3Server], _directory: Path, clock: Clock) -> BaseCache:
    return S3Cache(**shared(kind).arguments(timeout=10.0, clock=clock))


SEAWEEDFS = Kind(partial(_make, SeaweedFS), examples=10)
MOTO = Kind(partial(_make, Moto), examples=10)
