"""Answers: which are stored, and how they come back."""

from __future__ import annotations

import gzip

import pytest

from support.asgi import (
    DONE,
    STREAM,
    Dictated,
    call,
    chat_body,
    chunk,
    completion,
    wrap,
)


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


async def test_an_answer_that_memory_has_no_room_for_is_not_said_to_be_stored() -> None:
    cached = wrap(Dictated(), memory_max_bytes=600)
    for _ in range(2):
        assert (await call(cached, chat_body())).cache_status == "askonce; fwd=miss"
