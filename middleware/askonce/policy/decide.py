"""May a stored answer be served? The closed union of what can be decided, and who decides it.

An entry is fresh while its age is below its ttl (RFC 9111 section 4.2). Beyond that it is stale,
and served only within the operator's windows (RFC 5861), which a client can narrow but not open:

- ``no-cache`` refuses every stored answer; ``max-age`` bounds the age of fresh and stale alike;
- ``min-fresh`` refuses every stale one; ``max-stale`` bounds the staleness in either window;
- ``no-store`` is served a fresh entry, but no stale one that would have to be refreshed behind
  it: that refresh would be stored on its account;
- ``stale-if-error`` bounds the staleness for the failures that RFC 5861 section 4 gives it: 500,
  502, 503 and 504. 429, 529 and an app that raises or times out are the operator's matter, and
  the client's number says nothing of them; only 0 does, which is taken to mean "never".

RFC 9111 section 5.2.1.1 lets ``max-age`` alone refuse stale answers and ``max-stale`` allow them
again. Here ``max-stale`` allows nothing, so ``max-age`` means the age and no more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias, get_args

import msgspec

from askonce.policy.directives import SILENT, Directives
from askonce.policy.vary import vary_matches

if TYPE_CHECKING:
    from askonce.entry import Entry, Headers
    from askonce.policy.options import Options

__all__ = [
    "Decision",
    "Forward",
    "Refuse",
    "Serve",
    "ServeStale",
    "Why",
    "admit",
    "decide",
    "stale_on_error",
    "vary_matches",
]

Why: TypeAlias = Literal["miss", "stale", "request", "vary-miss"]
"""Why a request goes on to the app (RFC 9211 section 2.2)."""


class Serve(msgspec.Struct, frozen=True, gc=False):
    """Serve the entry: it is fresh.

    Args:
        age: Seconds since the answer was made, never negative.
        ttl: Seconds for which it stays fresh, above 0.
    """

    age: float
    ttl: float


class ServeStale(msgspec.Struct, frozen=True, gc=False):
    """Serve the entry though it is stale, and fetch a fresh answer behind it.

    Args:
        age: Seconds since the answer was made.
        ttl: Seconds of freshness left: 0 or negative.
    """

    age: float
    ttl: float


class Forward(msgspec.Struct, frozen=True, gc=False):
    """Let the app answer.

    Args:
        why: The reason, as ``fwd=`` names it in Cache-Status.
    """

    why: Why


class Refuse(msgspec.Struct, frozen=True, gc=False):
    """Answer 504: the client takes stored answers only, and none may be served."""


Decision: TypeAlias = Serve | ServeStale | Forward | Refuse
"""All that can be decided. Who acts on it ends in ``assert_never``."""

_CLIENTS_FAILURES: Final = frozenset({500, 502, 503, 504})
_FAILURES: Final = _CLIENTS_FAILURES | {429, 529, None}


def admit(directives: Directives, options: Options) -> str | None:
    """Tell whether the cache has anything to do with a request.

    Returns:
        None if it has, else why it is bypassed: ``namespace-conflict``, or ``default-off`` for a
        request that did not opt in. A token for ``detail=`` in Cache-Status.
    """
    if directives.conflict:
        return "namespace-conflict"
    if options.mode == "default_off" and not directives.use_cache:
        return "default-off"
    return None


def decide(
    directives: Directives, entry: Entry | None, headers: Headers, now: float, options: Options
) -> Decision:
    """Decide on an admitted request.

    Args:
        directives: What the request says.
        entry: What is stored for it, None if nothing is.
        headers: The request's fields, names in lower case.
        now: Unix time in seconds.
        options: The operator's word.
    """
    if entry is None:
        return _forward("miss", directives)
    age = now - entry.stored_at
    if age < 0.0:  # noqa: PLR1730  (a call of max costs more than the rest of a hit)
        age = 0.0
    ttl = entry.ttl - age
    # Nearly every hit of a busy cache leaves here.
    if ttl > 0.0 and directives is SILENT and not entry.vary:
        return Serve(age, ttl)
    if not vary_matches(entry, headers):
        return _forward("vary-miss", directives)
    if ttl > 0.0:
        served = _accepts(directives, age, ttl)
        return Serve(age, ttl) if served else _forward("request", directives)
    return _decide_stale(directives, entry, age, ttl, options)


def stale_on_error(  # noqa: PLR0913, PLR0917  (six facts, and no fewer decide)
    status: int | None,
    directives: Directives,
    entry: Entry | None,
    headers: Headers,
    now: float,
    options: Options,
) -> bool:
    """Tell whether a stored answer may stand in for a failure of the app.

    Args:
        status: The status the app answered with, None if it raised or timed out.
        directives: What the request says.
        entry: What is stored for it, None if nothing is.
        headers: The request's fields, names in lower case.
        now: Unix time in seconds.
        options: The operator's word.

    Returns:
        True if ``status`` is a failure and the entry is within every limit that operator, client
        and answer set. A fresh entry that the client's limits refused stays refused.
    """
    if entry is None or status not in _FAILURES or not vary_matches(entry, headers):
        return False
    age = max(0.0, now - entry.stored_at)
    window = options.stale_if_error
    limit = directives.stale_if_error
    if limit is not None and (limit == 0 or status in _CLIENTS_FAILURES):
        window = min(window, limit)
    return _within(window, directives, entry, age, entry.ttl - age)


def _decide_stale(
    directives: Directives, entry: Entry, age: float, ttl: float, options: Options
) -> Decision:
    window = 0.0 if directives.no_store else options.stale_while_revalidate
    served = _within(window, directives, entry, age, ttl)
    return ServeStale(age, ttl) if served else _forward("stale", directives)


def _accepts(directives: Directives, age: float, ttl: float) -> bool:
    """Tell whether the client's own limits accept an answer, as far as age and freshness go."""
    if directives.no_cache:
        return False
    if directives.max_age is not None and age > directives.max_age:
        return False
    return directives.min_fresh is None or (ttl >= directives.min_fresh and ttl > 0.0)


def _within(window: float, directives: Directives, entry: Entry, age: float, ttl: float) -> bool:
    """Tell whether an entry may be served as stale, in a window of so many seconds."""
    if not entry.may_be_stale or not _accepts(directives, age, ttl):
        return False
    if directives.max_stale is not None:
        window = min(window, directives.max_stale)
    return window > 0.0 and -ttl <= window


def _forward(why: Why, directives: Directives) -> Decision:
    return _REFUSE if directives.only_if_cached else _FORWARD[why]


_REFUSE: Final = Refuse()
_FORWARD: Final[dict[Why, Forward]] = {why: Forward(why) for why in get_args(Why)}
