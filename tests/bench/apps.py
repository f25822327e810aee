"""The apps that are measured: a bare one, the cache around it, Starlette's own route."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

PATH: Final = "/v1/chat/completions"

ANSWER: Final = json.dumps(
    {
        "id": "chatcmpl-bench",
        "object": "chat.completion",
        "created": 1790000000,
        "model": "bench-1",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "a steady answer " * 55},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 300, "completion_tokens": 220, "total_tokens": 520},
    }
).encode()
"""About 1.2 KB."""

HEAD: Final = [
    (b"content-type", b"application/json"),
    (b"content-length", b"%d" % len(ANSWER)),
]


def question(number: int = 0) -> bytes:
    """A chat request of about 1.5 KB."""
    body = {
        "model": "bench-1",
        "messages": [
            {"role": "system", "content": "You answer steadily. " * 20},
            {"role": "user", "content": f"Question {number}: " + "why is that so? " * 60},
        ],
        "temperature": 0.2,
        "max_tokens": 400,
    }
    return json.dumps(body).encode()


async def bare(scope: Scope, receive: Receive, send: Send) -> None:
    """Reads the body and sends a canned answer: the least that an ASGI app can do."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body", False):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": list(HEAD)})
    await send({"type": "http.response.body", "body": ANSWER})


async def _endpoint(request: Request) -> Response:
    await request.body()
    return Response(ANSWER, media_type="application/json")


starlette_route = Starlette(routes=[Route(PATH, _endpoint, methods=["POST"])])
"""Starlette's own route, no cache."""


def cached(app: ASGIApp = bare, **settings: Any) -> ASGIApp:
    """The cache around an app, in memory."""
    from askonce import CacheMiddleware, CacheSettings

    return CacheMiddleware(app, CacheSettings(**settings))


def __getattr__(name: str) -> ASGIApp:
    """``tests.bench.apps:hit`` for uvicorn; made on demand, so that no other app pays for it."""
    if name == "hit":
        return cached()
    raise AttributeError(name)


def scope(body: bytes) -> dict[str, Any]:
    """What uvicorn gives an app for a question."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.1", 54321),
        "scheme": "http",
        "method": "POST",
        "root_path": "",
        "path": PATH,
        "raw_path": PATH.encode(),
        "query_string": b"",
        "headers": [
            (b"host", b"127.0.0.1:8000"),
            (b"user-agent", b"OpenAI/Python 3.0.0"),
            (b"accept", b"application/json"),
            (b"accept-encoding", b"gzip, deflate"),
            (b"connection", b"keep-alive"),
            (b"content-type", b"application/json"),
            (b"authorization", b"Bearer sk-bench"),
            (b"x-stainless-lang", b"python"),
            (b"x-stainless-retry-count", b"0"),
            (b"content-length", b"%d" % len(body)),
        ],
        "state": {},
    }


async def discard(message: Message) -> None:
    """A ``send`` that costs nothing."""
