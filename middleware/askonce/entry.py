"""What is stored; :mod:`askonce.codec` makes bytes of it. Pure: no I/O, no clock.

An :class:`Entry` is an answer with what is needed to decide on it later and to replay it.
An :class:`Answer` is what an app said just now, before anyone decided whether to keep it.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

Headers: TypeAlias = tuple[tuple[bytes, bytes], ...]
"""Header fields in the order received, names in lower case, duplicates kept."""

Shape: TypeAlias = Literal["plain", "stream"]
"""``plain``: one body (JSON, text). ``stream``: an event stream."""


class Answer(msgspec.Struct, frozen=True, gc=False):
    """A complete response of the app, its body decoded (no Content-Encoding left).

    Args:
        status: HTTP status code.
        headers: The app's header fields as received.
        body: The decoded body.
        shape: ``stream`` if it came as an event stream.
        media_type: The media type in lower case, without parameters; empty if there is no
            Content-Type, or more than one.
    """

    status: int
    headers: Headers
    body: bytes
    shape: Shape
    media_type: bytes


class Entry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A stored answer. Immutable: tiers hand the same object to everyone.

    Args:
        key: The physical key that it was stored under, ``<namespace>:<hex>``.
        stored_at: Unix time in seconds at which the answer was complete, less the age that it
            had when it was received.
        ttl: Seconds after ``stored_at`` for which it is fresh.
        status: HTTP status code.
        headers: The fields that are replayed, in order, duplicates kept.
        body: The decoded body, in the shape it came.
        shape: The shape it came in.
        usage_due: True if the request that bought it was due a usage.
        vary: The fields that the answer's ``Vary`` names, each with all values that the request
            had for it (an empty tuple: the field was absent).
        may_be_stale: False if the answer forbade stale serving (RFC 9111 section 5.2.2.2).
    """

    key: str
    stored_at: float
    ttl: float
    status: int
    headers: Headers
    body: bytes
    shape: Shape
    usage_due: bool
    vary: tuple[tuple[bytes, tuple[bytes, ...]], ...] = ()
    may_be_stale: bool = True
