"""What the dual cache asks of Redis beside a backend's primitives: times left, and to be told.

Works for a server, Sentinels' primary and a cluster alike, as it only uses what the cache on Redis
itself uses.
"""

# ruff: noqa: SLF001
# pyright: reportPrivateUsage=false
# The dual cache is made of two backends: it calls their primitives, and this one's connections.

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from askonce.caching._redis_link import driver
from askonce.errors import BackendError, BackendTimeoutError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.caching._dual_memory import Found
    from askonce.caching._redis_commands import Command
    from askonce.caching._redis_store import RedisStore

Pulse: TypeAlias = tuple[str, ...]

_FOREVER: Final = -1
_RESP3: Final = "3"
_PATIENCE: Final = 0.75
"""Seconds that the answer to a listener's greeting may take: nobody waits for it."""


def read(redis: RedisStore, keys: Sequence[str]) -> dict[str, Found | None]:
    """Return what is kept under each key with the seconds it has left, in one round trip."""
    return _answers(redis, keys, redis._sent(_questions(redis, keys)))


async def aread(redis: RedisStore, keys: Sequence[str]) -> dict[str, Found | None]:
    """Return what is kept under each key with the seconds it has left; see :func:`read`."""
    return _answers(redis, keys, await redis._asent(_questions(redis, keys)))


def _questions(redis: RedisStore, keys: Sequence[str]) -> list[Command]:
    names = redis._names(keys)
    return [*redis._reads(names), *(("PTTL", name) for name in names)]


def _answers(
    redis: RedisStore, keys: Sequence[str], replies: Sequence[Any]
) -> dict[str, Found | None]:
    values, times = replies[: -len(keys)], replies[-len(keys) :]
    found = zip(keys, redis._found(values), times, strict=True)
    return {key: _found(data, left) for key, data, left in found}


def _found(data: bytes | None, left: int) -> Found | None:
    """Between the two answers its time may have ended: then it is absent."""
    if data is None or (left != _FOREVER and left <= 0):
        return None
    return data, None if left == _FOREVER else seconds(left)


def seconds(milliseconds: int) -> float:
    """Return what PTTL said as seconds."""
    return milliseconds / 1000


def is_outage(error: BackendError) -> bool:
    """Say whether Redis was not reached, or did not answer; else it refused what was asked."""
    cause = error.__cause__
    return isinstance(error, BackendTimeoutError) or (
        isinstance(cause, Exception) and (isinstance(cause, OSError) or driver().is_broken(cause))
    )


def prefixes(redis: RedisStore) -> tuple[str, ...]:
    """Return what the keys of this cache begin with; nothing: they may be any."""
    space = redis.namespace
    return () if space is None else (f"{space}:", f"{space}/")


def connect(redis: RedisStore) -> list[tuple[Any, Pulse]]:
    """Open a connection to each primary, for the caller to close.

    Returns:
        The connections, and the command that proves one to be alive. What is still the primary is
        for a cluster's nodes to say: there the answer tells of changes among them as well.

    Raises:
        BackendError: One could not be reached, or does not speak RESP3.
    """
    opened: list[tuple[Any, Pulse]] = []
    try:
        with redis._in_words():
            if hasattr(redis.redis_client, "connection_pool"):
                opened.append((_opened(redis.redis_client.connection_pool), ("PING",)))
            else:
                opened += ((_opened(pool), ("CLUSTER", "INFO")) for pool in _primaries(redis))
    except BackendError:
        for connection, _ in opened:
            connection.disconnect()
        raise
    return opened


def _primaries(redis: RedisStore) -> list[Any]:
    """Find the primaries anew: who listens is the one who notices that they are others."""
    client = redis._blocking_client()
    try:
        return [primary.connection_pool for primary in client.primaries()]
    finally:
        client.close()


def _opened(pool: Any) -> Any:
    connection = pool.make_connection()
    connection.socket_timeout = _PATIENCE
    connection.connect()
    # A server takes CLIENT TRACKING in RESP2 as well, and then tells nothing.
    if str(connection.protocol) != _RESP3:
        connection.disconnect()
        raise BackendError("redis: the server is spoken to in RESP2, in which it tells no changes")
    return connection
