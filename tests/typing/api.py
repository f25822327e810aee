"""The public surface, as a user's type checker sees it. Checked only, never run."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_type

from starlette.applications import Starlette
from starlette.middleware import Middleware

from askonce import (
    AskonceError,
    Cache,
    CacheEvent,
    CacheMiddleware,
    CacheSettings,
    SettingsError,
    cache_disabled,
    cached,
    cached_call,
    disable_cache,
    enable_cache,
    update_cache,
)

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


def count(event: CacheEvent) -> None:
    assert_type(event.usage.total_tokens if event.usage else None, int | None)


async def tell(event: CacheEvent) -> str:
    return event.outcome


class Logger:
    def log_success_event(self, kwargs, response_obj, start_time, end_time):  # type: ignore[no-untyped-def]
        pass


class AsyncLogger:
    async def async_log_success_event(
        self, kwargs: dict[str, object], response_obj: object, start_time: object, end_time: object
    ) -> None: ...


cache.subscribe(count)()
cache.subscribe(tell)
cache.subscribe(Logger())
cache.subscribe(AsyncLogger())
heard: list[CacheEvent] = []
cache.subscribe(heard.append)


def complete(model: str, messages: list[object]) -> dict[str, int]:
    return {model: len(messages)}


async def acomplete(model: str, messages: list[object]) -> dict[str, int]:
    return complete(model, messages)


assert_type(enable_cache(type="local", ttl=60), Cache)
assert_type(update_cache(settings=settings), Cache)
disable_cache()
with cache_disabled():
    assert_type(cache.should_use_cache(model="m", messages=[]), bool)


async def uncached() -> None:
    async with cache_disabled():
        await cache.batch_cache_write({}, model="m", messages=[])


async def answers() -> None:
    assert_type(await cached_call(cache, complete, model="m", messages=[]), dict[str, int])
    assert_type(await cached_call(cache, acomplete, model="m", messages=[]), dict[str, int])
    assert_type(cached(cache)(complete)("m", []), dict[str, int])
    assert_type(await cached(cache, "acompletion")(acomplete)("m", [], cache={}), dict[str, int])
