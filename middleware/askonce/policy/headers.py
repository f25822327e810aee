"""Which of an answer's fields are stored and replayed.

Everything is, in order and with its duplicates, but what describes one connection, one delivery
or one moment: a date, a rate limit, a cookie of the first asker.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from askonce.entry import Headers

_REQUEST_IDS: Final = frozenset({b"request-id", b"x-request-id"})
_ORIGIN_REQUEST_ID: Final = b"askonce-origin-request-id"

_DROPPED: Final = frozenset(
    {
        # Of one connection: RFC 9111 section 3.1, RFC 9110 section 7.6.1.
        b"connection",
        b"keep-alive",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        # Bodies are stored decoded, and their length is known when they are sent.
        b"content-encoding",
        b"content-length",
        # Of one delivery.
        b"age",
        b"cache-status",
        b"date",
        b"retry-after",
        b"server",
        b"set-cookie",
        # Of one asker, as providers name it:
        # https://platform.openai.com/docs/api-reference/debugging-requests
        # https://docs.anthropic.com/en/api/overview
        b"anthropic-organization-id",
        b"openai-organization",
        b"openai-processing-ms",
        b"openai-project",
    }
)
_DROPPED_PREFIXES: Final = (
    b"anthropic-ratelimit-",
    b"cf-",
    b"proxy-",
    b"ratelimit",
    b"x-ratelimit-",
)
# They describe bytes that a converted body no longer has.
_OF_THE_BYTES: Final = frozenset(
    {
        b"accept-ranges",
        b"content-digest",
        b"content-md5",
        b"content-type",
        b"digest",
        b"etag",
        b"last-modified",
        b"repr-digest",
    }
)


def stored_headers(headers: Headers, named: frozenset[bytes] = frozenset()) -> Headers:
    """Choose the fields that are stored and replayed.

    Args:
        headers: The app's response fields as received.
        named: The fields that the response itself forbids to store, in lower case.

    Returns:
        The fields to store, in order, duplicates kept, names in lower case. The app's request id
        is among them as ``askonce-origin-request-id``.
    """
    return tuple(
        [
            (stored, value)
            for name, value in headers
            if (stored := _stored_name(name)) is not None and not (named and name.lower() in named)
        ]
    )


def converted_headers(headers: Headers, content_type: bytes) -> Headers:
    """Fit stored fields to a body that was built from the other shape.

    Args:
        headers: The stored fields.
        content_type: The media type of the body that is sent.

    Returns:
        The fields without what described the stored bytes, Content-Type first.
    """
    kept = tuple((name, value) for name, value in headers if name.lower() not in _OF_THE_BYTES)
    return ((b"content-type", content_type), *kept)


# Every answer of one app brings the same names.
@lru_cache(maxsize=1024)
def _stored_name(name: bytes) -> bytes | None:
    """Give the name that a field is stored under, None if it is not stored."""
    name = name.lower()
    if name in _DROPPED or name.startswith(_DROPPED_PREFIXES):
        return None
    return _ORIGIN_REQUEST_ID if name in _REQUEST_IDS else name
