"""What a client hears: our member of ``Cache-Status`` (RFC 9211), and ``Age``.

Times are whole seconds, rounded down: 0.9 seconds of freshness left are ``ttl=0``, and half a
second past it is ``ttl=-1``.
"""

from __future__ import annotations

import re
from math import floor
from typing import Final, Literal, TypeAlias

from askonce.policy.decide import Why

Forwarded: TypeAlias = Why | Literal["partial", "bypass"]
"""Why a request went on to the app; ``partial``: a part of what it asked for was stored."""

# RFC 8941 section 3.3.4 and 3.3.3.
_TOKEN: Final = re.compile(r"[A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]*")
_UNPRINTABLE: Final = re.compile(r"[^\x20-\x7e]")


def hit(
    ttl: float, *, stale: bool = False, detail: str | None = None, key: str | None = None
) -> bytes:
    """Say that a stored answer was served.

    Args:
        ttl: Seconds of freshness left, negative if it is stale.
        stale: True if it was served stale; ``detail`` says so unless it says something else.
        detail: A token or any text.
        key: The entry's key, if the operator exposes keys.
    """
    if detail is None and key is None and not stale:
        return b"askonce; hit; ttl=%d" % floor(ttl)
    if stale and detail is None:
        detail = "stale"
    return b"askonce; hit; ttl=%d%b" % (floor(ttl), _tail(detail, key))


def forward(  # noqa: PLR0913  (one for each parameter of RFC 9211)
    why: Forwarded,
    *,
    stored: bool = False,
    collapsed: bool = False,
    detail: str | None = None,
    status: int | None = None,
    ttl: float | None = None,
    key: str | None = None,
) -> bytes:
    """Say that the request went on to the app, and what came of it.

    Args:
        why: The reason.
        stored: True if the answer is known to be stored when its head leaves.
        collapsed: True if the request joined a running one.
        detail: A token or any text.
        status: The app's status, where it is not the status that the client sees.
        ttl: Seconds of freshness left, where a stored answer stood in for the app's.
        key: The entry's key, if the operator exposes keys.
    """
    parts = (
        f"askonce; fwd={why}",
        "" if status is None else f"; fwd-status={status}",
        "; stored" if stored else "",
        "; collapsed" if collapsed else "",
        "" if ttl is None else f"; ttl={floor(ttl)}",
    )
    return "".join(parts).encode() + _tail(detail, key)


def refused(*, key: str | None = None) -> bytes:
    """Say that nothing stored may be served to a client that takes nothing else.

    Args:
        key: The key that was looked up, if the operator exposes keys.
    """
    return b"askonce" + _tail("only-if-cached", key)


def age(seconds: float) -> bytes:
    """Write ``Age`` (RFC 9111 section 5.1). A negative number of seconds is 0."""
    return b"%d" % floor(seconds) if seconds > 0 else b"0"


def _tail(detail: str | None, key: str | None) -> bytes:
    told = "" if detail is None else f"; detail={_item(detail)}"
    shown = "" if key is None else f"; key={_string(key)}"
    return (told + shown).encode()


def _item(text: str) -> str:
    return text if _TOKEN.fullmatch(text) else _string(text)


def _string(text: str) -> str:
    """Quote a text (RFC 8941 section 3.3.3); what it cannot hold becomes ``?``."""
    plain = _UNPRINTABLE.sub("?", text)
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'
