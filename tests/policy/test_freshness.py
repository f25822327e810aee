"""What an answer's own header says on its reuse."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askonce.policy.fields import MAX_SECONDS, Fields, gather
from askonce.policy.freshness import (
    control,
    counts,
    forbidden,
    lifetime,
    may_be_stale,
    received_age,
)

NOW = 784111777.0  # Sun, 06 Nov 1994 08:49:37 GMT
DATE = (b"date", b"Sun, 06 Nov 1994 08:49:00 GMT")


def answer(*headers: tuple[bytes, bytes]) -> Fields:
    return gather(headers, frozenset([name.lower() for name, _ in headers]))


def cached(line: bytes) -> Fields:
    return answer((b"cache-control", line))


FORBIDDEN = [
    # directive, auto plain, auto stream, always, never
    (b"no-store", "no-store", None, "no-store", None),
    (b"private", "private", "private", "private", None),
    (b"PRIVATE", "private", "private", "private", None),
    (b'private="x-a"', "private", "private", "private", None),
    (b"no-cache", None, None, "no-cache", None),
    (b'no-cache="x-a"', None, None, "no-cache", None),
    (b"no-store, must-understand", "no-store", None, "no-store", None),
    (b"public, max-age=5", None, None, None, None),
    (b'x="no-store, private"', None, None, None, None),
    (b"", None, None, None, None),
]


@pytest.mark.parametrize(("line", "plain", "stream", "always", "never"), FORBIDDEN)
def test_storing_is_forbidden_by(line, plain, stream, always, never):
    said = control(cached(line))
    assert forbidden(said, "plain", "auto") == plain
    assert forbidden(said, "stream", "auto") == stream
    assert forbidden(said, "plain", "always") == always
    assert forbidden(said, "stream", "always") == always
    assert forbidden(said, "plain", "never") == never
    assert forbidden(said, "stream", "never") == never


@pytest.mark.parametrize(
    ("respect", "shape", "limits"),
    [
        ("auto", "plain", True),
        ("auto", "stream", False),
        ("always", "plain", True),
        ("always", "stream", True),
        ("never", "plain", False),
        ("never", "stream", False),
    ],
)
def test_the_answer_limits_its_lifetime_only_where_the_operator_lets_it(respect, shape, limits):
    assert counts(shape, respect) is limits


LIFETIMES = [
    (b"", None),
    (b"public", None),
    (b"max-age=60", 60.0),
    (b"max-age=0", 0.0),
    (b"max-age=1.5", 1.5),
    (b'max-age="60"', 60.0),
    (b"max-age=60, max-age=20", 20.0),
    (b"max-age=60, max-age=x", 0.0),
    (b"max-age", 0.0),
    (b"max-age=-5", 0.0),
    (b"max-age=99999999999", MAX_SECONDS),
    (b"s-maxage=10, max-age=60", 10.0),
    (b"s-maxage=60, max-age=10", 60.0),
    (b"s-maxage=60, s-maxage=30", 30.0),
    (b"s-maxage=x, max-age=60", 0.0),
]


@pytest.mark.parametrize(("line", "seconds"), LIFETIMES)
def test_s_maxage_else_max_age_is_the_lifetime(line, seconds):
    fields = cached(line)
    assert lifetime(fields, control(fields), NOW) == seconds


EXPIRES = [
    # Expires, with a Date 37 seconds before now, and without one
    (b"Sun, 06 Nov 1994 08:50:00 GMT", 60.0, 23.0),
    (b"Sunday, 06-Nov-94 08:50:00 GMT", 60.0, 23.0),
    (b"Sun Nov  6 08:50:00 1994", 60.0, 23.0),
    (b"Sun, 06 Nov 1994 09:50:00 +0100", 60.0, 23.0),
    (b"Sun, 06 Nov 1994 08:49:00 GMT", 0.0, 0.0),
    (b"Sat, 05 Nov 1994 08:49:00 GMT", 0.0, 0.0),
    (b"Thu, 31 Dec 9999 23:59:59 GMT", MAX_SECONDS, MAX_SECONDS),
    (b"0", 0.0, 0.0),
    (b"-1", 0.0, 0.0),
    (b"", 0.0, 0.0),
    (b"soon", 0.0, 0.0),
    (b"Sun, 99 Nov 1994 08:50:00 GMT", 0.0, 0.0),
    (b"Sun, 06 Nov 99999999999999999999 08:50:00 GMT", 0.0, 0.0),
    (b"\xb2\xff", 0.0, 0.0),
]


@pytest.mark.parametrize(("value", "after_date", "after_now"), EXPIRES)
def test_expires_counts_from_date_else_from_now(value, after_date, after_now):
    alone, dated = answer((b"expires", value)), answer(DATE, (b"expires", value))
    assert lifetime(dated, {}, NOW) == after_date
    assert lifetime(alone, {}, NOW) == after_now


def test_a_date_that_cannot_be_read_is_none():
    fields = answer((b"date", b"today"), (b"expires", b"Sun, 06 Nov 1994 08:50:00 GMT"))
    assert lifetime(fields, {}, NOW) == 23.0


def test_of_several_dates_the_shortest_lifetime_counts():
    later = (b"expires", b"Sun, 06 Nov 1994 08:51:00 GMT")
    sooner = (b"expires", b"Sun, 06 Nov 1994 08:50:00 GMT")
    assert lifetime(answer(DATE, later, sooner), {}, NOW) == 60.0
    newer = (b"date", b"Sun, 06 Nov 1994 08:49:30 GMT")
    assert lifetime(answer(DATE, newer, sooner), {}, NOW) == 30.0


def test_max_age_goes_before_expires():
    fields = answer((b"cache-control", b"max-age=60"), (b"expires", b"0"))
    assert lifetime(fields, control(fields), NOW) == 60.0


@pytest.mark.parametrize(
    ("line", "allowed"),
    [
        (b"", True),
        (b"max-age=60", True),
        (b"must-revalidate", False),
        (b"Must-Revalidate", False),
        (b"proxy-revalidate", False),
        (b"s-maxage=60", False),
    ],
)
def test_stale_serving_is_barred_by(line, allowed):
    assert may_be_stale(control(cached(line))) is allowed


@pytest.mark.parametrize(
    ("values", "seconds"),
    [
        ([], 0.0),
        ([b"0"], 0.0),
        ([b"30"], 30.0),
        ([b"30", b"50"], 50.0),
        ([b"x"], 0.0),
        ([b"x", b"5"], 5.0),
        ([b"-5"], 0.0),
    ],
)
def test_the_received_age_is_the_greatest_that_can_be_read(values, seconds):
    assert received_age(answer(*((b"Age", value) for value in values))) == seconds


def test_directives_of_several_lines_count_together():
    fields = answer((b"cache-control", b"max-age=60"), (b"Cache-Control", b"max-age=5, private"))
    said = control(fields)
    assert lifetime(fields, said, NOW) == 5.0
    assert forbidden(said, "plain", "auto") == "private"


DATES = st.text(alphabet='Sun, 06Nov1994:8493GMT+-\xb2\xe9\x00()"\\', max_size=40)


@given(DATES, DATES)
def test_no_date_is_too_odd_to_read(expires, date):
    fields = answer((b"expires", expires.encode("latin-1")), (b"date", date.encode("latin-1")))
    seconds = lifetime(fields, {}, NOW)
    assert seconds is not None
    assert 0.0 <= seconds <= MAX_SECONDS
    assert math.isfinite(seconds)
