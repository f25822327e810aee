"""Blocks of code in which nothing is cached: nothing is looked up, and nothing is stored.

A block belongs to the task or thread that entered it, and to the tasks and threads that begin in
it. What others do meanwhile is cached as ever.
"""

from __future__ import annotations

from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_DISABLED: Final[ContextVar[bool]] = ContextVar("askonce_disabled", default=False)

is_disabled: Final[Callable[[], bool]] = _DISABLED.get
"""Says whether the code that asks is in such a block."""


class DisabledBlock:
    """A block of code without a cache; for ``with`` and ``async with`` alike."""

    def __init__(self) -> None:
        self._entered: list[Token[bool]] = []

    def __enter__(self) -> None:
        """Begin the block."""
        self._entered.append(_DISABLED.set(True))

    def __exit__(self, *_raised: object) -> None:
        """End the block; what was raised in it goes on."""
        _DISABLED.reset(self._entered.pop())

    async def __aenter__(self) -> None:
        """Begin the block."""
        self.__enter__()

    async def __aexit__(self, *_raised: object) -> None:
        """End the block; what was raised in it goes on."""
        self.__exit__()


def cache_disabled() -> DisabledBlock:
    """Cache nothing in a block of code, whichever cache it meets there.

    ::

        with cache_disabled():
            answer = await client.chat.completions.create(...)

    The same with ``async with``. A request that goes through a cache in the block passes untouched,
    without a ``Cache-Status``; ``get_cache`` finds nothing, and ``add_cache`` stores nothing.
    """
    return DisabledBlock()
