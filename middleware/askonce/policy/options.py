"""The operator's word on caching, as policy needs it: a value, however the settings were read."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

Mode: TypeAlias = Literal["default_on", "default_off"]
"""``default_on``: every request may be cached. ``default_off``: only those that opt in."""

Respect: TypeAlias = Literal["auto", "always", "never"]
"""How far an answer's own Cache-Control counts: see :mod:`askonce.policy.freshness`."""


class Options(msgspec.Struct, frozen=True):
    """What the operator decided. All durations are seconds; 0 is a value, not "unset".

    Args:
        mode: Whether a request is cached unless it opts out, or only if it opts in.
        ttl: Seconds for which an answer is fresh if the client names no ``ttl``.
        max_ttl: Seconds that no ttl exceeds, the operator's own included. None: no bound.
        stale_while_revalidate: Seconds after its ttl for which an entry is served while a fresh
            answer is fetched behind it (RFC 5861 section 3).
        stale_if_error: Seconds after its ttl for which an entry answers instead of a failure
            (RFC 5861 section 4).
        cacheable_statuses: The status codes that are stored.
        respect_response_cache_control: How far an answer's own Cache-Control counts.
        ignored_set_cookies: Names of cookies that do not make an answer personal.
        share_between_callers: True if callers with different credentials share entries.
        max_response_bytes: Decoded bodies above this many bytes are not stored.
    """

    mode: Mode = "default_on"
    ttl: float = 3600.0
    max_ttl: float | None = None
    stale_while_revalidate: float = 0.0
    stale_if_error: float = 0.0
    cacheable_statuses: frozenset[int] = frozenset({200})
    respect_response_cache_control: Respect = "auto"
    ignored_set_cookies: frozenset[str] = frozenset({"__cf_bm", "_cfuvid", "__cflb"})
    share_between_callers: bool = False
    max_response_bytes: int = 8 * 1024 * 1024
