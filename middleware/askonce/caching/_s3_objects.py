"""What an object holds, and what its headers say. Pure.

::

    AOS1 4 | when it is over, Unix seconds as a double 8 | length of the key 4 | mark 8
    key | bytes

When it is over stands in the bytes and not in the object's metadata, because the ETag covers the
bytes alone: an object with the same ETag is then the same in every respect, and a conditional
request (RFC 9110, 13.1) can be relied on. The headers tell others the same, in whole seconds.
"""

from __future__ import annotations

import math
import struct
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

NEVER: Final = math.inf

_MAGIC: Final = b"AOS1"
_HEAD: Final = struct.Struct(">4sdI8s")
HEAD_BYTES: Final = _HEAD.size
"""So many bytes say whether an object is over."""

_LONGEST_AGE: Final = 2**31 - 1  # RFC 9111, 1.2.2
_LAST_MOMENT: Final = datetime(9999, 12, 31, tzinfo=UTC).timestamp()


class Content(NamedTuple):
    """What an object holds.

    Args:
        key: The key that it is kept under.
        data: The bytes.
        over: Unix seconds from which on it is not there any more; infinite: never.
        mark: 8 bytes that tell one write from another, where that matters.
    """

    key: str
    data: bytes
    over: float = NEVER
    mark: bytes = bytes(8)


def over_at(now: float, retention: float | None) -> float:
    """Return when something is over that is kept from ``now`` on for ``retention`` seconds."""
    return NEVER if retention is None else now + retention


def pack(content: Content) -> bytes:
    """Write an object."""
    key = content.key.encode("utf-8", "surrogatepass")
    return b"".join((_HEAD.pack(_MAGIC, content.over, len(key), content.mark), key, content.data))


def unpack(body: bytes) -> Content | None:
    """Read an object; None if it is not ours."""
    over = read_over(body)
    if over is None:
        return None
    _, _, length, mark = _HEAD.unpack_from(body)
    end = HEAD_BYTES + length
    try:
        key = body[HEAD_BYTES:end].decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return None
    return Content(key, body[end:], over, mark)


def read_over(body: bytes) -> float | None:
    """Read from an object's first bytes when it is over; None if it is not ours."""
    if len(body) < HEAD_BYTES:
        return None
    magic, over, _, _ = _HEAD.unpack_from(body)
    return None if magic != _MAGIC or math.isnan(over) else float(over)


def headers(name: str, over: float, now: float) -> dict[str, Any]:
    """Return what an object's headers say, as arguments of ``put_object``.

    A browser that is led to an object saves it, and does not show what a model wrote as if it
    were the bucket's own page. No cache between may keep it.

    Args:
        name: The object's name.
        over: When it is over.
        now: Unix seconds.
    """
    age = int(min(over - now, _LONGEST_AGE))
    told: dict[str, Any] = {
        "ContentType": "application/octet-stream",
        "ContentDisposition": f'attachment; filename="{name.rpartition("/")[2]}"',
        "CacheControl": f"private, max-age={age}",
    }
    if over != NEVER:
        told["Expires"] = datetime.fromtimestamp(min(over, _LAST_MOMENT), UTC)
    return told
