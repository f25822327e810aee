"""Expiry: everything comes out when it is over, once, and nothing piles up."""

from __future__ import annotations

import math

from hypothesis import example, given
from hypothesis import strategies as st

from askonce.caching._expiry import Expiry
from askonce.caching._slot import Slot


def slot(expires: float, key: str = "k") -> Slot:
    return Slot(key, b"", expires, 1)


def added(expiry: Expiry, *ends: float) -> list[Slot]:
    slots = [slot(end) for end in ends]
    for one in slots:
        expiry.add(one)
    return slots


def popped(expiry: Expiry, now: float) -> list[float]:
    found = []
    while (one := expiry.pop(now)) is not None:
        found.append(one.expires)
        one.let_go()
    return found


def test_slots_come_out_second_by_second_once_their_second_has_passed() -> None:
    expiry = Expiry()
    added(expiry, 12.5, 10.25, 11.0, 10.5)
    assert popped(expiry, 10.9) == []
    assert sorted(popped(expiry, 11.0)) == [10.25, 10.5, 11.0]
    assert popped(expiry, 11.0) == []
    assert popped(expiry, 100.0) == [12.5]
    assert len(expiry) == 0


def test_what_lasts_for_ever_never_comes_out() -> None:
    expiry = Expiry()
    added(expiry, math.inf, 1.0)
    assert popped(expiry, 10.0**12) == [1.0]


def test_a_slot_that_moved_comes_out_at_its_new_time_only() -> None:
    expiry = Expiry()
    (one,) = added(expiry, 10.0)
    for end in (20.0, 5.0, math.inf, 30.0):
        before, one.expires = one.expires, end
        expiry.move(one, before)
    assert popped(expiry, 29.0) == []
    assert popped(expiry, 30.0) == [30.0]


def test_a_slot_that_is_gone_does_not_come_out() -> None:
    expiry = Expiry()
    one, _ = added(expiry, 10.0, 10.0)
    before = one.expires
    one.let_go()
    expiry.leave(before)
    assert popped(expiry, 10.0) == [10.0]


def test_overwriting_one_key_for_ever_does_not_pile_up() -> None:
    expiry = Expiry()
    (one,) = added(expiry, 0.0)
    for number in range(20_000):
        before, one.expires = one.expires, float(number * 7919 % 100_003)
        expiry.move(one, before)
    assert len(expiry) < 200


def test_going_to_and_fro_between_two_seconds_does_not_pile_up() -> None:
    expiry = Expiry()
    (one, *_) = added(expiry, 10.0, 10.0, 20.0)
    for number in range(20_000):
        before, one.expires = one.expires, 20.0 if number % 2 == 0 else 10.0
        expiry.move(one, before)
    assert len(expiry) < 400
    assert sorted(popped(expiry, 20.0)) == [10.0, 10.0, 20.0]


def test_slots_that_go_before_their_time_do_not_pile_up() -> None:
    expiry = Expiry()
    added(expiry, *[50.0] * 100)
    for _ in range(20_000):
        (one,) = added(expiry, 50.0)
        one.let_go()
        expiry.leave(50.0)
    assert len(expiry) < 500
    assert len(popped(expiry, 50.0)) == 100


ends = st.sampled_from([0.25, 0.5, 1.0, 1.5, 2.0, 3.75, math.inf])
steps = st.lists(
    st.tuples(st.sampled_from(["add", "move", "leave", "pop"]), st.integers(0, 9), ends),
    max_size=60,
)


@given(steps)
@example([("add", 0, 0.25), ("add", 1, 0.25), ("move", 0, 1.5), ("move", 0, 0.25)])
def test_at_the_end_exactly_what_was_not_taken_away_comes_out(
    steps: list[tuple[str, int, float]],
) -> None:
    expiry = Expiry()
    alive: dict[int, Slot] = {}
    for step, number, end in steps:
        if step == "add" and number not in alive:
            alive[number] = slot(end, str(number))
            expiry.add(alive[number])
        elif step == "move" and number in alive:
            before, alive[number].expires = alive[number].expires, end
            expiry.move(alive[number], before)
        elif step == "leave" and number in alive:
            gone = alive.pop(number)
            before = gone.expires
            gone.let_go()
            expiry.leave(before)
        elif step == "pop" and (one := expiry.pop(end if end < math.inf else 1.0)) is not None:
            assert alive.pop(int(one.key)) is one
            one.let_go()
    left = []
    while (one := expiry.pop(100.0)) is not None:
        left.append(one.key)
    assert sorted(left) == sorted(
        str(number) for number, one in alive.items() if one.expires < math.inf
    )
