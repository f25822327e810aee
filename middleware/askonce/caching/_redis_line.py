"""The line: a connection of one event loop on which nothing but MGET is said.

redis-py borrows a connection for each command and starts a task or two; for a read that costs more
than Redis does. On the line questions are written as they come, and answers belong to them in
order: no task, no borrowing. redis-py connects it, greets on it and closes it, and whenever there
is no line, or it says anything but an answer, redis-py is asked instead.

A question that is not answered in time breaks the line: what is late must not be taken for the
answer to another.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

import hiredis
from redis.exceptions import RedisError

from askonce.caching._redis_pool import SharedPool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Answer: TypeAlias = "list[bytes | None] | TimeoutError | None"
"""Values in the order of the keys; TimeoutError: they came too late; None: ask redis-py."""

_HIREDIS: Any = cast("Any", hiredis)  # half of it has no types
_AT_ONCE: Final = 4
"""How many answers may be due: behind a large one nobody has to wait who can ask elsewhere."""


class Line(asyncio.Protocol):
    """A connection that was given to us for good.

    Args:
        pool: Where the connection is from.
        connection: redis-py's, open and idle.
        limit: Seconds that an answer may take; None: no limit.
    """

    def __init__(self, pool: SharedPool, connection: Any, limit: float | None) -> None:
        self._pool = pool
        self._connection = connection
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._reader: Any = _HIREDIS.Reader()
        self._due: deque[Callable[[Answer], None]] = deque()
        self._timers: deque[asyncio.TimerHandle] = deque()
        self._used = self._loop.time()
        self._transport: Any = connection._writer.transport  # noqa: SLF001 - there is no other way
        self._before: Any = self._transport.get_protocol()
        self._transport.set_protocol(self)

    @property
    def is_free(self) -> bool:
        """True if a question may be asked here."""
        idle = self._connection.health_check_interval
        fresh = not idle or self._due or self._loop.time() - self._used < idle
        return bool(fresh) and len(self._due) < _AT_ONCE and not self._transport.is_closing()

    @property
    def is_over(self) -> bool:
        """True if nothing can be asked here any more, or nobody asked for so long."""
        return not self._due and not self.is_free

    def ask(self, keys: Iterable[str], answered: Callable[[Answer], None]) -> None:
        """Read keys; ``answered`` is called with what was found."""
        self._used = self._loop.time()
        self._due.append(answered)
        if self._limit is not None:
            self._timers.append(self._loop.call_later(self._limit, self._late))
        self._transport.write(_HIREDIS.pack_command(("MGET", *keys)))

    async def give_back(self) -> None:
        """End it; its connection makes room for another one."""
        self._transport.abort()
        await self._connection.disconnect(nowait=True)
        await self._pool.release(self._connection)

    def data_received(self, data: bytes) -> None:
        """Hand answers out. Called by the event loop."""
        self._reader.feed(data)
        try:
            while (reply := self._reader.gets()) is not False:
                if not isinstance(reply, hiredis.PushNotification):
                    self._answer(cast("Answer", reply) if isinstance(reply, list) else None)
        except (hiredis.HiredisError, IndexError):
            self._transport.abort()  # not Redis's protocol, or an answer to no question

    def connection_lost(self, exc: Exception | None) -> None:
        """Let those who wait ask elsewhere. Called by the event loop."""
        self._before.connection_lost(exc)
        self._end(None)

    def _answer(self, answer: Answer) -> None:
        answered = self._due.popleft()
        if self._timers:
            self._timers.popleft().cancel()
        answered(answer)

    def _late(self) -> None:
        self._transport.abort()
        self._end(TimeoutError())

    def _end(self, answer: Answer) -> None:
        while self._due:
            self._answer(answer)


async def open_line(client: Any, limit: float | None) -> Line | None:
    """Take a connection of a client of ours for good; None: there is none to spare."""
    pool = getattr(client, "connection_pool", None)
    if not isinstance(pool, SharedPool) or pool.max_connections == 1:
        return None
    try:
        async with asyncio.timeout(limit):
            connection = await pool.get_connection()
    except (RedisError, TimeoutError):
        return None
    return Line(pool, connection, limit)
