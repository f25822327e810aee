"""ASGI messages: passed on as they come, whatever becomes of either end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from support.asgi import (
    STREAM,
    Answered,
    Dictated,
    call,
    chat_body,
    http_scope,
    read,
    wrap,
)

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send


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
