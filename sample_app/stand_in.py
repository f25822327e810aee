"""The stand-in as a provider: reads a request, lets the model speak, and takes its time.

The time is the point: a cache is worth seeing only in front of something that takes as long as a
provider does.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.responses import Response, StreamingResponse

from sample_app import model, wire
from sample_app.bodies import Asked, ChatBody, TextBody, read
from sample_app.wire import ChatWire, Envelope, TextWire, Wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from starlette.applications import Starlette
    from starlette.requests import Request

    from sample_app.model import Reply


@dataclass(frozen=True)
class Pace:
    """How long an answer takes.

    Args:
        first: Seconds until the first token.
        each: Seconds for every token after it.
        sleep: Waits for so many seconds.
    """

    first: float = 0.3
    each: float = 0.025
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def whole(self, replies: list[Reply]) -> None:
        """Wait as long as the longest choice takes; the choices are written at the same time."""
        longest = max(len(reply.tokens) for reply in replies)
        await self.sleep(self.first + self.each * max(longest - 1, 0))


class StandIn:
    """Answers without a network. Implements :class:`~sample_app.provider.Provider`.

    Args:
        pace: How long answers take.
        clock: Gives Unix time in seconds.
    """

    def __init__(self, pace: Pace | None = None, clock: Callable[[], float] = time.time) -> None:
        self._pace = pace or Pace()
        self._clock = clock

    def lifespan(self, app: Starlette) -> AbstractAsyncContextManager[None]:  # noqa: ARG002
        """Hold nothing open."""
        return nullcontext()

    async def models(self, request: Request) -> Response:  # noqa: ARG002
        """List the models."""
        return wire.models()

    async def chat(self, request: Request) -> Response:
        """Answer a conversation, plain or streamed."""
        body = read(await request.body(), ChatBody)
        if isinstance(body, str):
            return wire.error(400, body)
        if body.model not in model.MODELS:
            return _unknown(body.model)
        output = ChatWire(self._envelope("chatcmpl", body))
        replies = model.chat(body)
        return await self._answer(body, output, replies, model.chat_prompt_tokens(body))

    async def completion(self, request: Request) -> Response:
        """Continue one prompt or several, plain or streamed."""
        body = read(await request.body(), TextBody)
        if isinstance(body, str):
            return wire.error(400, body)
        if body.model not in model.MODELS:
            return _unknown(body.model)
        output = TextWire(self._envelope("cmpl", body))
        return await self._answer(
            body, output, model.complete(body), model.text_prompt_tokens(body)
        )

    def _envelope(self, prefix: str, body: Asked) -> Envelope:
        return Envelope(
            answer_id=f"{prefix}-{secrets.token_hex(12)}",
            call_id=f"call_{secrets.token_hex(12)}",
            created=int(self._clock()),
            model=body.model,
        )

    async def _answer(
        self, body: Asked, output: Wire, replies: list[Reply], prompt_tokens: int
    ) -> Response:
        usage = wire.usage(prompt_tokens, replies)
        if body.stream:
            events = self._events(output, replies, usage if body.usage_wanted else None)
            return StreamingResponse(events, media_type="text/event-stream")
        await self._pace.whole(replies)
        return wire.json_response({**output.whole(replies), "usage": usage})

    async def _events(
        self, output: Wire, replies: list[Reply], usage: wire.Json | None
    ) -> AsyncIterator[bytes]:
        """Stream the answer; who asked for the usage finds a ``usage`` in every chunk."""
        extra = {} if usage is None else {"usage": None}
        delay = self._pace.first
        for tick in output.ticks(replies):
            await self._pace.sleep(delay)
            delay = self._pace.each
            for chunk in tick:
                yield wire.event({**chunk, **extra})
        if usage is not None:
            yield wire.event({**output.usage_chunk(), "usage": usage})
        yield wire.DONE


def _unknown(name: str) -> Response:
    known = " and ".join(model.MODELS)
    message = f"The model '{name}' does not exist here. The offline stand-in has {known}."
    return wire.error(404, message, code="model_not_found")
