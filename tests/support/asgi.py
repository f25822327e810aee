"""Calls an ASGI app without a server, and apps whose answers a test dictates."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from askonce import CacheMiddleware, CacheSettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

CHAT = "/v1/chat/completions"
QUESTION: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def chat_body(**members: Any) -> bytes:
    return json.dumps(QUESTION | members).encode()


def completion(content: str = "hello", **members: Any) -> bytes:
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": content},
        "finish_reason": "stop",
    }
    whole = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [choice],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }
    return json.dumps(whole | members).encode()


def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
    whole = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }
    return b"data: " + json.dumps(whole).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"
STREAM = (
    chunk({"role": "assistant", "content": ""}),
    chunk({"content": "hel"}),
    chunk({"content": "lo"}),
    chunk({}, "stop"),
    DONE,
)


@dataclass
class Answered:
    """What a client got."""

    messages: list[Message]

    @property
    def status(self) -> int:
        return self.messages[0]["status"]

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        return list(self.messages[0]["headers"])

    @property
    def body(self) -> bytes:
        return b"".join(m.get("body", b"") for m in self.messages[1:])

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def all(self, name: str) -> list[str]:
        return [value.decode() for key, value in self.headers if key == name.encode()]

    @property
    def cache_status(self) -> str:
        return ", ".join(self.all("cache-status"))


def http_scope(
    path: str = CHAT,
    *,
    method: str = "POST",
    headers: Iterable[tuple[str, str]] = (),
    **more: Any,
) -> Scope:
    fields = [(b"host", b"test"), (b"content-type", b"application/json")]
    fields += [(name.lower().encode(), value.encode()) for name, value in headers]
    return {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": fields,
        **more,
    }


async def call(
    app: ASGIApp,
    body: bytes | Sequence[bytes] = b"",
    path: str = CHAT,
    *,
    scope: Scope | None = None,
    **options: Any,
) -> Answered:
    """Send one request and collect what comes back. The client never leaves."""
    chunks = [body] if isinstance(body, bytes) else list(body)
    incoming = [
        {"type": "http.request", "body": part, "more_body": n < len(chunks)}
        for n, part in enumerate(chunks, 1)
    ]
    got = Answered([])

    async def receive() -> Message:
        if incoming:
            return incoming.pop(0)
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        got.messages.append(message)

    await app(scope or http_scope(path, **options), receive, send)
    return got


@dataclass
class Dictated:
    """An app that answers what it is told to, and remembers what it was asked."""

    status: int = 200
    headers: list[tuple[bytes, bytes]] = field(
        default_factory=lambda: [(b"content-type", b"application/json")]
    )
    body: Sequence[bytes] = (completion(),)
    ends: bool = True
    scopes: list[Scope] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    @property
    def calls(self) -> int:
        return len(self.bodies)

    def streams(self, *chunks: bytes) -> Dictated:
        self.headers = [(b"content-type", b"text/event-stream; charset=utf-8")]
        self.body = chunks or STREAM
        return self

    def says(self, *headers: tuple[bytes, bytes]) -> Dictated:
        self.headers = [*self.headers, *headers]
        return self

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        self.bodies.append(await read(receive))
        headers = list(self.headers)
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        for part in self.body[: None if self.ends is False else -1]:
            await send({"type": "http.response.body", "body": part, "more_body": True})
        if self.ends:
            await send({"type": "http.response.body", "body": self.body[-1]})


async def read(receive: Receive) -> bytes:
    parts: list[bytes] = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


def wrap(app: ASGIApp, **settings: Any) -> CacheMiddleware:
    """The cache around an app."""
    return CacheMiddleware(app, CacheSettings(**settings))
