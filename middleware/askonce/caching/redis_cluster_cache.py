"""Answers in a Redis Cluster: many servers that share the keys among them.

The surface is :class:`~askonce.caching.redis_cache.RedisCache`'s. Keys belong to slots, and slots
to nodes; what reads, keeps or deletes many keys says so key by key, and the parts travel together
to the nodes that have them. A flush looks through every primary.

While a primary is gone, calls for its keys fail within their time, and all others go on. The first
call after a replica took its place finds it.
"""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from askonce.caching._redis_commands import scan_command
from askonce.caching._redis_settings import parameters
from askonce.caching.redis_cache import RedisCache

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
    from typing import Self

    from askonce.caching._redis_commands import Command
    from askonce.settings import CacheSettings

__all__ = ["RedisClusterCache"]

Node: TypeAlias = "tuple[str, int] | Mapping[str, Any]"
"""Host and port, as a pair or under these names."""


class RedisClusterCache(RedisCache):
    """A backend on a Redis Cluster. Safe for threads and for several event loops.

    Args:
        startup_nodes: Nodes by which the others are found: pairs of host and port, or mappings
            with ``host`` and ``port``.
        **parameters: As for :class:`~askonce.caching.redis_cache.RedisCache`, without ``url``,
            ``db``, ``redis_client`` and ``redis_async_client``. ``host`` and ``port`` name one
            more startup node. ``max_connections`` counts for each node.

    Raises:
        MissingExtraError: redis is not installed.
        ValueError: No node is named.
        TypeError: redis-py does not take one of the parameters.
    """

    def __init__(self, *args: Any, startup_nodes: Sequence[Node] = (), **parameters: Any) -> None:
        nodes = [_address(node) for node in startup_nodes]
        super().__init__(*args, **parameters)
        options = self._server.options
        if "host" in options:
            nodes.append((str(options["host"]), int(options.get("port", 6379))))
        if not nodes:
            raise ValueError("a Redis Cluster needs startup_nodes, of which one must answer")
        self._startup_nodes = nodes
        host, port = nodes[0]
        self._server = replace(self._server, where=f"the cluster of {host}:{port}")

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
            settings: What the operator wants: ``redis_startup_nodes``, and how nodes are spoken
                to. ``redis_url``, ``host``, ``port`` and ``db`` do not count.
            clock: Returns Unix time in seconds.
            **driver: More arguments of redis-py's connections; they win over the settings.
        """
        elsewhere = ("url", "host", "port", "db", "sentinel_nodes", "service_name")
        given = {name: it for name, it in parameters(settings).items() if name not in elsewhere}
        given |= driver
        return cls(startup_nodes=settings.redis_startup_nodes, clock=clock, **given)

    def info(self) -> dict[str, Any]:
        """Return what each primary tells of itself (``INFO``), by ``host:port``."""
        return dict(self._asked("info"))

    def client_list(self) -> list[dict[str, Any]]:
        """Return who is connected to the primaries (``CLIENT LIST``)."""
        return [client for _, clients in self._asked("client_list") for client in clients]

    def flushall(self) -> None:
        """Delete everything in the cluster, other programs' keys too."""
        self._settle()
        self._asked("flushall")

    def flushdb(self) -> None:
        """Delete everything in the cluster, which has one database: see :meth:`flushall`."""
        self.flushall()

    def _asked(self, method: str) -> list[tuple[str, Any]]:
        """Call a method of each primary's client."""
        with self._in_words():
            return [
                (_name(client), getattr(client, method)())
                for client in self.redis_client.primaries()
            ]

    # ---- what a server of its own does in another way

    def _blocking_client(self) -> Any:
        from askonce.caching._redis_cluster import BlockingCluster

        return BlockingCluster(self._server, self._startup_nodes)

    def _loop_client(self) -> Any:
        from askonce.caching._redis_cluster import AsyncCluster

        return AsyncCluster(self._server, self._startup_nodes)

    def _reads(self, keys: Sequence[str]) -> list[Command]:
        return [("GET", key) for key in keys]

    def _found(self, replies: Sequence[Any]) -> list[bytes | None]:
        return list(replies)

    def _unlinks(self, keys: Sequence[str | bytes]) -> list[Command]:
        return [("UNLINK", key) for key in keys]

    def _pages(self, glob: str) -> Iterator[list[bytes]]:
        with self._in_words():
            primaries = self.redis_client.primaries()
        for client in primaries:
            yield from self._pages_of(client, glob)

    def _pages_of(self, client: Any, glob: str) -> Iterator[list[bytes]]:
        cursor: Any = 0
        while True:
            said = scan_command(cursor, glob)
            with self._in_words():
                cursor, page = self._attempted(partial(client.execute_command, *said))
            yield page
            if not int(cursor):
                return

    async def _apages(self, glob: str) -> AsyncIterator[list[bytes]]:
        here = self._here()
        for client in await here.run(self._in_time(here.client.primaries)):
            async for page in self._apages_of(client, glob):
                yield page

    async def _apages_of(self, client: Any, glob: str) -> AsyncIterator[list[bytes]]:
        here = self._here()
        cursor: Any = 0
        while True:
            said = scan_command(cursor, glob)
            asking = self._in_time(partial(client.execute_command, *said))
            cursor, page = await here.run(asking)
            yield page
            if not int(cursor):
                return


def _address(node: Node) -> tuple[str, int]:
    host, port = node if isinstance(node, tuple) else (node["host"], node["port"])
    return str(host), int(port)


def _name(client: Any) -> str:
    options = client.connection_pool.connection_kwargs
    return f"{options['host']}:{options['port']}"
