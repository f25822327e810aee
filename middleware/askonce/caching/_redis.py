"""redis-py: how its clients are made, for every module that needs one.

A :class:`Server` says where a server is and how it is spoken to, whether that came from settings
or from parameters. ``blocking_client`` and ``client`` make redis-py's two clients of it.

redis-py's own defaults wait for seconds and try ten times. Here a command has an operation limit
of tens of milliseconds, and who repeats what is decided by the caller, who knows what may be.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlsplit

import redis
from redis import asyncio as aioredis
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.maint_notifications import MaintNotificationsConfig
from redis.retry import Retry

from askonce.caching import _redis_pool as pools
from askonce.caching._redis_errors import failure, in_words, is_broken
from askonce.caching._redis_line import open_line
from askonce.caching._redis_sentinels import LED, LED_ASYNC, Sentinels
from askonce.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "Server",
    "blocking_client",
    "client",
    "failure",
    "in_words",
    "is_broken",
    "open_line",
    "server",
]

DEFAULT_HOST: Final = "localhost"
DEFAULT_PORT: Final = 6379
_KINDS: Final = {"redis": "tcp", "rediss": "tls", "unix": "unix"}
_UNREADABLE: Final = (
    "ASKONCE_REDIS_URL: cannot be read. HINT: percent-encode the password;"
    " redis://[:password@]host[:port][/db]"
)
_ELSEWHERE: Final = ("connection_class", "max_connections", "decode_responses")


@dataclass(frozen=True)
class Server:
    """A server, and how it is spoken to.

    Args:
        kind: ``tcp``, ``tls`` or ``unix``.
        where: What messages call it: ``host:port`` or a path, without credentials.
        limit: Seconds that an answer may take; None: no limit.
        max_connections: The most connections that a client opens.
        options: Arguments of redis-py's connections. They hold secrets.
        sentinels: Who knows where the server is now; None: ``options`` do.
    """

    kind: str
    where: str
    limit: float | None
    max_connections: int
    options: dict[str, Any]
    sentinels: Sentinels | None = None

    def __repr__(self) -> str:
        return f"Server({self.kind} {self.where})"

    def patient(self, seconds: float) -> Server:
        """Return this server with a limit of at least so many seconds."""
        if self.limit is None or self.limit >= seconds:
            return self
        return replace(self, limit=seconds, options={**self.options, "socket_timeout": seconds})


def server(  # noqa: PLR0913 - the many things that connections need
    url: str | None = None,
    *,
    ssl: bool = False,
    socket_timeout: float | None,
    max_connections: int,
    credential_provider: Any = None,
    sentinel_nodes: Sequence[Any] = (),
    service_name: str | None = None,
    sentinel_username: str | None = None,
    sentinel_password: str | None = None,
    **options: Any,
) -> Server:
    """Say where a server is and how it is spoken to.

    Args:
        url: ``redis://``, ``rediss://`` or ``unix://``; what it says goes before the rest.
        ssl: Speak TLS.
        socket_timeout: Seconds that an answer may take; None: no limit.
        max_connections: The most connections that a client opens.
        credential_provider: redis-py's, or the import path ``module:name`` of one, or of what
            makes one. It goes before a user name and a password.
        sentinel_nodes: Host and port of each Sentinel; they know where the server is.
        service_name: The name under which they know it.
        sentinel_username: Their user, if they ask for one.
        sentinel_password: Its password.
        **options: Arguments of redis-py's connections: ``host``, ``port``, ``username``, ...; None
            is as good as not given.

    Raises:
        SettingsError: The URL cannot be read. The message repeats no part of it.
        TypeError: redis-py's connections do not take one of the arguments.
    """
    given = {name: value for name, value in options.items() if value is not None}
    kind = "tls" if ssl else "tcp"
    if url is not None:
        kind, said = _read(url)
        given |= said
    if credential_provider is not None:
        given = {name: it for name, it in given.items() if name not in ("username", "password")}
        given["credential_provider"] = _provider(credential_provider)
    limit = given.pop("socket_timeout", socket_timeout)
    most = given.pop("max_connections", max_connections)
    fitting = _fitting(kind, given, limit)
    pools.BLOCKING[kind](**fitting)  # says now, not with the first request, what it does not take
    if not sentinel_nodes:
        return Server(kind, _where(kind, given), limit, most, fitting)
    login = (sentinel_username, sentinel_password)
    sentinels = Sentinels(kind, service_name, sentinel_nodes, fitting, login)
    return Server(kind, sentinels.where, limit, most, fitting, sentinels)


def blocking_client(server: Server) -> redis.Redis:
    """Make the synchronous client. It belongs to the caller, who closes it."""
    pool = redis.ConnectionPool(
        max_connections=server.max_connections,
        retry=Retry(NoBackoff(), 0),
        **_connections(server, pools.BLOCKING, LED),
    )
    return redis.Redis.from_pool(pool)


def client(server: Server) -> aioredis.Redis:
    """Make the client of one event loop. It belongs to the caller, who closes it."""
    pool = pools.SharedPool(
        max_connections=server.max_connections,
        retry=AsyncRetry(NoBackoff(), 0),
        **_connections(server, pools.NONBLOCKING, LED_ASYNC),
    )
    return aioredis.Redis.from_pool(pool)


def _connections(
    server: Server, plain: Mapping[str, type[Any]], led: Mapping[str, type[Any]]
) -> dict[str, Any]:
    """Return a pool's arguments that say what its connections are."""
    if server.sentinels is None:
        return {"connection_class": plain[server.kind], **server.options}
    options = {**server.options, "sentinels": server.sentinels}
    return {"connection_class": led[server.kind], **options}


def _read(url: str) -> tuple[str, dict[str, Any]]:
    """Return what kind of connection a URL asks for, and its arguments."""
    with suppress(ValueError, TypeError, redis.RedisError):
        return _understood(url)
    # Raised out here, so that no cause or context, which may quote the URL, hangs on to it.
    raise SettingsError(_UNREADABLE)


def _understood(url: str) -> tuple[str, dict[str, Any]]:
    """Read a URL, more strictly than redis-py, which drops what it does not understand.

    A password with ``/``, ``?`` or ``#`` in it, not encoded, would name another server that way.
    """
    parts = urlsplit(url)
    kind = _KINDS.get(parts.scheme)
    if kind is None or parts.fragment:
        raise ValueError
    if parts.query:
        parse_qs(parts.query, strict_parsing=True)
    if kind != "unix" and not re.fullmatch(r"/?[0-9]*", parts.path):
        raise ValueError
    said: dict[str, Any] = dict(parse_url(url))
    pools.BLOCKING[kind](**_fitting(kind, said, None))
    return kind, said


def _where(kind: str, given: dict[str, Any]) -> str:
    if kind == "unix":
        return str(given.get("path"))
    return f"{given.get('host', DEFAULT_HOST)}:{given.get('port', DEFAULT_PORT)}"


def _fitting(kind: str, given: dict[str, Any], limit: float | None) -> dict[str, Any]:
    """Leave out what this kind of connection does not take."""
    away = _ELSEWHERE if kind == "tls" else (*_ELSEWHERE, *(n for n in given if n[:4] == "ssl_"))
    if kind == "unix":
        away = (*away, "host", "port")
    kept = {name: value for name, value in given.items() if name not in away}
    # Notifications of moves between hosts are a service of Redis Enterprise alone.
    kept["maint_notifications_config"] = MaintNotificationsConfig(enabled=False)
    return {**kept, "socket_timeout": limit, "decode_responses": False}


def _provider(given: Any) -> Any:
    """Return a credential provider, given one, or where one is, or what makes one."""
    if isinstance(given, str):
        module, _, name = given.partition(":")
        try:
            given = getattr(import_module(module), name)
        except (ImportError, AttributeError) as error:
            raise SettingsError(
                f"ASKONCE_REDIS_CREDENTIAL_PROVIDER: {module}:{name} cannot be imported: {error}"
            ) from error
    return given if hasattr(given, "get_credentials") and not isinstance(given, type) else given()
