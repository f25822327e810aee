"""``python -m sample_app``: serve the sample app on ``HOST`` and ``PORT``.

======================  ==================================================================
variable                meaning
======================  ==================================================================
``HOST``, ``PORT``      where to listen (``127.0.0.1``, ``8000``); port 0 takes a free one
``UPSTREAM_URL``        whose answers to cache, for example ``https://api.openai.com/v1``;
                        without it the offline stand-in answers
``ASKONCE_*``           the cache's own settings
======================  ==================================================================
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import sys
from typing import TYPE_CHECKING

import uvicorn

from askonce.errors import AskonceError
from sample_app.app import create_app
from sample_app.stand_in import StandIn
from sample_app.upstream import Upstream

if TYPE_CHECKING:
    from sample_app.provider import Provider

_GRACE = 3  # seconds that a running answer has to end after Ctrl+C


class StartError(Exception):
    """The app cannot start; the message says why and what to do."""


def main() -> None:
    """Serve until interrupted; a wrong variable or a taken port is one line and exit status 2."""
    try:
        app = create_app(choose_provider(os.environ.get("UPSTREAM_URL", "")))
        # Starlette would build it at the first request, too late to stop for a wrong setting.
        app.middleware_stack = app.build_middleware_stack()
        listener = listen(os.environ.get("HOST") or "127.0.0.1", os.environ.get("PORT") or "8000")
    except (StartError, AskonceError) as error:
        sys.stderr.write(f"sample_app: {error}\n")
        sys.exit(2)
    sys.stdout.write(f"askonce's sample app: {address(listener)} (Ctrl+C stops it)\n")
    sys.stdout.flush()
    config = uvicorn.Config(app, timeout_graceful_shutdown=_GRACE)
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listener])


def choose_provider(upstream_url: str) -> Provider:
    """Choose who answers: the provider at ``upstream_url``, or the stand-in if it is empty.

    Raises:
        StartError: ``upstream_url`` cannot be used.
    """
    if not upstream_url:
        return StandIn()
    try:
        return Upstream(upstream_url)
    except ValueError as error:
        raise StartError(error) from None


def listen(host: str, port: str) -> socket.socket:
    """Bind a TCP socket.

    Args:
        host: A name or an address, IPv4 or IPv6.
        port: A number from 0 to 65535 as text.

    Raises:
        StartError: The port is no such number or taken, or the host is not this machine's.
    """
    if not (port.isascii() and port.isdigit() and int(port) <= 65535):
        raise StartError(f"PORT must be a number from 0 to 65535, not {port!r}")
    try:
        family, *_, where = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)[0]
        return socket.create_server(where[:2], family=family)
    except (OSError, UnicodeError) as error:
        raise StartError(f"cannot listen on {host} port {port}: {_reason(error)}") from None


def _reason(error: OSError | UnicodeError) -> str:
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return "the port is taken. HINT: PORT=0 takes a free one"
    return str(error)


def address(listener: socket.socket) -> str:
    """Give the URL at which ``listener`` is reached."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


if __name__ == "__main__":
    main()
