"""Stale answers: at once while a refresh runs behind, and instead of a failure."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from askonce import CacheMiddleware, CacheSettings
from support.asgi import Answered, Dictated, call, chat_body, completion, read

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def wrap(app: Any, clock: Clock, **settings: Any) -> CacheMiddleware:
    cached = CacheMiddleware(app, CacheSettings(ttl=10, **settings))
    cached._handler._clock = clock
    return cached


def content(answered: Answered) -> str:
    return answered.json["choices"][0]["message"]["content"]


async def test_a_stale_answer_is_served_at_once_and_refreshed_behind(clock: Clock) -> None:
    app = Dictated(body=(completion("old"),))
    cached = wrap(app, clock, stale_while_revalidate=60)
    await call(cached, chat_body())
    clock.now += 22
    app.body = (completion("new"),)
    stale = await call(cached, chat_body())
    assert (content(stale), stale.cache_status) == (
        "old",
        "askonce; hit; ttl=-12; detail=stale",
    )
    assert stale.all("age") == ["22"]
    await asyncio.gather(*cached._refreshes.values())
    fresh = await call(cached, chat_body())
    assert (content(fresh), fresh.cache_status) == ("new", "askonce; hit; ttl=10")
    assert app.calls == 2


async def test_one_refresh_runs_at_a_time(clock: Clock) -> None:
    gate, calls = asyncio.Event(), 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal calls
        calls += 1
        if calls > 1:
            await gate.wait()
        await Dictated()(scope, receive, send)

    cached = wrap(app, clock, stale_while_revalidate=60)
    await call(cached, chat_body())
    clock.now += 20
    for _ in range(5):
        assert "stale" in (await call(cached, chat_body())).cache_status
    gate.set()
    await asyncio.gather(*cached._refreshes.values())
    assert calls == 2
    assert cached._refreshes == {}


async def test_a_refresh_that_fails_is_logged_and_hurts_nobody(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    app = Dictated()
    cached = wrap(app, clock, stale_while_revalidate=60)
    await call(cached, chat_body())
    clock.now += 20
    app.body = ()
    assert "stale" in (await call(cached, chat_body())).cache_status
    await asyncio.gather(*cached._refreshes.values())
    assert "refresh" in caplog.text


async def test_a_refresh_hears_the_client_leave_only_when_it_has_said_all(clock: Clock) -> None:
    heard: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"application/json")]
        await read(receive)
        leaving = asyncio.ensure_future(receive())
        await asyncio.sleep(0)
        heard.append("left" if leaving.done() else "still there")
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": completion()})
        if clock.now > 1_000_000:
            heard.append((await leaving)["type"])
        leaving.cancel()

    cached = wrap(app, clock, stale_while_revalidate=60)
    await call(cached, chat_body())
    clock.now += 20
    await call(cached, chat_body())
    await asyncio.gather(*cached._refreshes.values())
    assert heard == ["still there", "still there", "http.disconnect"]


async def test_a_refresh_that_never_ends_does_not_hold_the_shutdown(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("askonce.middleware.DRAIN_SECONDS", 0)
    ended = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if clock.now > 1_000_000:
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()
        await Dictated()(scope, receive, send)

    cached = wrap(app, clock, stale_while_revalidate=60)
    await call(cached, chat_body())
    clock.now += 20
    await call(cached, chat_body())
    await asyncio.sleep(0)
    await cached._drain()
    await ended.wait()
    await asyncio.sleep(0)
    assert cached._refreshes == {}


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 529])
async def test_a_stale_answer_stands_in_for_a_failure(clock: Clock, status: int) -> None:
    app = Dictated(body=(completion("old"),))
    cached = wrap(app, clock, stale_if_error=60)
    await call(cached, chat_body())
    clock.now += 22
    app.status, app.body = status, (b'{"error": 1}', b"")
    stale = await call(cached, chat_body())
    assert (stale.status, content(stale)) == (200, "old")
    assert stale.cache_status == (
        f"askonce; fwd=stale; fwd-status={status}; ttl=-12; detail=stale-if-error"
    )
    assert len(stale.messages) == 2


async def test_nothing_of_a_failure_passes_once_a_stale_answer_stands_in(clock: Clock) -> None:
    app = Dictated(body=(completion("old"),))
    cached = wrap(app, clock, stale_if_error=60)
    await call(cached, chat_body())
    clock.now += 22

    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 503, "headers": []})
        await send({"type": "http.response.debug"})
        await send({"type": "http.response.body", "body": b"broken"})
        raise RuntimeError("after all")

    cached._app = failing
    assert content(await call(cached, chat_body())) == "old"
    cached._app = app
    app.status = 503
    app.body = (b"broken", b"")
    assert content(await call(cached, chat_body())) == "old"


async def test_a_stale_answer_stands_in_for_an_app_that_raises(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    app = Dictated(body=(completion("old"),))
    cached = wrap(app, clock, stale_if_error=60)
    await call(cached, chat_body())
    clock.now += 22
    app.body = ()
    stale = await call(cached, chat_body())
    assert content(stale) == "old"
    assert stale.cache_status == "askonce; fwd=stale; ttl=-12; detail=stale-if-error"
    assert "stands in" in caplog.text


@pytest.mark.parametrize(
    ("seconds", "headers"),
    [
        (80, []),
        (22, [("cache-control", "stale-if-error=5")]),
        (22, [("cache-control", "max-stale=5")]),
        (22, [("cache-control", "no-cache")]),
    ],
)
async def test_a_failure_beyond_the_limits_is_shown(
    clock: Clock, seconds: float, headers: list[tuple[str, str]]
) -> None:
    app = Dictated()
    cached = wrap(app, clock, stale_if_error=60)
    await call(cached, chat_body())
    clock.now += seconds
    app.status = 503
    assert (await call(cached, chat_body(), headers=headers)).status == 503


async def test_without_a_window_nothing_stale_is_served(clock: Clock) -> None:
    app = Dictated()
    cached = wrap(app, clock)
    await call(cached, chat_body())
    clock.now += 20
    app.status = 503
    failed = await call(cached, chat_body())
    assert failed.status == 503
    assert "hit" not in failed.cache_status


async def test_a_lifespan_waits_for_refreshes_and_closes_what_was_opened(clock: Clock) -> None:
    gate, order = asyncio.Event(), list[str]()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            order.append((await receive())["type"])
            await send({"type": "lifespan.shutdown.complete"})
            return
        if order:
            await gate.wait()
            order.append("refreshed")
        await Dictated()(scope, receive, send)

    cached = wrap(app, clock, stale_while_revalidate=60)
    await call(cached, chat_body())
    order.append("stored")
    clock.now += 20
    await call(cached, chat_body())

    async def receive() -> dict[str, Any]:
        gate.set()
        return {"type": "lifespan.shutdown"}

    async def send(message: Any) -> None:
        order.append(message["type"])

    await cached({"type": "lifespan"}, receive, send)
    assert order == ["stored", "refreshed", "lifespan.shutdown", "lifespan.shutdown.complete"]
