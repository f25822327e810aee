"""May an answer be stored, and for how long?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askonce.entry import Answer
from askonce.policy.directives import SILENT, Directives
from askonce.policy.fields import MAX_SECONDS
from askonce.policy.head import pick, read
from askonce.policy.options import Options
from askonce.policy.storing import Drop, Keep, keep

NOW = 784111777.0  # Sun, 06 Nov 1994 08:49:37 GMT
JSON = (b"content-type", b"application/json")
EVENTS = (b"content-type", b"text/event-stream; charset=utf-8")
PLAIN = Options()
WINDOWS = Options(stale_while_revalidate=10.0, stale_if_error=60.0)
ALWAYS = Options(respect_response_cache_control="always")
NEVER = Options(respect_response_cache_control="never")


def kept(*headers, said=SILENT, options=PLAIN, status=200, body=b"{}", shape="plain", asked=()):
    headers = (EVENTS, *headers) if shape == "stream" else headers
    head = read(pick(headers), options)
    answer = Answer(status, headers, body, head.shape, head.media_type)
    return keep(said, answer, head, asked, NOW, options)


def personal(headers, options=PLAIN):
    return read(pick(headers), options).reason


def control(line: bytes) -> tuple[bytes, bytes]:
    return (b"cache-control", line)


def test_a_plain_answer_is_kept_for_the_operators_ttl():
    assert kept(JSON) == Keep(3600.0, 3600.0, 0.0, may_be_stale=True, vary=(), headers=(JSON,))


DROPPED = [
    ({"said": Directives(no_store=True)}, (), "no-store"),
    ({"status": 500}, (), "status"),
    ({"status": 201}, (), "status"),
    ({"status": 206, "options": Options(cacheable_statuses=frozenset({206}))}, (), "status"),
    ({"status": 304, "options": Options(cacheable_statuses=frozenset({304}))}, (), "status"),
    ({"body": b"x" * 11, "options": Options(max_response_bytes=10)}, (), "too-large"),
    ({"body": b"x", "options": Options(max_response_bytes=0)}, (), "too-large"),
    ({}, ((b"set-cookie", b"session=1"),), "set-cookie"),
    ({}, ((b"vary", b"*"),), "vary"),
    ({}, (control(b"no-store"),), "response-no-store"),
    ({}, (control(b"private"),), "response-private"),
    ({"options": ALWAYS}, (control(b"no-cache"),), "response-no-cache"),
    ({"options": NEVER}, ((b"set-cookie", b"session=1"),), "set-cookie"),
    ({"options": NEVER}, ((b"vary", b"*"),), "vary"),
    ({"shape": "stream"}, (control(b"private"),), "response-private"),
    ({"shape": "stream", "options": ALWAYS}, (control(b"no-store"),), "response-no-store"),
    ({"said": Directives(ttl=0.0)}, (), "ttl"),
    ({"options": Options(ttl=0.0)}, (), "ttl"),
    ({"options": Options(max_ttl=0.0)}, (), "ttl"),
    ({}, (control(b"max-age=0"),), "ttl"),
    ({}, (control(b"max-age=30"), (b"age", b"30")), "ttl"),
    ({"options": WINDOWS}, (control(b"max-age=0, must-revalidate"),), "ttl"),
    ({"options": WINDOWS}, (control(b"max-age=30"), (b"age", b"90")), "ttl"),
]


@pytest.mark.parametrize(("given_that", "headers", "reason"), DROPPED)
def test_an_answer_is_dropped_for_a_reason(given_that, headers, reason):
    assert kept(*headers, **given_that) == Drop(reason)


@pytest.mark.parametrize(
    ("given_that", "headers"),
    [
        ({"status": 404, "options": Options(cacheable_statuses=frozenset({200, 404}))}, ()),
        ({"body": b"x" * 10, "options": Options(max_response_bytes=10)}, ()),
        ({"said": Directives(no_cache=True)}, ()),
        ({"said": Directives(use_cache=True, only_if_cached=True)}, ()),
        ({}, (control(b"no-cache"),)),
        ({"options": NEVER}, (control(b"no-store, private, no-cache, max-age=0"),)),
        ({"shape": "stream"}, (control(b"no-cache, no-store, max-age=0, must-revalidate"),)),
        ({"shape": "stream"}, (control(b"no-cache"), (b"expires", b"0"))),
        ({}, ((b"vary", b"Origin"),)),
    ],
)
def test_an_answer_is_kept_for_the_whole_ttl_where_nothing_speaks_against_it(given_that, headers):
    keeping = kept(*headers, **given_that)
    assert isinstance(keeping, Keep)
    assert keeping.ttl == 3600.0
    assert keeping.may_be_stale


COOKIES = [
    (b"__cf_bm=x; path=/; expires=Sun, 06-Nov-94 08:49:37 GMT; HttpOnly", None),
    (b"_cfuvid=x", None),
    (b" __cflb = x", None),
    (b"session=x", "set-cookie"),
    (b"__CF_BM=x", "set-cookie"),
    (b"__cf_bm", "set-cookie"),
    (b"", "set-cookie"),
    (b"=x", "set-cookie"),
    (b"__cf_bm=x; path=/, session=y", "set-cookie"),
    (b"__cf_bm=x; path=/, _cfuvid=y", None),
    (b"\xff=x", "set-cookie"),
]


@pytest.mark.parametrize(("cookie", "reason"), COOKIES)
def test_a_cookie_makes_an_answer_personal_unless_the_operator_dismissed_its_name(cookie, reason):
    assert personal(((b"Set-Cookie", cookie),)) == reason


def test_one_personal_cookie_among_dismissed_ones_is_enough():
    headers = ((b"set-cookie", b"__cf_bm=x"), (b"set-cookie", b"session=x"))
    assert personal(headers) == "set-cookie"
    dismissed = Options(ignored_set_cookies=frozenset({"__cf_bm", "session"}))
    assert personal(headers, dismissed) is None


HEADS = [
    ((JSON, control(b"no-store")), "response-no-store"),
    ((EVENTS, control(b"no-store")), None),
    ((EVENTS, control(b"private")), "response-private"),
    (((b"content-type", b" Text/Event-Stream"), control(b"no-store")), None),
    ((control(b"no-store"),), "response-no-store"),
    ((JSON, EVENTS, control(b"no-store")), None),
    ((EVENTS, (b"vary", b"*")), "vary"),
    ((EVENTS, (b"vary", b"origin")), None),
    ((), None),
]


@pytest.mark.parametrize(("headers", "reason"), HEADS)
def test_the_head_alone_tells_what_may_never_be_stored(headers, reason):
    assert personal(headers) == reason


TTLS = [
    # client's ttl, operator's, max_ttl, Cache-Control, Age, ttl
    (None, 3600.0, None, b"", 0, 3600.0),
    (60.0, 3600.0, None, b"", 0, 60.0),
    (7200.0, 3600.0, None, b"", 0, 7200.0),
    (7200.0, 3600.0, 5000.0, b"", 0, 5000.0),
    (None, 3600.0, 100.0, b"", 0, 100.0),
    (0.5, 3600.0, None, b"", 0, 0.5),
    (None, 0.25, None, b"", 0, 0.25),
    (10.0, 0.0, None, b"", 0, 10.0),
    (None, 3600.0, None, b"max-age=60", 0, 60.0),
    (None, 30.0, None, b"max-age=60", 0, 30.0),
    (10.0, 3600.0, None, b"max-age=60", 0, 10.0),
    (100.0, 3600.0, None, b"max-age=60", 0, 60.0),
    (None, 3600.0, None, b"s-maxage=20, max-age=60", 0, 20.0),
    (None, 3600.0, None, b"max-age=60", 20, 60.0),
    (None, float("inf"), None, b"", 0, MAX_SECONDS),
]


@pytest.mark.parametrize("row", TTLS)
def test_the_ttl_is_the_clients_or_operators_bounded_and_shortened(row):
    clients, operators, most, line, age, ttl = row
    options = Options(ttl=operators, max_ttl=most)
    headers = (control(line), (b"age", b"%d" % age))
    keeping = kept(*headers, said=Directives(ttl=clients), options=options)
    assert isinstance(keeping, Keep)
    assert (keeping.ttl, keeping.age) == (ttl, float(age))


def test_received_age_leaves_less_of_the_lifetime():
    keeping = kept(control(b"max-age=100"), (b"age", b"30"))
    assert isinstance(keeping, Keep)
    assert keeping.ttl - keeping.age == 70.0


def test_expires_shortens_the_ttl():
    keeping = kept((b"expires", b"Sun, 06 Nov 1994 08:50:07 GMT"))
    assert isinstance(keeping, Keep)
    assert keeping.ttl == 30.0


@pytest.mark.parametrize(
    ("options", "line", "shape", "retention", "may_be_stale"),
    [
        (Options(), b"", "plain", 3600.0, True),
        (WINDOWS, b"", "plain", 3660.0, True),
        (Options(stale_while_revalidate=90.0, stale_if_error=5.0), b"", "plain", 3690.0, True),
        (WINDOWS, b"max-age=60", "plain", 120.0, True),
        (WINDOWS, b"max-age=0", "plain", 60.0, True),
        (WINDOWS, b"max-age=60, must-revalidate", "plain", 60.0, False),
        (WINDOWS, b"proxy-revalidate", "plain", 3600.0, False),
        (WINDOWS, b"s-maxage=60", "plain", 60.0, False),
        (WINDOWS, b"must-revalidate", "stream", 3660.0, True),
        (Options(ttl=0.0, stale_if_error=5.0), b"", "plain", 5.0, True),
        (
            Options(stale_if_error=5.0, respect_response_cache_control="always"),
            b"must-revalidate",
            "stream",
            3600.0,
            False,
        ),
        (
            Options(stale_if_error=5.0, respect_response_cache_control="never"),
            b"must-revalidate",
            "plain",
            3605.0,
            True,
        ),
    ],
)
def test_retention_is_ttl_plus_the_longer_stale_window_unless_barred(
    options, line, shape, retention, may_be_stale
):
    keeping = kept(control(line), options=options, shape=shape)
    assert isinstance(keeping, Keep)
    assert (keeping.retention, keeping.may_be_stale) == (retention, may_be_stale)


def test_under_always_an_event_streams_lifetime_counts_too():
    keeping = kept(control(b"max-age=60"), options=ALWAYS, shape="stream")
    assert isinstance(keeping, Keep)
    assert keeping.ttl == 60.0


SHARED = Options(share_between_callers=True, respect_response_cache_control="always")
BEARER = ((b"Authorization", b"Bearer x"),)


@pytest.mark.parametrize(
    ("options", "asked", "line", "reason"),
    [
        (SHARED, BEARER, b"", "authorization"),
        (SHARED, BEARER, b"max-age=60", "authorization"),
        (SHARED, BEARER, b"public", None),
        (SHARED, BEARER, b"s-maxage=60", None),
        (SHARED, BEARER, b"must-revalidate", None),
        (SHARED, (), b"", None),
        (ALWAYS, BEARER, b"", None),
        (Options(share_between_callers=True), BEARER, b"", None),
    ],
)
def test_under_always_callers_share_an_authorized_answer_only_if_it_says_so(
    options, asked, line, reason
):
    keeping = kept(control(line), options=options, asked=asked)
    assert (keeping.reason if isinstance(keeping, Drop) else None) == reason


def test_what_the_answer_varies_on_is_kept_with_the_requests_values():
    asked = ((b"origin", b"a"), (b"accept-encoding", b"br"), (b"x-b", b"1"), (b"x-b", b"2"))
    keeping = kept((b"Vary", b"Accept-Encoding, Origin, X-B, X-C"), asked=asked)
    assert isinstance(keeping, Keep)
    assert keeping.vary == ((b"origin", (b"a",)), (b"x-b", (b"1", b"2")), (b"x-c", ()))


def test_only_fields_that_are_replayed_are_kept():
    keeping = kept(JSON, (b"date", b"x"), (b"Set-Cookie", b"__cf_bm=x"), (b"X-Model", b"m"))
    assert isinstance(keeping, Keep)
    assert keeping.headers == (JSON, (b"x-model", b"m"))


NAMES = st.sampled_from(
    [b"cache-control", b"expires", b"date", b"age", b"vary", b"set-cookie", b"connection"]
)
VALUES = st.binary(max_size=30) | st.sampled_from(
    [b"max-age=5", b"no-store", b"s-maxage=50", b"30", b"must-revalidate", b"private", b"origin"]
)
HEADERS = st.lists(st.tuples(NAMES, VALUES), max_size=4).map(tuple)
RESPECT = st.sampled_from(["auto", "always", "never"])
OPTIONS = st.builds(Options, respect_response_cache_control=RESPECT, max_ttl=st.just(1000.0))


@given(HEADERS, st.sampled_from(["plain", "stream"]), OPTIONS)
def test_no_header_is_too_odd_to_decide_on(headers, shape, options):
    keeping = kept(*headers, options=options, shape=shape)
    assert isinstance(keeping, Drop) or keeping.age < keeping.ttl <= 1000.0


@given(HEADERS, st.sampled_from(["plain", "stream"]))
def test_always_keeps_nothing_that_auto_drops_and_never_keeps_whatever_auto_keeps(headers, shape):
    strict, auto, lax = (
        kept(*headers, options=Options(respect_response_cache_control=respect), shape=shape)
        for respect in ("always", "auto", "never")
    )
    if isinstance(strict, Keep):
        assert isinstance(auto, Keep)
        assert strict.ttl <= auto.ttl
    if isinstance(auto, Keep):
        assert isinstance(lax, Keep)
        assert auto.ttl <= lax.ttl
