"""The two forms of a chat completion: the tables from chunks to whole, and the cut the other way.

Sources:

- https://platform.openai.com/docs/api-reference/chat-streaming for what OpenAI sends;
- ``reasoning_content``: https://api-docs.deepseek.com/guides/reasoning_model; vLLM calls it
  ``reasoning`` by now: https://docs.vllm.ai/en/latest/features/reasoning_outputs;
- filter results: https://learn.microsoft.com/azure/ai-foundry/openai/concepts/content-filter.
"""

from __future__ import annotations

from itertools import count
from typing import Any, Final

from askonce.calls.deltas import (
    CLASH,
    Table,
    appended,
    collected,
    combine,
    harshest,
    lone,
    nested,
    once,
)
from askonce.calls.form import Cut, Form
from askonce.calls.lossless import is_list, is_object
from askonce.calls.toolcalls import calls

SPOKEN: Final = ("content", "refusal")
"""What the log probabilities are about."""

TEXTS: Final = ("reasoning_content", "reasoning", *SPOKEN)
"""Texts that come in fragments, in the order in which a model says them."""

_DELTA: Final[Table] = {
    "role": once,
    **dict.fromkeys(TEXTS, appended),
    "tool_calls": calls,
    "function_call": nested({"name": once, "arguments": appended}),
    "obfuscation": None,  # padding; see the answer's table
}

_CALLS: Final = ("tool_calls", "function_call")
_CUT: Final = frozenset({"role", *TEXTS, *_CALLS})


def _message(seen: list[Any]) -> Any:
    whole = combine(seen, _DELTA, lone) if all(map(is_object, seen)) else CLASH
    return whole if is_object(whole) and whole.get("role") else CLASH


_CHOICE: Final[Table] = {
    "delta": _message,
    "finish_reason": once,
    "logprobs": nested(dict.fromkeys(SPOKEN, collected)),
    "content_filter_results": harshest,
    "content_filter_offsets": None,  # positions in the stream
    "obfuscation": None,
}


def cut_message(message: Any) -> Cut | None:
    """Cut a message: its opening, its texts, what is unknown here, its calls, an empty end."""
    if not is_object(message) or not _is_known(message):
        return None
    said = [name for name in TEXTS if message.get(name)]
    texts = [{name: message[name]} for name in said]
    deltas = [_opening(message), *texts, *_unknown(message), *_calls(message), {}]
    spoken = [number for number, name in enumerate(said, 1) if name in SPOKEN]
    return Cut(deltas, spoken[0] if spoken else -1)


def _is_known(message: dict[str, Any]) -> bool:
    """Every member that is cut has a type of which it is known how."""
    listed, called = message.get("tool_calls"), message.get("function_call")
    return (
        bool(message.get("role"))
        and all(isinstance(message.get(name), (str, type(None))) for name in TEXTS)
        and (listed is None or (is_list(listed) and all(map(_is_call, count(), listed))))
        and (called is None or is_object(called))
    )


def _is_call(number: int, call: Any) -> bool:
    """A call may have an index of its own, as Mistral's do, if that is its place in the list."""
    return is_object(call) and call.get("index", number) == number


def _opening(message: dict[str, Any]) -> dict[str, Any]:
    """The role, and what is empty and stays so; a text that follows begins as an empty one."""
    opening: dict[str, Any] = {"role": message["role"]}
    opening |= {name: message[name] and "" for name in TEXTS if name in message}
    opening |= {name: message[name] for name in _CALLS if name in message and not message[name]}
    return opening


def _unknown(message: dict[str, Any]) -> list[dict[str, Any]]:
    others = {name: value for name, value in message.items() if name not in _CUT}
    return [others] if others else []


def _calls(message: dict[str, Any]) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = message.get("tool_calls") or []
    called = message.get("function_call")
    deltas: list[dict[str, Any]] = [
        {"tool_calls": [{"index": number, **call}]} for number, call in enumerate(listed)
    ]
    return [*deltas, {"function_call": called}] if called else deltas


CHAT: Final = Form(
    whole="chat.completion",
    chunk="chat.completion.chunk",
    content="message",
    delta="delta",
    choice=_CHOICE,
    cut=cut_message,
)
