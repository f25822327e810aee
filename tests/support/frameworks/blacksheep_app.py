"""BlackSheep: the app is wrapped (its own middleware is no ASGI middleware)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blacksheep import Application, Content, Request, Response, Router, StreamedContent, text

from askonce import CacheMiddleware
from support.frameworks.model import EVENT_STREAM, Model, Stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.types import ASGIApp


def _again(answer: Stream) -> Callable[[], AsyncIterator[bytes]]:
    """BlackSheep takes the function that makes the events, not the events."""

    async def events() -> AsyncIterator[bytes]:
        async for event in answer.events:
            yield event

    return events


def create_app(model: Model) -> ASGIApp:
    app = Application(router=Router())

    async def startup(app: Application) -> None:
        model.lived.append("startup")

    async def shutdown(app: Application) -> None:
        model.lived.append("shutdown")

    async def chat(request: Request) -> Response:
        gate = request.get_first_header(b"x-gate")
        answer = model.answer(await request.read() or b"", gate.decode() if gate else None)
        if isinstance(answer, Stream):
            return Response(200, content=StreamedContent(EVENT_STREAM.encode(), _again(answer)))
        headers = [(name.encode(), value.encode()) for name, value in answer.headers.items()]
        return Response(answer.status, headers, Content(b"application/json", answer.body))

    async def hello(request: Request) -> Response:
        return text(model.hello())

    async def open_gate(request: Request) -> Response:
        model.open(request.route_values["name"])
        return Response(204)

    app.on_start += startup
    app.on_stop += shutdown
    app.router.add_post("/v1/chat/completions", chat)
    app.router.add_post("/forms/chat/completions", chat)
    app.router.add_get("/hello", hello)
    app.router.add_post("/gates/{name}", open_gate)
    return CacheMiddleware(app)
