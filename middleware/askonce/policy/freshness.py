"""What an answer's own header says on its reuse, and how much of that counts.

The operator chooses (``respect_response_cache_control``):

``auto``
    A plain answer's ``no-store`` and ``private`` forbid storing; ``s-maxage``, else ``max-age``,
    else ``Expires`` bound its lifetime; ``must-revalidate``, ``proxy-revalidate`` and ``s-maxage``
    bar stale serving. ``no-cache`` alone says nothing: providers send it with everything. Of an
    event stream only ``private`` counts, since frameworks put the rest on every stream.
``always``
    RFC 9111 as a shared cache that cannot revalidate: ``no-cache`` forbids storing too, and all
    of it counts for event streams as well.
``never``
    Nothing counts.

The qualified forms ``no-cache="field"`` and ``private="field"`` count like the plain ones. A
number that is given twice counts as the smaller, one that cannot be read as 0 (section 4.2.1).
An ``Age`` that cannot be read is no Age (section 5.1).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_tz
from functools import lru_cache
from typing import TYPE_CHECKING, Final, TypeAlias

from askonce.policy.fields import MAX_SECONDS, Fields, members, seconds

if TYPE_CHECKING:
    from askonce.entry import Shape
    from askonce.policy.options import Respect

Control: TypeAlias = Mapping[str, Sequence[bytes | None]]
"""An answer's Cache-Control: the arguments of each directive, None for one without."""

_FORBIDDING: Final[dict[tuple[Respect, Shape], tuple[str, ...]]] = {
    ("auto", "plain"): ("no-store", "private"),
    ("auto", "stream"): ("private",),
    ("always", "plain"): ("no-store", "private", "no-cache"),
    ("always", "stream"): ("no-store", "private", "no-cache"),
    ("never", "plain"): (),
    ("never", "stream"): (),
}
_BARS_STALE: Final = frozenset({"must-revalidate", "proxy-revalidate", "s-maxage"})


def control(answer: Fields) -> Control:
    """Read an answer's Cache-Control."""
    return _control(tuple(answer.get(b"cache-control", ())))


# An app sends few different ones, and each is read twice per answer.
@lru_cache(maxsize=128)
def _control(lines: tuple[bytes, ...]) -> Control:
    said: dict[str, list[bytes | None]] = {}
    for name, argument in members(lines):
        said.setdefault(name, []).append(argument)
    return said


def forbidden(said: Control, shape: Shape, respect: Respect) -> str | None:
    """Name the directive that forbids storing the answer, None if none does."""
    return next((name for name in _FORBIDDING[respect, shape] if name in said), None)


def counts(shape: Shape, respect: Respect) -> bool:
    """Tell whether lifetime and stale serving are the answer's to limit."""
    return respect == "always" or (respect == "auto" and shape == "plain")


def may_be_stale(said: Control) -> bool:
    """Tell whether the answer may be served after its lifetime (RFC 9111 section 4.2.4)."""
    return _BARS_STALE.isdisjoint(said)


def lifetime(answer: Fields, said: Control, now: float) -> float | None:
    """Read for how long an answer calls itself fresh (RFC 9111 section 4.2.1).

    Args:
        answer: The answer's fields.
        said: Its Cache-Control.
        now: Unix time in seconds, for an ``Expires`` without a ``Date``.

    Returns:
        Seconds from when the answer was made, None if it does not say.
    """
    for name in ("s-maxage", "max-age"):
        if name in said:
            return min(seconds(argument) or 0.0 for argument in said[name])
    if b"expires" not in answer:
        return None
    return _until_expires(answer, now)


def received_age(answer: Fields) -> float:
    """Read how many seconds old an answer was when it arrived (RFC 9111 section 5.1)."""
    if b"age" not in answer:
        return 0.0
    return max(seconds(age) or 0.0 for age in answer[b"age"])


def _until_expires(answer: Fields, now: float) -> float:
    ends = (_unix(value) for value in answer[b"expires"])
    end = min(-math.inf if moment is None else moment for moment in ends)
    dates = [date for value in answer.get(b"date", ()) if (date := _unix(value)) is not None]
    return min(max(0.0, end - max(dates, default=now)), MAX_SECONDS)


def _unix(value: bytes) -> float | None:
    """Read a date in any of the three forms of RFC 9110 section 5.6.7, as Unix seconds."""
    parts = parsedate_tz(value.decode("ascii", "replace"))
    if parts is None:
        return None
    try:
        moment = datetime(*parts[:6], tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
    return moment.timestamp() - (parts[9] or 0)
