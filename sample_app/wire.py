"""OpenAI's objects: whole answers, chunks of streams, lists of models, errors.

Every member that the official client parses is there, as in OpenAI's API reference. A stream is a
sequence of *ticks*: one tick is what the model has to say at one moment, a chunk for each choice
that is not finished yet.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
from starlette.responses import Response

from sample_app.model import MODELS, Reply

if TYPE_CHECKING:
    from collections.abc import Iterator

Json = dict[str, Any]

DONE = b"data: [DONE]\n\n"

_SYSTEM_FINGERPRINT = "fp_askonce_stand_in"


@dataclass(frozen=True)
class Envelope:
    """What all chunks of one answer share.

    Args:
        answer_id: Unique to this answer: a second answer with the same id came from a cache.
        call_id: Likewise for the tool call in it.
        created: Unix time in seconds.
        model: The model that answers.
    """

    answer_id: str
    call_id: str
    created: int
    model: str

    def wrap(self, kind: str, choices: list[Json]) -> Json:
        """Put ``choices`` into an object of the kind ``kind``."""
        return {
            "id": self.answer_id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "choices": choices,
            "system_fingerprint": _SYSTEM_FINGERPRINT,
        }


class Wire(Protocol):
    """How one API writes its answers."""

    def whole(self, replies: list[Reply]) -> Json:
        """Write the answer as one object, its usage left out."""
        ...

    def ticks(self, replies: list[Reply]) -> list[list[Json]]:
        """Write the answer as chunks, tick by tick, the end of each choice included."""
        ...

    def usage_chunk(self) -> Json:
        """Write the chunk that carries the usage and no choice."""
        ...


@dataclass(frozen=True)
class ChatWire:
    """Chat Completions."""

    envelope: Envelope

    def whole(self, replies: list[Reply]) -> Json:
        """Write the answer as one ``chat.completion``, its usage left out."""
        choices = [
            {"index": index, "message": self._message(reply), **_end(reply.finish_reason)}
            for index, reply in enumerate(replies)
        ]
        return self.envelope.wrap("chat.completion", choices)

    def ticks(self, replies: list[Reply]) -> list[list[Json]]:
        """Write the answer as chunks: the role first, then the pieces, then the finish reasons."""
        opening = [self._chunk(index, self._opening(reply)) for index, reply in enumerate(replies)]
        said = [
            [self._chunk(index, self._delta(replies[index], piece)) for index, piece in pieces]
            for pieces in _spoken(replies)
        ]
        ending = [
            self._chunk(index, {}, reply.finish_reason) for index, reply in enumerate(replies)
        ]
        return _joined(opening, said, ending)

    def usage_chunk(self) -> Json:
        """Write the chunk that carries the usage and no choice."""
        return self.envelope.wrap("chat.completion.chunk", [])

    def _message(self, reply: Reply) -> Json:
        message: Json = {"role": "assistant", "content": None, "refusal": None, "annotations": []}
        if reply.function is None:
            return {**message, "content": reply.text}
        return {**message, "tool_calls": [self._call(reply.function, reply.text)]}

    def _call(self, name: str, arguments: str) -> Json:
        function = {"name": name, "arguments": arguments}
        return {"id": self.envelope.call_id, "type": "function", "function": function}

    def _opening(self, reply: Reply) -> Json:
        if reply.function is None:
            return {"role": "assistant", "content": "", "refusal": None}
        call = {"index": 0, **self._call(reply.function, "")}
        return {"role": "assistant", "content": None, "tool_calls": [call], "refusal": None}

    @staticmethod
    def _delta(reply: Reply, piece: str) -> Json:
        if reply.function is None:
            return {"content": piece}
        return {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}

    def _chunk(self, index: int, delta: Json, finish_reason: str | None = None) -> Json:
        choice = {"index": index, "delta": delta, **_end(finish_reason)}
        return self.envelope.wrap("chat.completion.chunk", [choice])


@dataclass(frozen=True)
class TextWire:
    """Completions, the older API: plain and chunk are the same object."""

    envelope: Envelope

    def whole(self, replies: list[Reply]) -> Json:
        """Write the answer as one ``text_completion``, its usage left out."""
        return self.envelope.wrap(
            "text_completion",
            [
                {"index": index, "text": reply.text, **_end(reply.finish_reason)}
                for index, reply in enumerate(replies)
            ],
        )

    def ticks(self, replies: list[Reply]) -> list[list[Json]]:
        """Write the answer as chunks: the pieces, then the finish reasons."""
        said = [
            [self._chunk(index, piece) for index, piece in pieces] for pieces in _spoken(replies)
        ]
        ending = [
            self._chunk(index, "", reply.finish_reason) for index, reply in enumerate(replies)
        ]
        return _joined([], said, ending)

    def usage_chunk(self) -> Json:
        """Write the chunk that carries the usage and no choice."""
        return self.envelope.wrap("text_completion", [])

    def _chunk(self, index: int, text: str, finish_reason: str | None = None) -> Json:
        choice = {"index": index, "text": text, **_end(finish_reason)}
        return self.envelope.wrap("text_completion", [choice])


def usage(prompt_tokens: int, replies: list[Reply]) -> Json:
    """Count what the answer costs."""
    written = sum(len(reply.tokens) for reply in replies)
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": written,
        "total_tokens": prompt_tokens + written,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


def models() -> Response:
    """List the stand-in's models."""
    data = [
        {"id": model, "object": "model", "created": 0, "owned_by": "askonce"} for model in MODELS
    ]
    return json_response({"object": "list", "data": data})


def error(
    status: int, message: str, *, kind: str = "invalid_request_error", code: str | None = None
) -> Response:
    """Write an error as OpenAI does.

    Args:
        status: HTTP status code.
        message: What is wrong, in words.
        kind: The error's ``type``.
        code: The error's ``code``, a token for programs.
    """
    body = {"message": message, "type": kind, "param": None, "code": code}
    return json_response({"error": body}, status)


def json_response(content: Json, status: int = 200) -> Response:
    """Write ``content`` as a JSON response."""
    return Response(msgspec.json.encode(content), status, media_type="application/json")


def event(content: Json) -> bytes:
    """Write one server-sent event."""
    return b"data: " + msgspec.json.encode(content) + b"\n\n"


def _end(finish_reason: str | None) -> Json:
    return {"logprobs": None, "finish_reason": finish_reason}


def _spoken(replies: list[Reply]) -> Iterator[list[tuple[int, str]]]:
    """What is said at each moment: a piece of every choice that has one left."""
    for pieces in zip_longest(*(reply.tokens for reply in replies)):
        yield [(index, piece) for index, piece in enumerate(pieces) if piece is not None]


def _joined(opening: list[Json], said: list[list[Json]], ending: list[Json]) -> list[list[Json]]:
    """Say the opening with the first pieces and the ending with the last: neither takes time."""
    first, *others = said or [[]]
    ticks = [opening + first, *others]
    return [*ticks[:-1], ticks[-1] + ending]
