"""Clients of a Redis Cluster, made of redis-py's client of each node.

They differ from redis-py's own cluster client where that costs requests their time: it sleeps for
a quarter of a second when the cluster is down, closes every connection when one command failed,
and learns nothing of a node that hangs if its caller does not wait to the end. Here a failure is
told at once, and who has which slot is found out anew behind it: the first call after a replica
was promoted finds the new primary.

Commands part by node, and their answers come back in order. From an event loop they travel to all
nodes at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from redis import exceptions

from askonce.caching import _redis
from askonce.caching._redis_slots import Address, SlotMap, Stop, Trip
from askonce.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Self

    from askonce.caching._redis_commands import Command

_HOPS: Final = 4
"""How many times a command is sent on at most."""
_NO_SLOTS: Final = "CLUSTERDOWN no node knows of any slots"
_FAILURES: Final = (exceptions.RedisError, exceptions.RedisClusterException, OSError)


class _Nodes:
    """What both clients know.

    Args:
        server: How nodes are spoken to; its own host and port do not count.
        startup_nodes: Where to ask first who has which slot.
    """

    def __init__(self, server: _redis.Server, startup_nodes: Sequence[Address]) -> None:
        self._server = server
        self._startup = tuple(startup_nodes)
        self._suspects: set[Address] = set()
        self._clients: dict[Address, Any] = {}
        self._slots: SlotMap | None = None

    def _candidates(self) -> list[Address]:
        """Return whom to ask for the slots: in any order, but last those that failed."""
        known = {*self._startup, *(self._slots.primaries if self._slots else ())}
        return sorted(known, key=lambda node: (node in self._suspects, random.random()))  # noqa: S311

    def _at(self, node: Address) -> _redis.Server:
        host, port = node
        options = {**self._server.options, "host": host, "port": port}
        return replace(self._server, where=f"{host}:{port}", options=options)

    def _heard(self, reply: Any, teller: Address) -> SlotMap | None:
        """Take what a node said of the slots; None: it knows of none."""
        if not reply:
            return None
        self._suspects.clear()
        self._slots = SlotMap.told(reply, teller)
        return self._slots

    def _failed(self, error: Exception, node: Address) -> Exception:
        self._suspects.add(node)
        if "cluster support disabled" not in str(error):
            return error
        return BackendError(
            f"redis: {node[0]}:{node[1]}: this server is no part of a cluster. HINT: name it in"
            " ASKONCE_HOST, and nothing in ASKONCE_REDIS_STARTUP_NODES"
        )


class AsyncCluster(_Nodes):
    """The client of one event loop.

    Args:
        server: How nodes are spoken to; its own host and port do not count.
        startup_nodes: Where to ask first who has which slot.
    """

    def __init__(self, server: _redis.Server, startup_nodes: Sequence[Address]) -> None:
        super().__init__(server, startup_nodes)
        self._finding: asyncio.Task[SlotMap] | None = None

    async def execute_command(self, *command: Any) -> Any:
        """Send one command to the node that has its key."""
        return _good((await self.send([command]))[0])

    def pipeline(self, **_transaction: bool) -> Pipeline:
        """Collect commands. Nothing holds them together, whatever is asked for."""
        return Pipeline(self.send)

    async def send(self, commands: Sequence[Command]) -> list[Any]:
        """Send commands, and return the answers; a failure is an exception among them."""
        trip = Trip(commands, await self._known())
        try:
            for _ in range(_HOPS):
                if stops := trip.depart():
                    await asyncio.gather(*(self._visit(trip, *stop) for stop in stops))
        except asyncio.CancelledError:
            self._find_anew(trip.away)
            raise
        if trip.in_vain:
            self._find_anew(trip.lost)
        return trip.replies

    async def primaries(self) -> list[Any]:
        """Return redis-py's clients of all primaries."""
        return [self._node(address) for address in (await self._known()).primaries]

    async def aclose(self) -> None:
        """Close the connections to all nodes."""
        if self._finding is not None:
            self._finding.cancel()
            await asyncio.wait([self._finding])
        clients, self._clients = self._clients, {}
        for client in clients.values():
            await client.aclose()

    async def _known(self) -> SlotMap:
        """Return who has which slot. To find that out goes on if the caller cannot wait for it."""
        slots = self._slots
        return await asyncio.shield(self._find()) if slots is None else slots

    def _node(self, address: Address) -> Any:
        if address not in self._clients:
            self._clients[address] = _redis.client(self._at(address))
        return self._clients[address]

    def _find_anew(self, lost: Iterable[Address]) -> None:
        self._suspects.update(lost)
        self._find()

    def _find(self) -> asyncio.Task[SlotMap]:
        """Find out who has which slot; whoever asks meanwhile shares the answer."""
        if self._finding is None:
            self._finding = asyncio.create_task(self._found())
            self._finding.add_done_callback(self._ended)
        return self._finding

    def _ended(self, finding: asyncio.Task[SlotMap]) -> None:
        self._finding = None
        if not finding.cancelled():
            finding.exception()  # perhaps nobody waits for it any more

    async def _found(self) -> SlotMap:
        failure: Exception = exceptions.ClusterDownError(_NO_SLOTS)
        for address in self._candidates():
            try:
                reply = await self._node(address).execute_command("CLUSTER", "SLOTS")
            except _FAILURES as error:
                failure = self._failed(error, address)
            else:
                if slots := self._heard(reply, address):
                    return slots
        raise failure

    async def _visit(self, trip: Trip, stop: Stop, commands: Sequence[Command]) -> None:
        trip.arrived(stop, await self._ask(stop, commands))

    async def _ask(self, stop: Stop, commands: Sequence[Command]) -> list[Any]:
        try:
            async with self._node(stop.node).pipeline(transaction=False) as pipe:
                for command in commands:
                    pipe.execute_command(*command)
                replies: list[Any] = await pipe.execute(raise_on_error=False)
        except _FAILURES as error:
            return [error] * len(commands)
        return replies


class BlockingCluster(_Nodes):
    """The client of all threads; see :class:`AsyncCluster`. Nodes are asked one after the other."""

    def __init__(self, server: _redis.Server, startup_nodes: Sequence[Address]) -> None:
        super().__init__(server, startup_nodes)
        self._lock = threading.Lock()
        self._finder = threading.Thread()

    def execute_command(self, *command: Any) -> Any:
        """Send one command to the node that has its key."""
        return _good(self.send([command])[0])

    def pipeline(self, **_transaction: bool) -> Pipeline:
        """Collect commands. Nothing holds them together, whatever is asked for."""
        return Pipeline(self.send)

    def send(self, commands: Sequence[Command]) -> list[Any]:
        """Send commands, and return the answers; a failure is an exception among them."""
        trip = Trip(commands, self._slots or self._found())
        for _ in range(_HOPS):
            for stop, said in trip.depart():
                trip.arrived(stop, self._ask(stop, said))
        if trip.in_vain:
            self._find_anew(trip.lost)
        return trip.replies

    def primaries(self) -> list[Any]:
        """Return redis-py's clients of all primaries."""
        slots = self._slots or self._found()
        return [self._node(address) for address in slots.primaries]

    def close(self) -> None:
        """Close the connections to all nodes."""
        with self._lock:
            finder, self._finder = self._finder, threading.Thread()
        if finder.is_alive():
            finder.join()
        with self._lock:
            clients, self._clients = self._clients, {}
        for client in clients.values():
            client.close()

    def _node(self, address: Address) -> Any:
        with self._lock:
            if address not in self._clients:
                self._clients[address] = _redis.blocking_client(self._at(address))
            return self._clients[address]

    def _find_anew(self, lost: Iterable[Address]) -> None:
        """Find out who has which slot behind the caller, who has waited long enough."""
        self._suspects.update(lost)
        with self._lock:
            if not self._finder.is_alive():
                self._finder = threading.Thread(target=self._try_to_find, daemon=True)
                self._finder.start()

    def _try_to_find(self) -> None:
        with contextlib.suppress(*_FAILURES, BackendError):  # the next call says so
            self._found()

    def _found(self) -> SlotMap:
        failure: Exception = exceptions.ClusterDownError(_NO_SLOTS)
        for address in self._candidates():
            try:
                reply = self._node(address).execute_command("CLUSTER", "SLOTS")
            except _FAILURES as error:
                failure = self._failed(error, address)
            else:
                if slots := self._heard(reply, address):
                    return slots
        raise failure

    def _ask(self, stop: Stop, commands: Sequence[Command]) -> list[Any]:
        try:
            with self._node(stop.node).pipeline(transaction=False) as pipe:
                for command in commands:
                    pipe.execute_command(*command)
                replies: list[Any] = pipe.execute(raise_on_error=False)
        except _FAILURES as error:
            return [error] * len(commands)
        return replies


class Pipeline:
    """Commands that wait for ``execute``, which sends them.

    Args:
        send: Sends them. What it returns is what ``execute`` does: the answers, in order.
    """

    def __init__(self, send: Callable[[Sequence[Command]], Any]) -> None:
        self._send = send
        self._commands: list[Command] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._commands.clear()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        self._commands.clear()

    def execute_command(self, *command: Any) -> None:
        """Let a command wait."""
        self._commands.append(command)

    def execute(self, **_raise_on_error: bool) -> Any:
        """Send what waits. A failure is an exception among the answers."""
        return self._send(self._commands)


def _good(reply: Any) -> Any:
    if isinstance(reply, Exception):
        raise reply
    return reply
