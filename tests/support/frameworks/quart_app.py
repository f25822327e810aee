"""Quart: ``app.asgi_app`` is wrapped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quart import Quart, Response, request

from askonce import CacheMiddleware
from support.frameworks.model import EVENT_STREAM, Model, Stream

if TYPE_CHECKING:
    from starlette.types import ASGIApp


def create_app(model: Model) -> ASGIApp:
    app = Quart(__name__)

    @app.before_serving
    async def startup() -> None:
        model.lived.append("startup")

    @app.after_serving
    async def shutdown() -> None:
        model.lived.append("shutdown")

    @app.post("/v1/chat/completions")
    @app.post("/forms/chat/completions")
    async def chat() -> Response:
        answer = model.answer(await request.get_data(), request.headers.get("x-gate"))
        if isinstance(answer, Stream):
            return Response(answer.events, content_type=EVENT_STREAM)
        headers = {**answer.headers, "Content-Type": "application/json"}
        return Response(answer.body, answer.status, headers)

    @app.get("/hello")
    async def hello() -> str:
        return model.hello()

    @app.post("/gates/<name>")
    async def open_gate(name: str) -> tuple[str, int]:
        model.open(name)
        return "", 204

    app.asgi_app = CacheMiddleware(app.asgi_app)
    return app
