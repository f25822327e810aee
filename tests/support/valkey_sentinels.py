"""A real Redis behind Sentinels: a primary, its replica, and three that watch over them."""

from __future__ import annotations

import atexit
import functools
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from support.valkey import QUIET, Server, started, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVICE = "answers"
"""The name under which the Sentinels know the primary."""

_QUORUM = 2
_IN_A_HURRY = ("info-period", 200, "publish-period", 200, "ping-period", 100, "ask-period", 100)
_WATCHES = {"down-after-milliseconds": 500, "failover-timeout": 3000, "parallel-syncs": 1}


@dataclass
class Sentinels:
    """Five servers.

    Args:
        servers: A primary and its replica, whichever is which by now.
        watchers: The Sentinels.
        password: What the first two ask for, if anything. The Sentinels ask for nothing.
    """

    servers: list[Server]
    watchers: list[Server]
    password: str | None

    @property
    def nodes(self) -> list[tuple[str, int]]:
        """Where the Sentinels listen, as ``sentinel_nodes`` takes it."""
        return [(watcher.host, watcher.port) for watcher in self.watchers]

    @property
    def primary(self) -> Server:
        """Whom the Sentinels call the primary."""
        _, port = self._watching()[0].ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)
        return next(server for server in self.servers if server.port == int(port))

    def wait_for_promotion(self, dead: Server) -> None:
        """Wait until all Sentinels agree that the other one is the primary now."""
        [other] = [server for server in self.servers if server is not dead]
        wait_until(
            lambda: self._all_say(other) and other.ask("ROLE")[0] == b"master",
            "the replica of a dead primary was promoted",
        )

    def heal(self) -> None:
        """Start who is dead, and wait until there are a primary and a replica in step with it."""
        for server in (*self.servers, *self.watchers):
            if not server.is_running:
                server.start()
        wait_until(self._is_whole, "the Sentinels knew a primary and its replica")

    def _watching(self) -> list[Server]:
        return [watcher for watcher in self.watchers if watcher.is_running]

    def _all_say(self, primary: Server) -> bool:
        said = [
            watcher.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)
            for watcher in self._watching()
        ]
        return all(address and int(address[1]) == primary.port for address in said)

    def _is_whole(self) -> bool:
        primary = self.primary
        [replica] = [server for server in self.servers if server is not primary]
        role = replica.ask("ROLE")
        in_step = role[0] == b"slave" and role[2] == primary.port and role[3] == b"connected"
        return in_step and self._all_say(primary) and all(map(_knows_all, self.watchers))


def _knows_all(watcher: Server) -> bool:
    """A fail-over needs a Sentinel that knows the replica, and the others to elect it."""
    [known] = watcher.ask("SENTINEL", "MASTERS")
    return known[b"num-slaves"] == b"1" and known[b"num-other-sentinels"] == b"2"


@contextmanager
def sentinels(*args: str, password: str | None = None) -> Iterator[Sentinels]:
    """Run a primary, a replica and three Sentinels until the block ends.

    Args:
        *args: More of the first two's arguments.
        password: What these two shall ask for.
    """
    with tempfile.TemporaryDirectory(prefix="askonce-") as name, ExitStack() as running:
        directory = Path(name)
        more = (*QUIET, "--repl-diskless-sync-delay", "0", *args)
        login = ("--primaryauth", password) if password else ()
        primary = started(_made(directory / "primary"), (*more, *login), password)
        running.callback(primary.kill)
        follows = ("--replicaof", f"{primary.host} {primary.port}")
        replica = started(_made(directory / "replica"), (*more, *login, *follows), password)
        running.callback(replica.kill)
        watchers: list[Server] = []
        for number in range(3):
            watchers.append(_watcher(_made(directory / str(number)), primary))
            running.callback(watchers[-1].kill)
        made = Sentinels([primary, replica], watchers, password)
        made.heal()
        yield made


def _made(directory: Path) -> Path:
    directory.mkdir()
    return directory


def _watcher(directory: Path, primary: Server) -> Server:
    """Start a Sentinel; it needs a file of its own, which it goes on writing to."""
    file = directory / "sentinel.conf"
    file.touch()
    watcher = started(directory, (str(file), "--sentinel"))
    watcher.ask("SENTINEL", "DEBUG", *_IN_A_HURRY)
    watcher.ask("SENTINEL", "MONITOR", SERVICE, primary.host, primary.port, _QUORUM)
    options = dict(_WATCHES) | ({"auth-pass": primary.password} if primary.password else {})
    for option, value in options.items():
        watcher.ask("SENTINEL", "SET", SERVICE, option, value)
    return watcher


@functools.cache
def _shared() -> Sentinels:
    rest_of_session = ExitStack()
    atexit.register(rest_of_session.close)
    return rest_of_session.enter_context(sentinels())


def shared_sentinels() -> Sentinels:
    """Return the servers that all tests of this session share, whole and empty."""
    made = _shared()
    made.heal()
    made.primary.ask("FLUSHALL")
    return made
