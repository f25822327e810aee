"""The model behind every framework's app. Its answers are numbered: a hit shows whose it is."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

EVENT_STREAM = "text/event-stream"


class Whole(NamedTuple):
    """An answer in one piece, JSON."""

    status: int
    headers: dict[str, str]
    body: bytes


class Stream(NamedTuple):
    """An answer as an event stream."""

    events: AsyncIterator[bytes]


class Model:
    """Answers questions, one number after the other.

    A request whose ``X-Gate`` names a gate is held after the first event of its stream, until that
    gate is opened. A plain request may name the ``status`` and ``headers`` of its answer.
    """

    def __init__(self) -> None:
        self.calls = 0
        self.greetings = 0
        self.lived: list[str] = []
        """``startup`` and ``shutdown``, as the app's own lifespan hooks were called."""
        self.finished: set[str] = set()
        """Gates of the streams that were written to their end."""
        self._over: dict[str, threading.Event] = {}
        self._gates: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    def hello(self) -> str:
        self.greetings += 1
        return f"hello {self.greetings}"

    def open(self, gate: str) -> None:
        self._gates[gate].set()

    def over(self, gate: str) -> threading.Event:
        """Set when the stream that the gate held is over, to its end or not. For any thread."""
        return self._over.setdefault(gate, threading.Event())

    def answer(self, body: bytes, gate: str | None) -> Whole | Stream:
        """Answer a request.

        Args:
            body: The bytes that the app received.
            gate: The request's ``X-Gate``.
        """
        self.calls += 1
        asked: dict[str, Any] = json.loads(body)
        assert "cache" not in asked, "the cache object reached the app"
        if not asked.get("stream"):
            body = _completion(self.calls)
            return Whole(asked.get("status", 200), asked.get("headers", {}), body)
        usage = bool((asked.get("stream_options") or {}).get("include_usage"))
        return Stream(self._held(_chunks(self.calls, usage=usage), gate))

    async def _held(self, chunks: list[bytes], gate: str | None) -> AsyncIterator[bytes]:
        try:
            yield chunks[0]
            if gate is not None:
                await self._gates[gate].wait()
            for chunk in chunks[1:]:
                yield chunk
            if gate is not None:
                self.finished.add(gate)
        finally:
            if gate is not None:
                self.over(gate).set()


_USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def _envelope(number: int, kind: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{number}", "object": kind, "created": 1, "model": "numbered"}


def _completion(number: int) -> bytes:
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": f"answer {number}"},
        "finish_reason": "stop",
    }
    envelope = _envelope(number, "chat.completion")
    return json.dumps({**envelope, "choices": [choice], "usage": _USAGE}).encode()


def _chunks(number: int, *, usage: bool) -> list[bytes]:
    deltas: list[tuple[dict[str, str], str | None]] = [
        ({"role": "assistant", "content": ""}, None),
        ({"content": "answer "}, None),
        ({"content": str(number)}, None),
        ({}, "stop"),
    ]
    envelope = _envelope(number, "chat.completion.chunk")
    chunks: list[dict[str, Any]] = [
        {**envelope, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
        for delta, finish in deltas
    ]
    if usage:
        chunks = [{**chunk, "usage": None} for chunk in chunks]
        chunks.append({**envelope, "choices": [], "usage": _USAGE})
    return [b"data: %b\n\n" % json.dumps(chunk).encode() for chunk in chunks] + [DONE]


DONE = b"data: [DONE]\n\n"
