"""What every backend has to supply, on Redis.

Everything but a plain read sends what waits in the buffer under its own keys first, so that a
write which came later never arrives earlier. What waits under other keys does not concern it.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import time
from typing import TYPE_CHECKING, Any, Final, TypeVar

from askonce.caching import _redis_commands as say
from askonce.caching._redis_buffer import WriteBuffer
from askonce.caching._redis_link import RedisLink
from askonce.caching._redis_loop import MAX_BATCH

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from askonce.caching._primitives import Item
    from askonce.caching._redis import Server
    from askonce.caching._redis_buffer import Leaving
    from askonce.caching._redis_commands import Command
    from askonce.codec import Number

T = TypeVar("T")

_PATIENCE_SECONDS: Final = 1.0


class RedisStore(RedisLink):
    """The primitives of a cache on Redis.

    Args:
        server: Where the server is.
        namespace: What stands before the colon of this cache's keys; None: nothing does.
        flush_size: How many buffered writes are sent at once; None: nothing is buffered.
        clock: Returns Unix time in seconds.
        **link: As for :class:`~askonce.caching._redis_link.RedisLink`.
    """

    def __init__(
        self,
        server: Server,
        namespace: str | None,
        flush_size: int | None,
        clock: Callable[[], float] = time.time,
        **link: Any,
    ) -> None:
        super().__init__(server, **link)
        self.namespace = namespace
        self.redis_flush_size = flush_size
        self._buffer = WriteBuffer(flush_size or 1, clock)

    # ---- keys

    def _name(self, key: str) -> str:
        """Return a key as the server knows it: in this cache's namespace."""
        space = self.namespace
        if space is None or key.startswith((f"{space}:", f"{space}/")):
            return key
        return f"{space}:{key}"

    def _names(self, keys: Sequence[str]) -> list[str]:
        return [self._name(key) for key in keys]

    def _own(self, prefixes: Sequence[str] | None) -> Sequence[str] | None:
        """Return what the keys to be flushed begin with; None: all that this cache keeps."""
        if prefixes is not None:
            return self._names(prefixes)
        return None if self.namespace is None else (f"{self.namespace}:", f"{self.namespace}/")

    # ---- what a cluster says in another way

    def _unlinks(self, keys: Sequence[str | bytes]) -> list[Command]:
        """Return what deletes keys; each answer is how many there were."""
        return [("UNLINK", *part) for part in say.parts(keys, len, say.SCAN_COUNT)]

    def _pages(self, glob: str) -> Iterator[list[bytes]]:
        """Yield the names of keys that match, in pages; some may come twice."""
        cursor: Any = 0
        while True:
            ((cursor, page),) = self._sent([say.scan_command(cursor, glob)])
            yield page
            if not int(cursor):
                return

    async def _apages(self, glob: str) -> AsyncIterator[list[bytes]]:
        """Yield the names of keys that match; see :meth:`_pages`."""
        cursor: Any = 0
        while True:
            ((cursor, page),) = await self._asent([say.scan_command(cursor, glob)])
            yield page
            if not int(cursor):
                return

    # ---- primitives

    def _read(self, keys: Sequence[str]) -> list[bytes | None]:
        found: list[bytes | None] = []
        names = self._names(keys)
        for part in say.parts(names, len, MAX_BATCH):
            found += self._found(self._sent(self._reads(part)))
        return self._overlaid(names, found)

    async def _aread(self, keys: Sequence[str]) -> list[bytes | None]:
        found: list[bytes | None] = []
        names = self._names(keys)
        for part in say.parts(names, len, MAX_BATCH):
            found += await self._here().read(part, self._fetched)
        return self._overlaid(names, found)

    def _write(self, items: Sequence[Item]) -> None:
        named = [self._named(item) for item in items]
        self._settle([name for name, *_ in named])
        self._sent([say.set_command(item) for item in named])

    async def _awrite(self, items: Sequence[Item]) -> None:
        named = [self._named(item) for item in items]
        await self._asettle([name for name, *_ in named])
        await self._asent([say.set_command(item) for item in named])

    def _remove(self, keys: Sequence[str]) -> int:
        names = self._names(keys)
        self._settle(names)
        return sum(self._sent(self._unlinks(names)))

    async def _aremove(self, keys: Sequence[str]) -> int:
        names = self._names(keys)
        await self._asettle(names)
        return sum(await self._asent(self._unlinks(names)))

    def _clear(self, prefixes: Sequence[str] | None) -> int:
        self._settle()
        own = self._own(prefixes)
        pages = (say.chosen(page, own) for page in self._pages(say.pattern(own)))
        return sum(sum(self._sent(self._unlinks(page))) for page in pages)

    async def _aclear(self, prefixes: Sequence[str] | None) -> int:
        await self._asettle()
        own = self._own(prefixes)
        gone = 0
        async for page in self._apages(say.pattern(own)):
            gone += sum(await self._asent(self._unlinks(say.chosen(page, own))))
        return gone

    def _add(self, key: str, amount: Number, retention: float | None) -> Number:
        return self._added([say.add_command(self._name(key), amount, retention)])[0]

    async def _aadd(self, key: str, amount: Number, retention: float | None) -> Number:
        return (await self._aadded([say.add_command(self._name(key), amount, retention)]))[0]

    async def _run(self, primitive: Callable[..., T], *args: Any) -> T:
        return await asyncio.to_thread(primitive, *args)

    def _named(self, item: Item) -> Item:
        return (self._name(item[0]), *item[1:])

    def _added(self, commands: Sequence[Command]) -> list[Number]:
        self._settle([say.counter(command) for command in commands])
        return [say.added(reply) for reply in self._sent(commands, repeat=False)]

    async def _aadded(self, commands: Sequence[Command]) -> list[Number]:
        await self._asettle([say.counter(command) for command in commands])
        return [say.added(reply) for reply in await self._asent(commands, repeat=False)]

    # ---- the buffer

    def _overlaid(self, names: Sequence[str], found: list[bytes | None]) -> list[bytes | None]:
        return self._buffer.overlaid(names, found) if self._buffer else found

    def _settle(self, names: Sequence[str] | None = None) -> None:
        """Send what waits, behind what is on its way already.

        Args:
            names: Send what waits under these alone; None: all.
        """
        if not self._buffer:
            return
        leaving = [batch.gone for batch in self._buffer.leaving(names)]
        concurrent.futures.wait(leaving, self._patience())
        taken = self._buffer.take(names)
        if taken is not None:
            self._flushed(taken)

    async def _asettle(self, names: Sequence[str] | None = None) -> None:
        """Send what waits, behind what is on its way already; see :meth:`_settle`."""
        if not self._buffer:
            return
        leaving = [asyncio.wrap_future(batch.gone) for batch in self._buffer.leaving(names)]
        if leaving:
            await asyncio.wait(leaving, timeout=self._patience())
        taken = self._buffer.take(names)
        if taken is not None:
            await self._here().run(self._aflushed(taken))

    def _patience(self) -> float:
        """How many seconds to wait for a batch, which has the limit for each of its parts."""
        return max(self._server.limit or 0, _PATIENCE_SECONDS)

    def _flushed(self, taken: Leaving) -> None:
        with self._buffer.arriving(taken):
            for part in say.parts(self._buffer.items(taken), say.item_bytes):
                self._sent([say.set_command(item) for item in part])
                self._buffer.arrived(taken, part)

    async def _aflushed(self, taken: Leaving) -> None:
        with self._buffer.arriving(taken):
            for part in say.parts(self._buffer.items(taken), say.item_bytes):
                await self._asent([say.set_command(item) for item in part])
                self._buffer.arrived(taken, part)
