from __future__ import annotations

from typing import Any

import pytest

from askonce.calls.deltas import (
    CLASH,
    Rule,
    appended,
    collected,
    combine,
    first,
    harshest,
    last,
    lone,
    nested,
    once,
)

RULES = [
    (once, ["a"], "a"),
    (once, ["a", "a", ""], "a"),
    (once, ["", "a"], "a"),
    (once, ["", ""], ""),
    (once, ["a", "b"], CLASH),
    (once, [1, True], CLASH),
    (once, [{"a": 1}, {"a": 1}], {"a": 1}),
    (once, [{"a": 1}, {"a": 2}], CLASH),
    (lone, ["a"], "a"),
    (lone, ["", "a", ""], "a"),
    (lone, ["ha", "ha"], CLASH),
    (lone, [3, 3], 3),
    (lone, [3, 4], CLASH),
    (first, ["", 0, "a", "b"], "a"),
    (first, [0, ""], 0),
    (last, ["a", "b"], "b"),
    (appended, ["a", "b", "b"], "abb"),
    (appended, [["a"]], ["a"]),
    (appended, ["a", ["b"]], CLASH),
    (collected, [[1], [], [1, 2]], [1, 1, 2]),
    (collected, [{}], {}),
    (collected, [[1], 2], CLASH),
    (harshest, [{"hate": {"severity": "safe"}}, {"hate": {"severity": "medium"}}, {}],
     {"hate": {"severity": "medium"}}),
    (harshest, [{"hate": {"severity": "high"}}, {"hate": {"severity": "low"}}],
     {"hate": {"severity": "high"}}),
    (harshest, [{"pii": {"filtered": True}}, {"pii": {"filtered": False}, "hate": {}}],
     {"pii": {"filtered": True}, "hate": {}}),
    (harshest, [{"x": {"id": 1}}, {"x": {"id": 1}}], {"x": {"id": 1}}),
    (harshest, [{"x": {"severity": "safe"}}, {"x": {"severity": "grim"}}], CLASH),
    (nested({"a": appended}), [{"a": "x"}, {"a": "y", "b": 1}], {"a": "xy", "b": 1}),
    (nested({"a": appended}), [{"a": "x", "b": "ha"}, {"b": "ha"}], CLASH),
    (nested({"a": appended}), ["x"], "x"),
    (nested({"a": appended}), ["x", {"a": "y"}], CLASH),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "seen", "expected"), RULES)
def test_each_rule_makes_one_value_of_many_or_says_that_it_cannot(
    rule: Rule, seen: list[Any], expected: Any
) -> None:
    got = rule(seen)
    assert got is CLASH if expected is CLASH else got == expected


def test_null_means_nothing_yet() -> None:
    pieces = [{"a": None, "b": None}, {"a": "x"}, {"a": None}, {"a": "y"}]
    assert combine(pieces, {"a": appended}) == {"a": "xy", "b": None}


def test_members_keep_the_order_in_which_they_first_came() -> None:
    assert list(combine([{"b": 1}, {"a": 2, "b": 1}], {})) == ["b", "a"]


def test_a_member_may_be_left_out() -> None:
    assert combine([{"a": 1, "b": 2}, {"a": 3}], {"a": None}) == {"b": 2}


def test_unknown_members_survive_unless_they_are_uncertain() -> None:
    assert combine([{"new": "x"}, {"new": "x"}], {}) == {"new": "x"}
    assert combine([{"new": "x"}, {"new": "y"}], {}) is CLASH


def test_one_clash_is_enough() -> None:
    table = {"a": nested({"b": once})}
    assert combine([{"a": {"b": 1}, "c": 1}, {"a": {"b": 2}}], table) is CLASH
