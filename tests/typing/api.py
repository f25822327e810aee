"""The public surface, as a user's type checker sees it. Checked only, never run."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_type

from starlette.applications import Starlette
from starlette.middleware import Middleware

from askonce import AskonceError, Cache, CacheMiddleware, CacheSettings, SettingsError

if TYPE_CHECKING:
    from starlette.types import ASGIApp

settings = CacheSettings(ttl=60, namespace="app")
cache = Cache(type="local", ttl=60)
assert_type(Cache.from_settings(settings), Cache)


def wrapped(app: ASGIApp) -> ASGIApp:
    return CacheMiddleware(app, settings=settings, cache=cache)


app = Starlette(middleware=[Middleware(CacheMiddleware, settings=settings)])
app.add_middleware(CacheMiddleware)

failures: tuple[type[AskonceError], ...] = (SettingsError,)
assert_type(settings.ttl, float)
