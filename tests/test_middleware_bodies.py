"""Request bodies: what is read of them, and what the app gets."""

from __future__ import annotations

import gzip
import json
import threading
from typing import Any

import pytest

from askonce import coding
from support.asgi import (
    QUESTION,
    Dictated,
    call,
    chat_body,
    completion,
    http_scope,
    wrap,
)

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


@pytest.mark.parametrize("number", ["-0", " -0 "])
async def test_a_number_that_reading_would_change_is_not_cached(number: str) -> None:
    app = Dictated()
    cached = wrap(app)
    body = chat_body(cache={"ttl": 5})[:-1] + b', "x": [%b]}' % number.encode()
    answered = await call(cached, body)
    assert answered.cache_status == "askonce; fwd=bypass; detail=number-range"
    assert b"cache" not in app.bodies[0]
    assert number.encode() in app.bodies[0]


async def test_a_compressed_body_is_read_off_the_event_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read_in: list[int] = []

    def noted(*args: Any) -> bytes | None:
        read_in.append(threading.get_ident())
        return coding.decoded(*args)

    monkeypatch.setattr("askonce.questions.decoded", noted)
    monkeypatch.setattr("askonce.recording.decoded", noted)
    packed = [(b"content-type", b"application/json"), (b"content-encoding", b"gzip")]
    cached = wrap(Dictated(headers=packed, body=(gzip.compress(completion()),)))
    scope = http_scope(headers=[("content-encoding", "gzip")])
    answered = await call(cached, gzip.compress(chat_body()), scope=scope)
    assert answered.cache_status == "askonce; fwd=miss; stored"
    assert len(read_in) == 2
    assert threading.get_ident() not in read_in


async def test_a_body_may_be_any_bytes() -> None:
    app = Dictated()
    cached = wrap(app)
    for verdict in ("miss", "hit"):
        answered = await call(cached, [bytearray(chat_body())])
        assert verdict in answered.cache_status
    assert app.bodies == [chat_body()]


async def test_header_fields_of_a_wrong_type_are_the_apps_to_answer() -> None:
    scope = http_scope()
    scope["headers"].append((bytearray(b"x"), bytearray(b"y")))
    answered = await call(wrap(Dictated()), chat_body(), scope=scope)
    assert answered.cache_status == "askonce; fwd=bypass; detail=internal-error"
    assert answered.body == completion()
