"""Blocks of code in which nothing is cached: nothing is looked up, and nothing is stored.

A block belongs to the task or thread that entered it, and to the tasks and threads that begin in
it. What others do meanwhile is cached as ever. Left in a context in which it was not entered, as
when a framework runs the two halves of a generator in different threads, it changes nothing there.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Final

_ENTERED: Final[ContextVar[tuple[DisabledBlock, ...]]] = ContextVar("askonce_disabled", default=())
"""The blocks that a context is in, the innermost last."""


def is_disabled() -> bool:
    """Say whether the code that asks is in such a block."""
    return bool(_ENTERED.get())


class DisabledBlock:
    """A block of code without a cache; for ``with`` and ``async with`` alike."""

    def __enter__(self) -> None:
        """Begin the block."""
        _ENTERED.set((*_ENTERED.get(), self))

    def __exit__(self, *_raised: object) -> None:
        """End the block; what was raised in it goes on."""
        entered = _ENTERED.get()
        if self in entered:
            innermost = len(entered) - 1 - entered[::-1].index(self)
            _ENTERED.set(entered[:innermost] + entered[innermost + 1 :])

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
