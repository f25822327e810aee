"""Caches on two servers that have nothing in common, each test on a path of its own."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import pytest

from askonce.caching.s3_cache import S3Cache
from support.kinds.kind import Clock
from support.s3_servers import Moto, S3Server, SeaweedFS, shared

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    MakeCache = Callable[..., S3Cache]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=[SeaweedFS, Moto], ids=["seaweedfs", "moto"])
def server(request: pytest.FixtureRequest) -> S3Server:
    return shared(request.param)


@pytest.fixture
def moto() -> S3Server:
    return shared(Moto)


@pytest.fixture
def path(request: pytest.FixtureRequest) -> str:
    """A path of this test's own."""
    return f"{os.urandom(6).hex()}/{request.node.originalname}"


@pytest.fixture
def make() -> Iterator[MakeCache]:
    """Makes caches, and closes them."""
    made: list[S3Cache] = []

    def make(**arguments: Any) -> S3Cache:
        made.append(S3Cache(**arguments))
        return made[-1]

    yield make
    for cache in made:
        asyncio.run(cache.disconnect())


@pytest.fixture
def on(make: MakeCache, path: str, clock: Clock) -> MakeCache:
    """Makes caches on a server, all on the same objects."""

    def on(server: S3Server, **others: Any) -> S3Cache:
        arguments = {"s3_path": path, "clock": clock, "timeout": 10.0, **others}
        return make(**server.arguments(**arguments))

    return on
