"""Patterns of ``Cache-Status``, as far as a test can know it: seconds pass."""

from __future__ import annotations

import re

MISS = re.compile(r"askonce; fwd=miss(; stored)?")
NOT_STORED = re.compile(r"askonce; fwd=miss")
REFUSED_BY_CLIENT = re.compile(r"askonce; fwd=request(; stored)?")
ONLY_IF_CACHED = re.compile(r"askonce; detail=only-if-cached")
HIT = re.compile(r"askonce; hit; ttl=(3600|35\d\d)")
"""With the default ttl of an hour, less the seconds that a test may take."""


def hit_within(ttl: int) -> re.Pattern[str]:
    """A hit with a ttl of at most so many seconds."""
    return re.compile(rf"askonce; hit; ttl=({'|'.join(map(str, range(ttl + 1)))})")


def said(heard: list[str], *expected: re.Pattern[str]) -> bool:
    """Say whether each answer's Cache-Status is what was expected, one by one."""
    return len(heard) == len(expected) and all(
        pattern.fullmatch(status) for status, pattern in zip(heard, expected, strict=True)
    )
