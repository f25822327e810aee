"""Connections to Redis, as redis-py makes them, with three habits of their own.

- *RESP3, else RESP2*: a server that refuses HELLO is spoken to in what it knows.
- *A connection is made once.* One that takes its time (TLS) is not begun again by every request
  that cannot wait for it: it is made in a task of its own, and whoever comes then finds it.
- *A connection that broke is thrown away*, and whoever comes while all are in use waits for one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, cast

from redis import asyncio as aioredis
from redis import connection as blocking
from redis.asyncio import connection as nonblocking
from redis.exceptions import ExternalAuthProviderError, RedisError, ResponseError

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["BLOCKING", "NONBLOCKING", "SharedPool"]

_RESP2: Final = 2
# What is mixed into redis-py's own classes calls parts of them; half of those have no types.
_ANY: Any = cast("Any", object)
_ANY_TLS: Any = cast("Any", nonblocking.SSLConnection)
_ANY_POOL: Any = cast("Any", aioredis.ConnectionPool)


class _Greeting(_ANY):  # type: ignore[misc]
    """How a connection of the synchronous client begins."""

    protocol: int

    def on_connect_check_health(self, check_health: bool = True) -> None:
        """Greet the server, in RESP2 if it refuses RESP3. Called by redis-py."""
        base: Any = super()
        with _providing():
            try:
                base.on_connect_check_health(check_health=check_health)
            except ResponseError:
                if self.protocol == _RESP2:
                    raise
                self.protocol = _RESP2
                base.on_connect_check_health(check_health=check_health)


class _AsyncGreeting(_ANY):  # type: ignore[misc]
    """How a connection of the asynchronous client begins: as a part of connecting, in its time."""

    protocol: int
    socket_timeout: float | None
    socket_connect_timeout: float | None

    async def on_connect_check_health(self, check_health: bool = True) -> None:
        """Greet the server, in RESP2 if it refuses RESP3. Called by redis-py."""
        base: Any = super()
        limit, self.socket_timeout = self.socket_timeout, self.socket_connect_timeout
        try:
            with _providing():
                await self._greet(base, check_health)
        finally:
            self.socket_timeout = limit

    async def _greet(self, base: Any, check_health: bool) -> None:
        try:
            await base.on_connect_check_health(check_health=check_health)
        except ResponseError:
            if self.protocol == _RESP2:
                raise
            self.protocol = _RESP2
            await base.on_connect_check_health(check_health=check_health)


@contextmanager
def _providing() -> Generator[None]:
    """Let a credential provider's own errors count as a login that failed."""
    try:
        yield
    except (RedisError, OSError):
        raise
    except Exception as error:
        raise ExternalAuthProviderError("the credential provider failed") from error


class _TCP(_Greeting, blocking.Connection):
    """TCP."""


class _TLS(_Greeting, blocking.SSLConnection):
    """TLS."""


class _Unix(_Greeting, blocking.UnixDomainSocketConnection):
    """A Unix socket."""


class _AsyncTCP(_AsyncGreeting, nonblocking.Connection):
    """TCP."""


class _AsyncTLS(_AsyncGreeting, _ANY_TLS):  # type: ignore[misc]
    """TLS. Certificates are read from the disk off the event loop."""

    async def _connect(self) -> None:
        await asyncio.to_thread(self.ssl_context.get)
        await _ANY_TLS._connect(self)  # noqa: SLF001


class _AsyncUnix(_AsyncGreeting, nonblocking.UnixDomainSocketConnection):
    """A Unix socket."""


BLOCKING: Final[dict[str, type[Any]]] = {"tcp": _TCP, "tls": _TLS, "unix": _Unix}
NONBLOCKING: Final[dict[str, type[Any]]] = {
    "tcp": _AsyncTCP,
    "tls": _AsyncTLS,
    "unix": _AsyncUnix,
}


class SharedPool(_ANY_POOL):  # type: ignore[misc]
    """Connections of one event loop. One at a time is being made, for all who wait."""

    def __init__(self, **options: Any) -> None:
        _ANY_POOL.__init__(self, **options)
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._opening: asyncio.Task[None] | None = None
        self._tls: Any = None

    async def get_connection(self, *_deprecated: Any, **_options: Any) -> Any:
        """Return a connection that is open and has nothing left to read; wait for one if need be.

        Raises:
            RedisError: None could be made.
        """
        while (connection := await self._idle()) is None:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            self._open_one()
            try:
                await waiter
            except asyncio.CancelledError:
                self._wake_another(waiter)
                raise
        return connection

    async def release(self, connection: Any) -> None:
        """Take a connection back; one that broke is forgotten."""
        await _ANY_POOL.release(self, connection)
        if not connection.is_connected and connection in self._available_connections:
            self._available_connections.remove(connection)
        self._wake()

    async def disconnect(self, inuse_connections: bool = True) -> None:
        """Close all connections, those that are being made too."""
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.gather(self._opening, return_exceptions=True)
        await _ANY_POOL.disconnect(self, inuse_connections)

    def make_connection(self) -> Any:
        """Make a connection that is not yet open. All share one TLS context."""
        connection: Any = _ANY_POOL.make_connection(self)
        if hasattr(connection, "ssl_context"):
            self._tls = self._tls or connection.ssl_context
            connection.ssl_context = self._tls
        return connection

    async def _idle(self) -> Any:
        while self._available_connections:
            connection: Any = self._available_connections.pop()
            self._in_use_connections.add(connection)
            if await _is_clean(connection):
                return connection
            self._in_use_connections.discard(connection)
            await connection.disconnect(nowait=True)
        return None

    def _open_one(self) -> None:
        there = len(self._in_use_connections) + len(self._available_connections)
        if self._opening is None and there < self.max_connections:
            self._opening = asyncio.create_task(self._open())

    async def _open(self) -> None:
        connection = self.make_connection()
        try:
            await connection.connect()
        except RedisError as error:
            self._fail(error)
        else:
            self._available_connections.append(connection)
        finally:
            self._opening = None
            await self._opened(connection)

    async def _opened(self, connection: Any) -> None:
        """Begin another one if more than one wait; a half-made connection is closed."""
        if not connection.is_connected:
            await connection.disconnect(nowait=True)
            return
        self._wake()
        if self._waiters:
            self._open_one()

    def _fail(self, error: RedisError) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_exception(error)
        self._waiters.clear()

    def _wake(self) -> None:
        """Let one who waits look again."""
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def _wake_another(self, gone: asyncio.Future[None]) -> None:
        if gone.done() and not gone.cancelled():
            self._wake()


async def _is_clean(connection: Any) -> bool:
    """An answer that somebody did not wait for must not become the answer of the next one."""
    try:
        return connection.is_connected and not await connection.can_read()
    except (RedisError, OSError):
        return False
