"""The two forms of an answer with choices, and what chat and text completions have in common there.

*Whole*, an answer is one JSON object; *in chunks*, it is a stream of JSON objects with the same
envelope, each with pieces of its choices, ended by ``[DONE]``:
https://platform.openai.com/docs/api-reference/chat-streaming. A :class:`Form` is what one API says
of both; ``assemble`` goes from chunks to whole by its table, ``expand`` the other way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeGuard

import msgspec

from askonce.calls.lossless import is_object

if TYPE_CHECKING:
    from collections.abc import Callable

    from askonce.calls.deltas import Table

ENVELOPE: Final = ("id", "object", "created", "model", "service_tier", "system_fingerprint")
"""Members that every chunk repeats."""


class Cut(msgspec.Struct, frozen=True):
    """A whole choice's content, cut for a stream.

    Args:
        deltas: The pieces; the last one goes with the finish reason.
        spoken: The number of the piece that holds the tokens to which the log probabilities belong.
    """

    deltas: list[Any]
    spoken: int


class Form(msgspec.Struct, frozen=True):
    """How one API writes an answer.

    Args:
        whole: The ``object`` of a whole answer, for example ``chat.completion``.
        chunk: The ``object`` of a chunk.
        content: The member of a whole choice that holds what was said.
        delta: The member of a chunk's choice that holds a piece of it.
        choice: The table for the pieces of a choice.
        cut: Cuts the content of a whole choice; None if it is not known how.
    """

    whole: str
    chunk: str
    content: str
    delta: str
    choice: Table
    cut: Callable[[Any], Cut | None]


def is_numbered(choice: Any) -> TypeGuard[dict[str, Any]]:
    """Say whether a JSON value is an object with an integer ``index``, as choices are."""
    return is_object(choice) and type(choice.get("index")) is int
