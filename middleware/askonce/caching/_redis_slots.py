"""Which node of a Redis Cluster has which key, and the way of commands to the nodes. Pure.

Every key belongs to one of 16,384 slots, and every slot to a primary. What a node says of this
(CLUSTER SLOTS) may be out of date. Another node then answers MOVED, with the slot's new owner, or
ASK, with who has this one key already while its slot is on the move.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from redis import exceptions
from redis.crc import key_slot

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from askonce.caching._redis_commands import Command

Address: TypeAlias = tuple[str, int]
"""A node's host and port."""

_SCRIPTS: Final = ("EVAL", "EVALSHA")
_LOST: Final = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.ClusterDownError,
    OSError,
)


class Stop(NamedTuple):
    """A node, and whether it is to take what is not its own yet."""

    node: Address
    asking: bool = False


class SlotMap:
    """The owners of ranges of slots.

    Args:
        ranges: First and last slot of each range, and its primary.
    """

    def __init__(self, ranges: Iterable[tuple[int, int, Address]]) -> None:
        self._ranges = sorted(ranges)
        self._firsts = [first for first, _, _ in self._ranges]
        self._moved: dict[int, Address] = {}

    @classmethod
    def told(cls, reply: Sequence[Sequence[Any]], teller: Address) -> SlotMap:
        """Read what a node answered to CLUSTER SLOTS.

        Args:
            reply: Its answer.
            teller: Where it was asked: a node that does not know its own host leaves it out.
        """
        return cls((first, last, _address(owner, teller)) for first, last, owner, *_ in reply)

    @property
    def primaries(self) -> list[Address]:
        """All owners, each once."""
        owners = (*(owner for _, _, owner in self._ranges), *tuple(self._moved.values()))
        return list(dict.fromkeys(owners))

    def owner(self, command: Command) -> Address | None:
        """Return who has the key of a command, or anyone if it has none; None: nobody does."""
        if len(command) == 1:
            return self._ranges[0][2]
        slot = _slot(command[3 if command[0] in _SCRIPTS else 1])
        return self._moved.get(slot) or self._owner(slot)

    def move(self, slot: int, owner: Address) -> None:
        """Take note of a slot's new owner."""
        self._moved[slot] = owner

    def _owner(self, slot: int) -> Address | None:
        place = bisect_right(self._firsts, slot) - 1
        if place < 0 or slot > self._ranges[place][1]:
            return None
        return self._ranges[place][2]


class Trip:
    """Commands on their way, until each has its answer.

    Args:
        commands: All of them.
        slots: Who has which slot; it learns from answers that say MOVED.

    Attributes:
        replies: What came back for each command; a failure is an exception.
        lost: Who did not answer.
        in_vain: True if the slots are to be found out anew.
    """

    def __init__(self, commands: Sequence[Command], slots: SlotMap) -> None:
        self.replies: list[Any] = [None] * len(commands)
        self.lost: set[Address] = set()
        self.in_vain = False
        self._commands = commands
        self._slots = slots
        self._due: dict[Stop, list[int]] = {}
        self._away: dict[Stop, list[int]] = {}
        for number, command in enumerate(commands):
            self._send(number, slots.owner(command))

    @property
    def away(self) -> set[Address]:
        """Who was asked and has not answered yet."""
        return {stop.node for stop in self._away}

    def depart(self) -> list[tuple[Stop, list[Command]]]:
        """Return where to go now, and what to say there; empty: every command has its answer."""
        self._away, self._due = self._due, {}
        return [(stop, self._said(stop, numbers)) for stop, numbers in self._away.items()]

    def arrived(self, stop: Stop, replies: Sequence[Any]) -> None:
        """Take what a stop answered; what it sent elsewhere goes there with the next departure."""
        own = replies[1::2] if stop.asking else replies
        for number, reply in zip(self._away.pop(stop), own, strict=True):
            self.replies[number] = reply
            if isinstance(reply, exceptions.AskError):  # MOVED is one of them
                self._follow(number, reply, stop.node)
            elif isinstance(reply, _LOST):
                self.in_vain = True
                self.lost.add(stop.node)

    def _said(self, stop: Stop, numbers: Sequence[int]) -> list[Command]:
        asking: list[Command] = [("ASKING",)] if stop.asking else []
        return [command for it in numbers for command in (*asking, self._commands[it])]

    def _follow(self, number: int, reply: Any, teller: Address) -> None:
        owner = (reply.host or teller[0], reply.port)
        moved = isinstance(reply, exceptions.MovedError)
        if moved:
            self._slots.move(reply.slot_id, owner)
        self._send(number, owner, asking=not moved)

    def _send(self, number: int, owner: Address | None, *, asking: bool = False) -> None:
        if owner is None:
            self.in_vain = True
            self.replies[number] = exceptions.ClusterDownError("CLUSTERDOWN nobody has the slot")
        else:
            self._due.setdefault(Stop(owner, asking), []).append(number)


def _slot(key: str | bytes | float) -> int:
    return key_slot(key if isinstance(key, bytes) else str(key).encode())


def _address(owner: Sequence[Any], teller: Address) -> Address:
    host: bytes | str | None = owner[0]
    name = host.decode() if isinstance(host, bytes) else host
    return (teller[0] if name in (None, "", "?") else name), int(owner[1])
