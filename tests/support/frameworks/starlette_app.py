"""Starlette: ``app.add_middleware``."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from askonce import CacheMiddleware
from support.frameworks.model import EVENT_STREAM, Model, Stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.types import ASGIApp


def create_app(model: Model) -> ASGIApp:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        model.lived.append("startup")
        yield
        model.lived.append("shutdown")

    async def chat(request: Request) -> Response:
        answer = model.answer(await request.body(), request.headers.get("x-gate"))
        if isinstance(answer, Stream):
            return StreamingResponse(answer.events, media_type=EVENT_STREAM)
        return Response(answer.body, answer.status, answer.headers, "application/json")

    async def hello(request: Request) -> Response:
        return PlainTextResponse(model.hello())

    async def open_gate(request: Request) -> Response:
        model.open(request.path_params["name"])
        return Response(status_code=204)

    app = Starlette(
        routes=[
            Route("/v1/chat/completions", chat, methods=["POST"]),
            Route("/forms/chat/completions", chat, methods=["POST"]),
            Route("/hello", hello),
            Route("/gates/{name}", open_gate, methods=["POST"]),
        ],
        lifespan=lifespan,
    )
    app.add_middleware(CacheMiddleware)
    return app
