"""A provider that waits for the test, and a server that runs in the test's own event loop."""

from __future__ import annotations

import asyncio
import socket
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from typing import TYPE_CHECKING

import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request


class Provider:
    """A provider on a port of its own, that notes what it hears and waits for the test."""

    def __init__(self) -> None:
        self.heard: list[Request] = []
        self.bodies: list[bytes] = []
        self.answer: Response = JSONResponse({"ok": True})
        self.arrived = asyncio.Event()
        self.go_on = asyncio.Event()
        self.gone = asyncio.Event()

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/v1/chat/completions", self.chat, methods=["POST"]),
                Route("/v1/completions", self.chat, methods=["POST"]),
                Route("/v1/models", self.chat),
            ]
        )

    async def chat(self, request: Request) -> Response:
        self.heard.append(request)
        self.bodies.append(await request.body())
        self.arrived.set()
        return self.answer

    async def two_parts(self) -> AsyncIterator[bytes]:
        try:
            yield b"data: one\n\n"
            await self.go_on.wait()
            yield b"data: [DONE]\n\n"
        finally:
            self.gone.set()

    async def breaks_off(self) -> AsyncIterator[bytes]:
        yield b"data: one\n\n"
        await self.go_on.wait()
        raise ConnectionError("the provider breaks off")

    def streams(self, parts: AsyncIterator[bytes]) -> None:
        self.answer = StreamingResponse(parts, media_type="text/event-stream")


class Silent(Response):
    """Says nothing until the client is gone."""

    def __init__(self, provider: Provider) -> None:
        super().__init__()
        self.provider = provider

    async def __call__(self, scope, receive, send) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self.provider.gone.set()


class Server(uvicorn.Server):
    """A server that leaves the signals to pytest."""

    def capture_signals(self) -> AbstractContextManager[None]:
        return nullcontext()


@asynccontextmanager
async def served(app: Starlette) -> AsyncIterator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_level="critical", lifespan="on", timeout_graceful_shutdown=1)
    server = Server(config)
    task = asyncio.create_task(server.serve([listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
        listener.close()
