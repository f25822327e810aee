"""The heads of answers, read once for each that is different: an app sends few different ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from askonce.memo import Memo
from askonce.policy import head

if TYPE_CHECKING:
    from askonce.entry import Headers
    from askonce.policy.options import Options

MEMO_BYTES: Final = 1024 * 1024
_OVERHEAD: Final = 1024
"""Bytes that a remembered head is taken to weigh beside its fields."""


class Heads:
    """Reads heads, and remembers what it read.

    Args:
        options: The operator's policy.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._memo: Memo[Headers, head.Head] = Memo(MEMO_BYTES)

    def read(self, headers: Headers) -> head.Head:
        """Return what the header fields of an answer say."""
        picked = head.pick(headers)
        return self._memo.get(picked) or self._read(picked)

    def _read(self, picked: Headers) -> head.Head:
        read = head.read(picked, self._options)
        weight = _OVERHEAD + sum(len(name) + len(value) for name, value in picked)
        self._memo.put(picked, read, weight)
        return read
