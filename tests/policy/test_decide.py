"""May a stored answer be served? Every limit, alone and together, on both sides of its edge."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askonce.entry import Entry
from askonce.policy.decide import (
    Decision,
    Forward,
    Refuse,
    Serve,
    ServeStale,
    admit,
    decide,
)
from askonce.policy.directives import SILENT, Directives, read
from askonce.policy.options import Options

STORED = 1000.0
TTL = 100.0
PLAIN = Options()
WINDOW = Options(stale_while_revalidate=50.0)


def entry(*, vary=(), may_be_stale=True, ttl=TTL) -> Entry:
    return Entry(
        "k",
        STORED,
        ttl,
        200,
        (),
        b"",
        "plain",
        usage_due=True,
        vary=vary,
        may_be_stale=may_be_stale,
    )


def decided(said: bytes, age: float, options: Options = PLAIN, **fields) -> Decision:
    directives = read([said], None)
    assert isinstance(directives, Directives)
    return decide(directives, entry(**fields), (), STORED + age, options)


ADMITTED = [
    (SILENT, Options(), None),
    (Directives(no_cache=True, no_store=True), Options(), None),
    (Directives(namespace="a"), Options(), None),
    (Directives(conflict=True), Options(), "namespace-conflict"),
    (SILENT, Options(mode="default_off"), "default-off"),
    (Directives(ttl=5.0), Options(mode="default_off"), "default-off"),
    (Directives(use_cache=True), Options(mode="default_off"), None),
    (Directives(use_cache=True), Options(), None),
    (
        Directives(use_cache=True, conflict=True),
        Options(mode="default_off"),
        "namespace-conflict",
    ),
]


@pytest.mark.parametrize(("directives", "options", "reason"), ADMITTED)
def test_a_request_is_admitted_or_bypassed_with_a_reason(directives, options, reason):
    assert admit(directives, options) == reason


FRESH = [
    (b"", 0.0, Serve(0.0, 100.0)),
    (b"", 99.5, Serve(99.5, 0.5)),
    (b"", -5.0, Serve(0.0, 100.0)),
    (b"", 100.0, Forward("stale")),
    (b"", 100.5, Forward("stale")),
    (b"max-age=10", 10.0, Serve(10.0, 90.0)),
    (b"max-age=10", 10.5, Forward("request")),
    (b"s-maxage=10", 10.5, Forward("request")),
    (b"max-age=0.5", 0.25, Serve(0.25, 99.75)),
    (b"max-age=0.5", 0.75, Forward("request")),
    (b"max-age=10", -5.0, Serve(0.0, 100.0)),
    (b"max-age=0", 0.0, Forward("request")),
    (b"max-age=x", 0.0, Forward("request")),
    (b"max-age=10", 100.0, Forward("stale")),
    (b"min-fresh=0", 99.5, Serve(99.5, 0.5)),
    (b"min-fresh=10", 90.0, Serve(90.0, 10.0)),
    (b"min-fresh=10", 90.5, Forward("request")),
    (b"min-fresh=x", 0.0, Forward("request")),
    (b"max-stale=0", 99.5, Serve(99.5, 0.5)),
    (b"no-cache", 0.0, Forward("request")),
    (b"no-cache", 100.0, Forward("stale")),
    (b"no-store", 5.0, Serve(5.0, 95.0)),
    (b"ttl=1", 5.0, Serve(5.0, 95.0)),
    (b"stale-if-error=0", 5.0, Serve(5.0, 95.0)),
    (b"only-if-cached", 5.0, Serve(5.0, 95.0)),
    (b"only-if-cached", 100.0, Refuse()),
    (b"only-if-cached, no-cache", 5.0, Refuse()),
    (b"only-if-cached, max-age=4", 5.0, Refuse()),
    (b"only-if-cached, min-fresh=96", 5.0, Refuse()),
]


@pytest.mark.parametrize(("said", "age", "decision"), FRESH)
def test_without_a_stale_window_only_what_is_fresh_and_accepted_is_served(said, age, decision):
    assert decided(said, age) == decision


STALE = [
    (b"", 99.5, Serve(99.5, 0.5)),
    (b"", 100.0, ServeStale(100.0, 0.0)),
    (b"", 111.5, ServeStale(111.5, -11.5)),
    (b"", 150.0, ServeStale(150.0, -50.0)),
    (b"", 150.5, Forward("stale")),
    (b"max-stale", 150.0, ServeStale(150.0, -50.0)),
    (b"max-stale", 150.5, Forward("stale")),
    (b"max-stale=10", 110.0, ServeStale(110.0, -10.0)),
    (b"max-stale=10", 110.5, Forward("stale")),
    (b"max-stale=500", 150.5, Forward("stale")),
    (b"max-stale=0", 100.0, Forward("stale")),
    (b"max-stale=x", 110.0, Forward("stale")),
    (b"max-age=120", 120.0, ServeStale(120.0, -20.0)),
    (b"max-age=120", 120.5, Forward("stale")),
    (b"s-maxage=120", 120.5, Forward("stale")),
    (b"min-fresh=0", 100.0, Forward("stale")),
    (b"min-fresh=0", 110.0, Forward("stale")),
    (b"no-cache", 110.0, Forward("stale")),
    (b"no-store", 110.0, Forward("stale")),
    (b"no-store", 100.5, Forward("stale")),
    (b"stale-if-error=0", 110.0, ServeStale(110.0, -10.0)),
    (b"only-if-cached", 110.0, ServeStale(110.0, -10.0)),
    (b"only-if-cached", 150.5, Refuse()),
    (b"only-if-cached, no-store", 110.0, Refuse()),
    (b"only-if-cached, max-stale=5", 110.0, Refuse()),
]


@pytest.mark.parametrize(("said", "age", "decision"), STALE)
def test_the_operators_window_serves_stale_and_a_client_only_narrows_it(said, age, decision):
    assert decided(said, age, WINDOW) == decision


def test_a_client_opens_no_window():
    assert decided(b"max-stale=1000", 100.5) == Forward("stale")


def test_a_window_may_be_a_fraction_of_a_second():
    options = Options(stale_while_revalidate=0.5)
    assert decided(b"", 100.5, options) == ServeStale(100.5, -0.5)
    assert decided(b"", 100.75, options) == Forward("stale")


def test_an_answer_that_forbids_it_is_never_served_stale():
    assert decided(b"", 99.0, WINDOW, may_be_stale=False) == Serve(99.0, 1.0)
    assert decided(b"", 100.0, WINDOW, may_be_stale=False) == Forward("stale")


def test_the_window_for_errors_serves_nothing_while_the_app_works():
    assert decided(b"", 110.0, Options(stale_if_error=50.0)) == Forward("stale")


def test_a_ttl_of_0_is_stale_at_once():
    assert decided(b"", 0.0, ttl=0.0) == Forward("stale")
    assert decided(b"", 0.0, WINDOW, ttl=0.0) == ServeStale(0.0, 0.0)


@pytest.mark.parametrize(
    ("directives", "decision"),
    [
        (SILENT, Forward("miss")),
        (Directives(no_cache=True), Forward("miss")),
        (Directives(only_if_cached=True), Refuse()),
    ],
)
def test_nothing_stored_is_a_miss_or_refused(directives, decision):
    assert decide(directives, None, (), STORED, WINDOW) == decision


VARY = ((b"origin", (b"a",)),)


@pytest.mark.parametrize(
    ("said", "origin", "age", "decision"),
    [
        (b"", b"a", 5.0, Serve(5.0, 95.0)),
        (b"", b"a", 110.0, ServeStale(110.0, -10.0)),
        (b"", b"b", 5.0, Forward("vary-miss")),
        (b"", b"b", 110.0, Forward("vary-miss")),
        (b"no-cache", b"b", 5.0, Forward("vary-miss")),
        (b"only-if-cached", b"a", 5.0, Serve(5.0, 95.0)),
        (b"only-if-cached", b"b", 5.0, Refuse()),
    ],
)
def test_an_entry_whose_vary_differs_is_not_served(said, origin, age, decision):
    directives = read([said], None)
    assert isinstance(directives, Directives)
    headers = ((b"origin", origin),)
    assert decide(directives, entry(vary=VARY), headers, STORED + age, WINDOW) == decision


WORDS = st.sampled_from(
    [
        *(b"no-cache", b"no-store", b"only-if-cached", b"max-stale", b"use-cache", b"x"),
        *(
            b"%s=%d" % (name, number)
            for name in (b"max-age", b"s-maxage", b"max-stale", b"min-fresh", b"stale-if-error")
            for number in (0, 5, 50, 95, 105, 120, 1000)
        ),
    ]
)
AGES = st.floats(-10.0, 200.0) | st.sampled_from([0.0, 5.0, 95.0, 100.0, 105.0, 150.0])
ENTRIES = st.builds(entry, may_be_stale=st.booleans(), ttl=st.sampled_from([0.0, 100.0]))
OPTIONS = st.builds(
    Options,
    stale_while_revalidate=st.sampled_from([0.0, 10.0, 60.0]),
    stale_if_error=st.sampled_from([0.0, 10.0, 60.0]),
)


@given(st.lists(WORDS, max_size=3), WORDS, ENTRIES, AGES, OPTIONS)
def test_one_more_directive_never_turns_a_refusal_into_a_serve(words, more, stored, age, options):
    loose, tight = read(words, None), read([*words, more], None)
    assert isinstance(loose, Directives)
    assert isinstance(tight, Directives)
    now = STORED + age
    after = decide(tight, stored, (), now, options)
    if isinstance(after, Serve | ServeStale):
        assert decide(loose, stored, (), now, options) == after


@given(st.lists(WORDS, max_size=3), ENTRIES, AGES, OPTIONS)
def test_nothing_is_served_beyond_what_the_operator_and_the_answer_allow(
    words, stored, age, options
):
    directives = read(words, None)
    assert isinstance(directives, Directives)
    match decide(directives, stored, (), STORED + age, options):
        case Serve(served, ttl):
            assert served >= 0.0 < ttl
            assert math.isclose(served + ttl, stored.ttl)
        case ServeStale(served, ttl):
            assert stored.may_be_stale
            assert 0.0 <= -ttl <= options.stale_while_revalidate
            assert math.isclose(served + ttl, stored.ttl)
        case Refuse():
            assert directives.only_if_cached
        case Forward():
            assert not directives.only_if_cached


@given(ENTRIES, AGES, OPTIONS)
def test_the_way_of_a_silent_hit_decides_as_the_long_way_does(stored, age, options):
    now = STORED + age
    spoken = Directives(ttl=5.0)  # says nothing of serving
    assert decide(SILENT, stored, (), now, options) == decide(spoken, stored, (), now, options)
