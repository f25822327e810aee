"""How commands reach a Redis server, from threads and from event loops.

*Repeating.* What may be done twice (reading, keeping, deleting) is sent again, once and after a
short moment of random length, if its connection broke. What may not (adding, pushing, popping) is
never sent twice.

*Waiting.* A list of commands travels in parts, each of which has the operation limit: connecting
included from an event loop, where a connection that takes longer is made behind the request.
"""

from __future__ import annotations

import asyncio
import copy
import random
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

from askonce.caching._redis_commands import command_bytes, parts
from askonce.caching._redis_loop import LoopClient
from askonce.caching.base_cache import BaseCache
from askonce.errors import BackendError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from types import ModuleType
    from typing import Self

    from askonce.caching._redis import Server
    from askonce.caching._redis_commands import Command

T = TypeVar("T")

_PAUSE_SECONDS: Final = 0.01
"""How long the moment before a command is sent again is at most; each further one twice that."""


class RedisLink(BaseCache):
    """The clients of a cache on Redis, and what it says to them.

    Args:
        server: Where the server is.
        retries: How often what may be done twice is sent again where its connection broke.
        default_ttl: Seconds that ``set_cache`` keeps a value if it is not told; None: no limit.
        redis_client: redis-py's synchronous client, if the caller has one; it stays open.
        redis_async_client: The asynchronous one, likewise; used from its event loop alone.
    """

    name: ClassVar[str] = "redis"

    def __init__(
        self,
        server: Server,
        retries: int,
        default_ttl: float | None = None,
        redis_client: Any = None,
        redis_async_client: Any = None,
    ) -> None:
        super().__init__(default_ttl)
        self._driver = driver()
        self._server = server
        self._retries = retries
        self._given = (_plain(redis_client), _plain(redis_async_client))
        self._lock = threading.Lock()
        self._blocking: Any = None
        self._loops: dict[asyncio.AbstractEventLoop, LoopClient] = {}

    # ---- what a cluster does in another way

    def _blocking_client(self) -> Any:
        """Make the client of all threads."""
        return self._driver.blocking_client(self._server)

    def _loop_client(self) -> Any:
        """Make the client of one event loop."""
        return self._driver.client(self._server)

    # ---- clients

    @property
    def redis_client(self) -> Any:
        """redis-py's synchronous client, for what this class has no method for."""
        given, other = self._given
        if given is not None or other is not None:
            return _given(given, "redis_client")
        with self._lock:
            if self._blocking is None:
                self._blocking = self._blocking_client()
            return self._blocking

    @property
    def redis_async_client(self) -> Any:
        """redis-py's client of the running event loop; see :attr:`redis_client`."""
        return self._here().client

    def _here(self) -> LoopClient:
        loop = asyncio.get_running_loop()
        found = self._loops.get(loop)
        return self._arrive(loop) if found is None else found

    def _arrive(self, loop: asyncio.AbstractEventLoop) -> LoopClient:
        for ended in [known for known in list(self._loops) if known.is_closed()]:
            self._loops.pop(ended, None)
        other, given = self._given
        if given is not None or other is not None:
            client, close = _given(given, "redis_async_client"), _leave_open
        else:
            client = self._loop_client()
            close = client.aclose
        made = self._loops[loop] = LoopClient(
            client,
            close,
            partial(self._driver.open_line, limit=self._server.limit),
            partial(self._driver.failure, TimeoutError(), self._server.where, self._server.limit),
        )
        return made

    async def disconnect(self) -> None:
        """Close what was opened here, on all event loops that run; a client given stays open."""
        loops, self._loops = self._loops, {}
        for here in loops.values():
            await here.close()
        with self._lock:
            blocking, self._blocking = self._blocking, None
        if blocking is not None:
            blocking.close()

    def _patient(self, seconds: float) -> Self:
        """Return a cache beside this one, with clients of its own that wait for longer."""
        beside = copy.copy(self)
        vars(beside).update(
            _server=self._server.patient(seconds), _lock=threading.Lock(), _blocking=None, _loops={}
        )
        return beside

    # ---- sending

    def _sent(self, commands: Sequence[Command], *, repeat: bool = True) -> list[Any]:
        """Send commands, and return the answers.

        Args:
            commands: What to send; nothing holds them together.
            repeat: They may be done twice.

        Raises:
            BackendError: One of them failed.
        """
        client = self.redis_client
        with self._in_words():
            return [
                reply
                for part in parts(commands, command_bytes)
                for reply in self._attempted(partial(send, client, part), repeat)
            ]

    async def _asent(self, commands: Sequence[Command], *, repeat: bool = True) -> list[Any]:
        """Send commands, and return the answers; see :meth:`_sent`."""
        here = self._here()
        replies: list[Any] = []
        for part in parts(commands, command_bytes):
            replies += await here.run(self._in_time(partial(asend, here.client, part), repeat))
        return replies

    async def _fetched(self, client: Any, keys: Sequence[str]) -> list[bytes | None]:
        commands = self._reads(keys)
        replies = await self._in_time(partial(asend, client, commands))
        return self._found(replies)

    def _reads(self, keys: Sequence[str]) -> list[Command]:
        """Return what reads keys; a cluster has other commands for it."""
        return [("MGET", *keys)] if keys else []

    def _found(self, replies: Sequence[Any]) -> list[bytes | None]:
        """Return what was found under each key, given the answers to ``_reads``."""
        return [data for reply in replies for data in reply]

    def _attempted(self, attempt: Callable[[], T], repeat: bool = True) -> T:
        pauses = self._pauses(repeat)
        while True:
            try:
                return attempt()
            except Exception as error:
                pause = next(pauses, None)
                if pause is None or not self._driver.is_broken(error):
                    raise
            time.sleep(pause)

    async def _in_time(self, attempt: Callable[[], Awaitable[T]], repeat: bool = True) -> T:
        with self._in_words():
            async with asyncio.timeout(self._server.limit):
                return await self._aattempted(attempt, self._pauses(repeat))

    async def _aattempted(self, attempt: Callable[[], Awaitable[T]], pauses: Iterator[float]) -> T:
        while True:
            try:
                return await attempt()
            except Exception as error:
                pause = next(pauses, None)
                if pause is None or not self._driver.is_broken(error):
                    raise
            await asyncio.sleep(pause)

    def _pauses(self, repeat: bool) -> Iterator[float]:
        for attempt in range(self._retries if repeat else 0):
            yield random.uniform(0, _PAUSE_SECONDS * 2**attempt)  # noqa: S311

    def _in_words(self) -> AbstractContextManager[None]:
        words: AbstractContextManager[None] = self._driver.in_words(
            self._server.where, self._server.limit
        )
        return words


def driver() -> ModuleType:
    """Return the module that knows redis-py.

    Raises:
        MissingExtraError: redis is not installed.
    """
    try:
        from askonce.caching import _redis
    except ImportError as error:
        raise MissingExtraError(error.name or "redis", "redis") from error
    return _redis


def send(client: Any, commands: Sequence[Command]) -> list[Any]:
    """Send commands by a synchronous client in one go; raise the first failure."""
    if len(commands) == 1:
        return [client.execute_command(*commands[0])]
    with client.pipeline(transaction=False) as pipe:
        for command in commands:
            pipe.execute_command(*command)
        return _good(pipe.execute(raise_on_error=False))


async def asend(client: Any, commands: Sequence[Command]) -> list[Any]:
    """Send commands by an asynchronous client in one go; raise the first failure."""
    if len(commands) == 1:
        return [await client.execute_command(*commands[0])]
    async with client.pipeline(transaction=False) as pipe:
        for command in commands:
            pipe.execute_command(*command)
        return _good(await pipe.execute(raise_on_error=False))


def _good(replies: list[Any]) -> list[Any]:
    for reply in replies:
        if isinstance(reply, Exception):
            raise reply
    return replies


def _given(client: Any, name: str) -> Any:
    if client is None:
        raise BackendError(f"redis: this call needs a client of the other kind. HINT: give {name}")
    return client


def _plain(client: Any) -> Any:
    """Return a client given, unless what it reads is no longer bytes."""
    if client is not None and client.get_encoder().decode_responses:
        raise ValueError("a client with decode_responses=True cannot be used: answers are bytes")
    return client


async def _leave_open() -> None:
    """Close nothing: the client is the caller's."""
