"""What happened to one request, or to one wrapped call, told once it is over.

An event holds no content and no credentials: the key is a hash, and under the client's
``no-store`` even that is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Outcome: TypeAlias = Literal[
    "hit", "stale", "stale-if-error", "miss", "bypass", "refused", "invalid", "gone"
]
"""How a request ended.

============== ==================================================================================
hit            a fresh stored answer was served
stale          a stale one was served, and a fresh one is fetched behind it
stale-if-error the app failed, and a stored answer stood in for it
miss           the app answered; ``forwarded`` says why it was asked, ``stored`` what came of it
bypass         the app answered, and the cache had nothing to do with it
refused        504: the client takes stored answers only, and there is none
invalid        400: the request's ``cache`` object is wrong
gone           the client left before it had sent its request
============== ==================================================================================
"""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens, as the answer itself counts them. None: the answer does not say.

    Args:
        prompt_tokens: Tokens of the question.
        completion_tokens: Tokens of the answer.
        total_tokens: Both.
    """

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheEvent:
    """What happened to one request or wrapped call.

    Args:
        time: Unix time in seconds at which it ended.
        call_type: Canonical name of the call type, for example ``completion``.
        model: The model asked for; None if the request could not be read so far.
        namespace: The namespace as it stands in keys, percent-encoded, a client's behind a slash.
        outcome: How it ended.
        forwarded: Why the app was asked, as ``fwd=`` names it in Cache-Status (RFC 9211 section
            2.2): ``miss``, ``stale``, ``request``, ``vary-miss``, ``bypass``; None if it was not.
        stored: True if the app's answer was stored.
        key: The physical key of the answer; None if none was made, or under ``no-store``.
        age: Seconds since the stored answer was made; None if none was served.
        ttl: Seconds of freshness left, negative if it is stale; None if nothing was served from
            the store or put there.
        duration: Seconds from the request's beginning to the answer's end.
        bytes: Bytes of the answer's body that were sent; of a wrapped call's result, as JSON.
        status: The HTTP status code that was sent; None if there was none.
        usage: What the answer cost, or, if it came from the store, what it did not cost again;
            None if the answer does not say, or was not recorded.
        reason: Why it is a bypass, a refusal, ... ; of a miss: ``backend-error``, or why its answer
            was not stored; of ``stale-if-error``: the app's status, or ``exception``. Else None.
    """

    time: float
    call_type: str
    model: str | None
    namespace: str
    outcome: Outcome
    forwarded: str | None = None
    stored: bool = False
    key: str | None = None
    age: float | None = None
    ttl: float | None = None
    duration: float
    bytes: int
    status: int | None = None
    usage: Usage | None = None
    reason: str | None = None
