"""A deterministic stand-in for an OpenAI-compatible provider, served with and without a cache.

The same request always gets the same answer, byte for byte, whatever stands in front. So an answer
through the cache can be compared with the answer without one.
"""

from __future__ import annotations

import asyncio
import gzip
import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from support.answers import CHAT, JSON, TEXT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Sequence

    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

USAGE = {"prompt_tokens": 9, "completion_tokens": 12, "total_tokens": 21}
_TORN = 37
"""Streams leave in pieces of so many bytes: through the middle of events and of characters."""


@dataclass
class Provider:
    """What the app was asked.

    Args:
        bodies: The bytes of every request that it was asked to answer.
        connections: The client's port of every request that reached the server, hits included.
    """

    bodies: list[bytes] = field(default_factory=list)
    connections: list[int] = field(default_factory=list)
    gates: defaultdict[str, asyncio.Event] = field(
        default_factory=lambda: defaultdict(asyncio.Event)
    )

    @property
    def calls(self) -> int:
        return len(self.bodies)

    @property
    def arrivals(self) -> int:
        return len(self.connections)

    def app(self) -> Starlette:
        """The provider's API, without anything in front."""
        return Starlette(
            routes=[
                Route("/v1/chat/completions", self.chat, methods=["POST"]),
                Route("/v1/completions", self.text, methods=["POST"]),
                Route("/openai/deployments/{name}/chat/completions", self.chat, methods=["POST"]),
                Route("/gates/{name}", self.open, methods=["POST"]),
            ]
        )

    def at_the_door(self, app: ASGIApp) -> ASGIApp:
        """Count what arrives, before any cache sees it."""

        async def counting(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                self.connections.append(scope["client"][1])
            await app(scope, receive, send)

        return counting

    async def open(self, request: Request) -> Response:
        """Let the streams go on whose request's ``X-Gate`` has this name.

        They wait after their first event, with ``X-Silent`` before it.
        """
        self.gates[request.path_params["name"]].set()
        return Response(status_code=204)

    async def chat(self, request: Request) -> Response:
        asked = await self._asked(request)
        answer = CHAT.get(asked["model"])
        if answer is None:
            return _unknown(asked["model"])
        envelope = {"id": "chatcmpl-1", "created": 1700000000, "model": asked["model"]}
        envelope |= answer.members
        if asked.get("stream"):
            envelope |= {"object": "chat.completion.chunk"}
            return self._streamed(request, envelope, answer.chunks, asked)
        return _whole({**envelope, "object": "chat.completion"}, answer.choices)

    async def text(self, request: Request) -> Response:
        asked = await self._asked(request)
        answer = TEXT[asked["model"]]
        envelope = {
            "id": "cmpl-1",
            "object": "text_completion",
            "created": 1700000000,
            "model": asked["model"],
        }
        if asked.get("stream"):
            return self._streamed(request, envelope, answer.chunks, asked)
        return _whole(envelope, answer.choices)

    async def _asked(self, request: Request) -> Any:
        body = await request.body()
        self.bodies.append(body)
        if request.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        return json.loads(body)

    def _streamed(
        self, request: Request, envelope: JSON, chunks: Sequence[Sequence[JSON]], asked: JSON
    ) -> Response:
        usage = bool((asked.get("stream_options") or {}).get("include_usage"))
        events = list(_events(envelope, chunks, usage=usage))
        gate = request.headers.get("x-gate")
        begun = 0 if "x-silent" in request.headers else 1
        pieces = self._held(events[:begun], events[begun:], gate)
        return StreamingResponse(pieces, media_type="text/event-stream", headers=_HEADERS)

    async def _held(
        self, begun: list[bytes], rest: list[bytes], gate: str | None
    ) -> AsyncIterator[bytes]:
        for event in begun:
            yield event
        if gate is not None:
            await self.gates[gate].wait()
        for piece in _torn(b"".join(rest)):
            yield piece


_HEADERS = {"x-request-id": "req_1", "openai-processing-ms": "812", "openai-version": "2020-10-01"}


def _whole(envelope: JSON, choices: Sequence[JSON]) -> Response:
    return JSONResponse({**envelope, "choices": choices, "usage": USAGE}, headers=_HEADERS)


def _unknown(model: str) -> Response:
    error = {
        "message": f"The model `{model}` does not exist.",
        "type": "invalid_request_error",
        "param": None,
        "code": "model_not_found",
    }
    return JSONResponse({"error": error}, 404)


def _events(envelope: JSON, chunks: Iterable[Sequence[JSON]], *, usage: bool) -> Iterator[bytes]:
    blank = {"usage": None} if usage else {}
    for number, choices in enumerate(chunks):
        padding = {"obfuscation": "x" * number}
        yield _event({**envelope, "choices": choices, **blank, **padding})
    if usage:
        yield _event({**envelope, "choices": [], "usage": USAGE, "obfuscation": "xx"})
    yield b"data: [DONE]\n\n"


def _event(chunk: JSON) -> bytes:
    return b"data: %b\n\n" % json.dumps(chunk, ensure_ascii=False).encode()


def _torn(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), _TORN):
        yield data[start : start + _TORN]
