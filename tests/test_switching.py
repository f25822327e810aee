"""Switching the cache of a running app, and blocks of code without a cache."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
import weakref
from typing import TYPE_CHECKING, Any

import pytest

import askonce
from askonce import (
    Cache,
    CacheMiddleware,
    CacheSettings,
    cache_disabled,
    disable_cache,
    enable_cache,
    switching,
    update_cache,
)
from askonce.caching.in_memory_cache import InMemoryCache
from askonce.errors import SettingsError
from askonce.switching import current_cache, settled
from support.asgi import QUESTION, Dictated, call, chat_body, completion

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import Message, Receive, Scope, Send


@pytest.fixture(autouse=True)
def switch(monkeypatch: pytest.MonkeyPatch) -> Iterator[switching.Switch]:
    """A switch that nobody has turned yet."""
    fresh = switching.Switch()
    for place in ("askonce.switching.SWITCH", "askonce.middleware.SWITCH"):
        monkeypatch.setattr(place, fresh)
    yield fresh
    disable_cache()


class Backend(InMemoryCache):
    """A backend that says when it is closed, and where."""

    def __init__(self) -> None:
        super().__init__()
        self.closed: list[asyncio.AbstractEventLoop] = []
        self.error: Exception | None = None

    async def disconnect(self) -> None:
        self.closed.append(asyncio.get_running_loop())
        if self.error is not None:
            raise self.error


def enabled(monkeypatch: pytest.MonkeyPatch, turn: Any = update_cache, **keywords: Any) -> Backend:
    """Enable a cache that has a backend of its own."""
    backend = Backend()
    monkeypatch.setattr("askonce.caching._backends.backend", lambda *_: backend)
    turn(**keywords)
    monkeypatch.undo()
    return backend


@pytest.fixture
def patched() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as context:
        yield context


async def status(cached: CacheMiddleware, **members: Any) -> str:
    return (await call(cached, chat_body(**members))).cache_status


class Waiting(Dictated):
    """An app that begins to answer, and goes on when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.go_on = asyncio.Event(), asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.begun.set()
        await self.go_on.wait()
        await super().__call__(scope, receive, send)


# ---- turning


async def test_a_running_app_follows(patched: pytest.MonkeyPatch) -> None:
    cached = CacheMiddleware(Dictated())
    assert await status(cached) == "askonce; fwd=miss; stored"
    first = enabled(patched, enable_cache, ttl=60)
    assert await status(cached) == "askonce; fwd=miss; stored"
    assert await status(cached) == "askonce; hit; ttl=59"
    second = enabled(patched, update_cache, ttl=30)
    assert await status(cached) == "askonce; fwd=miss; stored"
    assert await status(cached) == "askonce; hit; ttl=29"
    assert len(first) == len(second) == 1


async def test_a_disabled_cache_leaves_requests_untouched(patched: pytest.MonkeyPatch) -> None:
    app = Dictated()
    cached = CacheMiddleware(app)
    await status(cached)
    disable_cache()
    body = chat_body(cache={"ttl": 5})
    answered = await call(cached, body)
    assert answered.all("cache-status") == []
    assert app.bodies[-1] == body
    backend = enabled(patched)
    assert await status(cached) == "askonce; fwd=miss; stored"
    assert len(backend) == 1


async def test_an_app_wrapped_later_follows_too(patched: pytest.MonkeyPatch) -> None:
    disable_cache()
    cached = CacheMiddleware(Dictated())
    assert await status(cached) == ""
    backend = enabled(patched)
    late = CacheMiddleware(Dictated())
    await status(late)
    assert "hit" in await status(cached)
    assert len(backend) == 1


async def test_enabling_keeps_what_is_enabled_and_updating_replaces_it() -> None:
    first = enable_cache(ttl=60)
    assert current_cache() is first
    assert enable_cache(ttl=30) is first
    second = update_cache(ttl=30)
    assert second is current_cache() is not first
    assert second.settings.ttl == 30
    disable_cache()
    assert current_cache() is None
    assert enable_cache(ttl=10).settings.ttl == 10


async def test_a_cache_given_to_a_middleware_stays() -> None:
    cache = Cache()
    cached = CacheMiddleware(Dictated(), cache=cache)
    await status(cached)
    disable_cache()
    assert "hit" in await status(cached)
    update_cache(ttl=1)
    assert "hit" in await status(cached)


async def test_settings_given_to_a_middleware_stay() -> None:
    cached = CacheMiddleware(Dictated(), CacheSettings(ttl=60))
    cache = update_cache(ttl=5)
    await status(cached)
    assert await status(cached) == "askonce; hit; ttl=59"
    assert len(cache.backend) == 1  # type: ignore[arg-type]


async def test_all_that_a_cache_s_settings_say_is_switched(patched: pytest.MonkeyPatch) -> None:
    cached = CacheMiddleware(Dictated())
    enabled(patched, max_request_bytes=10, supported_call_types=["completion"])
    assert await status(cached) == "askonce; fwd=bypass; detail=request-too-large"
    enabled(patched, caller_id="support.asgi:chat_body")
    assert await status(cached) == "askonce; fwd=bypass; detail=caller-id-failed"
    enabled(patched, supported_call_types=["text_completion"])
    assert await status(cached) == ""


@pytest.mark.parametrize(
    "wrong", [{"ttl": "soon"}, {"caller_id": "nowhere.at:all"}, {"tll": 5}], ids=repr
)
async def test_what_is_wrong_switches_nothing(wrong: dict[str, Any]) -> None:
    cached = CacheMiddleware(Dictated())
    await status(cached)
    cache = enable_cache()
    for turn in (update_cache, lambda **wrong: (disable_cache(), enable_cache(**wrong))):
        with pytest.raises(SettingsError):
            turn(**wrong)
        if turn is update_cache:
            assert current_cache() is cache


# ---- requests in flight, and closing


async def test_requests_in_flight_finish_on_the_old_cache_which_is_closed_then(
    patched: pytest.MonkeyPatch,
) -> None:
    app = Waiting()
    cached = CacheMiddleware(app)
    old = enabled(patched)
    waiting = asyncio.create_task(call(cached, chat_body()))
    await app.begun.wait()
    new = enabled(patched)
    await settled()
    assert old.closed == []
    app.go_on.set()
    assert (await waiting).cache_status == "askonce; fwd=miss; stored"
    await settled()
    assert (len(old), len(new)) == (1, 0)
    assert old.closed == [asyncio.get_running_loop()]
    assert new.closed == []


async def test_requests_in_flight_outlive_a_cache_that_is_disabled(
    patched: pytest.MonkeyPatch,
) -> None:
    app = Waiting()
    cached = CacheMiddleware(app)
    old = enabled(patched)
    waiting = asyncio.create_task(call(cached, chat_body()))
    await app.begun.wait()
    disable_cache()
    app.go_on.set()
    assert (await waiting).cache_status == "askonce; fwd=miss; stored"
    await settled()
    assert len(old) == len(old.closed) == 1


async def test_a_request_that_ends_in_an_error_lets_go_too(patched: pytest.MonkeyPatch) -> None:
    async def fails(scope: Scope, receive: Receive, send: Send) -> None:
        update()
        raise RuntimeError("the app's")

    def update() -> None:
        enabled(patched)

    cached = CacheMiddleware(fails)
    old = enabled(patched)
    with pytest.raises(RuntimeError, match="the app's"):
        await call(cached, chat_body())
    await settled()
    assert len(old.closed) == 1


async def test_the_old_cache_is_closed_after_the_last_refresh_behind_an_answer(
    patched: pytest.MonkeyPatch,
) -> None:
    app, now = Waiting(), [1_000.0]
    app.go_on.set()
    cached = CacheMiddleware(app)
    old = enabled(patched, ttl=10, stale_while_revalidate=100)
    await status(cached)
    cached._handler._clock = lambda: now[0] + 1e9
    entry = next(iter(old._slots.values())).payload
    now[0] = entry.stored_at + 20 - 1e9
    app.go_on.clear()
    assert "detail=stale" in await status(cached)
    app.body = (completion("refreshed"),)
    new = enabled(patched)
    cached._follow()
    await settled()
    assert old.closed == []
    app.go_on.set()
    await asyncio.gather(*cached._refreshes.values())
    await settled()
    assert len(old.closed) == 1
    assert [slot.payload.body for slot in old._slots.values()] == [completion("refreshed")]
    assert len(new) == 0


async def test_the_cache_that_settings_described_is_closed_too(
    patched: pytest.MonkeyPatch,
) -> None:
    backend = Backend()
    patched.setattr("askonce.caching._backends.backend", lambda *_: backend)
    cached = CacheMiddleware(Dictated())
    patched.undo()
    await status(cached)
    disable_cache()
    await settled()
    assert len(backend.closed) == 1


async def test_an_idle_cache_is_closed_without_another_request(
    patched: pytest.MonkeyPatch,
) -> None:
    old = enabled(patched)
    disable_cache()
    await settled()
    assert len(old.closed) == 1


def test_a_cache_that_no_loop_used_is_closed_without_one(patched: pytest.MonkeyPatch) -> None:
    old = enabled(patched)
    disable_cache()
    assert len(old.closed) == 1


async def test_a_switch_from_another_thread_closes_where_requests_were_served(
    patched: pytest.MonkeyPatch,
) -> None:
    cached = CacheMiddleware(Dictated())
    old = enabled(patched)
    await status(cached)
    await asyncio.to_thread(disable_cache)
    await settled()
    assert old.closed == [asyncio.get_running_loop()]


def test_a_cache_whose_loop_is_over_is_closed_in_another(patched: pytest.MonkeyPatch) -> None:
    cached = CacheMiddleware(Dictated())
    old = enabled(patched)
    asyncio.run(status(cached))  # type: ignore[arg-type]
    disable_cache()
    assert len(old.closed) == 1


async def test_a_middleware_made_while_another_thread_turns_is_not_forgotten(
    switch: switching.Switch,
) -> None:
    backend = Backend()
    service = switching.InService(Cache(backend=backend))
    service.cache._owns_backend = True
    disable_cache()
    switch.owns(service)
    await settled()
    assert len(backend.closed) == 1


async def test_a_backend_that_cannot_be_closed_is_logged_without_its_words(
    patched: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    old = enabled(patched)
    old.error = OSError("redis://:secret@host")
    disable_cache()
    await settled()
    assert "OSError" in caplog.text
    assert "secret" not in caplog.text


async def test_what_is_on_its_way_is_written_before_the_old_cache_is_closed(
    tmp_path: Any,
) -> None:
    cache = update_cache(type="disk", disk_cache_dir=tmp_path, backend_timeout=30)
    await cache.batch_cache_write({"a": 1}, **QUESTION)
    disable_cache()
    await settled()
    again = Cache(type="disk", disk_cache_dir=tmp_path, backend_timeout=30)
    assert await again.async_get_cache(**QUESTION) == {"a": 1}
    await again.disconnect()


async def test_a_middleware_that_is_gone_leaves_nothing_behind(switch: switching.Switch) -> None:
    cached = CacheMiddleware(Dictated())
    await status(cached)
    gone = weakref.ref(cached._service)
    del cached
    gc.collect()
    assert gone() is None


async def test_many_switches_lose_no_request(patched: pytest.MonkeyPatch) -> None:
    cached = CacheMiddleware(Dictated())
    backends: list[Backend] = []

    def turn() -> None:
        backends.extend(enabled(patched) for _ in range(50))

    turning = threading.Thread(target=turn)
    turning.start()
    answers = []
    while turning.is_alive():
        answers += await asyncio.gather(*(call(cached, chat_body()) for _ in range(10)))
    turning.join()
    await status(cached)
    disable_cache()
    await settled()
    assert {answered.body for answered in answers} <= {completion()}
    assert all("internal-error" not in answered.cache_status for answered in answers)
    assert all(backend.closed for backend in backends)


# ---- lifespan


@pytest.mark.parametrize("off", [False, True])
async def test_a_lifespan_closes_the_cache_in_service(
    patched: pytest.MonkeyPatch, off: bool
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.shutdown.complete"})

    cached = CacheMiddleware(app)
    backend = enabled(patched)
    if off:
        disable_cache()

    async def receive() -> Message:
        return {"type": "lifespan.shutdown"}

    async def send(message: Message) -> None:
        assert len(backend.closed) == 1

    await cached({"type": "lifespan"}, receive, send)
    assert len(backend.closed) == 1


# ---- blocks


@pytest.mark.parametrize("given", [False, True])
async def test_a_request_in_a_disabled_block_passes_untouched(given: bool) -> None:
    app = Dictated()
    cached = CacheMiddleware(app, cache=Cache() if given else None)
    await status(cached)
    with cache_disabled():
        assert await status(cached) == ""
    async with cache_disabled():
        assert await status(cached, seed=1) == ""
    assert app.calls == 3
    assert "hit" in await status(cached)
    assert "fwd=miss" in await status(cached, seed=1)


async def test_python_calls_in_a_disabled_block_find_and_store_nothing() -> None:
    cache = Cache()
    cache.add_cache({"a": 1}, **QUESTION)
    with cache_disabled():
        assert cache.get_cache(**QUESTION) is None
        assert await cache.async_get_cache(**QUESTION) is None
        assert cache.should_use_cache(**QUESTION) is False
        cache.add_cache({"a": 2}, **QUESTION)
        await cache.async_add_cache({"a": 2}, **QUESTION)
    assert cache.should_use_cache(**QUESTION) is True
    assert cache.get_cache(**QUESTION) == {"a": 1}


async def test_a_block_is_its_own_tasks_alone() -> None:
    cache, inside, over = Cache(), asyncio.Event(), asyncio.Event()
    cache.add_cache({"a": 1}, **QUESTION)

    async def elsewhere() -> None:
        with cache_disabled():
            inside.set()
            await over.wait()
            assert await asyncio.to_thread(cache.get_cache, **QUESTION) is None

    task = asyncio.create_task(elsewhere())
    await inside.wait()
    assert cache.get_cache(**QUESTION) == {"a": 1}
    over.set()
    await task


def test_a_block_may_be_left_in_another_context_than_it_was_entered_in() -> None:
    cache, block = Cache(), cache_disabled()
    cache.add_cache({"a": 1}, **QUESTION)
    contextvars.copy_context().run(block.__enter__)
    contextvars.copy_context().run(block.__exit__)
    block.__exit__()
    assert cache.get_cache(**QUESTION) == {"a": 1}
    with cache_disabled():
        block.__exit__()
        assert cache.get_cache(**QUESTION) is None


async def test_one_block_may_be_used_by_many_tasks_at_once() -> None:
    cache, block = Cache(), cache_disabled()
    cache.add_cache({"a": 1}, **QUESTION)
    inside = asyncio.Barrier(2)

    async def use(*, first: bool) -> None:
        async with block:
            await inside.wait()
            if not first:
                await left.wait()
            assert cache.get_cache(**QUESTION) is None
        assert cache.get_cache(**QUESTION) == {"a": 1}
        left.set()

    left = asyncio.Event()
    await asyncio.wait_for(asyncio.gather(use(first=True), use(first=False)), 30)


def test_blocks_nest_and_end_with_what_was_raised() -> None:
    cache, block = Cache(), cache_disabled()
    cache.add_cache({"a": 1}, **QUESTION)

    def raises() -> None:
        with block:
            with block, cache_disabled():
                pass
            assert cache.get_cache(**QUESTION) is None
            raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        raises()
    assert cache.get_cache(**QUESTION) == {"a": 1}


# ---- names


@pytest.mark.parametrize("name", ["enable_cache", "update_cache", "disable_cache"])
def test_the_names_are_where_litellm_s_users_look_for_them(name: str) -> None:
    from askonce.caching import caching

    assert getattr(caching, name) is getattr(askonce, name)
