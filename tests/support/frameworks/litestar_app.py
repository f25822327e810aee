"""Litestar: the app's ``middleware``, which stands around every single handler; or the app wrapped.

Around its handlers the cache hears nothing of the lifespan; around the app it does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litestar import Litestar, MediaType, Request, Response, get, post
from litestar.response import Stream as EventStream

from askonce import CacheMiddleware
from support.frameworks.model import EVENT_STREAM, Model, Stream

if TYPE_CHECKING:
    from starlette.types import ASGIApp


def create_app(model: Model) -> ASGIApp:
    return _app(model, [CacheMiddleware])


def create_wrapped_app(model: Model) -> ASGIApp:
    return CacheMiddleware(_app(model, []))


def _app(model: Model, middleware: list[Any]) -> ASGIApp:
    @post(["/v1/chat/completions", "/forms/chat/completions"], status_code=200)
    async def chat(request: Request[Any, Any, Any]) -> Response[bytes] | EventStream:
        answer = model.answer(await request.body(), request.headers.get("x-gate"))
        if isinstance(answer, Stream):
            return EventStream(answer.events, media_type=EVENT_STREAM)
        return Response(
            answer.body,
            status_code=answer.status,
            headers=answer.headers,
            media_type=MediaType.JSON,
        )

    @get("/hello", media_type=MediaType.TEXT)
    async def hello() -> str:
        return model.hello()

    @post("/gates/{name:str}", status_code=204)
    async def open_gate(request: Request[Any, Any, Any]) -> None:
        model.open(request.path_params["name"])

    return Litestar(
        [chat, hello, open_gate],
        middleware=middleware,
        on_startup=[lambda: model.lived.append("startup")],
        on_shutdown=[lambda: model.lived.append("shutdown")],
        logging_config=None,
        openapi_config=None,
    )
