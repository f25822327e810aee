"""May this answer be stored, and for how long? HTTP's part of it: completeness is its API's.

Times are counted from when the answer was made, ``age`` seconds before it was received, as an
entry's ``stored_at`` and ``ttl`` are: an answer that arrives with ``Age: 30`` and ``max-age=100``
has a ttl of 100, of which 70 are left.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec

from askonce.policy import freshness
from askonce.policy.fields import MAX_SECONDS, Fields, gather
from askonce.policy.headers import stored_headers
from askonce.policy.vary import Varied, varied, varies_on

if TYPE_CHECKING:
    from askonce.entry import Answer, Headers, Shape
    from askonce.policy.directives import Directives
    from askonce.policy.options import Options

# RFC 9111 section 3: a cache that serves no ranges and revalidates nothing stores neither.
_NEVER_STORED: Final = frozenset({206, 304})
_LIFTS_AUTHORIZATION: Final = frozenset({"public", "s-maxage", "must-revalidate"})
_TOLD: Final = frozenset({b"age", b"cache-control", b"date", b"expires", b"set-cookie", b"vary"})
"""The fields of an answer that are read here."""
_TYPE: Final = frozenset({b"content-type"})
_AUTHORIZATION: Final = frozenset({b"authorization"})
# Behind a comma that is not a date's: some proxies fold several Set-Cookie fields into one.
_FOLDED_COOKIE: Final = re.compile(rb",[ \t]*([^\s;,=]+)[ \t]*=")


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


def keep(
    directives: Directives, answer: Answer, request_headers: Headers, now: float, options: Options
) -> Keep | Drop:
    """Decide on a complete answer.

    Args:
        directives: What the request says.
        answer: What the app answered, its body decoded.
        request_headers: The request's fields.
        now: Unix time in seconds.
        options: The operator's word.
    """
    judged = _judged(answer.headers, answer.shape, options)
    reason = (
        _refused(directives, answer, options)
        or judged.reason
        or _unauthorized(judged.said, request_headers, options)
    )
    if reason is not None:
        return Drop(reason)
    lifetime = freshness.lifetime(judged.fields, judged.said, now) if judged.counts else None
    ttl = _ttl(directives, lifetime, options)
    retention = ttl + (_window(options) if judged.may_be_stale else 0.0)
    if retention <= judged.age:
        return Drop("ttl")
    vary = varied(judged.varies, request_headers)
    headers = stored_headers(answer.headers)
    return Keep(ttl, retention, judged.age, judged.may_be_stale, vary, headers)


def personal(headers: Headers, options: Options, shape: Shape | None = None) -> str | None:
    """Tell from a response's head alone whether it may never be stored.

    Args:
        headers: The response's fields.
        options: The operator's word.
        shape: The shape of the body; None: Content-Type tells.

    Returns:
        Why it may not be stored, one of :class:`Drop`'s reasons; None if nothing in the head
        forbids it.
    """
    return _judged(headers, shape or _shape(headers), options).reason


class _Judged(msgspec.Struct, frozen=True):
    """What an answer's head says on storing it.

    Args:
        reason: Why it may not be stored, or None.
        fields: The fields that were read.
        said: Its Cache-Control.
        counts: True if its lifetime and its word on stale serving count.
        may_be_stale: False if it forbids being served after its lifetime.
        age: Seconds that had passed since it was made when it was received.
        varies: The request fields that it depends on.
    """

    reason: str | None
    fields: Fields
    said: freshness.Control
    counts: bool
    may_be_stale: bool
    age: float
    varies: list[bytes]


_SILENT: Final = _Judged(None, {}, {}, counts=False, may_be_stale=True, age=0.0, varies=[])
"""Of a head with none of the fields, as most heads are."""


def _judged(headers: Headers, shape: Shape, options: Options) -> _Judged:
    fields = gather(headers, _TOLD)
    if not fields:
        return _SILENT
    respect = options.respect_response_cache_control
    said = freshness.control(fields)
    counts = freshness.counts(shape, respect)
    return _Judged(
        reason=_personal(fields, said, shape, options),
        fields=fields,
        said=said,
        counts=counts,
        may_be_stale=not counts or freshness.may_be_stale(said),
        age=freshness.received_age(fields),
        varies=varies_on(fields) or [],
    )


def _personal(
    fields: Fields, said: freshness.Control, shape: Shape, options: Options
) -> str | None:
    ignored = options.ignored_set_cookies
    if any(_is_personal(cookie, ignored) for cookie in fields.get(b"set-cookie", ())):
        return "set-cookie"
    if varies_on(fields) is None:
        return "vary"
    directive = freshness.forbidden(said, shape, options.respect_response_cache_control)
    return directive and f"response-{directive}"


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
    bounds = [bound for bound in (options.max_ttl, lifetime) if bound is not None]
    return min(ttl, MAX_SECONDS, *bounds)


def _window(options: Options) -> float:
    return max(options.stale_while_revalidate, options.stale_if_error)


def _is_personal(cookie: bytes, ignored: frozenset[str]) -> bool:
    """Tell whether a Set-Cookie field sets a cookie that the operator did not dismiss."""
    pair = cookie.partition(b";")[0]
    name, equals, _ = pair.partition(b"=")
    names = [name.strip(), *_FOLDED_COOKIE.findall(cookie)]
    return not equals or any(name.decode("latin-1") not in ignored for name in names)


def _shape(headers: Headers) -> Shape:
    types = gather(headers, _TYPE).get(b"content-type", ())
    stream = any(value.lower().startswith(b"text/event-stream") for value in types)
    return "stream" if stream else "plain"
