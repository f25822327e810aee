"""The tokens that an answer says it cost. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from askonce.observe.events import Usage

if TYPE_CHECKING:
    from askonce.entry import Shape

_NAMES: Final = (
    ("prompt_tokens", "input_tokens"),
    ("completion_tokens", "output_tokens"),
    ("total_tokens", "total_tokens"),
)
_LOOKED_AT: Final = 16
"""How many of a stream's last events are looked at for a usage."""
_DATA: Final = re.compile(rb"data:[ ]?")


class _Answer(msgspec.Struct):
    usage: dict[str, Any] | None = None


_DECODER: Final = msgspec.json.Decoder(_Answer)


def usage_of(body: bytes, shape: Shape) -> Usage | None:
    """Return the usage that an answer names at its top level, or None.

    Args:
        body: The decoded body.
        shape: ``stream``: the last of its events that has a usage says it.
    """
    if shape == "plain":
        return _read(body)
    end = len(body)
    for _ in range(_LOOKED_AT):
        found = body.rfind(b'"usage"', 0, end)
        if found < 0:
            return None
        start = max(body.rfind(b"\n", 0, found), body.rfind(b"\r", 0, found)) + 1
        usage = _read(_DATA.sub(b"", body[start:].splitlines()[0], count=1))
        if usage is not None:
            return usage
        end = start
    return None


def _read(text: bytes) -> Usage | None:
    try:
        said = _DECODER.decode(text).usage
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    if said is None:
        return None
    counts = [_count(said, names) for names in _NAMES]
    return None if counts == [None] * len(_NAMES) else Usage(*counts)


def _count(said: dict[str, Any], names: tuple[str, ...]) -> int | None:
    """OpenAI's and Anthropic's names; a count that is no count is none."""
    counts = (said.get(name) for name in names)
    return next((count for count in counts if type(count) is int and count >= 0), None)
