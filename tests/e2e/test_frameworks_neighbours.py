"""The cache among other middleware, in mounted apps, and before apps that do more than answer."""

from __future__ import annotations

import asyncio
import gzip
import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route

from askonce import CacheMiddleware
from support.cache_status import HIT, MISS
from support.frameworks.model import EVENT_STREAM, Model, Stream
from support.server import PATIENCE, serve

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

CHAT = "/v1/chat/completions"
USAGE = {"stream": True, "stream_options": {"include_usage": True}}


@dataclass
class Asking:
    client: httpx.Client

    def __call__(self, path: str = CHAT, **members: Any) -> httpx.Response:
        messages = [{"role": "user", "content": "hi " * 400}]
        return self.client.post(path, json={"model": "m", "messages": messages, **members})


@contextmanager
def asking(app: ASGIApp, **options: Any) -> Iterator[Asking]:
    with (
        serve(app, lifespan="on") as served,
        httpx.Client(base_url=served.url, timeout=PATIENCE, **options) as client,
    ):
        yield Asking(client)
    assert served.complaints == []


@pytest.fixture
def model(no_settings: None) -> Model:
    return Model()


def answering(model: Model) -> Callable[[Request], Awaitable[Response]]:
    async def chat(request: Request) -> Response:
        answer = model.answer(await request.body(), request.headers.get("x-gate"))
        if isinstance(answer, Stream):
            return StreamingResponse(answer.events, media_type=EVENT_STREAM)
        filler = {"filler": "x" * 4000}  # long enough for GZipMiddleware
        return JSONResponse({**json.loads(answer.body), **filler}, answer.status)

    return chat


class Passing(BaseHTTPMiddleware):
    """What many apps have: it answers through a stream of its own."""

    async def dispatch(self, request: Request, call_next: Any) -> Response:
        response: Response = await call_next(request)
        response.headers.append("X-Passed", "yes")
        return response


CACHE = Middleware(CacheMiddleware)
GZIP = Middleware(GZipMiddleware, minimum_size=100)
PASSING = Middleware(Passing)
CORS = Middleware(CORSMiddleware, allow_origins=["https://example.org"])


@pytest.mark.parametrize(
    "stack",
    [
        [GZIP, CACHE],
        [CACHE, GZIP],
        [PASSING, CACHE],
        [CACHE, PASSING],
        [CORS, CACHE],
        [CACHE, CORS],
        [PASSING, GZIP, CACHE, GZIP, PASSING],
    ],
    ids=lambda stack: "-".join(middleware.cls.__name__ for middleware in stack),
)
@pytest.mark.parametrize("shape", [{}, USAGE], ids=["plain", "stream"])
def test_hits_are_equal_among_other_middleware(
    model: Model, stack: list[Middleware], shape: dict[str, Any]
) -> None:
    """They edit the headers that they are sent: a second hit shows whose list it was."""
    app = Starlette(routes=[Route(CHAT, answering(model), methods=["POST"])], middleware=stack)
    with asking(app, headers={"Origin": "https://example.org"}) as ask:
        miss, *hits = [ask(**shape) for _ in range(3)]
    assert MISS.fullmatch(miss.headers["cache-status"])
    assert all(HIT.fullmatch(hit.headers["cache-status"]) for hit in hits)
    assert [hit.content for hit in hits] == [miss.content] * 2
    assert sorted(hits[0].headers.raw) == sorted(hits[1].headers.raw)
    assert model.calls == 1


def test_a_compressed_answer_serves_who_takes_none(model: Model) -> None:
    """It is stored decoded, whatever the app's own compression made of it."""
    app = Starlette(
        routes=[Route(CHAT, answering(model), methods=["POST"])], middleware=[CACHE, GZIP]
    )
    with asking(app) as ask:
        miss = ask()
        ask.client.headers["Accept-Encoding"] = "identity"
        hit = ask()
    assert miss.headers["content-encoding"] == "gzip"
    assert HIT.fullmatch(hit.headers["cache-status"])
    assert "content-encoding" not in hit.headers
    assert hit.content == miss.content


def test_a_mounted_app_may_have_its_own_cache(model: Model) -> None:
    inner = FastAPI()
    inner.add_middleware(CacheMiddleware)
    inner.add_route("/chat/completions", answering(model), methods=["POST"])
    inner.add_route("/v2/chat/completions", answering(model), methods=["POST"])
    app = Starlette(routes=[Mount("/llm", inner)])
    with asking(app) as ask:
        for path in ("/llm/chat/completions", "/llm/v2/chat/completions"):
            miss, hit = ask(path), ask(path)
            assert MISS.fullmatch(miss.headers["cache-status"])
            assert HIT.fullmatch(hit.headers["cache-status"])
    assert model.calls == 2


def test_an_app_that_is_wrapped_twice_is_cached_once(
    model: Model, caplog: pytest.LogCaptureFixture
) -> None:
    inner = Starlette(routes=[Route(CHAT, answering(model), methods=["POST"])], middleware=[CACHE])
    with (
        serve(Starlette(routes=[Mount("/", inner)], middleware=[CACHE])) as served,
        httpx.Client(base_url=served.url, timeout=PATIENCE) as client,
    ):
        ask = Asking(client)
        answers = [ask(cache={"ttl": 60}), ask()]
    assert [len(answer.headers.get_list("cache-status")) for answer in answers] == [1, 1]
    assert "askonce; hit" in answers[1].headers["cache-status"]
    assert model.calls == 1
    assert len(served.complaints) == 1
    assert "twice" in served.complaints[0]


def test_an_answer_is_stored_before_the_apps_background_work_is_done(model: Model) -> None:
    gate = asyncio.Event()
    answer = answering(model)

    async def chat(request: Request) -> Response:
        response = await answer(request)
        response.background = BackgroundTask(gate.wait)
        return response

    async def open_gate(request: Request) -> Response:
        gate.set()
        return Response()

    app = Starlette(
        routes=[
            Route(CHAT, chat, methods=["POST"]),
            Route("/gate", open_gate, methods=["POST"]),
        ],
        middleware=[CACHE],
    )
    with asking(app) as ask:
        first, second = ask(), ask()
        assert not gate.is_set()
        assert HIT.fullmatch(second.headers["cache-status"])
        assert second.content == first.content
        ask.client.post("/gate")


def test_an_app_that_fails_in_the_middle_leaves_nothing_stored(no_settings: None) -> None:
    """The client sees a broken answer, as it would without the cache; the next one asks anew."""
    model = Model()
    failing = iter([True, False])

    async def chat(request: Request) -> Response:
        answer = model.answer(await request.body(), None)
        assert isinstance(answer, Stream)
        broken = next(failing)

        async def events() -> Any:
            async for event in answer.events:
                yield event
                if broken:
                    raise ConnectionError("the provider hung up")

        return StreamingResponse(events(), media_type=EVENT_STREAM)

    app = Starlette(routes=[Route(CHAT, chat, methods=["POST"])], middleware=[CACHE])
    with (
        serve(app) as served,
        httpx.Client(base_url=served.url, timeout=PATIENCE) as client,
    ):
        ask = Asking(client)
        with pytest.raises(httpx.RemoteProtocolError):
            ask(**USAGE)
        second, third = ask(**USAGE), ask(**USAGE)
    assert MISS.fullmatch(second.headers["cache-status"])
    assert HIT.fullmatch(third.headers["cache-status"])
    assert b"answer 1" not in third.content
    assert len(served.complaints) == 1
    assert "Exception in ASGI application" in served.complaints[0]


async def shouting(scope: Scope, receive: Receive, send: Send) -> None:
    """An app that spells its header fields as it likes, as some do."""
    assert scope["type"] == "http"
    while (await receive()).get("more_body"):
        pass
    whole = {"id": "1", "object": "chat.completion", "created": 1, "model": "m"}
    message = {"role": "assistant", "content": "LOUD"}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    body = gzip.compress(json.dumps({**whole, "choices": choices}).encode())
    headers = [
        (b"CONTENT-TYPE", b"application/json"),
        (b"Content-Encoding", b"gzip"),
        (b"Content-Length", b"%d" % len(body)),
        (b"X-Request-ID", b"req_1"),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def test_an_apps_header_fields_may_be_spelled_in_any_case(no_settings: None) -> None:
    with (
        serve(CacheMiddleware(shouting), lifespan="off") as served,
        httpx.Client(base_url=served.url, timeout=PATIENCE) as client,
    ):
        miss, hit = [Asking(client)() for _ in range(2)]
    assert MISS.fullmatch(miss.headers["cache-status"])
    assert HIT.fullmatch(hit.headers["cache-status"])
    assert miss.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in hit.headers
    assert hit.json() == miss.json()
    assert hit.headers.get_list("content-length") == [str(len(hit.content))]
    assert hit.headers["askonce-origin-request-id"] == "req_1"
    assert served.complaints == []
