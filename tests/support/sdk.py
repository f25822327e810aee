"""The official ``openai`` client, sync and async, behind one face: what it parsed, as plain data.

Every method asks once. Streams ask for their usage, as otherwise they may not serve a plain asker;
``thrifty`` does without.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import openai
from openai import AsyncOpenAI, OpenAI
from openai.lib.streaming.chat import ChatCompletionStreamState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from openai.types import Completion
    from openai.types.chat import ChatCompletionChunk

JSON = dict[str, Any]
KEY = "sk-of-a-test"
_USAGE = {"include_usage": True}
_TLS = False
"""There is none on loopback, and to load all authorities takes longer than to ask."""


class Answer(NamedTuple):
    """What the client made of an answer.

    Args:
        whole: The answer in one piece, by the client's own way to put it together.
        pieces: What came piece by piece: chunks or events; empty for a plain answer.
    """

    whole: JSON
    pieces: list[JSON]


@dataclass
class Sdk(ABC):
    """A client of one server, to be used in an ``async with`` block.

    Args:
        url: The server.
        key: The API key.
        heard: The headers of every response, in order.
    """

    url: str
    key: str = KEY
    heard: list[Any] = field(default_factory=list)

    @abstractmethod
    async def __aenter__(self) -> Self: ...

    @abstractmethod
    async def __aexit__(self, *_: object) -> None: ...

    @property
    def statuses(self) -> list[str]:
        """What ``Cache-Status`` said, response by response."""
        return [headers.get("cache-status", "") for headers in self.heard]

    @property
    def options(self) -> JSON:
        return {"base_url": f"{self.url}/v1", "api_key": self.key, "timeout": 20.0}

    async def ask(self, shape: str, **question: Any) -> Answer:
        """Ask in one of the shapes: the name of a method."""
        method: Callable[..., Any] = getattr(self, shape)
        return await method(**question)

    @abstractmethod
    async def plain(self, **question: Any) -> Answer: ...

    @abstractmethod
    async def stream(self, **question: Any) -> Answer: ...

    @abstractmethod
    async def thrifty(self, **question: Any) -> Answer: ...

    @abstractmethod
    async def helper(self, **question: Any) -> Answer: ...

    @abstractmethod
    async def text_plain(self, **question: Any) -> Answer: ...

    @abstractmethod
    async def text_stream(self, **question: Any) -> Answer: ...


class SyncSdk(Sdk):
    """``openai.OpenAI``, in a thread."""

    @cached_property
    def client(self) -> OpenAI:
        def hear(response: Any) -> None:
            self.heard.append(response.headers)

        http = openai.DefaultHttpxClient(verify=_TLS, event_hooks={"response": [hear]})
        return OpenAI(**self.options, http_client=http)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.client.close()

    async def plain(self, **question: Any) -> Answer:
        return _plain(await asyncio.to_thread(self.client.chat.completions.create, **question))

    async def text_plain(self, **question: Any) -> Answer:
        return _plain(await asyncio.to_thread(self.client.completions.create, **question))

    async def stream(self, **question: Any) -> Answer:
        return await self.thrifty(**question, stream_options=_USAGE)

    async def thrifty(self, **question: Any) -> Answer:
        def ask() -> Answer:
            with self.client.chat.completions.create(**question, stream=True) as chunks:
                return _chat(chunks)

        return await asyncio.to_thread(ask)

    async def text_stream(self, **question: Any) -> Answer:
        def ask() -> Answer:
            with self.client.completions.create(
                **question, stream=True, stream_options=_USAGE
            ) as chunks:
                return _text(chunks)

        return await asyncio.to_thread(ask)

    async def helper(self, **question: Any) -> Answer:
        def ask() -> Answer:
            with self.client.chat.completions.stream(**question, stream_options=_USAGE) as stream:
                events = [_dumped(event) for event in stream]
                return Answer(_bare(_dumped(stream.get_final_completion())), events)

        return await asyncio.to_thread(ask)


class AsyncSdk(Sdk):
    """``openai.AsyncOpenAI``."""

    @cached_property
    def client(self) -> AsyncOpenAI:
        async def hear(response: Any) -> None:
            self.heard.append(response.headers)

        http = openai.DefaultAsyncHttpxClient(verify=_TLS, event_hooks={"response": [hear]})
        return AsyncOpenAI(**self.options, http_client=http)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.close()

    async def plain(self, **question: Any) -> Answer:
        return _plain(await self.client.chat.completions.create(**question))

    async def text_plain(self, **question: Any) -> Answer:
        return _plain(await self.client.completions.create(**question))

    async def stream(self, **question: Any) -> Answer:
        return await self.thrifty(**question, stream_options=_USAGE)

    async def thrifty(self, **question: Any) -> Answer:
        chunks = await self.client.chat.completions.create(**question, stream=True)
        return _chat([chunk async for chunk in chunks])

    async def text_stream(self, **question: Any) -> Answer:
        chunks = await self.client.completions.create(
            **question, stream=True, stream_options=_USAGE
        )
        return _text([chunk async for chunk in chunks])

    async def helper(self, **question: Any) -> Answer:
        async with self.client.chat.completions.stream(**question, stream_options=_USAGE) as stream:
            events = [_dumped(event) async for event in stream]
            return Answer(_bare(_dumped(await stream.get_final_completion())), events)


def _dumped(model: Any) -> JSON:
    dumped: JSON = model.model_dump(warnings=False)
    return dumped


def _bare(whole: JSON) -> JSON:
    """Padding against eavesdroppers is no part of an answer; the client keeps the first one."""
    return {name: value for name, value in whole.items() if name != "obfuscation"}


def _plain(completion: Any) -> Answer:
    return Answer(_dumped(completion), [])


def _chat(chunks: Iterable[ChatCompletionChunk]) -> Answer:
    state: ChatCompletionStreamState[Any] = ChatCompletionStreamState()
    pieces: list[JSON] = []
    for chunk in chunks:
        pieces.append(_dumped(chunk))
        state.handle_chunk(chunk)
    return Answer(_bare(_dumped(state.current_completion_snapshot)), pieces)


def _text(chunks: Iterable[Completion]) -> Answer:
    """The client has no helper for these: a user joins the texts."""
    pieces = [_dumped(chunk) for chunk in chunks]
    choices: defaultdict[int, JSON] = defaultdict(dict)
    for chunk in pieces:
        for choice in chunk["choices"]:
            _join(choices[choice["index"]], choice)
    envelope = {name: pieces[-1][name] for name in ("id", "created", "model", "object", "usage")}
    return Answer({**envelope, "choices": [choices[index] for index in sorted(choices)]}, pieces)


def _join(known: JSON, choice: JSON) -> None:
    known["index"] = choice["index"]
    known["text"] = known.get("text", "") + choice["text"]
    known["finish_reason"] = choice["finish_reason"] or known.get("finish_reason")
    for name, values in (choice["logprobs"] or {}).items():
        known[name] = known.get(name, []) + values
