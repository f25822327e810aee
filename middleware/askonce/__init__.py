"""askonce: cache middleware for LLM routes.

One line in any ASGI app, configured by environment variables, and the second identical question is
answered from the cache::

    from askonce import CacheMiddleware

    app = CacheMiddleware(app)
"""

from askonce.caching.caching import Cache
from askonce.errors import AskonceError, SettingsError
from askonce.middleware import CacheMiddleware
from askonce.settings import CacheSettings

__all__ = [
    "AskonceError",
    "Cache",
    "CacheMiddleware",
    "CacheSettings",
    "SettingsError",
]
