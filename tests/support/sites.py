"""The stand-in provider, served with or without the cache in front."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from askonce import CacheMiddleware, CacheSettings
from support.provider import Provider
from support.server import Served, serve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import ASGIApp


@dataclass
class Site:
    """A served provider.

    Args:
        provider: Counts what the app was asked and what arrived.
        served: The server.
    """

    provider: Provider
    served: Served

    @property
    def url(self) -> str:
        return self.served.url


@contextmanager
def bare() -> Iterator[Site]:
    """Serve the provider alone."""
    provider = Provider()
    with _serving(provider, provider.app()) as site:
        yield site


@contextmanager
def cached(settings: CacheSettings | None = None) -> Iterator[Site]:
    """Serve the provider behind the cache; at the end nobody may have complained."""
    with complaining(settings) as site:
        yield site
    assert site.served.complaints == []


@contextmanager
def complaining(settings: CacheSettings | None = None) -> Iterator[Site]:
    """Serve the provider behind a cache that has reason to complain."""
    provider = Provider()
    app = provider.app()
    app.add_middleware(CacheMiddleware, settings=settings)
    with _serving(provider, app) as site:
        yield site


@contextmanager
def _serving(provider: Provider, app: ASGIApp) -> Iterator[Site]:
    with serve(provider.at_the_door(app), lifespan="on") as served:
        yield Site(provider, served)
