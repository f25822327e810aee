"""The middleware, called as a server calls it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from askonce import Cache, CacheMiddleware, CacheSettings
from askonce.errors import AlreadyWrappedError, SettingsError
from support.asgi import (
    CHAT,
    DONE,
    STREAM,
    Dictated,
    call,
    chat_body,
    completion,
    http_scope,
    wrap,
)

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send


async def test_the_second_identical_question_is_answered_from_the_cache() -> None:
    app = Dictated()
    cached = wrap(app)
    first = await call(cached, chat_body())
    second = await call(cached, chat_body())
    assert app.calls == 1
    assert first.cache_status == "askonce; fwd=miss; stored"
    assert second.cache_status == "askonce; hit; ttl=3599"
    assert second.all("age") == ["0"]
    assert (second.status, second.body) == (first.status, first.body)
    assert second.all("content-length") == [str(len(second.body))]
    assert second.all("content-type") == ["application/json"]


async def test_a_stream_is_replayed_as_it_came() -> None:
    app = Dictated().streams()
    cached = wrap(app)
    first = await call(cached, chat_body(stream=True))
    second = await call(cached, chat_body(stream=True))
    assert app.calls == 1
    assert first.cache_status == "askonce; fwd=miss"
    assert second.cache_status == "askonce; hit; ttl=3599"
    assert second.body == first.body == b"".join(STREAM)
    assert second.all("content-length") == []


async def test_a_stored_plain_answer_serves_a_stream() -> None:
    app = Dictated()
    cached = wrap(app)
    await call(cached, chat_body())
    streamed = await call(cached, chat_body(stream=True))
    assert app.calls == 1
    assert streamed.all("content-type") == ["text/event-stream; charset=utf-8"]
    assert streamed.body.endswith(DONE)
    assert b'"hello"' in streamed.body
    again = await call(cached, chat_body(stream=True))
    assert again.body == streamed.body


async def test_a_stored_stream_with_usage_serves_a_plain_request() -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    event = {"id": "1", "object": "chat.completion.chunk", "model": "m", "choices": []}
    last = b"data: " + json.dumps(event | {"usage": usage}).encode() + b"\n\n"
    app = Dictated().streams(*STREAM[:-1], last, DONE)
    cached = wrap(app)
    await call(cached, chat_body(stream=True, stream_options={"include_usage": True}))
    plain = await call(cached, chat_body())
    assert app.calls == 1
    assert plain.json["choices"][0]["message"]["content"] == "hello"
    assert plain.json["usage"] == usage
    assert plain.all("content-length") == [str(len(plain.body))]


async def test_an_answer_without_a_usage_is_replaced_by_one_that_has_it_and_never_back() -> None:
    app = Dictated().streams()
    cached = wrap(app)
    await call(cached, chat_body(stream=True))
    app.headers, app.body = [(b"content-type", b"application/json")], (completion("rich"),)
    assert (await call(cached, chat_body())).cache_status == "askonce; fwd=miss; stored"
    app.streams()
    poorer = [("cache-control", "no-cache")]
    assert (await call(cached, chat_body(stream=True), headers=poorer)).body == b"".join(STREAM)
    assert (await call(cached, chat_body())).json["choices"][0]["message"]["content"] == "rich"


@pytest.mark.parametrize(
    "path",
    [
        "/v1/threads/t/messages",
        "/forms/7/responses",
        "/forms/7/completions",
        "/completions",
        "/chat/completions/",
        "/v1/models",
        "/",
    ],
)
async def test_lookalike_routes_are_untouched(path: str) -> None:
    app = Dictated()
    cached = wrap(app)
    scope = http_scope(path)
    for _ in range(2):
        answered = await call(cached, chat_body(prompt="x"), scope=scope)
        assert answered.all("cache-status") == []
    assert app.calls == 2
    assert app.scopes[0] is scope


@pytest.mark.parametrize("body", [{"question": "?"}, {"messages": [{}]}, {"model": "m"}])
async def test_a_body_without_the_apis_shape_is_untouched(body: dict[str, Any]) -> None:
    app = Dictated()
    cached = wrap(app)
    data = json.dumps(body | {"cache": {"ttl": 5}}).encode()
    for _ in range(2):
        assert (await call(cached, data)).all("cache-status") == []
    assert app.bodies == [data, data]


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"])
async def test_other_methods_pass(method: str) -> None:
    app = Dictated()
    cached = wrap(app)
    for _ in range(2):
        assert (await call(cached, chat_body(), method=method)).all("cache-status") == []
    assert app.calls == 2


@pytest.mark.parametrize("kind", ["websocket", "lifespan"])
async def test_other_scopes_pass_untouched(kind: str) -> None:
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)
        await send(await receive())

    scope: Scope = {"type": kind, "path": CHAT}
    said: list[Message] = []

    async def receive() -> Message:
        return {"type": f"{kind}.connect"}

    async def send(message: Message) -> None:
        said.append(message)

    await wrap(app)(scope, receive, send)
    assert seen[0] is scope
    assert said == [{"type": f"{kind}.connect"}]


async def test_only_if_cached_is_a_504_that_sdks_do_not_repeat() -> None:
    app = Dictated()
    cached = wrap(app)
    only = [("cache-control", "only-if-cached")]
    refused = await call(cached, chat_body(), headers=only)
    assert (refused.status, app.calls) == (504, 0)
    assert refused.cache_status == "askonce; detail=only-if-cached"
    assert refused.all("x-should-retry") == ["false"]
    assert refused.json["error"]["message"]
    await call(cached, chat_body())
    assert "hit" in (await call(cached, chat_body(), headers=only)).cache_status


@pytest.mark.parametrize("body", [chat_body(store=True), b"{", chat_body(user="x" * 300)])
async def test_only_if_cached_never_reaches_the_app(body: bytes) -> None:
    app = Dictated()
    cached = wrap(app, max_request_bytes=200)
    refused = await call(cached, body, headers=[("cache-control", "only-if-cached")])
    assert (refused.status, app.calls) == (504, 0)


async def test_no_store_leaves_nothing_behind() -> None:
    app = Dictated()
    cached = wrap(app)
    for _ in range(2):
        answered = await call(cached, chat_body(), headers=[("cache-control", "no-store")])
        assert answered.cache_status == "askonce; fwd=miss"
    assert app.calls == 2


async def test_default_off_needs_an_opt_in() -> None:
    app = Dictated()
    cached = wrap(app, mode="default_off")
    assert "fwd=bypass" in (await call(cached, chat_body())).cache_status
    use = [("cache-control", "use-cache")]
    await call(cached, chat_body(), headers=use)
    assert "hit" in (await call(cached, chat_body(cache={"use-cache": True}))).cache_status


async def test_our_member_comes_behind_the_apps_own() -> None:
    app = Dictated().says((b"cache-status", b"inner; hit"))
    cached = wrap(app)
    assert (await call(cached, chat_body())).all("cache-status") == [
        "inner; hit",
        "askonce; fwd=miss; stored",
    ]
    assert len((await call(cached, chat_body())).all("cache-status")) == 1


async def test_the_key_is_shown_only_if_asked_for() -> None:
    cached = wrap(Dictated(), expose_key=True, namespace="n")
    assert '; key="n:' in (await call(cached, chat_body())).cache_status
    assert '; key="n:' in (await call(cached, chat_body())).cache_status


async def test_wrapping_twice_is_an_error_where_it_can_be_seen() -> None:
    with pytest.raises(AlreadyWrappedError, match="twice"):
        wrap(wrap(Dictated()))


async def test_wrapping_twice_further_apart_caches_once(caplog: pytest.LogCaptureFixture) -> None:
    app = Dictated()
    inner = wrap(app)

    async def between(scope: Scope, receive: Receive, send: Send) -> None:
        await inner(scope, receive, send)

    outer = wrap(between)
    for _ in range(2):
        answered = await call(outer, chat_body(), headers=[("cache-control", "no-cache")])
        assert len(answered.all("cache-status")) == 1
    assert caplog.text.count("twice") == 1


async def test_an_admin_path_is_refused_in_words() -> None:
    with pytest.raises(SettingsError, match="admin_path"):
        CacheMiddleware(Dictated(), admin_path="/cache")


async def test_given_both_the_cache_decides_where_and_the_settings_the_rest() -> None:
    shared = Cache(type="local")
    first = CacheMiddleware(Dictated(), CacheSettings(ttl=60), shared)
    second = CacheMiddleware(Dictated(), CacheSettings(ttl=9), shared)
    await call(first, chat_body())
    assert (await call(second, chat_body())).cache_status == "askonce; hit; ttl=59"


async def test_the_environment_decides_where_nothing_else_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ASKONCE_TTL", "60")
    cached = CacheMiddleware(Dictated())
    await call(cached, chat_body())
    assert (await call(cached, chat_body())).cache_status == "askonce; hit; ttl=59"


async def test_a_route_of_the_operators_is_cached() -> None:
    cached = wrap(Dictated(), routes={"/ask": "completion"})
    await call(cached, chat_body(), "/ask")
    assert "hit" in (await call(cached, chat_body(), "/ask")).cache_status


async def test_only_the_call_types_asked_for_are_cached() -> None:
    app = Dictated()
    cached = wrap(app, supported_call_types=["text_completion"])
    assert (await call(cached, chat_body())).all("cache-status") == []


FAULTS = {
    "askonce.recording.keep": "could not be examined",
    "askonce.heads.Heads.read": "could not be read",
}


async def test_a_fault_of_our_own_is_invisible_to_the_client(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    app = Dictated()
    cached = wrap(app)

    def broken(*args: object) -> None:
        raise RuntimeError("ours")

    monkeypatch.setattr(cached._handler.cache, "find", broken)
    answered = await call(cached, chat_body())
    assert answered.cache_status == "askonce; fwd=bypass; detail=internal-error"
    assert answered.body == completion()
    for place, complaint in FAULTS.items():
        monkeypatch.undo()
        monkeypatch.setattr(place, broken)
        for _ in range(2):
            answered = await call(cached, chat_body())
            assert (answered.cache_status, answered.body) == ("askonce; fwd=miss", completion())
        assert complaint in caplog.text


@pytest.mark.parametrize("end", ["lifespan.shutdown.complete", "lifespan.shutdown.failed"])
@pytest.mark.parametrize("given", [False, True])
async def test_a_lifespan_ends_with_what_was_opened_closed_and_only_that(
    end: str, given: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in ("lifespan.startup.complete", end):
            await receive()
            await send({"type": message})

    cache = Cache(type="local") if given else None
    cached = CacheMiddleware(app, CacheSettings(), cache)
    order: list[str] = []

    async def disconnect() -> None:
        order.append("closed")

    monkeypatch.setattr(cached._handler.cache, "disconnect", disconnect)
    incoming = iter(("lifespan.startup", "lifespan.shutdown"))

    async def receive() -> Message:
        return {"type": next(incoming)}

    async def send(message: Message) -> None:
        order.append(message["type"])

    await cached({"type": "lifespan"}, receive, send)
    closed = [] if given else ["closed"]
    assert order == ["lifespan.startup.complete", *closed, end]
