"""What a backend supplies: a handful of primitives on bytes.

They take many keys at once, since most drivers do that in one round trip. Nobody calls a primitive
but through ``_call`` or, from an event loop, through its twin (``_aread``, ...), which goes through
``_run``: there a backend says in which thread they run. One whose driver has asynchronous calls of
its own replaces the twins.

Failures are :class:`~askonce.errors.BackendError`, in words that name the backend and hold no
secret.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from askonce.codec import Number

T = TypeVar("T")

Item: TypeAlias = tuple[str, bytes, float | None]
"""Key, bytes, and seconds above 0 to keep them; None keeps them without a limit."""


class Primitives(ABC):
    """A store of bytes. It opens when it is first used."""

    name: ClassVar[str]
    """What messages call this backend."""

    in_process: ClassVar[bool] = False
    """True if no call ever waits, so that it needs neither a time limit nor a thread."""

    @property
    def evictions(self) -> int:
        """How many live items were given up for want of room, as far as the backend can tell."""
        return 0

    @abstractmethod
    def _read(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return what is kept under each key, None where nothing is or its time is over."""

    @abstractmethod
    def _write(self, items: Sequence[Item]) -> None:
        """Keep bytes, replacing what was there. What is too large is not kept."""

    @abstractmethod
    def _remove(self, keys: Sequence[str]) -> int:
        """Forget keys. Returns how many there were."""

    @abstractmethod
    def _clear(self, prefixes: Sequence[str] | None) -> int:
        """Forget all keys that begin with one of ``prefixes``; None: all. Returns how many."""

    @abstractmethod
    def _add(self, key: str, amount: Number, retention: float | None) -> Number:
        """Add to the number under ``key``, atomically, and return the sum.

        An absent key counts as 0 and is kept for ``retention`` seconds (None: no limit); one that
        is there keeps the time it has. Something else than a number is a BackendError.
        """

    def _call(self, primitive: Callable[..., T], *args: Any) -> T:
        """Call a primitive and wait for it."""
        return primitive(*args)

    @abstractmethod
    async def _run(self, primitive: Callable[..., T], *args: Any) -> T:
        """Call a primitive without holding up the event loop."""

    async def _aread(self, keys: Sequence[str]) -> list[bytes | None]:
        return await self._run(self._read, keys)

    async def _awrite(self, items: Sequence[Item]) -> None:
        await self._run(self._write, items)

    async def _aremove(self, keys: Sequence[str]) -> int:
        return await self._run(self._remove, keys)

    async def _aclear(self, prefixes: Sequence[str] | None) -> int:
        return await self._run(self._clear, prefixes)

    async def _aadd(self, key: str, amount: Number, retention: float | None) -> Number:
        return await self._run(self._add, key, amount, retention)
