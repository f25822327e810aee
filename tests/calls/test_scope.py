from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askonce.calls.scope import (
    BODY_DIGESTS,
    CREDENTIALS,
    KEYED_HEADERS,
    Wanted,
    field_names,
    pick,
    sift,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from askonce.entry import Headers

JSON = b"application/json"
cases = pytest.mark.parametrize("case", [bytes.lower, bytes.upper, bytes.title])


@cases
@pytest.mark.parametrize("name", CREDENTIALS)
def test_a_credential_says_who_asks_in_any_case(
    name: bytes, case: Callable[[bytes], bytes]
) -> None:
    sifted = sift(((case(name), b"Secret"),))
    assert sifted.caller == ((name, b"Secret"),)
    assert sifted.keyed == ()


@cases
@pytest.mark.parametrize("name", KEYED_HEADERS)
def test_a_field_that_changes_answers_is_keyed(name: bytes, case: Callable[[bytes], bytes]) -> None:
    sifted = sift(((case(name), b"v"),))
    assert sifted.keyed == ((name, b"v"),)
    assert sifted.caller == ()


@pytest.mark.parametrize("reason", [*CREDENTIALS.values(), *KEYED_HEADERS.values()])
def test_every_field_has_its_reason(reason: str) -> None:
    assert len(reason) > 20


def test_the_operators_fields_are_keyed() -> None:
    extra = field_names([" X-Tenant ", "x-region"])
    assert extra == {b"x-tenant", b"x-region"}
    headers = ((b"x-tenant", b"a"), (b"X-Region", b"b"), (b"x-other", b"c"))
    assert sift(headers, extra).keyed == ((b"x-region", b"b"), (b"x-tenant", b"a"))


def test_a_credential_that_the_operator_keys_is_both() -> None:
    sifted = sift(((b"cookie", b"a=b"),), field_names(["Cookie"]))
    assert sifted.caller == sifted.keyed == ((b"cookie", b"a=b"),)


@pytest.mark.parametrize(
    ("headers", "doubled"),
    [
        (((b"authorization", b"a"),), False),
        (((b"authorization", b"a"), (b"x-api-key", b"a")), False),
        (((b"authorization", b"a"), (b"authorization", b"b")), True),
        (((b"authorization", b"a"), (b"authorization", b"a")), True),
        (((b"authorization", b"a"), (b"Authorization", b"b")), True),
        (((b"cookie", b"a=b"), (b"cookie", b"c=d")), False),
        (((b"openai-beta", b"a"), (b"openai-beta", b"b")), False),
    ],
)
def test_a_doubled_credential_is_noticed(headers: Headers, doubled: bool) -> None:
    assert sift(headers).doubled is doubled


def test_fields_of_several_names_are_sorted_and_of_one_name_are_not() -> None:
    one = ((b"openai-beta", b"b"), (b"anthropic-beta", b"z"), (b"openai-beta", b"a"))
    other = (one[1], one[0], one[2])
    swapped = (one[2], one[1], one[0])
    assert sift(one) == sift(other)
    assert sift(one).keyed != sift(swapped).keyed


def test_cache_control_lines_keep_their_order() -> None:
    headers = ((b"cache-control", b"no-cache"), (b"x", b"y"), (b"Cache-Control", b"max-age=1"))
    assert sift(headers).control == (b"no-cache", b"max-age=1")


def test_nothing_at_all() -> None:
    sifted = sift(())
    assert (sifted.caller, sifted.keyed, sifted.control, sifted.doubled) == ((), (), (), False)
    assert (sifted.host, sifted.content_type, sifted.content_encoding) == (b"", b"", b"")


@pytest.mark.parametrize(
    ("value", "normal"),
    [
        (b"application/json", JSON),
        (b"Application/JSON", JSON),
        (b"application/json; charset=utf-8", JSON),
        (b"application/json;charset=UTF-8", JSON),
        (b'application/json; charset="utf-8"', JSON),
        (b" application/json ", JSON),
        (b"application/json; charset=latin-1", b"application/json; charset=latin-1"),
        (b"application/json; profile=x", b"application/json; profile=x"),
        (b"application/json, text/plain", b"application/json, text/plain"),
        (b"application/jsonl", b"application/jsonl"),
        (b"xapplication/json", b"xapplication/json"),
        (b"text/plain", b"text/plain"),
    ],
)
def test_a_content_type_has_a_normal_form(value: bytes, normal: bytes) -> None:
    sifted = sift(((b"content-type", value),))
    assert sifted.content_type == normal
    assert sifted.keyed == ()


ODD: list[Headers] = [
    (),
    ((b"content-type", b""),),
    ((b"content-type", JSON),),
    ((b"content-type", JSON), (b"content-type", JSON)),
    ((b"content-type", JSON), (b"content-type", b"text/plain")),
    ((b"content-type", b"text/plain"), (b"content-type", JSON)),
    ((b"content-type", b"text/plain"),),
    ((b"host", b"a"),),
    ((b"host", b"b"),),
    ((b"host", b""),),
    ((b"host", b"a"), (b"host", b"b")),
    ((b"host", b"b"), (b"host", b"a")),
    ((b"content-encoding", b"gzip"),),
    ((b"content-encoding", b"identity"),),
    ((b"content-encoding", b"gzip"), (b"content-encoding", b"gzip")),
]


@pytest.mark.parametrize("headers", ODD, ids=repr)
def test_fields_that_apps_read_differently_are_told_apart(headers: Headers) -> None:
    sifted = [sift(other) for other in ODD]
    assert sifted.count(sift(headers)) == 1


def test_all_that_is_looked_at_is_wanted() -> None:
    wanted = Wanted(["X-Tenant"])
    single = {b"host", b"cache-control", b"content-type", b"content-encoding"}
    names = CREDENTIALS.keys() | KEYED_HEADERS.keys() | single | {b"x-tenant"}
    assert all(wanted[name] for name in names)
    assert not any(wanted[name] for name in (b"user-agent", *BODY_DIGESTS))


def test_a_flood_of_names_is_not_remembered() -> None:
    wanted = Wanted()
    before = len(wanted)
    assert not any(wanted[b"x-%d" % number] for number in range(5_000))
    assert not wanted[b"x" * 65]
    assert wanted[b"X-Odd"]
    assert before < len(wanted) <= 1024
    assert b"x" * 65 not in wanted


known = st.sampled_from(
    sorted(Wanted(["x-tenant"]).keys() | {b"accept", b"user-agent", b"x-other"})
)
spellings = st.sampled_from([bytes.lower, bytes.upper, bytes.title, bytes.swapcase])
fields = st.tuples(
    st.builds(lambda name, case: case(name), known, spellings), st.binary(max_size=3)
)


@given(st.lists(fields, max_size=6))
def test_picking_first_loses_nothing(headers: list[tuple[bytes, bytes]]) -> None:
    extra = field_names(["x-tenant"])
    assert sift(pick(headers, Wanted(["x-tenant"])), extra) == sift(tuple(headers), extra)


def test_picking_leaves_the_rest_and_takes_lists_for_pairs() -> None:
    picked = pick([[b"host", b"a"], [b"accept", b"*/*"]], Wanted())
    assert picked == ((b"host", b"a"),)
    assert hash(picked)
