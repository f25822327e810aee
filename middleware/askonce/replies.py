"""Answers that the app is not asked for: hits, stale answers, refusals.

Every reply is a fresh list of header fields: outer middlewares edit the list that they are sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from askonce.policy import status
from askonce.policy.headers import converted_headers

if TYPE_CHECKING:
    from askonce.calls.base import CallType, Rendition
    from askonce.entry import Entry, Headers, Shape

_CONTENT_TYPES: Final[dict[Shape, bytes]] = {
    "plain": b"application/json",
    "stream": b"text/event-stream; charset=utf-8",
}


class Reply(msgspec.Struct, gc=False):
    """What to send instead of asking the app.

    Args:
        status: HTTP status code.
        headers: Header fields; the list belongs to whoever sends it.
        body: The whole body.
    """

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class Stored(msgspec.Struct, frozen=True, gc=False):
    """A stored answer in the shape asked for.

    Args:
        entry: The stored answer.
        rendition: Its body in the shape asked for.
    """

    entry: Entry
    rendition: Rendition


def replay(stored: Stored, member: bytes, age: float) -> Reply:
    """Send a stored answer again.

    Args:
        stored: The answer.
        member: Our member of Cache-Status.
        age: Seconds since it was stored.
    """
    entry, rendition = stored.entry, stored.rendition
    body = rendition.body
    fields = entry.headers if not rendition.converted else _converted(entry.headers, rendition)
    headers = [*fields, (b"cache-status", member), (b"age", status.age(age))]
    if rendition.shape == "plain":
        headers.append((b"content-length", b"%d" % len(body)))
    return Reply(entry.status, headers, body)


def _converted(headers: Headers, rendition: Rendition) -> Headers:
    return converted_headers(headers, _CONTENT_TYPES[rendition.shape])


def wrong_cache_object(call: CallType, param: str, message: str) -> Reply:
    """400: the body's ``cache`` object is wrong."""
    body = call.error(message, code="invalid_cache_control", param=param)
    return _error(400, body, status.forward("bypass", detail="invalid-cache-control"))


def only_if_cached(call: CallType) -> Reply:
    """504: the client wants a stored answer and there is none (RFC 9111 section 5.2.1.7).

    The official SDKs send a 504 again, twice, unless ``x-should-retry`` says not to.
    """
    body = call.error(
        "The request says only-if-cached, and no stored answer can serve it.",
        code="only_if_cached",
    )
    reply = _error(504, body, status.refused())
    reply.headers.append((b"x-should-retry", b"false"))
    return reply


def _error(code: int, body: bytes, member: bytes) -> Reply:
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"cache-status", member),
    ]
    return Reply(code, headers, body)
