"""The middleware, called as a server calls it."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest

from askonce import Cache, CacheMiddleware, CacheSettings
from askonce.errors import AlreadyWrappedError, SettingsError
from support.asgi import (
    CHAT,
    DONE,
    QUESTION,
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
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


def wrap(app: ASGIApp, **settings: Any) -> CacheMiddleware:
    return CacheMiddleware(app, CacheSettings(**settings))


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


async def test_query_is_cached_apart_from_post() -> None:
    app = Dictated()
    cached = wrap(app)
    await call(cached, chat_body())
    assert (await call(cached, chat_body(), method="QUERY")).cache_status.startswith(
        "askonce; fwd=miss"
    )
    assert "hit" in (await call(cached, chat_body(), method="QUERY")).cache_status


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


BAD_BODIES = {
    "empty": b"",
    "malformed": b'{"model": "m", "messages": [}',
    "duplicate": b'{"model": "m", "model": "m", "messages": []}',
    "nan": b'{"model": "m", "messages": [], "temperature": NaN}',
    "infinity": b'{"model": "m", "messages": [], "temperature": -Infinity}',
    "deep": b'{"model": "m", "messages": ' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    "utf8": b'{"model": "m\xff", "messages": []}',
    "surrogate": b'{"model": "m\\ud800", "messages": []}',
    "bom": b"\xef\xbb\xbf" + chat_body(),
    "array": b"[1, 2]",
    "messages": b'{"model": "m", "messages": "hi"}',
    "model": b'{"model": 7, "messages": []}',
    "stream": b'{"model": "m", "messages": [], "stream": "yes"}',
    "tail": chat_body() + b"x",
}


@pytest.mark.parametrize("name", BAD_BODIES)
async def test_a_bad_body_is_the_apps_to_answer(name: str) -> None:
    body = BAD_BODIES[name]
    app = Dictated()
    cached = wrap(app)
    for _ in range(2):
        answered = await call(cached, body)
        assert answered.cache_status.startswith("askonce; fwd=bypass; detail=")
        assert answered.body == completion()
    assert app.bodies == [body, body]


@pytest.mark.parametrize("parts", [1, 3])
async def test_a_body_over_the_limit_streams_on_uncached(parts: int) -> None:
    body = chat_body(user="x" * 300)
    size = -(-len(body) // parts)
    pieces = [body[n : n + size] for n in range(0, len(body), size)]
    app = Dictated()
    cached = wrap(app, max_request_bytes=200)
    for _ in range(2):
        answered = await call(cached, pieces)
        assert answered.cache_status == "askonce; fwd=bypass; detail=request-too-large"
    assert app.bodies == [body, body]


async def test_a_body_in_pieces_has_the_key_of_the_whole() -> None:
    app = Dictated()
    cached = wrap(app)
    body = chat_body()
    await call(cached, [body[:10], body[10:20], body[20:], b""])
    assert "hit" in (await call(cached, body)).cache_status
    assert app.bodies == [body]


async def test_a_compressed_body_is_understood_and_passed_on_as_it_came() -> None:
    app = Dictated()
    cached = wrap(app)
    packed = gzip.compress(chat_body(), mtime=0)
    gzipped = [("content-encoding", "gzip")]
    assert "fwd=miss" in (await call(cached, packed, headers=gzipped)).cache_status
    assert "hit" in (await call(cached, packed, headers=gzipped)).cache_status
    assert app.bodies == [packed]


@pytest.mark.parametrize("coding", ["gzip", "snappy", "gzip, gzip"])
async def test_a_body_that_cannot_be_decoded_is_bypassed(coding: str) -> None:
    app = Dictated()
    cached = wrap(app)
    answered = await call(cached, chat_body(), headers=[("content-encoding", coding)])
    assert answered.cache_status == "askonce; fwd=bypass; detail=content-encoding"
    assert app.bodies == [chat_body()]


async def test_the_cache_object_is_cut_out_before_the_app_sees_the_body() -> None:
    app = Dictated()
    cached = wrap(app)
    body = b'{"model": "m",  "cache": {"ttl": 5}, "messages": [ ]}'
    digest = [("content-digest", "sha-256=:x:"), ("content-length", str(len(body)))]
    answered = await call(cached, body, headers=digest)
    assert "fwd=miss" in answered.cache_status
    left = app.bodies[0]
    assert json.loads(left) == {"model": "m", "messages": []}
    fields = dict(app.scopes[0]["headers"])
    assert fields[b"content-length"] == b"%d" % len(left)
    assert b"content-digest" not in fields
    assert "ttl=4" in (await call(cached, body, headers=digest)).cache_status


async def test_a_compressed_body_whose_cache_object_is_cut_goes_on_decoded() -> None:
    app = Dictated()
    packed = gzip.compress(chat_body(cache={"ttl": 5}))
    await call(wrap(app), packed, headers=[("content-encoding", "gzip")])
    assert json.loads(app.bodies[0]) == QUESTION
    assert b"content-encoding" not in dict(app.scopes[0]["headers"])


async def test_a_cut_body_has_one_length_however_its_fields_were_spelled() -> None:
    app = Dictated()
    packed = gzip.compress(chat_body(cache={"ttl": 5}))
    scope = http_scope()
    scope["headers"] += [
        (b"Transfer-Encoding", b"chunked"),
        (b"Content-Length", b"%d" % len(packed)),
        (b"Content-Encoding", b"gzip"),
    ]
    await call(wrap(app), packed, scope=scope)
    fields = [(name.lower(), value) for name, value in app.scopes[0]["headers"]]
    described = [field for field in fields if field[0].startswith((b"transfer", b"content-"))]
    length = (b"content-length", b"%d" % len(app.bodies[0]))
    assert described == [(b"content-type", b"application/json"), length]


async def test_the_cache_object_is_cut_out_of_bypassed_bodies_too() -> None:
    app = Dictated()
    answered = await call(wrap(app), chat_body(store=True, cache={"no-store": True}))
    assert answered.cache_status == "askonce; fwd=bypass; detail=store"
    assert json.loads(app.bodies[0]) == QUESTION | {"store": True}


@pytest.mark.parametrize("wrong", [{"ttl": "x"}, {"ttl": True}, {"nonsense": 1}, {"no-cache": 1}])
async def test_a_wrong_cache_object_is_refused_by_name(wrong: dict[str, Any]) -> None:
    app = Dictated()
    answered = await call(wrap(app), chat_body(cache=wrong))
    assert answered.status == 400
    assert answered.json["error"]["param"] == f"cache.{next(iter(wrong))}"
    assert app.calls == 0


async def test_a_cache_member_that_is_no_object_is_keyed_and_passed_on() -> None:
    app = Dictated()
    cached = wrap(app)
    await call(cached, chat_body(cache="a"))
    assert "fwd=miss" in (await call(cached, chat_body(cache="b"))).cache_status
    assert json.loads(app.bodies[0])["cache"] == "a"


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


async def test_namespaces_are_apart() -> None:
    app = Dictated()
    cached = wrap(app)
    await call(cached, chat_body(cache={"namespace": "a"}))
    assert "fwd=miss" in (await call(cached, chat_body())).cache_status
    in_b = [("cache-control", 'namespace="b"')]
    assert "fwd=miss" in (await call(cached, chat_body(), headers=in_b)).cache_status
    in_a = [("cache-control", 'namespace="a"')]
    assert "hit" in (await call(cached, chat_body(), headers=in_a)).cache_status
    both = await call(cached, chat_body(cache={"namespace": "a"}), headers=in_b)
    assert both.cache_status == "askonce; fwd=bypass; detail=namespace-conflict"


@pytest.mark.parametrize("number", ["-0", " -0 "])
async def test_a_number_that_reading_would_change_is_not_cached(number: str) -> None:
    app = Dictated()
    cached = wrap(app)
    body = chat_body(cache={"ttl": 5})[:-1] + b', "x": [%b]}' % number.encode()
    answered = await call(cached, body)
    assert answered.cache_status == "askonce; fwd=bypass; detail=number-range"
    assert b"cache" not in app.bodies[0]
    assert number.encode() in app.bodies[0]


CREDENTIALS = [
    "authorization",
    "proxy-authorization",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "cookie",
    "openai-organization",
    "openai-project",
    "openai-beta",
    "anthropic-version",
    "anthropic-beta",
    "host",
]


@pytest.mark.parametrize("name", CREDENTIALS)
async def test_callers_do_not_share(name: str) -> None:
    app = Dictated()
    cached = wrap(app)
    await call(cached, chat_body(), headers=[(name, "a")])
    assert "fwd=miss" in (await call(cached, chat_body(), headers=[(name, "b")])).cache_status
    assert "fwd=miss" in (await call(cached, chat_body())).cache_status
    assert "hit" in (await call(cached, chat_body(), headers=[(name, "a")])).cache_status


async def test_callers_share_only_on_the_operators_word() -> None:
    app = Dictated()
    cached = wrap(app, share_between_callers=True)
    await call(cached, chat_body(user="x"), headers=[("authorization", "a")])
    shared = await call(cached, chat_body(user="y"), headers=[("authorization", "b")])
    assert "hit" in shared.cache_status


async def test_a_doubled_credential_is_bypassed() -> None:
    twice = [("authorization", "a"), ("authorization", "b")]
    answered = await call(wrap(Dictated()), chat_body(), headers=twice)
    assert answered.cache_status == "askonce; fwd=bypass; detail=doubled-credentials"


class User:
    is_authenticated = True

    def __init__(self, name: str | None) -> None:
        self.identity = name


async def test_an_authenticated_user_is_a_caller() -> None:
    app = Dictated()
    cached = wrap(app)
    for name in ("ann", "bob"):
        scope = http_scope(user=User(name))
        assert "fwd=miss" in (await call(cached, chat_body(), scope=scope)).cache_status
    scope = http_scope(user=User("ann"))
    assert "hit" in (await call(cached, chat_body(), scope=scope)).cache_status
    nameless = await call(cached, chat_body(), scope=http_scope(user=User(None)))
    assert nameless.cache_status == "askonce; fwd=bypass; detail=unknown-user"


async def test_keyed_headers_are_the_operators_to_add() -> None:
    cached = wrap(Dictated(), keyed_headers=["X-Tenant"])
    await call(cached, chat_body(), headers=[("x-tenant", "a")])
    assert "miss" in (await call(cached, chat_body(), headers=[("x-tenant", "b")])).cache_status


@pytest.mark.parametrize("status", [201, 301, 400, 429, 500])
async def test_other_statuses_are_not_stored(status: int) -> None:
    app = Dictated(status=status)
    cached = wrap(app)
    for _ in range(2):
        assert (await call(cached, chat_body())).cache_status == "askonce; fwd=miss"
    assert app.calls == 2


INCOMPLETE: dict[str, Dictated] = {
    "no terminal event": Dictated().streams(*STREAM[:-1]),
    "no finish reason": Dictated().streams(*STREAM[:-2], DONE),
    "content filter": Dictated().streams(*STREAM[:-2], chunk({}, "content_filter"), DONE),
    "an error event": Dictated().streams(*STREAM[:2], b'data: {"error": {}}\n\n', *STREAM[2:]),
    "plain without a choice": Dictated(body=(completion(choices=[]),)),
    "a lie about the length": Dictated().says((b"content-length", b"3")),
    "a foreign cookie": Dictated().says((b"set-cookie", b"session=1")),
    "vary star": Dictated().says((b"vary", b"*")),
    "private": Dictated().says((b"cache-control", b"private")),
    "unknown coding": Dictated().says((b"content-encoding", b"snappy")),
    "the app did not finish": Dictated(ends=False),
}


@pytest.mark.parametrize("name", INCOMPLETE)
async def test_what_is_not_whole_or_personal_is_not_stored(name: str) -> None:
    app = INCOMPLETE[name]
    cached = wrap(app)
    body = chat_body(stream=app.headers[0][1] != b"application/json")
    before = app.calls
    for _ in range(2):
        assert "stored" not in (await call(cached, body)).cache_status
    assert app.calls == before + 2


async def test_an_answer_over_the_limit_is_passed_on_and_not_stored() -> None:
    app = Dictated().streams(*STREAM)
    cached = wrap(app, max_response_bytes=100)
    for _ in range(2):
        assert (await call(cached, chat_body(stream=True))).body == b"".join(STREAM)
    assert app.calls == 2


async def test_a_large_answer_is_stored_all_the_same() -> None:
    app = Dictated(body=(completion("x" * 400_000),))
    cached = wrap(app)
    body = chat_body(user="x" * 400_000)
    await call(cached, body)
    assert (await call(cached, body)).body == app.body[0]
    assert app.calls == 1


async def test_a_large_answer_is_converted_all_the_same() -> None:
    app = Dictated(body=(completion("x" * 400_000),))
    cached = wrap(app)
    await call(cached, chat_body())
    for _ in range(2):
        streamed = await call(cached, chat_body(stream=True))
        assert "hit" in streamed.cache_status
        assert streamed.body.count(b"x" * 400_000) == 1


async def test_a_compressed_answer_is_served_decoded() -> None:
    packed = gzip.compress(completion())
    app = Dictated(body=(packed,)).says((b"content-encoding", b"gzip"))
    cached = wrap(app)
    assert (await call(cached, chat_body())).body == packed
    hit = await call(cached, chat_body())
    assert hit.body == completion()
    assert hit.all("content-encoding") == []


async def test_vary_tells_requests_apart() -> None:
    app = Dictated().says((b"vary", b"X-Lang, Accept-Encoding"))
    cached = wrap(app)
    english = [("x-lang", "en"), ("accept-encoding", "gzip")]
    await call(cached, chat_body(), headers=english)
    other = await call(cached, chat_body(), headers=[("x-lang", "de")])
    assert other.cache_status.startswith("askonce; fwd=vary-miss")
    assert "hit" in (await call(cached, chat_body(), headers=[("x-lang", "de")])).cache_status


async def test_headers_are_replayed_in_order_and_duplicates_kept() -> None:
    app = Dictated().says(
        (b"x-a", b"1"), (b"x-b", b"2"), (b"x-a", b"3"), (b"x-request-id", b"r1"), (b"date", b"now")
    )
    cached = wrap(app)
    await call(cached, chat_body())
    hit = await call(cached, chat_body())
    own = [field for field in hit.headers if field[0].startswith(b"x-")]
    assert own == [(b"x-a", b"1"), (b"x-b", b"2"), (b"x-a", b"3")]
    assert hit.all("askonce-origin-request-id") == ["r1"]
    assert hit.all("date") == []


async def test_every_answer_has_a_headers_list_of_its_own() -> None:
    cached = wrap(Dictated())
    await call(cached, chat_body())
    first = await call(cached, chat_body())
    first.messages[0]["headers"].clear()
    assert (await call(cached, chat_body())).all("content-type") == ["application/json"]


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


async def test_a_stream_is_passed_on_chunk_by_chunk() -> None:
    """The app sends the next chunk only after the client has seen the last one."""
    seen = asyncio.Queue[bytes]()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        assert await seen.get() == b"head"
        for part in STREAM:
            await send({"type": "http.response.body", "body": part, "more_body": True})
            assert await seen.get() == part
        await send({"type": "http.response.body"})

    async def send(message: Message) -> None:
        seen.put_nowait(message.get("body", b"head"))

    async def receive() -> Message:
        return {"type": "http.request", "body": chat_body(stream=True)}

    async with asyncio.timeout(5):
        await wrap(app)(http_scope(), receive, send)


async def test_ways_to_answer_that_cannot_be_heard_are_not_offered() -> None:
    app = Dictated()
    offered = {"http.response.pathsend": {}, "http.response.trailers": {}, "tls": {"x": 1}}
    await call(wrap(app), chat_body(), scope=http_scope(extensions=offered))
    assert app.scopes[0]["extensions"] == {"tls": {"x": 1}}


async def test_a_client_that_leaves_while_it_uploads_does_not_reach_the_app() -> None:
    app = Dictated()
    for first in ([], [{"type": "http.request", "body": b"{", "more_body": True}]):
        messages: list[Message] = [*first, {"type": "http.disconnect"}]

        async def receive(messages: list[Message] = messages) -> Message:
            return messages.pop(0)

        async def send(message: Message) -> None:
            raise AssertionError(message)

        await wrap(app)(http_scope(), receive, send)
    assert app.calls == 0


async def test_the_app_hears_the_client_leave_and_what_it_left_is_not_stored() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await read(receive)
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": STREAM[0], "more_body": True})
        heard.append(await receive())

    heard: list[Message] = []
    cached = wrap(app)
    for _ in range(2):
        incoming: list[Message] = [
            {"type": "http.request", "body": chat_body(stream=True)},
            {"type": "http.disconnect"},
        ]

        async def receive(incoming: list[Message] = incoming) -> Message:
            return incoming.pop(0)

        got = Answered([])

        async def send(message: Message, got: Answered = got) -> None:
            got.messages.append(message)

        await cached(http_scope(), receive, send)
        assert got.cache_status == "askonce; fwd=miss"
    assert heard == [{"type": "http.disconnect"}] * 2


class Raising(Dictated):
    """Fails when it has said as much as it was told to."""

    error: Exception | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.error is not None and not self.body:
            self.calls_failed = True
            raise self.error
        await super().__call__(scope, receive, send)
        if self.error is not None:
            raise self.error


async def test_what_the_app_raises_is_the_servers_to_answer() -> None:
    app = Raising(body=())
    app.error = RuntimeError("broken")
    with pytest.raises(RuntimeError, match="broken"):
        await call(wrap(app), chat_body())


async def test_an_answer_is_complete_at_its_last_message_not_when_the_app_returns() -> None:
    app = Raising()
    app.error = RuntimeError("in a background task")
    cached = wrap(app)
    with pytest.raises(RuntimeError):
        await call(cached, chat_body())
    assert "hit" in (await call(cached, chat_body())).cache_status


async def test_a_head_without_a_body_is_passed_on_when_the_app_returns() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})

    answered = await call(wrap(app), chat_body())
    assert (answered.status, len(answered.messages)) == (204, 1)


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


async def test_paths_that_differ_only_before_decoding_are_apart() -> None:
    app = Dictated()
    cached = wrap(app)
    for name in (b"a%2Fb", b"a%2fb"):
        raw = b"/openai/deployments/" + name + b"/chat/completions"
        scope = http_scope("/openai/deployments/a/chat/completions") | {"raw_path": raw}
        assert "miss" in (await call(cached, chat_body(), scope=scope)).cache_status


FAULTS = {
    "askonce.recording.keep": "could not be examined",
    "askonce.heads.Heads.read": "could not be read",
}


async def test_a_rewritten_path_is_keyed_beside_the_one_that_was_sent() -> None:
    cached = wrap(Dictated())
    for tenant in ("a", "b"):
        raw = {"raw_path": b"/x%20y/v1/chat/completions"}
        scope = http_scope(f"/{tenant}/v1/chat/completions") | raw
        assert "miss" in (await call(cached, chat_body(), scope=scope)).cache_status


async def test_mounts_are_apart_whether_or_not_the_path_keeps_the_root_path() -> None:
    cached = wrap(Dictated())
    for tenant in ("/a", "/b"):
        scope = http_scope(root_path=tenant)
        assert "miss" in (await call(cached, chat_body(), scope=scope)).cache_status
        whole = http_scope(tenant + CHAT, root_path=tenant)
        assert "hit" in (await call(cached, chat_body(), scope=whole)).cache_status


async def test_headers_may_be_iterators() -> None:
    app = Dictated()
    cached = wrap(app)
    app.headers = [(b"content-type", b"application/json"), (b"x-a", b"1")]

    async def lazily(scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if "headers" in message:
                message = {**message, "headers": iter(message["headers"])}
            await send(message)

        await app(scope, receive, sending)

    cached._app = lazily
    for outcome in ("miss", "hit"):
        scope = http_scope()
        scope["headers"] = iter(scope["headers"])
        answered = await call(cached, chat_body(), scope=scope)
        assert (outcome in answered.cache_status, answered.all("x-a")) == (True, ["1"])
    assert dict(app.scopes[0]["headers"])[b"host"] == b"test"


@pytest.mark.parametrize("asked", [{}, {"metadata": {"a": "b"}}, {"user": "u"}])
async def test_an_answer_that_says_who_asked_is_not_shared(asked: dict[str, Any]) -> None:
    app = Dictated(body=(completion(metadata=None),))
    cached = wrap(app, share_between_callers=True)
    for _ in range(2):
        assert (await call(cached, chat_body(**asked))).cache_status == "askonce; fwd=miss"


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
