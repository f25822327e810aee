"""A TCP proxy that does to a connection what a network may do to it.

It runs on the test's own event loop, before a real server.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HOST = "127.0.0.1"
_RESET = struct.pack("ii", 1, 0)


class FaultyProxy:
    """A way to a server, faults included.

    Attributes:
        connections: How many were made so far.
        cut_after: Bytes of answers after which a connection is reset, in mid-reply; None: never.
        open: While it is not set, answers are held back.
        sent: What was sent to the server, all connections together.
    """

    def __init__(self, host: str, port: int) -> None:
        self.connections = 0
        self.cut_after: int | None = None
        self.open = asyncio.Event()
        self.open.set()
        self.sent = b""
        self.port = 0
        self.tasks: list[Any] = []
        self._to = (host, port)
        self._writers: list[asyncio.StreamWriter] = []

    def reset_all(self) -> None:
        """Reset every connection, as a server does that was killed."""
        for writer in self._writers:
            _reset(writer)
        self._writers.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.tasks.append(asyncio.current_task())
        self._writers.append(writer)
        with contextlib.suppress(OSError):
            there, back = await asyncio.open_connection(*self._to)
            async with asyncio.TaskGroup() as both:
                both.create_task(self._forth(reader, back))
                both.create_task(self._back(there, writer))

    async def _forth(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                self.sent += data
                writer.write(data)
        writer.close()

    async def _back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                await self.open.wait()
                if self.cut_after is None:
                    writer.write(data)
                    continue
                writer.write(data[: self.cut_after])
                await asyncio.sleep(0)
                _reset(writer)
                break
        writer.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close so that the other side gets RST instead of an end."""
    sock = writer.get_extra_info("socket")
    if sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()


@asynccontextmanager
async def faulty(host: str, port: int) -> AsyncIterator[FaultyProxy]:
    """Run a proxy before a server until the block ends."""
    proxy = FaultyProxy(host, port)
    server = await asyncio.start_server(proxy._serve, HOST, 0)
    proxy.port = server.sockets[0].getsockname()[1]
    async with server:
        yield proxy
        proxy.reset_all()
        proxy.open.set()
        await asyncio.gather(*proxy.tasks, return_exceptions=True)
