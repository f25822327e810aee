"""May this answer be stored, and for how long? HTTP's part of it: completeness is its API's.

Times are counted from when the answer was made, ``age`` seconds before it was received, as an
entry's ``stored_at`` and ``ttl`` are: an answer that arrives with ``Age: 30`` and ``max-age=100``
has a ttl of 100, of which 70 are left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from askonce.policy import freshness
from askonce.policy.fields import MAX_SECONDS, gather
from askonce.policy.headers import stored_headers
from askonce.policy.vary import Varied, varied

if TYPE_CHECKING:
    from askonce.entry import Answer, Headers
    from askonce.policy.directives import Directives
    from askonce.policy.head import Head
    from askonce.policy.options import Options

# RFC 9111 section 3: a cache that serves no ranges and revalidates nothing stores neither.
_NEVER_STORED: Final = frozenset({206, 304})
_LIFTS_AUTHORIZATION: Final = frozenset({"public", "s-maxage", "must-revalidate"})
_AUTHORIZATION: Final = frozenset({b"authorization"})


class Keep(msgspec.Struct, frozen=True):
    """Store the answer.

    Args:
        ttl: Seconds after it was made for which it is fresh.
        retention: Seconds for which a backend has to hold it: ttl plus the longer stale window.
        age: Seconds that had passed since it was made when it was received.
        may_be_stale: False if it forbids being served after its lifetime.
        vary: The request fields it depends on, with this request's values.
        headers: The fields to replay.
    """

    ttl: float
    retention: float
    age: float
    may_be_stale: bool
    vary: Varied
    headers: Headers


class Drop(msgspec.Struct, frozen=True):
    """Do not store the answer.

    Args:
        reason: A token: ``no-store`` (the client's), ``status``, ``too-large``, ``set-cookie``,
            ``vary``, ``response-no-store``, ``response-private``, ``response-no-cache``,
            ``authorization`` or ``ttl`` (never fresh, and no stale window).
    """

    reason: str


def keep(  # noqa: PLR0913, PLR0917  (six facts, and no fewer decide)
    directives: Directives,
    answer: Answer,
    head: Head,
    request_headers: Headers,
    now: float,
    options: Options,
) -> Keep | Drop:
    """Decide on a complete answer.

    Args:
        directives: What the request says.
        answer: What the app answered, its body decoded.
        head: What the answer's head says.
        request_headers: The request's fields.
        now: Unix time in seconds.
        options: The operator's word.
    """
    reason = (
        _refused(directives, answer, options)
        or head.reason
        or _unauthorized(head.said, request_headers, options)
    )
    if reason is not None:
        return Drop(reason)
    ttl = _ttl(directives, _lifetime(head, now), options)
    retention = ttl + (_window(options) if head.may_be_stale else 0.0)
    if retention <= head.age:
        return Drop("ttl")
    vary = varied(head.varies, request_headers)
    headers = stored_headers(answer.headers, head.named)
    return Keep(ttl, retention, head.age, head.may_be_stale, vary, headers)


def _lifetime(head: Head, now: float) -> float | None:
    return freshness.lifetime(head.fields, head.said, now) if head.counts else None


def _refused(directives: Directives, answer: Answer, options: Options) -> str | None:
    if directives.no_store:
        return "no-store"
    if answer.status not in options.cacheable_statuses or answer.status in _NEVER_STORED:
        return "status"
    return "too-large" if len(answer.body) > options.max_response_bytes else None


def _unauthorized(said: freshness.Control, request: Headers, options: Options) -> str | None:
    """Hold RFC 9111 section 3.5 where it bites: under ``always``, with callers that share."""
    applies = options.share_between_callers and options.respect_response_cache_control == "always"
    if not applies or not _LIFTS_AUTHORIZATION.isdisjoint(said):
        return None
    return "authorization" if gather(request, _AUTHORIZATION) else None


def _ttl(directives: Directives, lifetime: float | None, options: Options) -> float:
    ttl = options.ttl if directives.ttl is None else directives.ttl
    for bound in (MAX_SECONDS, options.max_ttl, lifetime):
        if bound is not None and bound < ttl:
            ttl = bound
    return ttl


def _window(options: Options) -> float:
    return max(options.stale_while_revalidate, options.stale_if_error)
