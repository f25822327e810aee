"""Builds boto3's client for S3, as impatient as everything on a request's way.

Left alone, boto3 waits a minute for a connection and another for an answer, and tries five times.
It also sends checksums in trailers that servers other than Amazon's refuse, and asks before it
sends a body: here checksums are sent where the API requires them, and bodies at once. Whatever
``s3_config`` says goes before all of this.
"""

from __future__ import annotations

import os
from base64 import b64encode
from hashlib import md5
from importlib.util import find_spec
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from askonce.caching._s3_errors import failure, where
from askonce.errors import MissingExtraError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

THREADS: Final = 16
"""So many requests run at the same time, each on a connection of its own."""

_ATTEMPTS: Final = 2  # the second is for a kept connection that the server has closed meanwhile


def check_driver() -> None:
    """Raise MissingExtraError if boto3 is not installed."""
    if find_spec("boto3") is None:
        raise MissingExtraError("boto3", "s3")


def make_config(given: Any, endpoint: str | None, timeout: float) -> Any:
    """Make a ``botocore.config.Config``.

    Args:
        given: ``s3_config``: a Config, its arguments by name, or None. It goes before the rest.
        endpoint: ``s3_endpoint_url``.
        timeout: Seconds to wait for a connection, and for an answer.

    Raises:
        SettingsError: Config has no such arguments.
    """
    made = _config_class()
    ours = made(
        connect_timeout=timeout,
        read_timeout=timeout,
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
        max_pool_connections=THREADS + 1,
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    config = ours.merge(_config(given))
    style = {"addressing_style": "path"} if _is_nearby(endpoint) else {}
    return config.merge(made(s3={**style, **(config.s3 or {})}))


def threads_of(config: Any) -> int:
    """Return how many threads its connections are enough for, beside the one for counters."""
    connections = config.max_pool_connections
    if not isinstance(connections, int) or connections < 1:
        raise SettingsError("ASKONCE_S3_CONFIG: max_pool_connections is a whole number above 0")
    return max(1, connections - 1)


def make_client(bucket: str, arguments: Mapping[str, Any]) -> Any:
    """Make a client. What is None is found as boto3 finds it.

    A session of its own: that which boto3 shares between all is not thread-safe while it makes
    a client.

    Args:
        bucket: What the client is for, to be named if it cannot be made.
        arguments: Of boto3's ``client``.

    Raises:
        BackendError: boto3 makes no client of these.
    """
    import boto3.session
    from botocore.exceptions import BotoCoreError

    try:
        session: Any = boto3.session.Session()
        client = session.client("s3", **arguments)
    except (BotoCoreError, ValueError, TypeError) as error:
        raise failure(where(bucket, arguments["endpoint_url"]), error) from error
    client.meta.events.register("before-sign.s3.PutObject", _send_at_once)
    client.meta.events.register("before-sign.s3.DeleteObjects", _add_md5)
    return client


def _send_at_once(request: Any, **_unused: Any) -> None:
    """Do without ``Expect: 100-continue``: it costs a round trip, or a second of waiting."""
    del request.headers["Expect"]


def _add_md5(request: Any, **_unused: Any) -> None:
    """Send the checksum that this request always had, beside boto3's: older servers want it."""
    digest = md5(request.data, usedforsecurity=False).digest()
    request.headers["Content-MD5"] = b64encode(digest).decode()


def _config(given: Any) -> Any:
    made = _config_class()
    if isinstance(given, made):
        return given
    try:
        return made(**(given or {}))
    except Exception as error:
        # Of botocore's own words only those that name an argument hold no value of one.
        reason = str(error) if isinstance(error, TypeError) else type(error).__name__
        raise SettingsError(
            f"ASKONCE_S3_CONFIG: {reason}; it takes the arguments of botocore.config.Config"
        ) from error


def _config_class() -> Any:
    from botocore.config import Config

    return Config


def _is_nearby(endpoint: str | None) -> bool:
    """Say whether ``bucket.host`` cannot be a name: of an address, or of a host without a domain.

    boto3 knows that of addresses alone; ``localhost`` and a container's name it would prefix.
    """
    url = endpoint or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    try:
        host = urlsplit(url or "").hostname
    except ValueError:
        return False
    return bool(host) and ("." not in str(host) or _is_address(str(host)))


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return host.endswith(".localhost")
    return True
