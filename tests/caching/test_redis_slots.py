"""Which node has which key, and the way of commands to the nodes."""

from __future__ import annotations

from typing import Any

import pytest
from redis.exceptions import (
    AskError,
    ClusterDownError,
    MovedError,
    ResponseError,
)
from redis.exceptions import ConnectionError as BrokenError
from redis.exceptions import TimeoutError as NoAnswerError

from askonce.caching._redis_slots import SlotMap, Stop, Trip

A, B, C = ("a", 1), ("b", 2), ("c", 3)
# CRC16 of "123456789" is 0x31c3 (Redis Cluster specification, appendix A).
KEY, SLOT = "123456789", 0x31C3


def slots(owner: tuple[str, int] = B) -> SlotMap:
    return SlotMap([(SLOT + 1, 16383, C), (0, SLOT - 1, A), (SLOT, SLOT, owner)])


@pytest.mark.parametrize(
    ("command", "owner"),
    [
        (("GET", KEY), B),
        (("SET", KEY.encode(), b"x", "PX", 5), B),
        (("EVAL", "return 1", 1, KEY, "0"), B),
        (("GET", f"{{{KEY}}}:more"), B),
        (("PING",), A),
    ],
)
def test_a_command_belongs_to_the_node_that_has_its_key(command: Any, owner: Any) -> None:
    assert slots().owner(command) == owner


@pytest.mark.parametrize(
    ("ranges", "found"),
    [
        ([(SLOT, SLOT, A)], A),
        ([(0, SLOT, A)], A),
        ([(SLOT, 16383, A)], A),
        ([(0, SLOT - 1, A)], None),
        ([(SLOT + 1, 16383, A)], None),
        ([(0, SLOT - 1, A), (SLOT + 1, 16383, B)], None),
    ],
)
def test_a_slot_may_have_no_owner(ranges: Any, found: Any) -> None:
    assert SlotMap(ranges).owner(("GET", KEY)) == found


@pytest.mark.parametrize("host", [b"", None, "", b"?"])
def test_a_node_that_does_not_know_its_host_is_where_it_was_asked(host: Any) -> None:
    told = SlotMap.told([[0, 16383, [host, 7, b"id"], [b"replica", 8, b"id"]]], ("here", 1))
    assert told.primaries == [("here", 7)]


def test_every_primary_is_named_once() -> None:
    told = SlotMap([(0, 1, A), (2, 3, B), (4, 16383, A)])
    assert told.primaries == [A, B]
    told.move(5, C)
    assert told.primaries == [A, B, C]


def test_commands_part_by_node_and_answers_come_back_in_order() -> None:
    other = "foo"  # slot 12182, below
    trip = Trip([("GET", KEY), ("GET", other), ("TTL", KEY)], slots())
    assert trip.depart() == [
        (Stop(B), [("GET", KEY), ("TTL", KEY)]),
        (Stop(A), [("GET", other)]),
    ]
    trip.arrived(Stop(A), ["other"])
    trip.arrived(Stop(B), ["value", 5])
    assert trip.replies == ["value", "other", 5]
    assert not trip.depart()
    assert not trip.in_vain


def test_moved_is_followed_and_learned() -> None:
    known = slots()
    trip = Trip([("GET", KEY)], known)
    trip.depart()
    trip.arrived(Stop(B), [MovedError(f"{SLOT} c:3")])
    assert trip.depart() == [(Stop(C), [("GET", KEY)])]
    trip.arrived(Stop(C), ["value"])
    assert trip.replies == ["value"]
    assert known.owner(("GET", KEY)) == C


def test_ask_is_followed_this_once() -> None:
    known = slots()
    trip = Trip([("GET", KEY), ("TTL", KEY)], known)
    trip.depart()
    trip.arrived(Stop(B), [AskError(f"{SLOT} c:3"), AskError(f"{SLOT} c:3")])
    [(stop, said)] = trip.depart()
    assert stop == Stop(C, asking=True)
    assert said == [("ASKING",), ("GET", KEY), ("ASKING",), ("TTL", KEY)]
    trip.arrived(stop, ["OK", "value", "OK", 5])
    assert trip.replies == ["value", 5]
    assert known.owner(("GET", KEY)) == B


def test_what_moved_to_a_node_that_is_being_asked_goes_there_afterwards() -> None:
    trip = Trip([("GET", KEY), ("GET", "foo")], slots())
    assert len(trip.depart()) == 2
    trip.arrived(Stop(B), [MovedError(f"{SLOT} a:1")])
    assert trip.away == {A}
    trip.arrived(Stop(A), ["other"])
    assert trip.depart() == [(Stop(A), [("GET", KEY)])]
    trip.arrived(Stop(A), ["value"])
    assert trip.replies == ["value", "other"]


def test_moved_without_a_host_leads_to_the_host_that_said_so() -> None:
    trip = Trip([("GET", KEY)], slots())
    trip.depart()
    trip.arrived(Stop(B), [MovedError(f"{SLOT} :9")])
    assert trip.depart() == [(Stop(("b", 9)), [("GET", KEY)])]


@pytest.mark.parametrize(
    ("reply", "in_vain"),
    [
        (BrokenError(), True),
        (NoAnswerError(), True),
        (ClusterDownError("CLUSTERDOWN"), True),
        (OSError(), True),
        (ResponseError("WRONGTYPE"), False),
        (None, False),
    ],
)
def test_what_a_node_did_not_answer_says_that_the_slots_may_have_moved(
    reply: Any, in_vain: bool
) -> None:
    trip = Trip([("GET", KEY)], slots())
    trip.depart()
    trip.arrived(Stop(B), [reply])
    assert trip.replies == [reply]
    assert trip.in_vain is in_vain
    assert trip.lost == ({B} if in_vain else set())


def test_a_key_that_nobody_has_is_a_failure_of_the_cluster() -> None:
    trip = Trip([("GET", KEY)], SlotMap([(0, 0, A)]))
    assert isinstance(trip.replies[0], ClusterDownError)
    assert trip.in_vain
    assert not trip.depart()
