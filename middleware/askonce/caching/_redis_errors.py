"""What went wrong with Redis, in words that say what to do and hold no secret.

The server's own words are not repeated: it quotes the arguments of a command that it does not
know, and a password may be one of them.
"""

from __future__ import annotations

import socket
import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from redis import exceptions

from askonce.caching._redis_commands import NOT_A_NUMBER, OUT_OF_RANGE
from askonce.errors import BackendError, BackendTimeoutError

if TYPE_CHECKING:
    from collections.abc import Generator

_LOGIN: Final = (
    "the server refused the user name or the password. HINT: ASKONCE_PASSWORD (or ASKONCE_USERNAME,"
    " or the login in ASKONCE_REDIS_URL or REDIS_URL) is wrong"
)
_WORDS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (exceptions.AuthenticationError, _LOGIN),
    (exceptions.AuthorizationError, _LOGIN),
    (
        exceptions.ExternalAuthProviderError,
        "the credential provider failed. HINT: does ASKONCE_REDIS_CREDENTIAL_PROVIDER work here?",
    ),
    (
        exceptions.BusyLoadingError,
        "the server is still loading its data. HINT: it answers once it has",
    ),
    (
        exceptions.MaxConnectionsError,
        "all connections are in use. HINT: raise ASKONCE_REDIS_MAX_CONNECTIONS",
    ),
    (
        exceptions.ReadOnlyError,
        (
            "this is a replica, which takes no writes. HINT: name the primary in ASKONCE_HOST, or"
            " the Sentinels in ASKONCE_SENTINEL_NODES"
        ),
    ),
    (
        exceptions.OutOfMemoryError,
        (
            "the server's maxmemory is reached and nothing may be evicted. HINT: raise it, or set"
            " its maxmemory-policy to allkeys-lfu"
        ),
    ),
    (
        exceptions.NoPermissionError,
        (
            "the user lacks the right to a command or a key. HINT: the ACL of ASKONCE_USERNAME"
            " needs the keys of ASKONCE_NAMESPACE and +@read +@write +@scripting +@connection"
        ),
    ),
)
_BY_TEXT: Final = (
    (NOT_A_NUMBER, "what is kept under this key is not a number"),
    (OUT_OF_RANGE, "the sum, or a number given, is out of range"),
    ("WRONGTYPE", "what is kept under this key is of another kind"),
    ("wrong kind of value", "what is kept under this key is of another kind"),
    ("DB index", "there is no such database. HINT: lower ASKONCE_DB"),
    (
        "max number of clients",
        (
            "the server takes no more connections. HINT: raise its maxclients, or lower"
            " ASKONCE_REDIS_MAX_CONNECTIONS"
        ),
    ),
    ("MISCONF", "the server cannot save to its disk and takes no writes. HINT: see its log"),
    (
        "no Sentinel knows",
        (
            "no Sentinel knows a primary. HINT: do they run, and are ASKONCE_SENTINEL_NODES and"
            " ASKONCE_SERVICE_NAME right?"
        ),
    ),
    (
        "was demoted",
        (
            "the server that the Sentinels call the primary is a replica. HINT: a fail-over is"
            " going on; if it does not end, look at SENTINEL MASTERS"
        ),
    ),
    ("CLUSTERDOWN", "the cluster is down. HINT: look at CLUSTER INFO on its nodes"),
)
_REACH: Final = (
    "HINT: is it running, and are ASKONCE_HOST, ASKONCE_PORT and ASKONCE_SSL (or the URL, or the"
    " nodes) right?"
)
_TLS: Final = (
    "HINT: does the server speak TLS there, and are ASKONCE_SSL and the files in"
    " ASKONCE_SSL_CA_CERTS, ASKONCE_SSL_CERTFILE and ASKONCE_SSL_KEYFILE right?"
)


@contextmanager
def in_words(where: str, seconds: float | None) -> Generator[None]:
    """Turn what the driver raises in the block into errors of ours.

    Args:
        where: The server, without credentials.
        seconds: How long it may take for an answer.
    """
    try:
        yield
    except (exceptions.RedisError, exceptions.RedisClusterException, OSError) as error:
        raise failure(error, where, seconds) from error


def failure(error: Exception, where: str, seconds: float | None) -> BackendError:
    """Return the error to raise for one of the driver's; see :func:`in_words`."""
    if isinstance(error, BackendError):
        return error
    if isinstance(error, (exceptions.TimeoutError, TimeoutError)):
        limit = "in time" if seconds is None else f"within {seconds:g} s"
        return BackendTimeoutError(f"redis: {where}: no answer {limit}. {_REACH}")
    return BackendError(f"redis: {where}: {_words(error)}")


def is_broken(error: Exception) -> bool:
    """Say if a connection broke, or could not be made, so that another one may help."""
    return type(error) is exceptions.ConnectionError


def _words(error: Exception) -> str:
    for kind, words in _WORDS:
        if isinstance(error, kind):
            return words
    text = str(error)
    for mark, words in _BY_TEXT:
        if mark in text:
            return words
    if isinstance(error, (exceptions.ConnectionError, OSError)):
        return _unreachable(error)
    return f"{_code(text)}: the server refused a command, or the driver an argument"


def _unreachable(error: BaseException) -> str:
    """Find out what the operating system, or TLS, said."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, OSError):
        cause = cause.__cause__ or cause.__context__
    if isinstance(cause, ssl.SSLError):
        return f"no TLS connection: {_tls_reason(cause)}. {_TLS}"
    if isinstance(cause, socket.gaierror):
        return f"no such host. {_REACH}"
    if isinstance(cause, FileNotFoundError):
        return f"no such file: a socket, or a certificate. {_REACH} {_TLS}"
    if isinstance(cause, OSError):
        return f"not reached: {cause.strerror or type(cause).__name__}. {_REACH}"
    return f"the connection was closed. {_REACH}"


def _tls_reason(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    return str(getattr(error, "reason", None) or "refused").lower().replace("_", " ")


def _code(text: str) -> str:
    """The word in capitals that a server's error begins with."""
    word = text.partition(" ")[0]
    return word if word.isalpha() and word.isupper() else "ERR"
