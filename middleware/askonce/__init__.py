"""askonce: cache middleware for LLM routes.

One line in any ASGI app, configured by environment variables, and the second identical question is
answered from the cache::

    from askonce import CacheMiddleware

    app = CacheMiddleware(app)
"""

from askonce.caching.caching import Cache
from askonce.disabled import cache_disabled
from askonce.errors import AskonceError, SettingsError
from askonce.middleware import CacheMiddleware
from askonce.observe.events import CacheEvent
from askonce.settings import CacheSettings
from askonce.switching import disable_cache, enable_cache, update_cache
from askonce.wrap import cached, cached_call

__all__ = [
    "AskonceError",
    "Cache",
    "CacheEvent",
    "CacheMiddleware",
    "CacheSettings",
    "SettingsError",
    "cache_disabled",
    "cached",
    "cached_call",
    "disable_cache",
    "enable_cache",
    "update_cache",
]
