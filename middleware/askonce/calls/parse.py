"""Reading a request's body, and cutting our own ``cache`` object out of it.

The parser must see what others overlook, as two readers that disagree on a body are two callers
that share an answer: a name given twice, NaN, a lone surrogate, a byte order mark and bytes that
are not UTF-8 all make a body unreadable (RFC 8259 sections 4, 6, 8). Integers stay exact; other
numbers stay the text that was sent.

The app must not see ``cache``, and must see everything else as it was sent, byte for byte. So the
member is cut out by its span, and the rest is never written anew.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final

import jiter
import msgspec

from askonce.calls.lossless import is_object, loses

_OWN_MEMBER: Final = "cache"
_SPACE: Final = re.compile(r"[ \t\n\r]*")
_BRACE: Final = re.compile(r"[ \t\n\r]*\{[ \t\n\r]*")
_COLON: Final = re.compile(r"[ \t\n\r]*:[ \t\n\r]*")
_COMMA: Final = re.compile(r"[ \t\n\r]*,")
# Numbers stay text here: only spans matter, and Python limits the digits of an integer.
_SCANNER: Final = json.JSONDecoder(parse_float=str, parse_int=str)
_REASONS: Final = (
    ("Detected duplicate key", "duplicate-member"),
    ("recursion limit exceeded", "too-deep"),
    ("number out of range", "number-too-long"),
)


class Parsed(msgspec.Struct, frozen=True):
    """A body that is a JSON object.

    Args:
        members: Its members; integers are int, other numbers ``jiter.LosslessFloat``. Without our
            own ``cache`` object.
        control: The ``cache`` object as plain Python values, or None if there is none.
        cut: The body without that object, every other byte as it was; None if there is none.
        exact: False if the members may have lost something that another reader sees.
    """

    members: dict[str, Any]
    control: dict[str, Any] | None = None
    cut: bytes | None = None
    exact: bool = True


class Unreadable(msgspec.Struct, frozen=True):
    """A body that nothing can be said about: the app gets it as it is, and answers for it.

    Args:
        reason: A token for ``detail=`` in Cache-Status: ``empty-body``, ``malformed-json``,
            ``duplicate-member``, ``too-deep``, ``number-too-long`` or ``not-an-object``.
    """

    reason: str


def parse(data: bytes) -> Parsed | Unreadable:
    """Read a request's body.

    Args:
        data: The body, its Content-Encoding undone.

    Returns:
        The object's members, or why there are none. A member ``cache`` that is an object is ours
        and apart; any other ``cache`` is the API's own and stays among the members.
    """
    try:
        value = jiter.from_json(
            data, allow_inf_nan=False, catch_duplicate_keys=True, float_mode="lossless-float"
        )
    except ValueError as error:
        return Unreadable(_reason(data, str(error)))
    if not is_object(value):
        return Unreadable("not-an-object")
    control = value.get(_OWN_MEMBER)
    if not is_object(control):
        return Parsed(value, exact=not loses(data))
    del value[_OWN_MEMBER]
    return Parsed(value, _plain(control), _cut(data), exact=not loses(data))


def _reason(data: bytes, message: str) -> str:
    if not data.strip(b" \t\n\r"):
        return "empty-body"
    for beginning, reason in _REASONS:
        if message.startswith(beginning):
            return reason
    return "malformed-json"


def _plain(control: dict[str, Any]) -> dict[str, Any]:
    """Turn numbers into floats; one that is too large for a float is left, and is no number."""
    return {name: _plain_number(value) for name, value in control.items()}


def _plain_number(value: Any) -> Any:
    if not isinstance(value, jiter.LosslessFloat) or math.isinf(float(value)):
        return value
    return float(value)


def _cut(data: bytes) -> bytes:
    """Cut our member out of a valid object that has it, and one comma with it."""
    text = data.decode()  # back and forth is exact: valid UTF-8 has one form
    start, end = _span(text)
    return (text[:start] + text[end:]).encode()


def _span(text: str) -> tuple[int, int]:
    """Find our member, with the comma before it or, as it is the first, the one behind it."""
    comma, start = None, _past(_BRACE, text, 0)
    while True:
        name, end = _SCANNER.raw_decode(text, start)
        _, end = _SCANNER.raw_decode(text, _past(_COLON, text, end))
        if name == _OWN_MEMBER:
            return (start, _past(_COMMA, text, end)) if comma is None else (comma, end)
        comma = _past(_SPACE, text, end)
        start = _past(_SPACE, text, comma + 1)


def _past(pattern: re.Pattern[str], text: str, position: int) -> int:
    """The position behind ``pattern``, if that is what stands here."""
    found = pattern.match(text, position)
    return found.end() if found else position
