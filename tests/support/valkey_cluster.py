"""A real Redis Cluster: three primaries, each with a replica.

Without the arguments below no replica is ever promoted in a cluster so small and so young.
"""

from __future__ import annotations

import atexit
import functools
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from redis.crc import key_slot

from support.valkey import QUIET, Server, free_port, started, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

_FAILS_OVER = (
    *("--cluster-node-timeout", "1000"),
    *("--cluster-replica-validity-factor", "0"),
    *("--repl-diskless-sync-delay", "0"),
)
_SLOTS = ((0, 5460), (5461, 10922), (10923, 16383))


@dataclass
class Cluster:
    """Six servers that are one cluster.

    Args:
        servers: All of them; the first three began as primaries.
    """

    servers: list[Server]

    @property
    def startup_nodes(self) -> list[tuple[str, int]]:
        """Where they listen, as ``redis_startup_nodes`` takes it."""
        return [(server.host, server.port) for server in self.servers]

    @property
    def primaries(self) -> list[Server]:
        """Those that have slots, in the slots' order."""
        by_port = {server.port: server for server in self.servers}
        return [by_port[primary[1]] for _, _, primary, *_ in self._slots()]

    def primary_of(self, key: str) -> Server:
        """Return the primary that has a key's slot."""
        slot = key_slot(key.encode())
        [port] = [owner[1] for low, high, owner, *_ in self._slots() if low <= slot <= high]
        return next(server for server in self.servers if server.port == port)

    def ask_primaries(self, *command: Any) -> list[Any]:
        """Send each primary a command, and return their answers."""
        return [server.ask(*command) for server in self.primaries]

    def wait_for_promotion(self, dead: Server) -> None:
        """Wait until the others agree on who took the slots of a primary that is dead."""
        others = [server for server in self.servers if server is not dead]
        wait_until(
            lambda: all(map(_is_well, others)) and _agree(others) and dead not in self.primaries,
            "the replica of a dead primary was promoted",
        )

    def heal(self) -> None:
        """Start who is dead, and wait until every primary has its replica again."""
        for server in self.servers:
            if not server.is_running:
                server.start()
        wait_until(
            lambda: all(map(_is_well, self.servers)) and _agree(self.servers),
            "the cluster was whole",
        )

    def _slots(self) -> list[Any]:
        [someone, *_] = [it for it in self.servers if it.is_running and not it.is_suspended]
        return sorted(someone.ask("CLUSTER", "SLOTS"))


def _is_well(server: Server) -> bool:
    role = server.ask("ROLE")
    in_step = role[0] == b"master" or role[3] == b"connected"
    return in_step and b"cluster_state:ok" in server.ask("CLUSTER", "INFO")


def _agree(servers: list[Server]) -> bool:
    maps = [sorted(server.ask("CLUSTER", "SLOTS")) for server in servers]
    whole = {
        tuple((low, high, owner[1], len(replicas)) for low, high, owner, *replicas in found)
        for found in maps
    }
    return len(whole) == 1 and sum(1 + high - low for low, high, *_ in maps[0]) == 16384


@contextmanager
def cluster(*args: str) -> Iterator[Cluster]:
    """Run a cluster until the block ends.

    Args:
        *args: More of each server's arguments.
    """
    with tempfile.TemporaryDirectory(prefix="askonce-") as name, ExitStack() as running:
        servers: list[Server] = []
        for number in range(6):
            servers.append(_member(Path(name) / str(number), args))
            running.callback(servers[-1].kill)
        made = Cluster(servers)
        _join(servers)
        made.heal()
        yield made


def _member(directory: Path, args: tuple[str, ...]) -> Server:
    directory.mkdir()
    bus = ("--cluster-enabled", "yes", "--cluster-port", str(free_port()))
    return started(directory, (*QUIET, *bus, *_FAILS_OVER, *args))


def _join(servers: list[Server]) -> None:
    primaries = servers[:3]
    for number, (server, slots) in enumerate(zip(primaries, _SLOTS, strict=True)):
        server.ask("CLUSTER", "ADDSLOTSRANGE", *slots)
        server.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
    for server in servers[1:]:
        bus = server.ask("CONFIG", "GET", "cluster-port")[b"cluster-port"]
        servers[0].ask("CLUSTER", "MEET", server.host, server.port, bus)
    wait_until(lambda: all(map(_knows_all, servers)), "the nodes had met")
    for primary, replica in zip(primaries, servers[3:], strict=True):
        replica.ask("CLUSTER", "REPLICATE", primary.ask("CLUSTER", "MYID"))


def _knows_all(server: Server) -> bool:
    nodes = server.ask("CLUSTER", "NODES").decode().splitlines()
    return len(nodes) == 6 and not any("handshake" in node for node in nodes)


@functools.cache
def _shared() -> Cluster:
    rest_of_session = ExitStack()
    atexit.register(rest_of_session.close)
    return rest_of_session.enter_context(cluster())


def shared_cluster() -> Cluster:
    """Return the cluster that all tests of this session share, whole and empty."""
    made = _shared()
    made.heal()
    made.ask_primaries("FLUSHALL")
    return made
