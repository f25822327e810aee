"""JSON in and out without changing a value.

An answer that is built from another one must keep what the provider said to the last digit.
Python's float does not: 1.10 comes back as 1.1, and a long fraction is rounded. So numbers with a
fraction or an exponent stay the text that they were (``jiter.LosslessFloat``) and are written back
as that text; integers are Python's own and have no bounds. One literal is lost all the same: ``-0``
reads as 0.
"""

from __future__ import annotations

import re
from typing import Any, Final, TypeGuard, cast

import jiter
import msgspec

_HYPHENS: Final = 8
"""More hyphens than the names of models have."""
_MINUS_ZERO: Final = re.compile(rb"[:\[,]\s*-0\s*[,\]}]")
_LABEL: Final = re.compile(rb'[\s{,]*("(?:[^"\\]|\\.)*"\s*:\s*)')


def is_object(value: Any) -> TypeGuard[dict[str, Any]]:
    """Say whether a JSON value is an object."""
    return isinstance(value, dict)


def is_list(value: Any) -> TypeGuard[list[Any]]:
    """Say whether a JSON value is an array."""
    return isinstance(value, list)


def read_object(data: bytes) -> dict[str, Any] | None:
    """Parse a JSON object.

    Args:
        data: JSON text in UTF-8.

    Returns:
        The object, or None if ``data`` is not JSON (a duplicate member, NaN, a lone surrogate and
        nesting beyond 200 levels count as that) or is JSON of another type.
    """
    try:
        value = jiter.from_json(
            data, allow_inf_nan=False, catch_duplicate_keys=True, float_mode="lossless-float"
        )
    except ValueError:
        return None
    return value if is_object(value) else None


def glance(data: bytes) -> dict[str, Any] | None:
    """Parse a JSON object only to look at it, in a third of the time.

    Numbers may be rounded, and of a duplicate member the last one counts: what is seen here must
    not be written again.

    Args:
        data: JSON text in UTF-8.

    Returns:
        The object, or None if ``data`` is not JSON or is JSON of another type.
    """
    try:
        value = _GLANCE.decode(data)
    except (ValueError, RecursionError):
        return None
    return value if is_object(value) else None


def loses(data: bytes) -> bool:
    """Say whether reading ``data`` and writing it again might change a number.

    Args:
        data: JSON, or an event stream of it. A string that quotes such JSON counts as well.
    """
    at = -1
    for _ in range(_HYPHENS):  # to find one byte is ten times as fast as to find two
        at = data.find(b"-", at + 1)
        if at < 0:
            return False
        if data.startswith(b"0", at + 1):
            break
    return b"-0" in data and _MINUS_ZERO.search(data) is not None


def same(one: Any, other: Any) -> bool:
    """Say whether two JSON values are written alike: 1, 1.0 and true all differ."""
    return write(one) == write(other)


def without_member(data: bytes, name: str) -> bytes:
    """Cut a member out of a JSON object, with one comma, and leave every other byte alone.

    Args:
        data: An object that has the member and that ``read_object`` can read.
        name: The member's name, which needs no escapes.
    """
    label = b'"%b"' % name.encode()
    null = b",%b:null" % label
    if data.count(label) == data.count(null) == 1 and b"\\u" not in data:
        return data.replace(null, b"")  # there is no other place where the member could be
    start, end = (spans := _spans(data))[name]
    for other_start, _ in spans.values():
        if other_start > start:
            return data[:start] + data[other_start:]
    kept = [other_end for _, other_end in spans.values() if other_end <= start]
    return data[: max(kept, default=start)] + data[end:]


def _spans(data: bytes) -> dict[str, tuple[int, int]]:
    """Where each member of an object starts and where its value ends, in order."""
    spans: dict[str, tuple[int, int]] = {}
    end = 0
    for name, value in _MEMBERS.decode(data).items():
        # The decoder has just read a name there: the pattern cannot fail.
        label = cast("re.Match[bytes]", _LABEL.match(data, end))
        end = label.end() + len(bytes(value))
        spans[name] = (label.start(1), end)
    return spans


def _literal(value: Any) -> msgspec.Raw:
    if isinstance(value, jiter.LosslessFloat):
        return msgspec.Raw(bytes(value))
    raise TypeError(f"{type(value).__name__} is not a JSON value")


_GLANCE: Final = msgspec.json.Decoder()
_MEMBERS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
write: Final = msgspec.json.Encoder(enc_hook=_literal).encode
"""Write a JSON value, as ``read_object`` reads it, without white space."""
