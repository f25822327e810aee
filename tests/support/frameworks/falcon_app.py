"""Falcon: the app is wrapped (its own middleware is no ASGI middleware)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from falcon import HTTP_204, MEDIA_JSON, MEDIA_TEXT
from falcon.asgi import App, Request, Response

from askonce import CacheMiddleware
from support.frameworks.model import EVENT_STREAM, Model, Stream

if TYPE_CHECKING:
    from starlette.types import ASGIApp


class Lifespan:
    def __init__(self, model: Model) -> None:
        self.model = model

    async def process_startup(self, scope: dict[str, Any], event: dict[str, Any]) -> None:
        self.model.lived.append("startup")

    async def process_shutdown(self, scope: dict[str, Any], event: dict[str, Any]) -> None:
        self.model.lived.append("shutdown")


class Chat:
    def __init__(self, model: Model) -> None:
        self.model = model

    async def on_post(self, req: Request, resp: Response) -> None:
        answer = self.model.answer(await req.stream.read(), req.get_header("x-gate"))
        if isinstance(answer, Stream):
            resp.content_type = EVENT_STREAM
            resp.stream = answer.events
            return
        resp.status = answer.status
        resp.content_type = MEDIA_JSON
        for name, value in answer.headers.items():
            resp.append_header(name, value)
        resp.data = answer.body


class Hello:
    def __init__(self, model: Model) -> None:
        self.model = model

    async def on_get(self, req: Request, resp: Response) -> None:
        resp.content_type = MEDIA_TEXT
        resp.text = self.model.hello()


class Gate:
    def __init__(self, model: Model) -> None:
        self.model = model

    async def on_post(self, req: Request, resp: Response, name: str) -> None:
        self.model.open(name)
        resp.status = HTTP_204


def create_app(model: Model) -> ASGIApp:
    app = App(middleware=[Lifespan(model)])
    app.add_route("/v1/chat/completions", Chat(model))
    app.add_route("/forms/chat/completions", Chat(model))
    app.add_route("/hello", Hello(model))
    app.add_route("/gates/{name}", Gate(model))
    return CacheMiddleware(app)
