"""FastAPI: ``app.add_middleware``."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse, Response, StreamingResponse

from askonce import CacheMiddleware
from support.frameworks.model import EVENT_STREAM, Model, Stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import ASGIApp


def create_app(model: Model) -> ASGIApp:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        model.lived.append("startup")
        yield
        model.lived.append("shutdown")

    app = FastAPI(lifespan=lifespan)
    app.add_middleware(CacheMiddleware)

    @app.post("/v1/chat/completions")
    @app.post("/forms/chat/completions")
    async def chat(request: Request) -> Response:
        answer = model.answer(await request.body(), request.headers.get("x-gate"))
        if isinstance(answer, Stream):
            return StreamingResponse(answer.events, media_type=EVENT_STREAM)
        return Response(answer.body, answer.status, answer.headers, "application/json")

    @app.get("/hello")
    async def hello() -> PlainTextResponse:
        return PlainTextResponse(model.hello())

    @app.post("/gates/{name}", status_code=204)
    async def open_gate(name: str) -> None:
        model.open(name)

    return app
