"""Serves an ASGI app by a real uvicorn on a free loopback port, in a thread.

The port is bound before the server starts, so nobody can take it in between, and the server itself
says when it is ready. What it and the app log while they run is kept: a test asks for it.
"""

from __future__ import annotations

import logging
import socket
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import uvicorn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import ASGIApp

PATIENCE = 20.0
"""Seconds after which a server that neither starts nor stops counts as hung."""

_OURS = ("uvicorn", "askonce", "asyncio")


@dataclass
class Served:
    """A running server.

    Args:
        url: Where it is reached, without a slash at the end.
        records: What was logged in its thread, warnings and worse.
    """

    url: str
    records: list[logging.LogRecord] = field(default_factory=list)

    @property
    def complaints(self) -> list[str]:
        """What nobody may see in a healthy server's log.

        That is every warning of the server, the cache and asyncio, and every exception that
        anybody logged. What a framework says of an error answer that it was told to give is none.
        """
        return [record.getMessage() for record in self.records if _complains(record)]


def _complains(record: logging.LogRecord) -> bool:
    return record.name.split(".")[0] in _OURS or record.exc_info is not None


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ready: threading.Event) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready.set()


class _Ear(logging.Handler):
    """Hears the warnings of one thread."""

    def __init__(self, thread: threading.Thread, records: list[logging.LogRecord]) -> None:
        super().__init__(logging.WARNING)
        self._thread = thread
        self._records = records

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread.ident:
            self._records.append(record)


@contextmanager
def serve(app: ASGIApp, *, lifespan: Literal["auto", "on", "off"] = "auto") -> Iterator[Served]:
    """Serve ``app`` until the block ends; then the lifespan is over and the port free.

    Args:
        app: The app.
        lifespan: ``on``: an app without a lifespan does not start; ``off``: it is not asked.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan=lifespan,
        timeout_graceful_shutdown=5,
    )
    ready = threading.Event()
    server = _Server(config, ready)
    thread = threading.Thread(target=_run, args=(server, listener, ready), daemon=True)
    served = Served(f"http://127.0.0.1:{listener.getsockname()[1]}")
    ear = _Ear(thread, served.records)
    logging.getLogger().addHandler(ear)
    try:
        thread.start()
        _wait(server, ready, served)
        yield served
    finally:
        server.should_exit = True
        thread.join(PATIENCE)
        logging.getLogger().removeHandler(ear)
    assert not thread.is_alive(), "the server did not stop"


def _run(server: _Server, listener: socket.socket, ready: threading.Event) -> None:
    try:
        with listener:
            server.run(sockets=[listener])
    finally:
        ready.set()


def _wait(server: _Server, ready: threading.Event, served: Served) -> None:
    assert ready.wait(PATIENCE), "the server did not start in time"
    assert server.started, f"the server did not start: {served.complaints}"
