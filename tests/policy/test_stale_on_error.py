"""May a stored answer stand in for a failure of the app?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askonce.entry import Entry
from askonce.policy.decide import stale_on_error
from askonce.policy.directives import Directives, read
from askonce.policy.options import Options

STORED = 1000.0
WINDOW = Options(stale_if_error=50.0)


def entry(*, vary=(), may_be_stale=True) -> Entry:
    return Entry(
        "k",
        STORED,
        100.0,
        200,
        (),
        b"",
        "plain",
        usage_due=True,
        vary=vary,
        may_be_stale=may_be_stale,
    )


def stands_in(status, said=b"", age=110.0, *, options=WINDOW, stored=None, headers=()) -> bool:
    directives = read([said], None)
    assert isinstance(directives, Directives)
    stored = stored or entry()
    return stale_on_error(status, directives, stored, headers, STORED + age, options)


@pytest.mark.parametrize("status", [500, 502, 503, 504, 429, 529, None])
def test_a_failure_is_answered_from_the_store_within_the_operators_window(status):
    assert stands_in(status, age=150.0)
    assert not stands_in(status, age=150.5)
    assert not stands_in(status, age=100.0, options=Options())
    assert not stands_in(status, age=100.0, options=Options(stale_while_revalidate=50.0))


@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 408, 422, 501, 520])
def test_what_is_no_failure_is_the_apps_to_answer(status):
    assert not stands_in(status)


@pytest.mark.parametrize(
    ("status", "said", "age", "stands"),
    [
        (503, b"stale-if-error=10", 110.0, True),
        (503, b"stale-if-error=10", 110.5, False),
        (500, b"stale-if-error=10", 110.5, False),
        (502, b"stale-if-error=10", 110.5, False),
        (504, b"stale-if-error=10", 110.5, False),
        (503, b"stale-if-error=1000", 150.5, False),
        (429, b"stale-if-error=10", 150.0, True),
        (529, b"stale-if-error=10", 150.0, True),
        (None, b"stale-if-error=10", 150.0, True),
        (429, b"stale-if-error=10", 150.5, False),
        (503, b"stale-if-error=0", 100.0, False),
        (429, b"stale-if-error=0", 100.0, False),
        (529, b"stale-if-error=0", 100.0, False),
        (None, b"stale-if-error=0", 100.0, False),
        (None, b"stale-if-error=x", 100.0, False),
    ],
)
def test_a_clients_stale_if_error_narrows_the_window_for_the_failures_it_covers(
    status, said, age, stands
):
    assert stands_in(status, said, age) is stands


@pytest.mark.parametrize("status", [503, 429, None])
@pytest.mark.parametrize(
    ("said", "age", "stands"),
    [
        (b"max-stale=10", 110.0, True),
        (b"max-stale=10", 110.5, False),
        (b"max-stale", 150.0, True),
        (b"max-stale", 150.5, False),
        (b"max-stale=0", 100.0, False),
        (b"max-age=120", 120.0, True),
        (b"max-age=120", 120.5, False),
        (b"max-age=5", 4.0, True),
        (b"max-age=0.5", 0.25, True),
        (b"max-age=0.5", -5.0, True),
        (b"max-age=5", 6.0, False),
        (b"min-fresh=50", 50.0, True),
        (b"min-fresh=50", 51.0, False),
        (b"min-fresh=0", 110.0, False),
        (b"no-cache", 10.0, False),
        (b"no-cache", 110.0, False),
        (b"max-age=0", 10.0, False),
        (b"no-store", 110.0, True),
        (b"", -5.0, True),
    ],
)
def test_the_clients_other_limits_hold_for_every_failure(status, said, age, stands):
    assert stands_in(status, said, age) is stands


def test_an_answer_that_forbids_it_never_stands_in():
    assert not stands_in(503, stored=entry(may_be_stale=False))


def test_an_entry_whose_vary_differs_never_stands_in():
    stored = entry(vary=((b"origin", (b"a",)),))
    assert stands_in(503, stored=stored, headers=((b"origin", b"a"),))
    assert not stands_in(503, stored=stored, headers=((b"origin", b"b"),))


def test_without_an_entry_nothing_stands_in():
    assert not stale_on_error(503, Directives(), None, (), STORED, WINDOW)


WORDS = st.sampled_from(
    [
        *(b"no-cache", b"no-store", b"max-stale", b"only-if-cached"),
        *(
            b"%s=%d" % (name, number)
            for name in (b"max-age", b"max-stale", b"min-fresh", b"stale-if-error")
            for number in (0, 5, 20, 105, 1000)
        ),
    ]
)


@given(
    st.lists(WORDS, max_size=3),
    WORDS,
    st.sampled_from([500, 429, 529, None, 404]),
    st.floats(0.0, 200.0),
)
def test_one_more_directive_never_lets_an_entry_stand_in(words, more, status, age):
    if stands_in(status, b",".join([*words, more]), age):
        assert stands_in(status, b",".join(words), age)
