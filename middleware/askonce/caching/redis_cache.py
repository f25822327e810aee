"""Answers on a Redis (or Valkey) server: processes and machines that share it share them.

Asynchronous calls use a client per event loop (:mod:`askonce.caching._redis_loop`), synchronous
ones a client for all threads (:mod:`askonce.caching._redis_link`). What is said to the server is
made and read by :mod:`askonce.caching._redis_commands`, the same for both, and for a cluster.

*Namespace.* Keys that do not begin with the cache's namespace get it in front, and a flush takes
that namespace alone. Without one, keys stay as they are and the whole database is taken to be this
cache's.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

from askonce.caching._redis_link import driver
from askonce.caching._redis_settings import parameters
from askonce.caching._redis_values import RedisValues
from askonce.caching.base_cache import ConnectionTest
from askonce.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from askonce.settings import CacheSettings

__all__ = ["RedisCache"]

OPERATION_SECONDS: Final = 0.05
FLUSH_SECONDS: Final = 5.0
"""How long each part of what waits may take on ``disconnect``, where no request waits for it."""
_OPTIONS: Final[dict[str, Any]] = {
    "socket_connect_timeout": 1.0,
    "max_connections": 100,
    "health_check_interval": 30.0,
    "protocol": 3,
}


class RedisCache(RedisValues):
    """A backend on a Redis server. Safe for threads and for several event loops.

    Args:
        host: The server's name or address; ``localhost`` if None.
        port: Its port; 6379 if None.
        password: Its password, or its user's.
        redis_flush_size: How many writes ``batch_cache_write`` sends at once; None: each at once.
        namespace: What stands before the colon of this cache's keys; None: nothing does.
        socket_timeout: Seconds that an answer may take; None: no limit.
        url: ``redis://``, ``rediss://`` or ``unix://``; what it says goes before the rest.
        default_ttl: Seconds that ``set_cache`` keeps a value if it is not told; None: no limit.
        retries: How often what may be done twice is sent again where its connection broke.
        redis_client: redis-py's synchronous client, to be used instead of one of our own.
        redis_async_client: The asynchronous one, likewise. Neither is closed here.
        clock: Returns Unix time in seconds.
        **options: ``db``, ``username``, ``credential_provider``, ``ssl`` and ``ssl_*``,
            ``max_connections`` (100 for each event loop, and for all threads), ``protocol`` (3),
            ``socket_connect_timeout`` (1 s), ``health_check_interval`` (30 s), and whatever else
            redis-py's connections take.

    Raises:
        MissingExtraError: redis is not installed.
        SettingsError: The URL cannot be read.
        ValueError: A client given decodes what it reads.
        TypeError: redis-py does not take one of the options.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - as LiteLLM's callers give them
        self,
        host: str | None = None,
        port: int | str | None = None,
        password: str | None = None,
        redis_flush_size: int | None = None,
        namespace: str | None = None,
        socket_timeout: float | None = OPERATION_SECONDS,
        *,
        url: str | None = None,
        default_ttl: float | None = None,
        retries: int = 1,
        redis_client: Any = None,
        redis_async_client: Any = None,
        clock: Callable[[], float] = time.time,
        **options: Any,
    ) -> None:
        given = {**_OPTIONS, **options, "host": host, "port": port, "password": password}
        super().__init__(
            driver().server(url, socket_timeout=socket_timeout, **given),
            namespace,
            redis_flush_size,
            clock,
            retries=retries,
            default_ttl=default_ttl,
            redis_client=redis_client,
            redis_async_client=redis_async_client,
        )

    @classmethod
    def from_settings(
        cls,
        settings: CacheSettings,
        *,
        clock: Callable[[], float] = time.time,
        **driver: Any,
    ) -> Self:
        """Make the backend that the settings describe.

        Args:
            settings: What the operator wants.
            clock: Returns Unix time in seconds.
            **driver: More arguments of redis-py's connections; they win over the settings.
        """
        return cls(clock=clock, **{**parameters(settings), **driver})

    # ---- the server

    def sync_ping(self) -> bool:
        """Ask the server for a sign of life.

        Raises:
            BackendError: There was none.
        """
        return bool(self._sent([("PING",)])[0])

    async def ping(self) -> bool:
        """Ask the server for a sign of life; see :meth:`sync_ping`."""
        return bool((await self._asent([("PING",)]))[0])

    def info(self) -> dict[str, Any]:
        """Return what the server tells of itself (``INFO``)."""
        with self._in_words():
            found: dict[str, Any] = self.redis_client.info()
            return found

    def client_list(self) -> list[dict[str, Any]]:
        """Return who is connected to the server (``CLIENT LIST``)."""
        with self._in_words():
            found: list[dict[str, Any]] = self.redis_client.client_list()
            return found

    def flushall(self) -> None:
        """Delete everything on the server, other programs' keys in all databases too."""
        self._settle()
        self._sent([("FLUSHALL",)])

    def flushdb(self) -> None:
        """Delete everything in this database, other programs' keys too."""
        self._settle()
        self._sent([("FLUSHDB",)])

    async def delete_cache_keys(self, keys: list[str]) -> int:
        """Delete entries or values. Returns how many there were."""
        return await self.async_delete_many(keys)

    async def test_connection(self) -> ConnectionTest:
        """Connect, write, read and delete a probe. Never raises.

        To connect may take longer here than a request would wait for it.
        """
        try:
            await self._reach()
        except BackendError as error:
            return ConnectionTest(status="failed", message=str(error))
        return await super().test_connection()

    async def disconnect(self) -> None:
        """Send what waits, and close what was opened here; the next call opens it again.

        Raises:
            BackendError: What waits could not be sent. It waits on, and all else is closed.
        """
        await super().disconnect()
        if not self._buffer:
            return
        patient = self._patient(FLUSH_SECONDS)
        try:
            await patient._asettle()  # noqa: SLF001 - it is this cache, but for its limit
        finally:
            await super(RedisCache, patient).disconnect()

    async def _reach(self) -> None:
        here = self._here()
        limit = self._server.options["socket_connect_timeout"]
        with self._driver.in_words(self._server.where, limit):
            async with asyncio.timeout(limit and limit + (self._server.limit or 0)):
                await here.run(here.client.execute_command("PING"))
