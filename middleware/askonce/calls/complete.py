"""When an answer with choices is complete.

It is if every choice that was asked for has a finish reason that says the model came to its end, or
to the asker's own limit, and, on a stream, if ``[DONE]`` came. What was cut off, filtered, failed
or cannot be read is not, and neither is an answer that repeats what only its asker may know.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from askonce.calls import sse
from askonce.calls.base import Ask, Complete, Incomplete
from askonce.calls.form import Form, is_numbered
from askonce.calls.lossless import glance, is_list

if TYPE_CHECKING:
    from collections.abc import Collection

    from askonce.entry import Answer

FINISHED: Final = frozenset({"stop", "length", "tool_calls", "function_call"})
"""https://platform.openai.com/docs/api-reference/chat/object#chat/object-choices"""

_COMPLETE: Final = Complete()
_EVENTS: Final = b"text/event-stream"
_JSON: Final = (b"/json", b"+json")


def verdict(ask: Ask, answer: Answer, form: Form) -> Complete | Incomplete:
    """Say whether an answer may be kept.

    Args:
        ask: The request.
        answer: What the app said to it.
        form: The form of its API.

    Returns:
        ``Complete``, or ``Incomplete`` with one of these reasons: ``content-type`` (not that of
        the shape), ``malformed``, ``error``, ``withheld-member`` (it has a member that callers do
        not share), ``no-done``, ``content-filter``, ``finish-reason`` (another one, or none),
        ``choices`` (not those that were asked for).
    """
    streamed = answer.shape == "stream"
    media = answer.media_type
    if not (media == _EVENTS if streamed else media.endswith(_JSON)):
        return Incomplete("content-type")
    reason = _stream_reason(ask, answer.body) if streamed else _plain_reason(ask, answer.body, form)
    return _COMPLETE if reason is None else Incomplete(reason)


def _plain_reason(ask: Ask, body: bytes, form: Form) -> str | None:
    whole = glance(body)
    if whole is None:
        return "malformed"
    choices = whole.get("choices")
    reason = _foreign(ask, whole)
    if reason is not None or not is_list(choices):
        return reason or "malformed"
    indexes: list[int] = []
    for choice in choices:
        if not is_numbered(choice) or form.content not in choice:
            return "malformed"
        if (reason := _unfinished(choice)) is not None:
            return reason
        indexes.append(choice["index"])
    return _miscounted(ask, indexes)


def _stream_reason(ask: Ask, body: bytes) -> str | None:
    events, rest = sse.parse(body)
    done = bool(events) and events[-1].data == sse.DONE
    tally = _Tally()
    for event in events[:-1] if done else events:
        reason = "error" if event.type == b"error" else tally.reason(ask, event.data)
        if reason is not None:
            return reason
    if sse.is_cut_off(rest):
        return "malformed"
    return tally.open_reason(ask) if done else "no-done"


class _Tally:
    """Which choices a stream has begun, and which of them it has finished."""

    def __init__(self) -> None:
        self._begun: set[int] = set()
        self._finished: set[int] = set()

    def reason(self, ask: Ask, data: bytes) -> str | None:
        """Count a chunk; return what is wrong with it, if anything."""
        chunk = glance(data)
        if chunk is None:
            return "malformed"
        choices = chunk.get("choices", [])
        reason = _foreign(ask, chunk)
        if reason is not None or not is_list(choices) or not all(map(is_numbered, choices)):
            return reason or "malformed"
        return next(filter(None, map(self._choice_reason, choices)), None)

    def _choice_reason(self, choice: dict[str, Any]) -> str | None:
        self._begun.add(choice["index"])
        if choice.get("finish_reason") in (None, "") and choice.get("error") is None:
            return None
        self._finished.add(choice["index"])
        return _unfinished(choice)

    def open_reason(self, ask: Ask) -> str | None:
        """Return what is wrong with the stream as a whole, if anything."""
        if self._finished != self._begun:
            return "finish-reason"
        return _miscounted(ask, self._begun)


def _foreign(ask: Ask, whole: dict[str, Any]) -> str | None:
    """What makes an object none that may be kept, wherever it comes."""
    if whole.get("error") is not None or "error" in (whole.get("object"), whole.get("type")):
        return "error"
    return None if ask.withheld.isdisjoint(whole) else "withheld-member"


def _unfinished(choice: dict[str, Any]) -> str | None:
    if choice.get("error") is not None:
        return "error"
    why = choice.get("finish_reason")
    if isinstance(why, str) and why in FINISHED:
        return None
    return "content-filter" if why == "content_filter" else "finish-reason"


def _miscounted(ask: Ask, indexes: Collection[int]) -> str | None:
    """Find out whether 0, 1, ... are all there, each once.

    ``expected`` is the asker's word and may be huge: nothing of that size is built.
    """
    right = len(indexes) == ask.expected and (
        indexes == _ONLY or set(indexes) == set(range(len(indexes)))
    )
    return None if right else "choices"


_ONLY: Final = [0]
"""The indexes of nearly every answer."""
