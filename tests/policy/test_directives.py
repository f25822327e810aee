"""Every directive, from either place, and every merge of the two."""

from __future__ import annotations

import math
from typing import Any

import jiter
import pytest
from hypothesis import given
from hypothesis import strategies as st

from askonce.policy.directives import SILENT, DirectiveError, Directives, read
from askonce.policy.fields import MAX_SECONDS


def spoken(*lines: bytes, control: dict[str, Any] | None = None) -> Directives:
    directives = read(lines, control)
    assert isinstance(directives, Directives)
    return directives


def parsed(json: bytes) -> Any:
    return jiter.from_json(
        json, allow_inf_nan=False, catch_duplicate_keys=True, float_mode="lossless-float"
    )


HEADER = [
    (b"no-cache", Directives(no_cache=True)),
    (b"NO-CACHE", Directives(no_cache=True)),
    (b"no-cache=x", Directives(no_cache=True)),
    (b"no-store", Directives(no_store=True)),
    (b'no-store="x"', Directives(no_store=True)),
    (b"only-if-cached", Directives(only_if_cached=True)),
    (b"use-cache", Directives(use_cache=True)),
    (b"max-age=5", Directives(max_age=5.0)),
    (b"max-age=1.5", Directives(max_age=1.5)),
    (b'max-age="5"', Directives(max_age=5.0)),
    (b"max-age=0.25", Directives(max_age=0.25)),
    (b"max-age=0", Directives(max_age=0.0, no_cache=True)),
    (b"max-age=0.0", Directives(max_age=0.0, no_cache=True)),
    (b"s-maxage=7", Directives(max_age=7.0)),
    (b"s-max-age=7", Directives(max_age=7.0)),
    (b"s-maxage=0", Directives(max_age=0.0, no_cache=True)),
    (b"max-stale", Directives(max_stale=math.inf)),
    (b"max-stale=0", Directives(max_stale=0.0)),
    (b"max-stale=9.5", Directives(max_stale=9.5)),
    (b"min-fresh=0", Directives(min_fresh=0.0)),
    (b"min-fresh=9.5", Directives(min_fresh=9.5)),
    (b"stale-if-error=0", Directives(stale_if_error=0.0)),
    (b"stale-if-error=9.5", Directives(stale_if_error=9.5)),
    (b"ttl=0", Directives(ttl=0.0)),
    (b"ttl=60", Directives(ttl=60.0)),
    (b"ttl=0.5", Directives(ttl=0.5)),
    (b"namespace=team-a", Directives(namespace="team-a")),
    (b'namespace="Team, A"', Directives(namespace="Team, A")),
    ('namespace="käse"'.encode(), Directives(namespace="käse")),
    (
        b"max-age=5, min-fresh=2, no-store",
        Directives(max_age=5.0, min_fresh=2.0, no_store=True),
    ),
]
STRICT = [
    (b"max-age", Directives(max_age=0.0, no_cache=True)),
    (b"max-age=", Directives(max_age=0.0, no_cache=True)),
    (b"max-age=soon", Directives(max_age=0.0, no_cache=True)),
    (b"max-age=-1", Directives(max_age=0.0, no_cache=True)),
    (b"max-age=1e9", Directives(max_age=0.0, no_cache=True)),
    (b"s-maxage=x", Directives(max_age=0.0, no_cache=True)),
    (b"max-stale=", Directives(max_stale=0.0)),
    (b"max-stale=long", Directives(max_stale=0.0)),
    (b"min-fresh", Directives(min_fresh=math.inf)),
    (b"min-fresh=x", Directives(min_fresh=math.inf)),
    (b"stale-if-error", Directives(stale_if_error=0.0)),
    (b"stale-if-error=x", Directives(stale_if_error=0.0)),
    (b"ttl", Directives(ttl=0.0)),
    (b"ttl=forever", Directives(ttl=0.0)),
    (b"namespace", Directives(conflict=True)),
    (b"namespace=", Directives(conflict=True)),
    (b'namespace=""', Directives(conflict=True)),
    (b'namespace="a', Directives(conflict=True)),
    (b"namespace=a b", Directives(conflict=True)),
    (b'namespace="\xff"', Directives(conflict=True)),
]
NOT_SAID = [
    b"",
    b",",
    b"immutable",
    b"no-transform",
    b"use-cache=0",
    b"use-cache=true",
    b'x="no-store"',
    b"=no-store",
]
TWICE = [
    ((b"max-age=5, max-age=3",), Directives(max_age=3.0)),
    ((b"max-age=3, s-maxage=5",), Directives(max_age=3.0)),
    ((b"max-age=5", b"s-maxage=3"), Directives(max_age=3.0)),
    ((b"max-age=5, max-age=x",), Directives(max_age=0.0, no_cache=True)),
    ((b"max-age=0", b"max-age=9"), Directives(max_age=0.0, no_cache=True)),
    ((b"max-stale", b"max-stale=7"), Directives(max_stale=7.0)),
    ((b"max-stale=7, max-stale",), Directives(max_stale=7.0)),
    ((b"min-fresh=2, min-fresh=9",), Directives(min_fresh=9.0)),
    ((b"min-fresh=9", b"min-fresh=2"), Directives(min_fresh=9.0)),
    ((b"stale-if-error=2, stale-if-error=9",), Directives(stale_if_error=2.0)),
    ((b"ttl=2, ttl=9",), Directives(ttl=2.0)),
    ((b"no-cache, no-cache",), Directives(no_cache=True)),
    ((b"namespace=a, namespace=a",), Directives(namespace="a")),
    ((b'namespace=a, namespace="a"',), Directives(namespace="a")),
    ((b"namespace=a, namespace=b",), Directives(conflict=True)),
    ((b"namespace=a", b"namespace=A"), Directives(conflict=True)),
    ((b"namespace=a, namespace=b, namespace=a",), Directives(conflict=True)),
    ((b'namespace="", namespace=a',), Directives(conflict=True)),
    ((b'namespace=a, namespace=""',), Directives(conflict=True)),
]
OBJECT = [
    (b'{"no-cache": true}', Directives(no_cache=True)),
    (b'{"no-store": true}', Directives(no_store=True)),
    (b'{"use-cache": true}', Directives(use_cache=True)),
    (b'{"ttl": 60}', Directives(ttl=60.0)),
    (b'{"ttl": 0}', Directives(ttl=0.0)),
    (b'{"ttl": 0.5}', Directives(ttl=0.5)),
    (b'{"ttl": 6e1}', Directives(ttl=60.0)),
    (b'{"ttl": 1e400}', Directives(ttl=MAX_SECONDS)),
    (b'{"ttl": 1' + b"0" * 400 + b"}", Directives(ttl=MAX_SECONDS)),
    (b'{"s-maxage": 600}', Directives(max_age=600.0)),
    (b'{"s-max-age": 600}', Directives(max_age=600.0)),
    (b'{"s-maxage": 600, "s-max-age": 5}', Directives(max_age=5.0)),
    (b'{"s-maxage": 0}', Directives(max_age=0.0, no_cache=True)),
    (b'{"s-maxage": -0.0}', Directives(max_age=0.0, no_cache=True)),
    (b'{"namespace": "x"}', Directives(namespace="x")),
    (
        b'{"no-cache": false, "no-store": true, "ttl": 6}',
        Directives(no_store=True, ttl=6.0),
    ),
]
MERGES = [
    (b"ttl=9", b'{"ttl": 5}', Directives(ttl=5.0)),
    (b"ttl=5", b'{"ttl": 9}', Directives(ttl=5.0)),
    (b"ttl=0", b'{"ttl": 9}', Directives(ttl=0.0)),
    (b"ttl=x", b'{"ttl": 9}', Directives(ttl=0.0)),
    (b"max-age=9", b'{"s-maxage": 5.5}', Directives(max_age=5.5)),
    (b"s-maxage=5", b'{"s-max-age": 9}', Directives(max_age=5.0)),
    (b"max-age=9", b'{"s-maxage": 0}', Directives(max_age=0.0, no_cache=True)),
    (b"max-age=0", b'{"s-maxage": 9}', Directives(max_age=0.0, no_cache=True)),
    (b"no-cache", b'{"no-cache": false}', Directives(no_cache=True)),
    (b"no-store", b'{"no-store": false}', Directives(no_store=True)),
    (b"no-cache", b'{"no-store": true}', Directives(no_cache=True, no_store=True)),
    (b"use-cache", b'{"use-cache": false}', Directives(use_cache=True)),
    (b"immutable", b'{"use-cache": true}', Directives(use_cache=True)),
    (b"namespace=a", b'{"namespace": "a"}', Directives(namespace="a")),
    (b"namespace=a", b'{"namespace": "b"}', Directives(conflict=True)),
    (b'namespace=""', b'{"namespace": "a"}', Directives(conflict=True)),
    (b"min-fresh=3", b'{"ttl": 4}', Directives(min_fresh=3.0, ttl=4.0)),
]
WRONG = [
    (b'{"ttl": "60"}', "ttl", "number of seconds, 0 or more, not a string"),
    (b'{"ttl": true}', "ttl", "not a boolean"),
    (b'{"ttl": null}', "ttl", "not null"),
    (b'{"ttl": [1]}', "ttl", "not an array"),
    (b'{"ttl": {}}', "ttl", "not an object"),
    (b'{"ttl": -1}', "ttl", "0 or more"),
    (b'{"ttl": -0.5}', "ttl", "0 or more"),
    (b'{"ttl": -1' + b"0" * 400 + b"}", "ttl", "0 or more"),
    (b'{"s-maxage": "1"}', "s-maxage", "number of seconds"),
    (b'{"s-max-age": -1}', "s-max-age", "number of seconds"),
    (b'{"no-cache": 1}', "no-cache", "true or false, not a number"),
    (b'{"no-cache": 1.0}', "no-cache", "true or false, not a number"),
    (b'{"no-store": "true"}', "no-store", "true or false, not a string"),
    (b'{"use-cache": null}', "use-cache", "true or false, not null"),
    (b'{"namespace": 1}', "namespace", "a string, not a number"),
    (b'{"namespace": ""}', "namespace", "not be empty"),
    (
        b'{"max-age": 1}',
        "max-age",
        "allowed are no-cache, no-store, use-cache, ttl, s-maxage, s-max-age, namespace",
    ),
    (b'{"No-Cache": true}', "No-Cache", "not known"),
    (b'{"": true}', "", "not known"),
    (b'{"no-store": true, "x": 1, "ttl": -1}', "x", "not known"),
]


@pytest.mark.parametrize(("line", "directives"), HEADER)
def test_the_header_says(line, directives):
    assert spoken(line) == directives


@pytest.mark.parametrize(("line", "directives"), STRICT)
def test_what_the_header_says_unreadably_counts_as_the_strictest(line, directives):
    assert spoken(line) == directives


@pytest.mark.parametrize("line", NOT_SAID)
def test_what_the_header_does_not_say_leaves_the_request_silent(line):
    assert spoken(line) is SILENT


@pytest.mark.parametrize(("lines", "directives"), TWICE)
def test_what_the_header_says_twice_counts_as_the_stricter(lines, directives):
    assert spoken(*lines) == directives


@pytest.mark.parametrize(("json", "directives"), OBJECT)
def test_the_object_says(json, directives):
    assert spoken(control=parsed(json)) == directives


@pytest.mark.parametrize("control", [None, {}, {"no-cache": False, "use-cache": False}])
def test_an_object_without_a_word_leaves_the_request_silent(control):
    assert spoken(control=control) is SILENT


@pytest.mark.parametrize(("line", "json", "directives"), MERGES)
def test_header_and_object_together_count_as_the_stricter(line, json, directives):
    assert spoken(line, control=parsed(json)) == directives


@pytest.mark.parametrize(("json", "member", "words"), WRONG)
def test_a_wrong_member_of_the_object_is_named_with_what_is_allowed(json, member, words):
    error = read([b"no-store"], parsed(json))
    assert isinstance(error, DirectiveError)
    assert error.member == member
    assert f"cache.{member}" in error.message
    assert words in error.message


@pytest.mark.parametrize("number", [math.nan, -math.inf])
def test_a_python_caller_may_give_no_number_that_is_none(number):
    assert isinstance(read([], {"ttl": number}), DirectiveError)


def test_a_python_caller_may_give_floats_and_infinity():
    assert spoken(control={"ttl": 0.5, "s-maxage": math.inf}) == Directives(
        ttl=0.5, max_age=MAX_SECONDS
    )


def test_a_python_callers_float_is_named_as_json_names_it():
    error = read([], {"no-store": 1.0})
    assert isinstance(error, DirectiveError)
    assert error.message.endswith("not a number")


def test_an_unexpected_python_value_is_named_by_its_type():
    error = read([], {"ttl": (1,)})
    assert isinstance(error, DirectiveError)
    assert error.message.endswith("not tuple")


def test_a_long_member_name_does_not_fill_the_message():
    error = read([], {"x" * 10_000: 1})
    assert isinstance(error, DirectiveError)
    assert len(error.message) < 200


WORDS = st.sampled_from([line for line, _ in (*HEADER, *STRICT)])
OBJECTS = st.sampled_from([{}, *(parsed(json) for json, _ in OBJECT)])


@given(st.lists(st.binary(max_size=40) | WORDS, max_size=4))
def test_reading_a_header_never_raises_and_is_never_an_error(lines):
    assert isinstance(read(lines, None), Directives)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)
NAMES = st.sampled_from(["no-cache", "no-store", "use-cache", "ttl", "s-maxage", "namespace"])


@given(st.dictionaries(NAMES | st.text(max_size=5), JSON, max_size=3))
def test_reading_an_object_never_raises(control):
    assert isinstance(read([], control), Directives | DirectiveError)


CLOSED = WORDS.filter(lambda line: line.count(b'"') % 2 == 0)


@given(st.lists(CLOSED, max_size=4), st.randoms())
def test_order_and_division_into_lines_do_not_matter(words, random):
    shuffled = random.sample(words, len(words))
    assert spoken(b", ".join(shuffled)) == spoken(*words)


def strictness(directives: Directives) -> tuple[float, ...]:
    """Every directive as a number that grows when it is tightened."""
    least = (directives.max_age, directives.max_stale, directives.stale_if_error, directives.ttl)
    return (
        directives.no_cache,
        directives.no_store,
        directives.only_if_cached,
        directives.conflict,
        -1.0 if directives.min_fresh is None else directives.min_fresh,
        *(-math.inf if number is None else -min(number, 1e300) for number in least),
    )


@given(st.lists(WORDS, max_size=3), OBJECTS)
def test_header_and_object_together_are_never_looser_than_either_alone(lines, control):
    both = spoken(*lines, control=control)
    for alone in (spoken(*lines), spoken(control=control)):
        pairs = zip(strictness(both), strictness(alone), strict=True)
        assert all(together >= single for together, single in pairs)
