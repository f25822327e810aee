"""Bounded memories of what was worked out before.

Both keep two generations: when the young one is full it becomes the old one, and the old one is
forgotten. What is asked for again moves back to the young one. So a look-up is one dictionary
access, what is hot stays, and a flood of strangers costs what it weighs and no more.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Memo(Generic[K, V]):
    """A mapping bounded by weight.

    Args:
        bound: The most that all values together may weigh, in whatever unit ``put`` is given.
    """

    __slots__ = ("_half", "_old", "_weight", "_young")

    def __init__(self, bound: int) -> None:
        self._half = bound // 2
        self._young: dict[K, tuple[V, int]] = {}
        self._old: dict[K, tuple[V, int]] = {}
        self._weight = 0

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def get(self, key: K) -> V | None:
        """Return what was put under ``key``, or None."""
        kept = self._young.get(key)
        if kept is not None:
            return kept[0]
        kept = self._old.pop(key, None)
        if kept is None:
            return None
        self.put(key, *kept)
        return kept[0]

    def put(self, key: K, value: V, weight: int = 1) -> None:
        """Remember ``value``; one heavier than half the bound is not kept."""
        if weight > self._half:
            return
        if self._weight + weight > self._half:
            self._old, self._young, self._weight = self._young, {}, 0
        replaced = self._young.get(key)
        self._weight += weight - (replaced[1] if replaced else 0)
        self._young[key] = (value, weight)
