"""What the journey says to do with a request that is ours, beside sending a stored answer.

Plain values: whoever carries the bytes acts on them.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from askonce.policy.decide import Why  # noqa: TC001
from askonce.questions import Journey  # noqa: TC001
from askonce.replies import Reply, Stored


class Passing(msgspec.Struct, frozen=True):
    """The app answers, nothing is recorded.

    Args:
        member: Our member of Cache-Status.
        cut: The body for the app; None if it goes on as it came.
    """

    member: bytes
    cut: bytes | None


class Forward(msgspec.Struct, frozen=True, eq=False, gc=False):
    """The app answers, and a recording listens.

    Args:
        journey: The request.
        key: The physical key of its answer.
        why: Why it is forwarded (RFC 9211 section 2.2).
        cut: The body for the app; None if it goes on as it came.
        detail: Free text for Cache-Status, or None.
        exposed_key: The key, if Cache-Status may say it.
        stored: The stored answer that may not be served, or only if the app fails.
        meanwhile: A stale answer to send at once; the app is then asked behind it.
    """

    journey: Journey
    key: str
    why: Why
    cut: bytes | None = None
    detail: str | None = None
    exposed_key: str | None = None
    stored: Stored | None = None
    meanwhile: Reply | None = None


Outcome: TypeAlias = Reply | Forward | Passing
