"""The offline stand-in for a language model: a table of sentences, and honest about it.

The same prompt gets the same answer, for ever and in every process; every other prompt gets another
one. The words depend on everything that a real model's words depend on, and on nothing else: how
long the answer may be, where it stops and how it is sent only decide how much of it is seen.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from sample_app import schema

if TYPE_CHECKING:
    from sample_app.bodies import Asked, ChatBody, Function, TextBody

MODELS = ("stand-in", "stand-in-brief")

FinishReason = Literal["stop", "length", "tool_calls"]

_TOKEN = re.compile(r"\s*\w{1,6}|\s*[^\w\s]|\s+")
_TOKENS_PER_MESSAGE = 4  # what a chat template adds around each message
_DEFAULT_TEXT_TOKENS = 16  # the API's default for max_tokens in /v1/completions
_LONGEST_QUOTE = 80
_MORE_SENTENCES = {"stand-in": 2, "stand-in-brief": 0}
_SENTENCES = (
    "A real model would now think of something clever; I only wait, so that you can see the wait.",
    "My first word took 300 milliseconds, and each one after it 25, as a provider's might.",
    "Ask again, letter for letter, and the cache answers instead of me: same bytes, no wait.",
    "Change a single letter and I have to start over, for that is another question.",
    "Turn streaming off and ask once more: one stored answer serves both shapes.",
    "Had this been a paid model, asking the same thing again would cost nothing.",
)


@dataclass(frozen=True)
class Reply:
    """One choice of an answer.

    Args:
        tokens: The text in pieces, or the arguments of ``function`` in pieces.
        finish_reason: Why it ends.
        function: The function that is called, if the reply is a tool call.
    """

    tokens: tuple[str, ...]
    finish_reason: FinishReason
    function: str | None = None

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(self.tokens)


def tokens(text: str) -> tuple[str, ...]:
    """Cut ``text`` into pieces the size of a model's tokens; joined again they are ``text``."""
    return tuple(_TOKEN.findall(text))


def chat(body: ChatBody) -> list[Reply]:
    """Answer a conversation, once for each choice asked for."""
    limit = body.max_completion_tokens or body.max_tokens
    return [_chat_reply(body, index, limit) for index in range(body.n or 1)]


def complete(body: TextBody) -> list[Reply]:
    """Answer every prompt, once for each choice asked for: the first prompt's choices first."""
    limit = body.max_tokens or _DEFAULT_TEXT_TOKENS
    return [
        _cut(_speech(body.model, prompt, _fingerprint(body, prompt, index)), body.stops, limit)
        for prompt in body.prompts
        for index in range(body.n or 1)
    ]


def chat_prompt_tokens(body: ChatBody) -> int:
    """Count what the conversation costs to read."""
    return sum(_TOKENS_PER_MESSAGE + len(tokens(message.text)) for message in body.messages)


def text_prompt_tokens(body: TextBody) -> int:
    """Count what the prompts cost to read."""
    return sum(len(tokens(prompt)) for prompt in body.prompts)


def _chat_reply(body: ChatBody, index: int, limit: int | None) -> Reply:
    question = body.messages[-1].text
    if function := _called(body):
        arguments = json.dumps(schema.example(function.parameters, question))
        return _cut(arguments, (), limit, function.name)
    fingerprint = _fingerprint(body, [msgspec.to_builtins(body.messages), body.tools], index)
    return _cut(_said(body, question, fingerprint), body.stops, limit)


def _called(body: ChatBody) -> Function | None:
    """Choose the function to call: the one named, else the first, once for each user message."""
    functions = {tool.function.name: tool.function for tool in body.tools or ()}
    match body.tool_choice:
        case {"function": {"name": str(name)}}:
            return functions.get(name)
        case "none":
            return None
        case "required":
            return next(iter(functions.values()), None)
        case _:
            asked = body.messages[-1].role == "user"
            return next(iter(functions.values()), None) if asked else None


def _said(body: ChatBody, question: str, fingerprint: bytes) -> str:
    speech = _speech(body.model, question, fingerprint)
    match body.response_format:
        case None:
            return speech
        case form if form.json_schema:
            return json.dumps(schema.example(form.json_schema.get("schema"), speech))
        case form if form.type == "json_object":
            return json.dumps({"answer": speech})
        case _:
            return speech


def _speech(model: str, question: str, fingerprint: bytes) -> str:
    quote = " ".join(question.split())
    short = quote if len(quote) <= _LONGEST_QUOTE else quote[: _LONGEST_QUOTE - 1] + "…"
    opening = f"Stand-in answer {fingerprint.hex()[:8]}: I am no language model, only a table of"
    sentences = [f"{opening} sentences that needs no network.", f"You asked: “{short}”"]
    drawn = sorted(range(len(_SENTENCES)), key=lambda index: fingerprint[index])
    sentences += [_SENTENCES[index] for index in drawn[: _MORE_SENTENCES[model]]]
    return " ".join(sentences)


def _fingerprint(body: Asked, prompt: Any, index: int) -> bytes:
    """Hash what the words depend on, and nothing else."""
    ground = [body.model, body.temperature, body.top_p, body.seed, prompt, index]
    return hashlib.sha256(msgspec.json.encode(ground, order="sorted")).digest()


def _cut(
    text: str, stops: tuple[str, ...], limit: int | None, function: str | None = None
) -> Reply:
    """End ``text`` before the first stop sequence, then after ``limit`` tokens."""
    ends = [text.index(stop) for stop in stops if stop in text]
    pieces = tokens(text[: min(ends)] if ends else text)
    if limit is not None and len(pieces) > limit:
        return Reply(pieces[:limit], "length", function)
    return Reply(pieces, "tool_calls" if function else "stop", function)
