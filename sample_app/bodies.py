"""The request bodies that the stand-in reads, and what is wrong with the others.

Members follow OpenAI's API reference (Chat Completions, and the older Completions). A member that
is not listed here is accepted and changes nothing.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

Count = Annotated[int, Meta(ge=1)]
Choices = Annotated[int, Meta(ge=1, le=16)]
Temperature = Annotated[float, Meta(ge=0, le=2)]
Stops = str | Annotated[list[str], Meta(max_length=4)]


class StreamOptions(msgspec.Struct):
    """``include_usage``: one more event before the end, with the usage."""

    include_usage: bool | None = None


class Asked(msgspec.Struct, kw_only=True):
    """What both APIs have in common."""

    model: str
    temperature: Temperature | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    seed: int | None = None
    n: Choices | None = None
    max_tokens: Count | None = None
    stop: Stops | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None

    @property
    def usage_wanted(self) -> bool:
        """True if a stream ends with the usage."""
        return bool(self.stream_options and self.stream_options.include_usage)

    @property
    def stops(self) -> tuple[str, ...]:
        """The texts that end an answer; an empty one means nothing."""
        stops = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return tuple(stop for stop in stops if stop)


class Message(msgspec.Struct, kw_only=True):
    """One turn of a conversation; ``content`` is a text, a list of parts, or nothing."""

    role: str
    content: str | list[dict[str, Any]] | None = None
    name: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    tool_call_id: str | None = None

    @property
    def text(self) -> str:
        """The message's words, without images, sounds and files."""
        if isinstance(self.content, list):
            return "\n".join(str(part["text"]) for part in self.content if "text" in part)
        return self.content or ""


class Function(msgspec.Struct, kw_only=True):
    """A function that the model may call; ``parameters`` is a JSON Schema."""

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None


class Tool(msgspec.Struct, kw_only=True):
    """A tool of type ``function``."""

    type: str
    function: Function


class ResponseFormat(msgspec.Struct, kw_only=True):
    """``text``, ``json_object``, or ``json_schema`` with ``{"schema": ...}``."""

    type: str
    json_schema: dict[str, Any] | None = None


class ChatBody(Asked, kw_only=True):
    """The body of ``POST /v1/chat/completions``."""

    messages: Annotated[list[Message], Meta(min_length=1)]
    max_completion_tokens: Count | None = None
    tools: list[Tool] | None = None
    tool_choice: str | dict[str, Any] | None = None
    response_format: ResponseFormat | None = None


class TextBody(Asked, kw_only=True):
    """The body of ``POST /v1/completions``; a prompt may also be a list of token numbers."""

    prompt: str | list[Any]

    @property
    def prompts(self) -> tuple[str, ...]:
        """Every prompt as a text; token numbers are written out, since nobody here knows them."""
        if isinstance(self.prompt, str):
            return (self.prompt,)
        if all(isinstance(item, int) for item in self.prompt):
            return (str(self.prompt),)
        return tuple(str(item) for item in self.prompt)


BodyT = TypeVar("BodyT", ChatBody, TextBody)


def read(raw: bytes, kind: type[BodyT]) -> BodyT | str:
    """Decode a request body.

    Args:
        raw: The body as received.
        kind: The body's type.

    Returns:
        The body, or in words what is wrong with it.
    """
    try:
        return msgspec.json.decode(raw, type=kind)
    except (ValueError, RecursionError) as error:
        return f"The request body cannot be used: {error}"
