"""Many clients at the same time: nobody ever gets the answer to another question, or of another.

The app answers with who asked and what, so that every wrong answer shows.
"""

from __future__ import annotations

import asyncio
import json
import random
from typing import TYPE_CHECKING, Any

import httpx
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from askonce import CacheMiddleware, CacheSettings
from support.server import PATIENCE, serve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

CHAT = "/v1/chat/completions"
CALLERS = [f"Bearer sk-{number}" for number in range(4)]
QUESTIONS = [f"What is {number}?" for number in range(12)]
SHAPES: list[dict[str, Any]] = [{}, {"stream": True, "stream_options": {"include_usage": True}}]
USAGE = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
ROUNDS = 3
"""How often everybody asks everything in every shape, all in one shuffled heap."""


async def chat(request: Request) -> Response:
    asked = await request.json()
    words = [request.headers["authorization"], " asked: ", asked["messages"][0]["content"]]
    if asked.get("stream"):
        return StreamingResponse(streamed(words), media_type="text/event-stream")
    message = {"role": "assistant", "content": "".join(words)}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    envelope = {"id": "1", "object": "chat.completion", "created": 1, "model": "m"}
    return JSONResponse({**envelope, "choices": choices, "usage": USAGE})


async def streamed(words: list[str]) -> AsyncIterator[str]:
    deltas: list[dict[str, str]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": word} for word in words]
    for delta in deltas:
        yield event([{"index": 0, "delta": delta, "finish_reason": None}], None)
        await asyncio.sleep(0)  # others have their turn between any two chunks
    yield event([{"index": 0, "delta": {}, "finish_reason": "stop"}], None)
    yield event([], USAGE) + "data: [DONE]\n\n"


def event(choices: list[dict[str, Any]], usage: dict[str, int] | None) -> str:
    envelope = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return f"data: {json.dumps({**envelope, 'choices': choices, 'usage': usage})}\n\n"


def heard(answer: httpx.Response) -> str:
    if answer.headers["content-type"] == "application/json":
        content: str = answer.json()["choices"][0]["message"]["content"]
        return content
    events = [line.removeprefix("data: ") for line in answer.text.split("\n\n")[:-2]]
    choices = [choice for line in events for choice in json.loads(line)["choices"]]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


async def test_everybody_gets_their_own_answer(no_settings: None) -> None:
    app = Starlette(routes=[Route(CHAT, chat, methods=["POST"])])
    # Room for a fraction of the answers: entries come and go while others are served.
    app.add_middleware(CacheMiddleware, settings=CacheSettings(memory_max_entries=40))
    heap = [
        (caller, question, shape)
        for caller in CALLERS
        for question in QUESTIONS
        for shape in SHAPES
    ] * ROUNDS
    random.Random(7).shuffle(heap)

    with serve(app) as served:
        limits = httpx.Limits(max_connections=24)
        async with httpx.AsyncClient(
            base_url=served.url, timeout=PATIENCE, limits=limits
        ) as client:

            async def ask(caller: str, question: str, shape: dict[str, Any]) -> bool:
                messages = [{"role": "user", "content": question}]
                body = {"model": "m", "messages": messages, **shape}
                answer = await client.post(CHAT, json=body, headers={"Authorization": caller})
                assert heard(answer) == f"{caller} asked: {question}"
                streams = answer.headers["content-type"].startswith("text/event-stream")
                assert streams == bool(shape)
                return "; hit;" in answer.headers["cache-status"]

            hits = sum(await asyncio.gather(*(ask(*asked) for asked in heap)))
    assert served.complaints == []
    assert 0 < hits < len(heap)
