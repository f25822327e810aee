"""Every request that is ours ends in exactly one event."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from askonce import Cache, CacheEvent, CacheMiddleware, CacheSettings
from askonce.caching.disk_cache import DiskCache
from askonce.errors import BackendError
from askonce.observe import observation
from askonce.observe.events import Usage
from askonce.recording import Recording
from support.asgi import (
    DONE,
    STREAM,
    Answered,
    Dictated,
    call,
    chat_body,
    chunk,
    completion,
    http_scope,
    read,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

USAGE = Usage(1, 1, 2)


class Watch:
    """An app behind a cache, and what was told of its requests."""

    def __init__(self, app: ASGIApp, cache: Cache | None = None, **settings: Any) -> None:
        self.now = 1_000_000.0
        self.cache = cache or Cache(clock=lambda: self.now, **settings)
        self.heard: list[CacheEvent] = []
        self.cache.subscribe(self.heard.append)
        self.app = CacheMiddleware(app, cache=self.cache)
        self.app._handler._clock = lambda: self.now

    async def call(self, body: bytes | Sequence[bytes], **options: Any) -> Answered:
        return await call(self.app, body, **options)

    async def events(self) -> list[CacheEvent]:
        assert self.cache.events is not None
        await self.cache.events.drain()
        heard, self.heard[:] = list(self.heard), []
        return heard

    async def only(self) -> CacheEvent:
        (event,) = await self.events()
        assert event.duration >= 0
        return event


async def test_a_miss_is_told_and_then_a_hit() -> None:
    watch = Watch(Dictated(), ttl=100)
    answered = await watch.call(chat_body())
    miss = await watch.only()
    assert (miss.time, miss.call_type, miss.model) == (watch.now, "completion", "m")
    assert (miss.outcome, miss.forwarded, miss.stored) == ("miss", "miss", True)
    assert (miss.reason, miss.age, miss.ttl) == (None, None, 100)
    assert (miss.status, miss.bytes, miss.usage) == (200, len(answered.body), USAGE)
    assert miss.namespace == "askonce"
    watch.now += 30
    await watch.call(chat_body())
    hit = await watch.only()
    assert (hit.outcome, hit.forwarded, hit.stored) == ("hit", None, False)
    assert (hit.time, hit.age, hit.ttl, hit.reason) == (watch.now, 30, 70, None)
    assert (hit.status, hit.bytes, hit.usage) == (200, len(answered.body), USAGE)
    assert hit.key == miss.key
    assert hit.key is not None
    assert hit.key.startswith("askonce:")


async def test_a_stream_ends_in_one_event_when_it_ends() -> None:
    app = Dictated().streams()
    watch = Watch(app)
    heard_early: list[int] = []

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            heard_early.append(len(watch.heard))
            await send(message)

        await app(scope, receive, sending)

    watch.app._app = slow
    answered = await watch.call(chat_body(stream=True))
    event = await watch.only()
    assert set(heard_early) == {0}
    assert (event.outcome, event.stored, event.bytes) == ("miss", True, len(answered.body))
    assert event.usage is None
    assert watch.cache.stats().misses == 1


async def test_a_hit_in_another_shape_tells_the_usage_that_was_not_bought() -> None:
    watch = Watch(Dictated())
    await watch.call(chat_body())
    streamed = await watch.call(chat_body(stream=True))
    _, hit = await watch.events()
    assert (hit.outcome, hit.usage, hit.bytes) == ("hit", USAGE, len(streamed.body))


async def test_an_answer_is_over_before_the_apps_background_tasks_are() -> None:
    answered, over = asyncio.Event(), asyncio.Event()
    app = Dictated()

    async def busy(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope, receive, send)
        answered.set()
        await over.wait()

    watch = Watch(busy)
    for body in (chat_body(), chat_body(store=True)):
        answered.clear()
        over.clear()
        calling = asyncio.create_task(watch.call(body))
        await answered.wait()
        assert len(await watch.events()) == 1
        assert not calling.done()
        over.set()
        await calling
        assert await watch.events() == []


REASONS: dict[str, tuple[Dictated, dict[str, Any], str]] = {
    "status": (Dictated(status=503), {}, "status"),
    "set-cookie": (Dictated().says((b"set-cookie", b"a=b")), {}, "set-cookie"),
    "vary": (Dictated().says((b"vary", b"*")), {}, "vary"),
    "private": (Dictated().says((b"cache-control", b"private")), {}, "response-private"),
    "content-type": (Dictated(headers=[]), {}, "content-type"),
    "length": (Dictated().says((b"content-length", b"1")), {}, "content-length"),
    "coding": (Dictated().says((b"content-encoding", b"gzip")), {}, "content-encoding"),
    "malformed": (Dictated(body=(b"no JSON",)), {}, "malformed"),
    "no-done": (Dictated().streams(*STREAM[:-1]), {}, "no-done"),
    "filtered": (
        Dictated().streams(chunk({"role": "assistant"}), chunk({}, "content_filter"), DONE),
        {},
        "content-filter",
    ),
    "too-large": (Dictated(), {"max_response_bytes": 10}, "too-large"),
    "ttl": (Dictated(), {"ttl": 0}, "ttl"),
}


@pytest.mark.parametrize("name", REASONS)
async def test_a_miss_that_is_not_stored_says_why(name: str) -> None:
    app, settings, reason = REASONS[name]
    watch = Watch(app, **settings)
    answered = await watch.call(chat_body(stream="streams" in name))
    event = await watch.only()
    assert (event.outcome, event.forwarded, event.stored) == ("miss", "miss", False)
    assert (event.reason, event.ttl) == (reason, None)
    assert (event.status, event.bytes) == (app.status, len(answered.body))


async def test_an_answer_without_usage_beside_one_that_has_it_says_so() -> None:
    app = Dictated()
    watch = Watch(app)
    await watch.call(chat_body())
    app.streams()
    await watch.call(chat_body(stream=True), headers=[("cache-control", "no-cache")])
    _, event = await watch.events()
    assert (event.outcome, event.forwarded, event.reason) == ("miss", "request", "usage")
    assert watch.cache.stats().misses == 1


async def test_a_request_that_forbids_to_store_leaves_no_key() -> None:
    watch = Watch(Dictated())
    await watch.call(chat_body(), headers=[("cache-control", "no-store")])
    miss = await watch.only()
    assert (miss.outcome, miss.reason, miss.key, miss.usage) == ("miss", "no-store", None, None)
    await watch.call(chat_body())
    await watch.call(chat_body(), headers=[("cache-control", "no-store")])
    _, hit = await watch.events()
    assert (hit.outcome, hit.key) == ("hit", None)


async def test_a_namespace_is_told_as_it_stands_in_keys() -> None:
    watch = Watch(Dictated(), namespace="a b")
    await watch.call(chat_body(cache={"namespace": "c/d"}))
    assert (await watch.only()).namespace == "a%20b/c%2Fd"
    await watch.call(b"{")
    assert (await watch.only()).namespace == "a%20b"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{", "malformed-json"),
        (chat_body(store=True), "store"),
        (b" " * 2000, "request-too-large"),
        ([b" " * 1500, b" " * 1500], "request-too-large"),
    ],
)
async def test_a_bypass_says_why_and_is_counted(body: Any, reason: str) -> None:
    watch = Watch(Dictated(), max_request_bytes=1024)
    answered = await watch.call(body)
    event = await watch.only()
    assert (event.outcome, event.forwarded, event.reason) == ("bypass", "bypass", reason)
    assert (event.model, event.key, event.usage) == (None, None, None)
    assert (event.status, event.bytes) == (200, len(answered.body))
    assert watch.cache.stats().bypasses == 1


async def test_a_stale_hit_is_told_once_and_its_refresh_not_at_all() -> None:
    app = Dictated()
    watch = Watch(app, ttl=10, stale_while_revalidate=100)
    await watch.call(chat_body())
    watch.now += 15
    await watch.call(chat_body())
    await watch.app._drain()
    assert app.calls == 2
    await watch.call(chat_body())
    _, stale, hit = await watch.events()
    assert (stale.outcome, stale.age, stale.ttl, stale.stored) == ("stale", 15, -5, False)
    assert (stale.usage, stale.forwarded) == (USAGE, None)
    assert (hit.outcome, hit.age) == ("hit", 0)


async def test_an_expired_answer_is_a_miss_that_says_so() -> None:
    watch = Watch(Dictated(), ttl=10, stale_if_error=100)
    await watch.call(chat_body())
    watch.now += 15
    await watch.call(chat_body())
    _, event = await watch.events()
    assert (event.outcome, event.forwarded, event.stored) == ("miss", "stale", True)


@pytest.mark.parametrize(("status", "reason"), [(503, "503"), (None, "exception")])
async def test_a_stored_answer_that_stands_in_is_told(status: int | None, reason: str) -> None:
    app = Dictated()
    watch = Watch(app, ttl=10, stale_if_error=100)
    await watch.call(chat_body())
    watch.now += 15

    async def fails(scope: Scope, receive: Receive, send: Send) -> None:
        if status is None:
            raise ValueError("the app fails")
        app.status = status
        await app(scope, receive, send)

    watch.app._app = fails
    answered = await watch.call(chat_body())
    _, event = await watch.events()
    assert (event.outcome, event.reason, event.forwarded) == ("stale-if-error", reason, "stale")
    assert (event.status, event.bytes, event.usage) == (200, len(answered.body), USAGE)
    assert (event.age, event.ttl, event.stored) == (15, -5, False)


async def test_a_refusal_is_told() -> None:
    watch = Watch(Dictated())
    only_if_cached = [("cache-control", "only-if-cached")]
    await watch.call(chat_body(), headers=only_if_cached)
    event = await watch.only()
    assert (event.outcome, event.reason, event.status) == ("refused", "only-if-cached", 504)
    await watch.call(b"{", headers=only_if_cached)
    event = await watch.only()
    assert (event.outcome, event.reason, event.status) == ("refused", "malformed-json", 504)


async def test_a_wrong_cache_object_is_told_without_its_contents() -> None:
    watch = Watch(Dictated())
    await watch.call(chat_body(cache={"secret": 1}))
    event = await watch.only()
    assert (event.outcome, event.status) == ("invalid", 400)
    assert event.reason == "invalid-cache-control"
    assert "secret" not in repr(event)


async def test_what_is_not_ours_is_not_told() -> None:
    watch = Watch(Dictated())
    await watch.call(chat_body(), path="/v1/models")
    await watch.call(b'{"question": "?"}')
    await watch.call(chat_body(), method="GET")
    assert await watch.events() == []


async def test_no_content_and_no_credentials_are_told() -> None:
    watch = Watch(Dictated())
    headers = [("authorization", "Bearer sk-hidden")]
    for _ in range(2):
        await watch.call(chat_body(messages=[{"role": "user", "content": "hush"}]), headers=headers)
    told = repr(await watch.events())
    assert "sk-hidden" not in told
    assert "hush" not in told
    assert "hello" not in told


# ---- backends


class Broken(DiskCache):
    """A backend that fails as it is told to."""

    reads = writes = True

    async def async_get_entry(self, key: str) -> Any:
        if not self.reads:
            raise BackendError("no read")
        return await super().async_get_entry(key)

    async def async_set_entry(self, entry: Any, retention: float) -> None:
        if not self.writes:
            raise BackendError("no write")
        await super().async_set_entry(entry, retention)


async def test_a_backends_failures_are_told(tmp_path: Path) -> None:
    backend = Broken(str(tmp_path))
    watch = Watch(Dictated(), Cache(backend=backend))
    backend.reads = False
    await watch.call(chat_body())
    event = await watch.only()
    assert (event.outcome, event.reason, event.stored) == ("miss", "backend-error", True)
    backend.reads, backend.writes = True, False
    await watch.call(chat_body(seed=1))
    event = await watch.only()
    assert (event.outcome, event.reason, event.stored) == ("miss", "backend-error", False)
    assert event.usage == USAGE
    assert watch.cache.stats().errors == 2
    await backend.disconnect()


async def test_a_miss_is_told_as_stored_once_it_is_written(tmp_path: Path) -> None:
    watch = Watch(Dictated(), Cache(type="disk", disk_cache_dir=str(tmp_path)))
    for _ in range(2):
        await watch.call(chat_body())
    miss, hit = await watch.events()
    assert (miss.outcome, miss.stored, hit.outcome) == ("miss", True, "hit")
    assert watch.cache.stats().misses == 1
    await watch.cache.disconnect()


# ---- broken off


async def _ask(app: ASGIApp, messages: list[Message], send: Send) -> None:
    async def receive() -> Message:
        if not messages:
            await asyncio.Event().wait()
        return messages.pop(0)

    await app(http_scope(), receive, send)


BODY: Message = {"type": "http.request", "body": chat_body(stream=True)}
GONE: Message = {"type": "http.disconnect"}


async def _nowhere(message: Message) -> None:
    pass


@pytest.mark.parametrize("messages", [[GONE], [BODY | {"more_body": True}, GONE]])
async def test_a_client_that_leaves_while_it_asks_is_told(messages: list[Message]) -> None:
    app = Dictated()
    watch = Watch(app)
    await _ask(watch.app, list(messages), _nowhere)
    event = await watch.only()
    assert (event.outcome, event.reason, event.status) == ("gone", "client-gone", None)
    assert app.calls == 0


async def test_a_client_that_leaves_what_is_not_ours_is_not_told() -> None:
    async def listening(scope: Scope, receive: Receive, send: Send) -> None:
        await read(receive)
        assert (await receive())["type"] == "http.disconnect"

    watch = Watch(listening)
    await _ask(watch.app, [BODY | {"body": b'{"question": "?"}'}, GONE], _nowhere)
    assert await watch.events() == []


async def test_a_client_that_leaves_while_it_is_answered_is_told() -> None:
    async def listening(scope: Scope, receive: Receive, send: Send) -> None:
        await read(receive)
        head = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": STREAM[0], "more_body": True})
        assert (await receive())["type"] == "http.disconnect"

    watch = Watch(listening)
    await _ask(watch.app, [BODY, GONE], _nowhere)
    event = await watch.only()
    assert (event.outcome, event.stored, event.reason) == ("miss", False, "client-gone")
    assert event.bytes == len(STREAM[0])


async def test_a_client_whom_nothing_can_be_sent_any_more_is_told() -> None:
    async def broken(message: Message) -> None:
        if message["type"] == "http.response.body":
            raise OSError("broken pipe")

    watch = Watch(Dictated().streams())
    with pytest.raises(OSError, match="broken pipe"):
        await _ask(watch.app, [BODY], broken)
    event = await watch.only()
    assert (event.outcome, event.stored, event.reason) == ("miss", False, "client-gone")


@pytest.mark.parametrize("when", ["before", "within"])
async def test_an_app_that_fails_is_told(when: str) -> None:
    app = Dictated(ends=False).streams()

    async def fails(scope: Scope, receive: Receive, send: Send) -> None:
        if when == "within":
            await app(scope, receive, send)
        raise ValueError("the app fails")

    watch = Watch(fails)
    with pytest.raises(ValueError, match="the app fails"):
        await watch.call(chat_body(stream=True))
    event = await watch.only()
    assert (event.outcome, event.stored, event.reason) == ("miss", False, "exception")
    assert event.status == (200 if when == "within" else None)


async def test_an_app_that_does_not_end_its_answer_is_told() -> None:
    watch = Watch(Dictated(ends=False).streams())
    await watch.call(chat_body(stream=True))
    event = await watch.only()
    assert (event.outcome, event.stored, event.reason) == ("miss", False, "unfinished")


async def test_a_request_that_is_cancelled_is_told() -> None:
    begun = asyncio.Event()

    async def waits(scope: Scope, receive: Receive, send: Send) -> None:
        begun.set()
        await asyncio.Event().wait()

    watch = Watch(waits)
    calling = asyncio.create_task(watch.call(chat_body()))
    await begun.wait()
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    assert (await watch.only()).reason == "cancelled"


async def test_a_fault_of_ours_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Watch(Dictated())
    monkeypatch.setattr(watch.app._handler, "_decided", None)
    await watch.call(chat_body())
    event = await watch.only()
    assert (event.outcome, event.reason) == ("bypass", "internal-error")


async def test_an_answer_that_we_fail_to_examine_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Recording, "_examined", None)
    watch = Watch(Dictated())
    assert (await watch.call(chat_body())).status == 200
    event = await watch.only()
    assert (event.outcome, event.stored, event.reason) == ("miss", False, "internal-error")


# ---- long answers


async def test_the_usage_of_a_long_answer_is_read_off_the_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(observation, "INLINE_BYTES", 100)
    watch = Watch(Dictated(body=(completion("x" * 200),)))
    for _ in range(2):
        await watch.call(chat_body())
    assert [event.usage for event in await watch.events()] == [USAGE, USAGE]


# ---- nobody listens


async def test_nothing_is_made_while_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("nobody listens")

    monkeypatch.setattr(observation.Observation, "__init__", refuse)
    app = Dictated()
    cached = CacheMiddleware(app, CacheSettings())
    first = await call(cached, chat_body())
    assert (await call(cached, chat_body())).body == first.body
    assert app.calls == 1
    assert json.loads(first.body)


async def test_an_app_that_sends_no_bytes_at_its_end_is_counted_all_the_same() -> None:
    async def ended_by_none(scope: Any, receive: Any, send: Any) -> None:
        head = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": completion(), "more_body": True})
        await send({"type": "http.response.body", "body": None})

    events: list[CacheEvent] = []
    cache = Cache(type="local")
    cache.subscribe(events.append)
    answered = await call(CacheMiddleware(ended_by_none, cache=cache), chat_body())
    await cache.disconnect()
    assert answered.messages[1]["body"] == completion()
    assert [(event.outcome, event.bytes) for event in events] == [("miss", len(completion()))]


async def test_a_logger_whose_failure_method_stops_hears_what_comes_after() -> None:
    heard: list[Any] = []

    class Stopping:
        async def async_log_success_event(self, kwargs: Any, *_others: Any) -> None:
            heard.append(kwargs["cache_hit"])

        def log_failure_event(self, *_others: Any) -> None:
            raise StopIteration

    cache = Cache(type="local")
    cache.subscribe(Stopping())
    app = Dictated(status=500)
    await call(CacheMiddleware(app, cache=cache), chat_body())
    app.status = 200
    await call(CacheMiddleware(app, cache=cache), chat_body())
    await cache.disconnect()
    assert heard == [False]
