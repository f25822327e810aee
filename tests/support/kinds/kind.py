"""What the contract needs of a backend: how to make one, and how time passes for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from askonce.caching.base_cache import BaseCache


class Clock:
    """Unix time that passes when it is told to.

    A server has a clock of its own: whoever makes a backend on one sets ``passing`` to what
    makes so many seconds pass there.
    """

    def __init__(self) -> None:
        self.now = 1_700_000_000.0
        self.passing: list[Callable[[float], None]] = []

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass, here and on the servers."""
        self.now += seconds
        for passed in self.passing:
            passed(seconds)


@dataclass(frozen=True)
class Kind:
    """A backend, and how to make one.

    Args:
        make: Makes it, given a directory of its own and the time. What it finds must be empty.
        set_clock: Lets the driver see the time, where the backend does not give it to it.
        examples: How many random sequences of operations it is put through.
    """

    make: Callable[[Path, Clock], BaseCache]
    set_clock: Callable[[pytest.MonkeyPatch, Clock], None] = lambda *_: None
    examples: int = 30
